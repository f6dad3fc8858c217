"""How many examples a property is tried with: few in `make test`, many in `make properties`."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, settings

FEW: Final = 30  # of a property, where it says no other number

USUAL: Final = "usher"

settings.register_profile(
    USUAL,
    max_examples=FEW,
    deadline=None,
    derandomize=True,  # the same examples in each run; `make properties` looks for what is new
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "many", settings.get_profile(USUAL), max_examples=100 * FEW, derandomize=False, print_blob=True
)


def examples(number: int, **others: Any) -> settings:
    """Of a property that takes other than FEW: so many in `make test`, and as many times more of many."""
    return settings(max_examples=number * settings().max_examples // FEW, **others)
