"""`elapsed: 90s` holds once the action is that old; where only some begin `at_once`, since its turn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import duration
from usher.core.conditions.verdict import Plain, Verdict
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Duration

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.field import Field


_AFTER: Final = Duration(least=timedelta(seconds=1), most=timedelta(hours=48))  # the longest wait there is


@frozen
class Elapsed(Plain):
    """Holds from `after` the start of the action on, or its turn."""

    after: timedelta

    shape = _AFTER

    @classmethod
    def parse(cls, field: Field) -> Elapsed:
        """From `90s`."""
        return cls(after=_AFTER.read(field))

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"elapsed {duration.written(self.after)}"

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """Pending until the time is up."""
        holds_at = action.patient_from + self.after
        if now >= holds_at:
            return Verdict(status=ConditionStatus.HOLDS, detail=f"{duration.written(self.after)} elapsed")
        detail = f"{duration.written(self.after)} not elapsed"
        return Verdict(status=ConditionStatus.PENDING, detail=detail, evaluate_at=holds_at)
