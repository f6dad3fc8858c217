"""A figure of `make bench`: what was measured or counted, what it is held against, and its bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line. Units end its name, as in `replay_us_a_message`.

    `floor` is what the least way to do the same takes, and `ratio` the value to it; the bound is on the
    ratio where there is a floor, else on the value. `at_least` makes the bound a least one. None: no bound.
    """

    name: str
    value: float
    how: str  # counted, or measured and in what
    floor: float | None = None
    bound: float | None = None
    at_least: bool = False
    measured_ratio: float | None = None  # where it is a median of its own

    @property
    def ratio(self) -> float | None:
        """The value to the floor."""
        if self.measured_ratio is not None or not self.floor:
            return self.measured_ratio
        return self.value / self.floor

    @property
    def is_kept(self) -> bool:
        """Whether the bound is."""
        if self.bound is None:
            return True
        bounded = self.value if self.ratio is None else self.ratio
        return bounded >= self.bound if self.at_least else bounded <= self.bound

    def as_data(self) -> dict[str, Any]:
        """For machines. `bound` reads "<= 1.1" or ">= 0.95"."""
        sign = ">=" if self.at_least else "<="
        return {
            "figure": self.name,
            "value": round(self.value, 3),
            "floor": None if self.floor is None else round(self.floor, 3),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "bound": None if self.bound is None else f"{sign} {self.bound:g}",
            "how": self.how,
        }

    def as_row(self) -> tuple[str, ...]:
        """For people."""
        told = self.as_data()
        shown = ["-" if told[key] is None else f"{told[key]}" for key in ("value", "floor", "ratio", "bound")]
        return (self.name, *shown, "" if self.is_kept else "NOT KEPT")
