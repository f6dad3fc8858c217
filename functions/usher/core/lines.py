"""How many new lines of a timeline are stored at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from usher.core.action import Entry

MOST_OF_A_STORE: Final = 150  # lines: what DynamoDB takes at once, whatever they say


def fewer(lines: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The first and the last of many new lines, and between them one that says how many are left out."""
    if len(lines) <= MOST_OF_A_STORE:
        return lines
    half = MOST_OF_A_STORE // 2
    gap = lines[half : half - MOST_OF_A_STORE + 1]
    left_out = f"{len(gap)} lines are left out"
    gap_line = replace(gap[0], event="gap", detail=left_out, last_at=gap[-1].last_at, code="")
    return (*lines[:half], gap_line, *lines[half - MOST_OF_A_STORE + 1 :])
