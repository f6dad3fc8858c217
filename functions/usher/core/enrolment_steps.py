"""The steps of an enrolment, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from usher.core.hook_items import Enrolled


@frozen
class Keep:
    """Store an item. No call. `word` says what that means: retired, taken back, … or nothing of note."""

    record: Enrolled
    word: str
    reason: str


@frozen
class Put:
    """Put a hook. `record` is what to store before the call."""

    record: Enrolled
    reason: str


@frozen
class Forget:
    """Drop an item whose hook is gone, or is not Usher's any more. No call."""

    record: Enrolled
    reason: str


@frozen
class Conflict:
    """Something that a person must settle. Nothing is done."""

    group: str
    hook: str
    reason: str


Step: TypeAlias = Keep | Put | Forget | Conflict
