"""Reads what stands in an answer of AWS, which may have any shape."""

from __future__ import annotations

from collections.abc import Mapping


def member(data: object, *path: str) -> object:
    """What stands at the end of a path; None where nothing does."""
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def text(data: object, *path: str) -> str:
    """The text at the end of a path; an empty one where there is none."""
    found = member(data, *path)
    return found if isinstance(found, str) else ""


def members(data: object, *path: str) -> list[object]:
    """The members of the list at the end of a path; none where there is no list."""
    found = member(data, *path)
    return found if isinstance(found, list) else []
