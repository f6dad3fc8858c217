"""Answers in pages: how many a page has, and the token of the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """How many a page of an operation has where nothing is said, and at most."""

    default: int
    most: int


def page_of(found: list[Any], asked: Mapping[str, Any], page: Page) -> tuple[list[Any], str | None]:
    """One page of what was found, and the token of the next. Raises ApiError for a size that AWS refuses."""
    size = asked.get("MaxRecords") or page.default
    if not 1 <= size <= page.most:
        raise ApiError("ValidationError", f"MaxRecords must be from 1 to {page.most}, got {size}.")
    try:
        first = int(asked.get("NextToken") or 0)
    except ValueError:
        raise ApiError("InvalidNextToken", "The NextToken value is not valid.") from None
    rest = first + size
    return found[first:rest], str(rest) if rest < len(found) else None
