"""How a condition stands, and what is kept of the last time that AWS was asked."""

from __future__ import annotations

import heapq
from dataclasses import field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from usher.core.action import Entry
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

COUNTS_FOR: Final = timedelta(minutes=5)
_MOST_LINES: Final = 40

Memory: TypeAlias = "Mapping[str, Any]"  # JSON data that a condition keeps for itself


class ConditionStatus(StrEnum):
    """`pending` is known not to hold yet. `unknown` is neither: nobody can say, so it is never done."""

    HOLDS = "holds"
    PENDING = "pending"
    UNKNOWN = "unknown"
    FAILED = "failed"


@frozen
class Finding:
    """What was found when a condition was last asked, at `asked_at`.

    It counts until the next one is given, at most for COUNTS_FOR; without `ask_again_at`, which only
    says when to ask, it counts for good.
    """

    condition: str  # its name
    status: ConditionStatus
    detail: str
    asked_at: datetime
    ask_again_at: datetime | None
    unknowns: int = 0  # in a row
    confirmed_once: bool = False  # the last answer said that it holds; a second one is to say so too
    denials: int = 0  # answers in a row that said that it does not
    memory: Memory = field(default_factory=dict)


@frozen
class Findings:
    """What was found of all conditions of one action, and when they are asked next.

    `turn` counts the stored states. A question is a message that names an action and a turn, and is
    void once another one stands; of two copies the one that stores the next turn counts.
    """

    turn: int = 0
    found: tuple[Finding, ...] = ()
    ask_at: datetime | None = None  # None: nothing is to be asked
    sweep_at: datetime | None = None  # when the sweep sends a message, should the turn still stand then
    lines: tuple[Entry, ...] = ()  # of the timeline: the last changes of what was found
    is_readable: bool = True  # else nothing is known of them, and nobody asks in the place of who can read

    def noted(self, at: datetime, event: str, detail: str) -> Findings:
        """With one more line; of very many the last stay."""
        number = self.lines[-1].number + 1 if self.lines else 1
        line = Entry(number=number, at=at, event=event, detail=detail, last_at=at)
        return replace(self, lines=(*self.lines, line)[-_MOST_LINES:])

    def with_one(self, finding: Finding) -> Findings:
        """With what was found last of one condition."""
        others = tuple(other for other in self.found if other.condition != finding.condition)
        return replace(self, found=(*others, finding))

    def memory_of(self, condition: str) -> Memory:
        """What a condition keeps for itself, as it was stored last."""
        return next((found.memory for found in self.found if found.condition == condition), {})


def merged(timeline: Sequence[Entry], findings: Findings | None) -> list[Entry]:
    """The lines of a record, and between them those of its findings, which have numbers of their own."""
    return list(heapq.merge(timeline, findings.lines if findings else (), key=lambda line: line.at))
