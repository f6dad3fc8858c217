"""How long an enrolment takes that the sweep does: before the deploy, and while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from usher.core import duration
from usher.core.enrolment import MOST_UNSETTLED
from usher.passes.enrolment import INTERVAL
from usher.provision import PATIENCE

if TYPE_CHECKING:
    from datetime import datetime

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How many hooks are put in an hour by the clock on groups by glob or tags; `left` of this hour."""

    per_hour: int
    left: int

    def lasts(self, count: int, now: datetime) -> timedelta:
        """Until the last of so many stands, where each pass has the calls that it needs."""
        beyond = count - self.left
        if beyond <= 0:
            return _passes(count)
        next_hour = (now + _HOUR).replace(minute=0, second=0, microsecond=0)
        hours, in_the_last = divmod(beyond - 1, self.per_hour)
        return next_hour - now + hours * _HOUR + _passes(in_the_last + 1)


def _passes(count: int) -> timedelta:
    """A pass begins every two minutes and settles so many groups, here of one hook each."""
    return -(-count // MOST_UNSETTLED) * INTERVAL


def beforehand(count: int, per_hour: int) -> str:
    """When the last of the hooks stands that the sweep puts after a deploy, so many an hour by the clock."""
    hours = -(-count // per_hour) - 1
    lasts = f"about {hours}h after the deploy" if hours else "within an hour of the deploy"
    return f"{count} of them on groups by glob or tags: the last stands {lasts}, {_at(per_hour)}."


def in_the_deploy(hooks: int, groups: int, calls_per_second: float) -> str:
    """How long a deploy is busy with named groups: it describes each of them, and puts each hook."""
    lasts = timedelta(seconds=ceil((groups + hooks) / calls_per_second))
    rest = (
        f"; what is not done in {duration.written(PATIENCE)} the sweep goes on with"
        if lasts > PATIENCE
        else ""
    )
    return (
        f"{hooks} of them on named groups: the deploy puts them, which takes about {duration.written(lasts)} "
        f"at {calls_per_second:g} calls a second (calls_per_second){rest}."
    )


def going_on(enrolled: int, groups: int, count: int, pace: Pace, now: datetime) -> str:
    """How far it is: the groups that have all their hooks, of those selected; `count` hooks are left."""
    lasts = duration.written(-(-pace.lasts(count, now) // _MINUTE) * _MINUTE)
    left = "1 hook is left" if count == 1 else f"{count} hooks are left"
    return (
        f"Enrolment goes on: {enrolled} of {groups} groups have their hooks. {left} on groups by glob or "
        f"tags: the last stands in about {lasts}, {_at(pace.per_hour)}."
    )


def _at(per_hour: int) -> str:
    return f"at {per_hour} an hour (enrolments_per_hour)"
