"""What a condition says of an action at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.model import Action


class Standing(StrEnum):
    """`pending` is also what a condition is whose answer is unknown: unknown is never done."""

    HOLDS = "holds"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a condition stands, why, and when asking again could bring another answer."""

    standing: Standing
    detail: str
    ask_again_at: datetime | None = None  # None: only an event can change it


class Condition(Protocol):
    """Something that must hold before an instance is let go."""

    def verdict(self, action: Action, now: datetime) -> Verdict:
        """How the condition stands for `action` at `now`."""
        ...
