"""The ids that Usher makes are only compared, so a state is the same under other ones.

An id names the invocation that made it (world.py beside this), and a stamp is a number of 64 bits that is
made of an id and a version; a chain of wake-ups begins with one in hexadecimal digits, and a slash. Each is
replaced by a number, in the order in which they come; a stamp keeps its version.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"\bid-[a-z]+(?:-\d+)?|\b\d{13,20}\b(?!/)|\b[0-9a-f]{16}(?=/)")
_VERSIONS: Final = 1 << 32


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
