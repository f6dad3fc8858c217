"""What the audit says of an action: a promise that its record shows as broken, or what it cannot show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from usher_cli.audit.told import Told

ONE_RESULT: Final = "one_result"
NEVER_EARLY: Final = "never_early"
NEVER_BY_DEFAULT: Final = "never_by_default"
ONLY_OURS: Final = "only_ours"
IN_TIME: Final = "in_time"
EXPLAINED: Final = "explained"

# The promises of the README that records can show, with their numbers there.
PROMISES: Final = {
    ONE_RESULT: "1 One result",
    NEVER_EARLY: "2 Never early",
    NEVER_BY_DEFAULT: "3 Never by default",
    ONLY_OURS: "5 Only what is Usher's",
    IN_TIME: "6 Level, not edge",
    EXPLAINED: "7 Explained",
}
UNSEEN: Final = {
    "4 Nothing lost": "what was never recorded is in no record; the dead letters and `usher redrive` show it",
    "5 Only what is Usher's": "whether the hooks file had the hook when the action began",
    "8 Safe to change": "which hooks were deleted, and when; `usher plan` shows those that are missing",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One thing that a record shows, or cannot show (`is_broken` is false), of one promise."""

    promise: str
    told: Told
    text: str
    is_broken: bool = True


def broken(promise: str, told: Told, text: str) -> Verdict:
    """The record shows that a promise was broken."""
    return Verdict(promise=promise, told=told, text=text)


def unknown(promise: str, told: Told, text: str) -> Verdict:
    """The record cannot show whether a promise was kept."""
    return Verdict(promise=promise, told=told, text=text, is_broken=False)
