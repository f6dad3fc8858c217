"""For the judge: what conditions may have been answered, and what they must have been."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.condition_truths import ENDS_FOR_GOOD, LAG, MARGIN, OfInstance, kind_of
from usher_simulator.trials.faults import LONGEST_SKEW
from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from datetime import datetime

    from usher_simulator.trials.policy_model import Possible, Written

_COUNTS: Final = timedelta(minutes=5)  # an answer
_SURE_AFTER: Final = timedelta(minutes=6)


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAnswers:
    """The policy model's Answers: they count for minutes, and show a moment of the last one."""

    of: OfInstance
    newest: OfInstance  # another one, once the instance is in a later wait: then answers are of that
    since: datetime

    def at(self, condition: Written, now: datetime) -> Possible:
        """See Answers. That something failed for good, or a command is done, counts for ever."""
        if self.newest is not self.of:
            return frozenset(PossibleStatus)
        kind = kind_of(condition)
        truth = self.of.truths.get(kind)
        if truth is None:  # of a policy that came with a deploy after it began: no truth was drawn for it
            return frozenset(PossibleStatus)
        seen = truth.between(self.since, now + LONGEST_SKEW)
        recent = truth.between(max(self.since, now - _COUNTS - LAG - MARGIN), now + LONGEST_SKEW)
        if not self.of.has_lied and kind not in ENDS_FOR_GOOD:
            seen = recent | (seen & {PossibleStatus.FAILED})
        failed = {PossibleStatus.FAILED} if kind == "function" and self.of.has_erred else set()
        return frozenset({*seen, *failed, PossibleStatus.UNKNOWN})

    def held(self, condition: Written, now: datetime) -> bool:
        """See Answers."""
        truth = self.of.truths.get(kind_of(condition))
        return truth is not None and PossibleStatus.HOLDS in truth.between(self.since, now + LONGEST_SKEW)


@dataclass(frozen=True, kw_only=True, slots=True)
class SureAnswers:
    """The policy model's Answers: what has not changed for long was asked, and answered, twice.

    Of an instance in a later wait nothing is sure: what AWS shows is of that one.
    """

    known: KnownAnswers

    def at(self, condition: Written, now: datetime) -> Possible:
        """See Answers. The user's function and AWS's own polling take up to a minute each time."""
        truth = self.known.of.truths.get(kind_of(condition))
        lately = truth.between(now - _SURE_AFTER, now) if truth else set()
        is_of_it = self.known.newest is self.known.of
        is_sure = is_of_it and len(lately) == 1 and now - _SURE_AFTER >= self.known.since
        return frozenset(lately) if is_sure else self.known.at(condition, now)

    def held(self, condition: Written, now: datetime) -> bool:
        """See Answers."""
        return self.known.held(condition, now)
