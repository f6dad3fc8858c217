"""Conditions made of conditions: `any`, `not`, and one after the other with `then`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.conditions.probe import Probe, finding_of
from usher.core.conditions.verdict import Verdict
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition, Plain


_ENOUGH: Final = 2  # answers in a row


@frozen
class AnyOf:
    """Holds where one of its conditions does; fails where all have."""

    of: tuple[Condition, ...]

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"({' or '.join(each.in_words for each in self.of)})"

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """See Condition."""
        verdicts = [condition.verdict(action, now) for condition in self.of]
        held = [verdict for verdict in verdicts if verdict.status is ConditionStatus.HOLDS]
        if held:
            return held[0]
        detail = "any of: " + " | ".join(verdict.detail for verdict in verdicts)
        statuses = {verdict.status for verdict in verdicts}
        if statuses == {ConditionStatus.FAILED}:
            return Verdict(status=ConditionStatus.FAILED, detail=detail)
        status = ConditionStatus.UNKNOWN if ConditionStatus.UNKNOWN in statuses else ConditionStatus.PENDING
        return Verdict(status=status, detail=detail, evaluate_at=_soonest(verdicts))

    def leaves(self) -> tuple[Plain, ...]:
        """See Condition."""
        return _leaves(self.of)

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """See Condition."""
        return tuple(probe for condition in self.of for probe in condition.asks(action, now))


@frozen
class Not:
    """Holds where its condition is known not to; while that is unknown, this is too."""

    of: Condition

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"not {self.of.in_words}"

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """See Condition."""
        verdict = self.of.verdict(action, now)
        turned = {
            ConditionStatus.HOLDS: ConditionStatus.PENDING,
            ConditionStatus.PENDING: ConditionStatus.HOLDS,
            ConditionStatus.FAILED: ConditionStatus.HOLDS,
            ConditionStatus.UNKNOWN: ConditionStatus.UNKNOWN,
        }
        detail = f"not: {verdict.detail}"
        return Verdict(
            status=ConditionStatus.UNKNOWN if self._wants_another_answer(action) else turned[verdict.status],
            detail=detail,
            evaluate_at=verdict.evaluate_at,
        )

    def _wants_another_answer(self, action: Action) -> bool:
        """As one answer that it holds is not enough, one that it does not is not either."""
        if not isinstance(self.of, Probe) or not self.of.takes_two_answers:
            return False
        found = finding_of(self.of, action)
        pending = found is not None and found.status is ConditionStatus.PENDING
        return found is not None and pending and (found.confirmed_once or found.denials < _ENOUGH)

    def leaves(self) -> tuple[Plain, ...]:
        """See Condition."""
        return self.of.leaves()

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """See Condition."""
        return self.of.asks(action, now)


@frozen
class Then:
    """Its conditions in order: none is asked, or started, before the one before it has held.

    One that has held has done so for good once the next one was asked.
    """

    stages: tuple[Condition, ...]

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"({', then '.join(each.in_words for each in self.stages)})"

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """The verdict of the first stage that does not hold, or of the last."""
        verdicts = [stage.verdict(action, now) for stage in self._open_stages(action)]
        return next((each for each in verdicts if each.status is not ConditionStatus.HOLDS), verdicts[-1])

    def leaves(self) -> tuple[Plain, ...]:
        """See Condition."""
        return _leaves(self.stages)

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """Those of the stage whose turn it is."""
        for stage in self._open_stages(action):
            asked = stage.asks(action, now)
            if asked or stage.verdict(action, now).status is not ConditionStatus.HOLDS:
                return asked
        return ()

    def _open_stages(self, action: Action) -> tuple[Condition, ...]:
        """From the last stage on that was asked already: those before it have held."""
        begun = [
            place
            for place, stage in enumerate(self.stages)
            if isinstance(stage, Probe) and finding_of(stage, action) is not None
        ]
        return self.stages[max(begun, default=0) :]


def _leaves(conditions: Iterable[Condition]) -> tuple[Plain, ...]:
    return tuple(leaf for condition in conditions for leaf in condition.leaves())


def _soonest(verdicts: Iterable[Verdict]) -> datetime | None:
    return min((verdict.evaluate_at for verdict in verdicts if verdict.evaluate_at is not None), default=None)
