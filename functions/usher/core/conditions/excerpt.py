"""Foreign text, cut and cleaned so that one line of a timeline can show it."""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 200  # characters

_TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours and the like


def beginning(text: str) -> str:
    """How `text` begins, in one line of at most `MOST` characters."""
    line = _one_line(text)
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"


def end(text: str) -> str:
    """How `text` ends, in one line of at most `MOST` characters: the last of an output says most."""
    line = _one_line(text)
    return line if len(line) <= MOST else f"…{line[1 - MOST :]}"


def _one_line(text: str) -> str:
    """Whatever cannot be shown, or stored as UTF-8, is a blank."""
    shown = (letter if letter.isprintable() else " " for letter in _TERMINAL_CODES.sub("", text))
    return " ".join("".join(shown).split())
