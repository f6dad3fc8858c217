"""Globs of names, in which `*` is any run of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def glob_fits(glob: str, text: str) -> bool:
    """Whether `text` fits `glob`, in which `*` is any run of characters and all else itself.

    The first place for each part is the best one, so no glob costs more than one pass.
    """
    if "*" not in glob:
        return glob == text
    first, *inner, last = glob.split("*")
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in inner:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def globs_meet(left: str, right: str) -> bool:
    """Whether some text fits both globs.

    Two globs with a `*` each meet where neither their beginnings nor their ends contradict each
    other: what one asks for in the middle, the other's `*` takes in.
    """
    if "*" not in left:
        return glob_fits(right, left)
    if "*" not in right:
        return glob_fits(left, right)
    starts = left[: left.index("*")], right[: right.index("*")]
    ends = left[left.rindex("*") + 1 :], right[right.rindex("*") + 1 :]
    return _agree(*starts, str.startswith) and _agree(*ends, str.endswith)


def fits_both(left: str, right: str) -> str:
    """A text that fits two globs that meet."""
    if "*" not in left or "*" not in right:
        return left if "*" not in left else right
    (left_start, *left_inner, left_end), (right_start, *right_inner, right_end) = (
        left.split("*"),
        right.split("*"),
    )
    inner = [part for part in (*left_inner, *right_inner) if part]
    return "".join((max(left_start, right_start, key=len), *inner, max(left_end, right_end, key=len)))


def _agree(one: str, other: str, holds: Callable[[str, str], bool]) -> bool:
    return holds(one, other) or holds(other, one)
