"""At most so many actions of a hook `at_once`: seen from the results that took their time.

When an action began what it waits for is not seen from outside. But a result that comes after `elapsed: 10m`,
or because a patience of 45m is over, shows that it had begun so long before, at the latest.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from usher_simulator.trials.policy_model import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher_simulator.trials.policy_model import Case

_CLOCKS: Final = timedelta(seconds=20)  # of two functions, and the steps of an evaluation
_OUTLASTS: Final = timedelta(seconds=60)  # a patience: so long its place is kept
_NOTHING: Final = timedelta(0)


class Stretch(NamedTuple):
    """A time in which an action had begun for sure, and had not ended."""

    begun: datetime
    ended: datetime


class TurnsTaken:
    """The stretches of every hook and group."""

    def __init__(self) -> None:
        self._known: defaultdict[str, list[Stretch]] = defaultdict(list)

    def at_once(self, name: str, stretch: Stretch) -> int:
        """How many had begun at once at some moment of this stretch, which is noted."""
        known = self._known[name]
        known.append(stretch)
        moments = [each.begun for each in known if stretch.begun <= each.begun < stretch.ended]
        return max(sum(each.begun <= moment < each.ended for each in known) for moment in moments)


def stretch(cases: Iterable[Case], result: str, now: datetime, began_at: datetime | None) -> Stretch | None:
    """In which time the action that gets this result had begun for sure; None: that is not known.

    A place is kept for as long as the patience: who gets its result later had lost it, by its own record.
    """
    known = [(_least_taken(case, result), case) for case in cases]
    taken, case = min(known, key=lambda each: each[0], default=(_NOTHING, None))
    if case is None or taken <= _CLOCKS:
        return None
    ended = now
    if began_at is not None and "give_up_after" in case.policy:
        ended = min(now, began_at + seconds(case.policy["give_up_after"]) + _OUTLASTS)
    begun = now - taken + _CLOCKS
    return Stretch(begun=begun, ended=ended) if begun < ended else None


def _least_taken(case: Case, result: str) -> timedelta:
    """For how long at least it had begun, whatever made it end with that result."""
    policy = case.policy
    taken: list[timedelta] = []
    if policy.get("on_success", "CONTINUE") == result:
        elapsed = [seconds(each["elapsed"]) for each in policy["until"] if set(each) == {"elapsed"}]
        taken.append(max(elapsed, default=_NOTHING))
    if (policy.get("on_give_up") or case.default_result) == result:
        is_told = "give_up_after" in policy and case.extended_to is None
        taken.append(seconds(policy["give_up_after"]) if is_told else _NOTHING)
    may_fail = any("elapsed" not in each or "then" in each for each in policy["until"])
    if policy.get("on_failure", "ABANDON") == result and (may_fail or "stalled_after" in policy):
        taken.append(_NOTHING)
    return min(taken, default=_NOTHING)
