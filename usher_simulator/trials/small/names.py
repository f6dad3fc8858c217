"""The ids that Usher makes are only compared, so a state is the same under other ones.

An id names the invocation that made it (world.py beside this), and a stamp is a number of 64 bits that is
made of an id and a version; a chain of wake-ups begins with one in hexadecimal digits, and a slash. Each is
replaced by a number, in the order in which they come; a stamp keeps its version. The stamp of a wake-up is
dead where its record went on: no later state has it, and all dead ones mean the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action

_NAME: Final = re.compile(r"\bid-[a-z]+(?:-\d+)?|\b\d{13,20}\b(?!/)|\b[0-9a-f]{16}(?=/)")
_VERSIONS: Final = 1 << 32
_WAKE_UP: Final = re.compile(r'"action_id": "([^"]+)", "version": (\d+)')


def renamed(text: str, names: dict[str, int]) -> str:
    """The text with its names as numbers; those that are new are added to `names`."""
    return _NAME.sub(
        lambda found: _number(found.group(), names, is_chain=text[found.end() : found.end() + 1] == "/"), text
    )


def _number(name: str, names: dict[str, int], *, is_chain: bool) -> str:
    if name.startswith("id-"):
        return f"#{names.setdefault(name, len(names))}"
    stamp = int(name, 16 if is_chain else 10)
    return f"#{names.setdefault(str(stamp), len(names))}v{stamp % _VERSIONS}"


def nameless(text: str) -> str:
    """The text without its names, to put texts into an order that does not depend on them."""
    return _NAME.sub("#", text)


def with_dead_stamps(text: str, stored: Mapping[str, Action]) -> str:
    """The text of wake-ups, in which the stamps are replaced that no record has any more, or ever again."""
    return _WAKE_UP.sub(
        lambda found: "dead" if _is_dead(int(found[2]), stored.get(found[1])) else found[0], text
    )


def _is_dead(stamp: int, action: Action | None) -> bool:
    is_passed = action is not None and stamp >= _VERSIONS and stamp % _VERSIONS <= action.version
    return is_passed and action is not None and stamp not in (action.stamp, action.wakes_as)
