"""Texts as a terminal may show them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from usher.core import duration
from usher.ports.records import ALL_HOOKS

_HOUR: Final = timedelta(hours=1)


def shown(text: str) -> str:
    r"""`text` with everything that a terminal would interpret, such as an escape, written like `\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short(seconds: float) -> str:
    """A duration for people: whole seconds, from an hour on whole minutes."""
    length = timedelta(seconds=round(abs(seconds)))
    if length >= _HOUR:
        length -= length % timedelta(minutes=1)
    return f"{'-' if seconds <= -1 else ''}{duration.written(length)}"


def pause_banner(hook: str, by: str) -> str:
    """A pause, in one line."""
    hooks = "all hooks" if hook == ALL_HOOKS else f"hook {hook}"
    return shown(f"PAUSED: {hooks}, by {by}")


def resume_command(hook: str) -> str:
    """The command that ends a pause."""
    return "`usher resume`" if hook == ALL_HOOKS else f"`usher resume --hook {hook}`"
