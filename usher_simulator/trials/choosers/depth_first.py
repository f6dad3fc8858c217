"""Every choice in turn: run after run from the start, the deepest open choice first, until none is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher_simulator.trials.faults import Fault


class Known(Exception):  # noqa: N818 - it reads as what happened
    """This state was reached before: what follows from it is the same."""


@dataclass(kw_only=True, slots=True)
class Choice:
    """One choice of a run: which of how many. Where it `is_free` no other is tried."""

    place: int
    of: int
    is_free: bool = False


class DepthFirst:
    """Implements chooser.Chooser.

    `is_free` says of a line that what it does next commutes with all that others may do until then. `seen`
    are the states of before, or None: then every run goes to its end.
    """

    def __init__(
        self, most_faults: int, is_free: Callable[[str], bool] | None = None, *, merges: bool = True
    ) -> None:
        self._most_faults = most_faults
        self._is_free = is_free
        self.seen: set[bytes] | None = set() if merges else None
        self.path: list[Choice] = []
        self._at = 0
        self.faults_left = most_faults
        self.state: Callable[[], bytes] = bytes  # of the run that goes on

    def begin(self) -> None:
        """Another run begins."""
        self._at, self.faults_left = 0, self._most_faults

    def next_path(self) -> bool:
        """Whether another path is left, which the next run takes."""
        while self.path and (self.path[-1].is_free or self.path[-1].place == self.path[-1].of - 1):
            self.path.pop()
        if self.path:
            self.path[-1].place += 1
        return bool(self.path)

    def next_of(self, lines: Sequence[str]) -> int:
        """See chooser.Chooser. Raises Known where the state is one in which the choice was made before."""
        is_free = self._is_free
        free = next((at for at, line in enumerate(lines) if is_free(line)), None) if is_free else None
        if free is None and self.seen is not None and self._at == len(self.path):
            state = self.state()
            if state in self.seen:
                raise Known
            self.seen.add(state)
        return self._chosen(len(lines), free)

    def hits(self, fault: Fault, rate: float) -> bool:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: at each step once it does and once it does not, while some are left."""
        if not self.faults_left:
            return False
        does = bool(self._chosen(2))
        self.faults_left -= does
        return does

    def number(self, low: float, high: float) -> float:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: the least; and what may take less than a second takes no time."""
        return low if low >= 1 else 0

    def _chosen(self, of: int, free: int | None = None) -> int:
        if self._at == len(self.path):
            self.path.append(Choice(place=free or 0, of=of, is_free=free is not None))
        place = self.path[self._at].place
        self._at += 1
        return place
