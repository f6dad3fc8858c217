"""What a condition says of an action at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Probe
    from usher.core.finding import ConditionStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a condition stands, why, and when that changes by itself."""

    status: ConditionStatus
    detail: str
    next_look_at: datetime | None = None  # None: only an event or an answer can change it


class Condition(Protocol):
    """Something that must hold before an instance is let go."""

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """How the condition stands for `action` at `now`."""
        ...

    def leaves(self) -> tuple[Condition, ...]:
        """The conditions that this one is made of: itself, where it is not a combination."""
        ...

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """The conditions in it whose verdict takes a question to AWS, as far as it is their turn."""
        ...


class Known:
    """A condition whose verdict follows from the record alone."""

    __slots__ = ()

    def leaves(self: Condition) -> tuple[Condition, ...]:
        """See Condition."""
        return (self,)

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:  # noqa: ARG002 - a Condition
        """See Condition."""
        return ()
