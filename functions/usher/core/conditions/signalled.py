"""`signal: NAME` holds once a signal of that name says done, and fails for good on failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from usher.core.action import Status
from usher.core.conditions.verdict import Plain, Verdict
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Text

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.field import Field

NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_NAME: Final = Text(NAME, "must be a name of 1 to 64 of A-Z a-z 0-9 . _ -")


@frozen
class Signalled(Plain):
    """Stands as the last signal called `name` says."""

    name: str

    shape = _NAME

    @classmethod
    def parse(cls, field: Field) -> Signalled:
        """From the name of the signal."""
        return cls(name=_NAME.read(field))

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"signal {self.name}"

    def verdict(self, action: Action, now: datetime) -> Verdict:  # noqa: ARG002 - a Condition
        """Pending until a signal says done or failed."""
        signal = next((signal for signal in action.signals if signal.name == self.name), None)
        if signal is None:
            return Verdict(status=ConditionStatus.PENDING, detail=f"no signal {self.name}")
        detail = f"signal {self.name} says {signal.status}" + (
            f": {signal.message}" if signal.message else ""
        )
        match signal.status:
            case Status.DONE:
                return Verdict(status=ConditionStatus.HOLDS, detail=detail)
            case Status.FAILED:
                return Verdict(status=ConditionStatus.FAILED, detail=detail)
            case Status.PROGRESS:
                return Verdict(status=ConditionStatus.PENDING, detail=detail)
            case _:
                assert_never(signal.status)
