"""The choices of a written schedule, which is one line: `17:2 31:1` takes the third of choice 17, and so on.

Choices are counted from 0; of all others the first is taken. So an empty line is a schedule, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.trials.faults import Fault


def read(line: str) -> dict[int, int]:
    """The choices of a line. Raises ValueError."""
    pairs = [each.split(":") for each in line.split()]
    if not all(len(pair) == 2 and all(part.isdecimal() for part in pair) for pair in pairs):  # noqa: PLR2004
        raise ValueError(f"a schedule is pairs of numbers such as 17:2 31:1, got {line!r}")
    return {int(at): int(place) for at, place in pairs}


def written(choices: Mapping[int, int]) -> str:
    """The line."""
    return " ".join(f"{at}:{choices[at]}" for at in sorted(choices) if choices[at])


class Written:
    """Implements chooser.Chooser. `told` is what was chosen, in words, where it was not the first."""

    def __init__(self, choices: Mapping[int, int], most_faults: int) -> None:
        self._choices = choices
        self._at = 0
        self._faults_left = most_faults
        self.told: list[str] = []

    def next_of(self, lines: Sequence[str]) -> int:
        """See chooser.Chooser."""
        place = min(self._chosen(), len(lines) - 1)
        if place:
            self.told.append(f"{self._at - 1}: {lines[place]}")
        return place

    def hits(self, fault: Fault, rate: float) -> bool:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser."""
        does = bool(self._faults_left and self._chosen())
        self._faults_left -= does
        if does:
            self.told.append(f"{self._at - 1}: {fault}")
        return does

    def number(self, low: float, high: float) -> float:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: as depth_first.DepthFirst."""
        return low if low >= 1 else 0

    def _chosen(self) -> int:
        self._at += 1
        return self._choices.get(self._at - 1, 0)
