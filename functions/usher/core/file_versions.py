"""The hooks file at run time: numbered versions that never change, and from when each is in effect.

Whoever applies a version lets it take effect NOTICE later at the earliest. A function reads the
schedule again after CACHED at the latest, so each has read of a version before it takes effect, and
all begin with it at the same moment. What is between the two, half a minute, is for the request that
stores the version and for clocks that differ.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.compiled import InEffect, compiled
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.compiled import Compiled

CACHED: Final = timedelta(seconds=30)
NOTICE: Final = timedelta(seconds=60)
MOST_PENDING: Final = 20  # versions that have not taken effect yet
NONE_YET: Final = 0  # the number of the file before the first version
# That file: Usher manages nothing.
NO_VERSION: Final = InEffect(file=compiled({"version": 1, "policies": {}, "hooks": []}), version=NONE_YET)


@frozen
class Start:
    """From when a version is in effect, until a later one is."""

    number: int
    at: datetime


@frozen
class Schedule:
    """Which version is in effect when. It is only ever added to at its end, NOTICE ahead.

    `starts` are in order. Kept are those to come, the one in effect when the last was added, and the
    one before that.
    """

    starts: tuple[Start, ...] = ()

    @property
    def newest(self) -> int:
        """The number of the version that was applied last, in effect or not; NONE_YET: none was."""
        return self.starts[-1].number if self.starts else NONE_YET

    def in_effect(self, now: datetime) -> tuple[int, ...]:
        """The number of the version in effect, and those before it, as far as they are kept."""
        return tuple(start.number for start in reversed(self.starts) if start.at <= now)

    def pending(self, now: datetime) -> tuple[Start, ...]:
        """The versions that are yet to take effect."""
        return tuple(start for start in self.starts if start.at > now)

    def then(self, number: int, now: datetime) -> Schedule:
        """With one version more, in effect as soon as may be; never before another."""
        at = max([now + NOTICE, *(start.at for start in self.starts)])
        past = [start for start in self.starts if start.at <= now]
        return Schedule(starts=(*past[-2:], *self.pending(now), Start(number=number, at=at)))


@frozen
class FileVersion:
    """A version as it was applied. `previous`: the number of the one applied before.

    `written`: the file with its comments, for people; None where an older release stored none.
    """

    number: int
    file: Compiled
    applied_at: datetime
    effective_at: datetime
    by: str  # the ARN of whoever applied it
    reason: str
    previous: int = NONE_YET
    written: str | None = None
