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


class Fixed(Dice):
    """Dice that always show the same share of 1: with 0.0 the least, the first, and whatever may happen."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self._share = share

    def random(self) -> float:
        """See random.Random."""
        return self._share

    def getrandbits(self, bits: int) -> int:
        """See random.Random."""
        return int(self._share * 2**bits)
