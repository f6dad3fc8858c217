"""How long an enrolment takes: estimated before the deploy, and while the sweep enrols."""

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
    """How many hooks the sweep may put in an hour on groups selected by glob or tags; `left` of this hour."""

    per_hour: int
    left: int

    def lasts(self, count: int, now: datetime) -> timedelta:
        """The time until the last of `count` hooks is put, if each pass gets the calls that it needs."""
        beyond = count - self.left
        if beyond <= 0:
            return _passes(count)
        next_hour = (now + _HOUR).replace(minute=0, second=0, microsecond=0)
        hours, in_the_last = divmod(beyond - 1, self.per_hour)
        return next_hour - now + hours * _HOUR + _passes(in_the_last + 1)


def _passes(count: int) -> timedelta:
    """A pass starts every two minutes and settles MOST_UNSETTLED groups, here of one hook each."""
    return -(-count // MOST_UNSETTLED) * INTERVAL


def after_deploy(count: int, per_hour: int) -> str:
    """When the sweep puts the last of the hooks after a deploy."""
    hours = -(-count // per_hour) - 1
    when = f"about {hours}h after the deploy" if hours else "within an hour of the deploy"
    where = f"On groups selected by glob or tags: {_hooks(count)}"
    return f"{where}; the sweep puts the last {when}, {_at(per_hour)}."


def after_apply(named: int, selected: int, per_hour: int) -> str:
    """How long the sweep takes to put the hooks of a file that is applied."""
    parts = []
    if named:
        lasts = duration.written(_passes(named))
        parts.append(f"{_hooks(named)} on named groups within about {lasts}")
    if selected:
        hours = -(-selected // per_hour) - 1
        when = f"in about {hours}h" if hours else "within an hour"
        parts.append(
            f"{_hooks(selected)} on groups selected by glob or tags, the last {when}, {_at(per_hour)}"
        )
    return f"Once the file is in effect, the sweep puts {'; and '.join(parts)}."


def in_the_deploy(hooks: int, groups: int, calls_per_second: float) -> str:
    """How long a deploy takes for named groups: it describes each group, and puts each hook."""
    lasts = timedelta(seconds=ceil((groups + hooks) / calls_per_second))
    rest = f"; after {duration.written(PATIENCE)} the sweep puts the rest" if lasts > PATIENCE else ""
    return (
        f"On named groups: {_hooks(hooks)}; the deploy puts them in about {duration.written(lasts)}, "
        f"at {calls_per_second:g} calls per second (calls_per_second){rest}."
    )


def while_enrolling(enrolled: int, groups: int, count: int, pace: Pace, now: datetime) -> str:
    """The progress: the groups that have all their hooks, of those selected; `count` hooks are left."""
    lasts = duration.written(-(-pace.lasts(count, now) // _MINUTE) * _MINUTE)
    return (
        f"The sweep is enrolling: {enrolled} of {groups} groups have all their hooks. "
        f"Left on groups selected by glob or tags: {_hooks(count)}; "
        f"the last in about {lasts}, {_at(pace.per_hour)}."
    )


def _hooks(count: int) -> str:
    return "1 hook" if count == 1 else f"{count} hooks"


def _at(per_hour: int) -> str:
    return f"at {per_hour} per hour (enrolments_per_hour)"
