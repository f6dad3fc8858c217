"""What an instance costs a day: a small table of On-Demand prices, or the user's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE: Final = "On-Demand, Linux, us-east-1, January 2025, USD"  # of which prices these are
_LARGE: Final[Mapping[str, float]] = {  # USD an hour, of the size `large`
    "c5": 0.085, "c6a": 0.0765, "c6g": 0.068, "c6i": 0.085, "c7a": 0.10264, "c7g": 0.0725, "c7i": 0.08925,
    "m5": 0.096, "m6a": 0.0864, "m6g": 0.077, "m6i": 0.096, "m7a": 0.11592, "m7g": 0.0816, "m7i": 0.1008,
    "r5": 0.126, "r6a": 0.1134, "r6g": 0.1008, "r6i": 0.126, "r7a": 0.15215, "r7g": 0.1071, "r7i": 0.1323,
    "t3": 0.0832, "t3a": 0.0752, "t4g": 0.0672,
}  # fmt: skip
_SIZES: Final[Mapping[str, float]] = {  # by how much of a `large` they are
    "nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1, "xlarge": 2, "2xlarge": 4,
    "4xlarge": 8, "8xlarge": 16, "12xlarge": 24, "16xlarge": 32, "24xlarge": 48,
}  # fmt: skip
_HOURS: Final = 24


def per_day(instance_type: str, own: Mapping[str, float] | None) -> float | None:
    """The price of a day, rounded to cents; None where it is not known. The user's own table counts alone."""
    if own is not None:
        hourly = own.get(instance_type)
    else:
        family, _, size = instance_type.partition(".")
        hourly = _LARGE[family] * _SIZES[size] if family in _LARGE and size in _SIZES else None
    return None if hourly is None else round(hourly * _HOURS, 2)


def read_prices(file: Path | None) -> dict[str, float] | None:
    """From JSON: the prices of an hour by instance type. Raises BadParameter."""
    if file is None:
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file} cannot be read: {error}", param_hint="--prices") from None
    if not isinstance(data, dict) or not all(_is_price(price) for price in data.values()):
        raise click.BadParameter(
            f'{file} must have the price of an hour by type, such as {{"c7g.large": 0.07}}',
            param_hint="--prices",
        )
    return data


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
