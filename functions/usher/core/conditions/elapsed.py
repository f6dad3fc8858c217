"""`elapsed: 90s` holds once the action is that old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from usher.core import duration
from usher.core.conditions.verdict import Plain, Verdict
from usher.core.finding import ConditionStatus

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.field import Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Elapsed(Plain):
    """Holds from `after` the start of the action on."""

    after: timedelta

    @classmethod
    def parse(cls, field: Field) -> Elapsed:
        """From `90s`; at most 48 h, the longest wait there is."""
        return cls(after=field.duration(timedelta(seconds=1), timedelta(hours=48)))

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"elapsed {duration.written(self.after)}"

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """Pending until the time is up."""
        holds_at = action.started_at + self.after
        if now >= holds_at:
            return Verdict(status=ConditionStatus.HOLDS, detail=f"{duration.written(self.after)} elapsed")
        detail = f"{duration.written(self.after)} not elapsed"
        return Verdict(status=ConditionStatus.PENDING, detail=detail, next_look_at=holds_at)
