"""Chance, from a seed."""

from __future__ import annotations

import math
from random import Random


class Dice(Random):
    """A Random in the words of a simulation. Several of one seed, by name, do not disturb each other."""

    @classmethod
    def of(cls, seed: int, name: str) -> Dice:
        """The dice of that name."""
        return cls(f"{name} of seed {seed}")

    def chance(self, share: float) -> bool:
        """Whether it happens, in that share of all cases."""
        return self.random() < share

    def between(self, low: float, high: float) -> float:
        """A number evenly over the orders of magnitude."""
        return math.exp(self.uniform(math.log(low), math.log(high)))
