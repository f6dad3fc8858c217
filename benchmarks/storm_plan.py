"""The storm: instances that enter their wait states in one minute, and when their work is done."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.notifications import written_in_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUP: Final = "workers"
HOOK: Final = "drain"
_LONGEST: Final = timedelta(hours=2)
_SHARE_OF_GLOBAL_LIMIT: Final = 0.9
_GLOBAL_LIMIT: Final = timedelta(hours=48)
_GLOBAL_LIMIT_IN_TIMEOUTS: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """One instance: when its wait begins, and when its condition comes to hold."""

    number: int
    started_at: datetime
    done_at: datetime

    @property
    def instance_id(self) -> str:
        """As EC2 writes it."""
        return f"i-{self.number:017x}"

    def least_calls(self, heartbeat_timeout: timedelta) -> int:
        """One completion, and the heartbeats that no schedule can avoid.

        A wait lives for one heartbeat timeout without a heartbeat, and for one more with each: where
        it goes on for `w`, ceil(w / T) - 1 heartbeats are the fewest.
        """
        return max(1, math.ceil((self.done_at - self.started_at) / heartbeat_timeout))


@dataclass(frozen=True, kw_only=True)
class Storm:
    """`held` instances that begin to wait within `begins_within`, against `rate` calls a second."""

    held: int
    heartbeat_timeout: timedelta
    rate: float = 10.0
    begins_within: timedelta = timedelta(minutes=1)
    lasts: timedelta | None = None  # None: min(2 h, 0.9 x the global limit)
    seed: int = 1

    @property
    def half(self) -> timedelta:
        """For so long no condition holds; in the same time after it they come to hold."""
        limit = min(_GLOBAL_LIMIT, _GLOBAL_LIMIT_IN_TIMEOUTS * self.heartbeat_timeout)
        return (self.lasts or min(_LONGEST, _SHARE_OF_GLOBAL_LIMIT * limit)) / 2

    @property
    def bound(self) -> float:
        """The most that could be held: one call for each in one heartbeat timeout."""
        return self.rate * self.heartbeat_timeout.total_seconds()

    @cached_property
    def instances(self) -> Sequence[Held]:
        """All of them, in the order in which they begin to wait."""
        random = Random(self.seed)  # noqa: S311 - a benchmark's own data
        starts = sorted(START + random.random() * self.begins_within for _ in range(self.held))
        return [
            Held(number=number, started_at=start, done_at=START + (1 + random.random()) * self.half)
            for number, start in enumerate(starts)
        ]

    @property
    def least_calls(self) -> int:
        """Of all instances."""
        return sum(held.least_calls(self.heartbeat_timeout) for held in self.instances)

    @property
    def hooks(self) -> dict[str, Any]:
        """The hooks file: wait for the signal `done`."""
        hook = {
            "name": HOOK,
            "group": GROUP,
            "transition": "terminating",
            "heartbeat_timeout": f"{self.heartbeat_timeout.total_seconds():.0f}s",
            "default_result": "ABANDON",
            "policy": "job",
        }
        policies = {"job": {"until": [{"signal": "done"}]}}
        return {"version": 1, "policies": policies, "hooks": [hook]}


def signal(held: Held) -> str:
    """The workload's word that it is done."""
    return json.dumps(
        {
            "id": f"signal-{held.number}",
            "detail-type": "Usher Signal",
            "source": "usher.signal",
            "time": written_in_seconds(held.done_at),
            "detail": {"InstanceId": held.instance_id, "Signal": "done", "Status": "done"},
        }
    )
