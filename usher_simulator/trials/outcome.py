"""What came of a trial."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.trials.judge.scene import Violation


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial. `trace` is empty unless it was asked for."""

    seed: int
    swarm: str
    violations: Sequence[Violation]
    trace: Sequence[str]
    evaluations: int  # records that a wake-up or a sweep loaded to see whether something is due
    decisions: int  # of these
    actions: int  # lifecycle actions of ours that began
    action_hours: float  # of those that were recorded
    faults: int
    hooks: Mapping[str, int]  # of the actions: how many by each kind of hook
    happened: frozenset[str]  # of what a seed may draw, in words

    @property
    def digest(self) -> str:
        """Of the trace: equal seeds have equal ones."""
        return hashlib.sha256("\n".join(self.trace).encode(errors="backslashreplace")).hexdigest()
