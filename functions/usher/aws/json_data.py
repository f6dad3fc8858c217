"""What is left out of records, and how times stand in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from usher.core import iso_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Data: TypeAlias = "dict[str, Any]"


def present(data: Data) -> Data:
    """What is absent is left out, to keep items small."""
    return {key: value for key, value in data.items() if value is not None}


def optional_text(moment: datetime | None) -> str | None:
    """A moment as records have it."""
    return None if moment is None else iso_time.stored(moment)


def optional_time(data: Mapping[str, Any], key: str) -> datetime | None:
    """The moment that `optional_text` wrote."""
    return iso_time.parse(data[key]) if key in data else None
