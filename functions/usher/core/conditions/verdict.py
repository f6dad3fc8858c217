"""What a condition says of an action at one moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action, Transition
    from usher.core.conditions.probe import Probe
    from usher.core.field import Field
    from usher.core.finding import ConditionStatus
    from usher.core.shape import Shape


@frozen
class Verdict:
    """How a condition stands, why, and when that changes by itself."""

    status: ConditionStatus
    detail: str
    evaluate_at: datetime | None = None  # None: only an event or an answer can change it


class Condition(Protocol):
    """Something that must hold before an instance is let go."""

    @property
    def in_words(self) -> str:
        """What is waited for, as `usher check` tells it."""
        ...

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """How the condition stands for `action` at `now`."""
        ...

    def leaves(self) -> tuple[Plain, ...]:
        """The conditions that this one is made of: itself, where it is not a combination."""
        ...

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:
        """The conditions in it whose verdict takes a question to AWS, as far as it is their turn."""
        ...


class Plain(ABC):
    """A condition that is no combination."""

    __slots__ = ()

    shape: ClassVar[Shape]  # of what stands at its key

    @classmethod
    @abstractmethod
    def parse(cls, field: Field) -> Plain:
        """The condition, from what stands at its key. Raises Refused."""

    @property
    @abstractmethod
    def in_words(self) -> str:
        """See Condition."""

    @property
    def starts(self) -> bool:
        """Whether it changes something, so that `not` does not take it."""
        return False

    @property
    def transition(self) -> Transition | None:
        """The transition that it is for, where it makes no sense on the other."""
        return None

    @abstractmethod
    def verdict(self, action: Action, now: datetime) -> Verdict:
        """See Condition."""

    def leaves(self) -> tuple[Plain, ...]:
        """See Condition."""
        return (self,)

    def asks(self, action: Action, now: datetime) -> tuple[Probe, ...]:  # noqa: ARG002 - a Condition
        """See Condition. None, where the verdict follows from the record alone."""
        return ()
