"""By priorities that a seed draws: the highest goes on, and a few times it is moved back.

Where all schedules are too many, this finds what needs few changes of hands with a known likelihood
(Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, 2010).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.faults import Fault

_LOWEST: Final = 1.0  # the drawn priorities lie above; who is moved back gets one below


class ByPriorities:
    """Implements chooser.Chooser. `changes`: how often the one that goes on is moved back."""

    def __init__(self, dice: Dice, *, choices: int, changes: int, most_faults: int) -> None:
        """`choices`: about how many a run has."""
        self._dice = dice
        self._changes = {dice.randrange(choices) for _ in range(changes)}
        self._faults_left = most_faults
        self._rate = 2 * most_faults / max(1, choices)
        self._of: dict[str, float] = {}
        self._at = 0

    def next_of(self, lines: Sequence[str]) -> int:
        """See chooser.Chooser."""
        who = [line.split(":", maxsplit=1)[0] for line in lines]
        for each in who:
            self._of.setdefault(each, _LOWEST + self._dice.random())
        first = max(who, key=self._of.__getitem__)
        if self._at in self._changes:
            self._of[first] = -float(self._at)
            first = max(who, key=self._of.__getitem__)
        self._at += 1
        return who.index(first)

    def hits(self, fault: Fault, rate: float) -> bool:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser."""
        does = self._faults_left > 0 and self._dice.random() < self._rate
        self._faults_left -= does
        return does

    def number(self, low: float, high: float) -> float:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: as depth_first.DepthFirst."""
        return low if low >= 1 else 0
