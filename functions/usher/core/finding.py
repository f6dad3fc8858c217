"""How a condition stands, and what the record keeps of the last time that AWS was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Memory: TypeAlias = "Mapping[str, Any]"  # JSON data that a condition keeps for itself


class Standing(StrEnum):
    """`pending` is known not to hold yet. `unknown` is neither: nobody can say, so it is never done."""

    HOLDS = "holds"
    PENDING = "pending"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found when a condition was last asked, at `asked_at`.

    It counts until `ask_again_at`; without one it counts for good.
    """

    condition: str  # its name
    standing: Standing
    detail: str
    asked_at: datetime
    ask_again_at: datetime | None
    unknowns: int = 0  # in a row
    held_once: bool = False  # the last answer said that it holds; a second one is to say so too
    denials: int = 0  # answers in a row that said that it does not
    memory: Memory = field(default_factory=dict)
