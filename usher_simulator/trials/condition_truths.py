"""The conditions of the trials, as policies write them, and the truth of each from its first moment on."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from usher_simulator.trials.policy_model import Written


LAG: Final = timedelta(seconds=60)  # how old the state may be that AWS shows
MARGIN: Final = timedelta(seconds=15)  # of a turn of questions, and of clocks
_ZONES: Final = ("us-east-1a", "us-east-1b")
_TYPES: Final = ("c7g.large", "c7g.xlarge", "m7i.large")
_ROLES: Final = ("db", "web", None)
CLUSTER: Final = "web"
CONDITIONS: Final[Mapping[str, Written]] = {
    "targets healthy": {"targets": {"groups": ["web"], "state": "healthy"}},
    "targets drained": {"targets": {"groups": ["web"], "state": "drained"}},
    "ecs active": {"ecs": {"state": "active", "cluster": CLUSTER, "grace": "1h"}},
    "ecs drained": {"ecs": {"state": "drained", "cluster": CLUSTER, "absent": "failed", "grace": "1h"}},
    "instance_status": {"instance_status": "ok"},
    "command": {"command": {"document": "upload-logs", "timeout": "2h"}},
    "function": {"function": "smoke-test"},
}
# The same, as others write them.
OTHERWISE: Final[Mapping[str, Written]] = {
    "ecs active": {"ecs": "active"},
    "ecs drained": {"ecs": {"state": "drained", "absent": "failed", "grace": "1h"}},
    "command": {
        "command": {
            "document": "upload-logs",
            "version": "3",
            "parameters": {"commands": ["true"], "level": "all"},
            "timeout": "2h",
        }
    },
}
MAY_FAIL: Final = ("instance_status", "command", "function")
ENDS_FOR_GOOD: Final = ("command", "function", "ecs drained")  # and so do not flap
STARTED: Final = ("command", "ecs drained")  # by Usher: what is true follows from when it was
_OF_LAUNCHES: Final = ("targets healthy", "ecs active", "instance_status", "command", "function")
_OF_TERMINATIONS: Final = ("targets drained", "ecs drained", "command", "function")


def facts_of(instance_id: str) -> dict[str, Any]:
    """What is true of an instance, as rules ask for it: drawn from its id, so that it shifts nothing."""
    number = crc32(instance_id.encode())
    role = _ROLES[number // 8 % len(_ROLES)]
    return {
        "availability_zone": _ZONES[number % len(_ZONES)],
        "instance_type": _TYPES[number // 2 % len(_TYPES)],
        "tags": {"Name": instance_id} | ({"role": role} if role else {}),
    }


def kinds_of(transition: str) -> Sequence[str]:
    """The names of the conditions that a hook of that transition may have."""
    return _OF_LAUNCHES if transition == "launching" else _OF_TERMINATIONS


def kind_of(condition: Written) -> str:
    """The name of a condition in CONDITIONS, or OTHERWISE."""
    return next(name for name, written in _written() if written == condition)


def kinds_in(policies: Iterable[Written]) -> list[str]:
    """The names of the conditions that policies ask AWS about."""
    text = json.dumps([policy["until"] for policy in policies], sort_keys=True)
    found = (name for name, written in _written() if json.dumps(written, sort_keys=True)[1:-1] in text)
    return list(dict.fromkeys(found))


def _written() -> list[tuple[str, Written]]:
    return [*CONDITIONS.items(), *OTHERWISE.items()]


@dataclass(kw_only=True)
class Truth:
    """How one condition stands in truth, from its first moment on: `states` from each of `since` on.

    One that Usher starts takes `takes` from then; before it is pending.
    """

    kind: str
    since: list[datetime]
    states: list[PossibleStatus]
    takes: timedelta
    end: PossibleStatus
    started_at: datetime | None = None

    def start(self, now: datetime) -> None:
        """Usher starts it. What it was started for once goes on."""
        if self.started_at is None:
            self.started_at = now
            self.since.append(now + self.takes)
            self.states.append(self.end)

    def at(self, moment: datetime) -> PossibleStatus:
        """How it stands then; before its first moment pending."""
        place = bisect_right(self.since, moment)
        return self.states[place - 1] if place else PossibleStatus.PENDING

    def between(self, first: datetime, last: datetime) -> set[PossibleStatus]:
        """Every way in which it stands from `first` to `last`."""
        changes = self.since[bisect_right(self.since, first) : bisect_right(self.since, last)]
        return {self.at(first), *map(self.at, changes)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A command, and what becomes of it."""

    at: datetime
    comment: str
    truth: Truth | None


@dataclass(kw_only=True)
class OfInstance:
    """The conditions of an instance in one of its waits, or in several at once."""

    since: datetime | None = None
    truths: dict[str, Truth] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    has_lied: bool = False
    errors: int = 0  # of the user's function, in a row
    has_erred: bool = False  # so often in a row that it counts as failed
