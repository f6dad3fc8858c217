"""Spans of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_S: Final = 36_525 * 86_400  # a century: the clocks that it moves end with the year 9999


def span_of(text: str) -> timedelta:
    """A span of time such as `90s`, `10m`, `1h30m` or `200ms`, of a century at most. Raises ValueError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no span of time: write 90s, 10m or 1h30m")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if seconds > _MOST_S:
        raise ValueError(f"{text!r} is too long: write a century at most")
    return timedelta(seconds=seconds)
