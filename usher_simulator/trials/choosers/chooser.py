"""The one seam for chance: everything that the run of a trial leaves open is asked of a chooser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.trials.faults import Fault


class Chooser(Protocol):
    """Chooses. A run is the same again where the same is chosen."""

    def next_of(self, lines: Sequence[str]) -> int:
        """Who goes on, of two or more that are due at the same moment: its place.

        The first is the one that ran last, if it is among them.
        """
        ...

    def hits(self, fault: Fault, rate: float) -> bool:
        """Whether a fault hits here, that hits at this rate (of 1)."""
        ...

    def number(self, low: float, high: float) -> float:
        """How long, how far, or at which step: from `low` to `high`, and whole where both are."""
        ...
