"""Chance from a seed: who runs next follows from how long each step takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.faults import Fault


class BySeed:
    """Implements chooser.Chooser by dice."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def next_of(self, lines: Sequence[str]) -> int:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: in the order of the clock."""
        return 0

    def hits(self, fault: Fault, rate: float) -> bool:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser."""
        return self._dice.random() < rate

    def number(self, low: float, high: float) -> float:
        """See chooser.Chooser."""
        if isinstance(low, int) and isinstance(high, int):
            return self._dice.randint(low, high)
        return self._dice.uniform(low, high)
