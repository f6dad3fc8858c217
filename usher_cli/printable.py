"""Stored words as a terminal may show them: what it would obey is spelled out."""

from __future__ import annotations


def shown(text: str) -> str:
    r"""`text` with everything that does not print as itself, such as an escape, written like `\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
