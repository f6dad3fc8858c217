"""What happens to the instances that wait: nine scenes of one instance each, and two storms.

A scene has a hook of 60 seconds, and work of 100 where it says nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from benchmarks.storm_plan import START, Held, Storm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
COMPLETE: Final = "CompleteLifecycleAction"
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Throttled:
    """Auto Scaling refuses an operation for a while, counted from the beginning of the wait."""

    operation: str
    since: timedelta
    until: timedelta


@dataclass(frozen=True, kw_only=True)
class Scene(Storm):
    """One instance, `work` long at it, and what goes wrong. Times count from the beginning of its wait."""

    held: int = 1
    heartbeat_timeout: timedelta = 60 * _SECOND
    rate: float = 100.0  # more than anyone needs
    work: timedelta = 100 * _SECOND
    copies: int = 1  # of the notification
    stale_first: bool = False  # the notification of an earlier action comes just before it
    throttled: Throttled | None = None
    loses_answer: bool = False  # of the first CompleteLifecycleAction, which is carried out
    kills_at: timedelta | None = None  # whatever runs then, or next, is killed before its next step

    @cached_property
    def instances(self) -> Sequence[Held]:
        """The one."""
        return [Held(number=1, started_at=START, done_at=START + self.work)]


SCENES: Final[Mapping[str, Scene]] = {
    "plain": Scene(work=40 * _SECOND),
    "work longer than the timeout": Scene(),
    "heartbeats throttled for 45 s": Scene(
        throttled=Throttled(operation=HEARTBEAT, since=0 * _SECOND, until=45 * _SECOND)
    ),
    "result throttled for 25 s": Scene(
        throttled=Throttled(operation=COMPLETE, since=100 * _SECOND, until=125 * _SECOND)
    ),
    "notification twice": Scene(copies=2),
    "answer to the result lost": Scene(loses_answer=True),
    "killed in the middle": Scene(kills_at=30 * _SECOND),
    "notification never arrives": Scene(copies=0),
    "notification of an earlier action first": Scene(stale_first=True),
}
LONGER_HOOK: Final = "notification never arrives, hook of 10 minutes"
MORE: Final[Mapping[str, Scene]] = {
    LONGER_HOOK: Scene(copies=0, heartbeat_timeout=600 * _SECOND, work=1000 * _SECOND)
}
STORMS: Final[Mapping[str, Storm]] = {
    "1,000 at once, hook of 5 minutes": Storm(
        held=1000, heartbeat_timeout=300 * _SECOND, lasts=900 * _SECOND
    ),
    "400 at once, hook of 60 s": Storm(held=400, heartbeat_timeout=60 * _SECOND, lasts=360 * _SECOND),
}


def drain(lasts: timedelta) -> Scene:
    """Work of this length in a hook of five minutes, and nothing goes wrong."""
    return Scene(heartbeat_timeout=300 * _SECOND, work=lasts)
