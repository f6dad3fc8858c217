"""Every choice in turn: run after run from the start, the deepest open choice first, until none is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from usher_simulator.trials.faults import Fault


class Known(Exception):  # noqa: N818 - it reads as what happened
    """This state was reached before: what follows from it is the same."""


class Rules(Protocol):
    """Which orders of steps come to the same."""

    def is_free(self, line: str) -> bool:
        """Whether what a line does next commutes with all that others may do until then."""
        ...

    def comes_first(self, line: str, other: str) -> bool:
        """Whether the next steps of two lines commute, and the order with `line` first is the one to try."""
        ...


@dataclass(kw_only=True, slots=True)
class Choice:
    """One choice of a run: which place is taken, and which others are still to be tried."""

    place: int
    left: list[int]


@dataclass(kw_only=True, slots=True)
class Chosen:
    """Who went on last, of whom; `faults_left` before that."""

    line: str
    lines: Sequence[str]
    is_free: bool
    faults_left: int


class DepthFirst:
    """Implements chooser.Chooser.

    `rules` say which orders need not be tried; without them all are. `seen` are the states of before, or
    None: then every run goes to its end.
    """

    def __init__(self, most_faults: int, rules: Rules | None = None, *, merges: bool = True) -> None:
        self._most_faults = most_faults
        self._rules = rules
        self.seen: set[bytes] | None = set() if merges else None
        self.path: list[Choice] = []
        self._at = 0
        self.faults_left = most_faults
        self._last: Chosen | None = None
        # Of the run that goes on:
        self.state: Callable[[], bytes] = bytes
        self.kinds: Callable[[], Sequence[Hashable]] = tuple  # of the lines: two of a kind are alike in all

    def begin(self) -> None:
        """Another run begins."""
        self._at, self.faults_left, self._last = 0, self._most_faults, None

    def next_path(self) -> bool:
        """Whether another path is left, which the next run takes."""
        while self.path and not self.path[-1].left:
            self.path.pop()
        if self.path:
            self.path[-1].place = self.path[-1].left.pop(0)
        return bool(self.path)

    def next_of(self, lines: Sequence[str]) -> int:
        """See chooser.Chooser. Raises Known where the state is one in which the choice was made before."""
        free = self._free(lines)
        is_new = self._at == len(self.path)
        if is_new and free is None and self.seen is not None:
            state = self.state()
            if state in self.seen:
                raise Known
            self.seen.add(state)
        place = self._chosen(([free] if free is not None else self._needed(lines)) if is_new else [])
        self._last = Chosen(
            line=lines[place], lines=lines, is_free=free is not None, faults_left=self.faults_left
        )
        return place

    def _free(self, lines: Sequence[str]) -> int | None:
        rules = self._rules
        return next((at for at, line in enumerate(lines) if rules.is_free(line)), None) if rules else None

    def _needed(self, lines: Sequence[str]) -> list[int]:
        """The places to try: of lines of a kind one, and of two orders of steps that commute one."""
        if self._rules is None:
            return list(range(len(lines)))
        first: dict[Hashable, int] = {}
        for at, kind in enumerate(self.kinds() or range(len(lines))):
            first.setdefault(kind, at)
        needed = [at for at in first.values() if not self._was_tried_before(lines[at], self._rules)]
        if not needed:
            raise Known
        return needed

    def _was_tried_before(self, line: str, rules: Rules) -> bool:
        """Whether this step could have been made ahead of the last one, with which it commutes."""
        last = self._last
        if last is None or last.is_free or last.faults_left != self.faults_left or line not in last.lines:
            return False
        return rules.comes_first(line, last.line)

    def hits(self, fault: Fault, rate: float) -> bool:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: at each step once it does and once it does not, while some are left."""
        if not self.faults_left:
            return False
        does = bool(self._chosen([0, 1]))
        self.faults_left -= does
        return does

    def number(self, low: float, high: float) -> float:  # noqa: ARG002 - as the seam has it
        """See chooser.Chooser: the least; and what may take less than a second takes no time."""
        return low if low >= 1 else 0

    def _chosen(self, places: list[int]) -> int:
        if self._at == len(self.path):
            self.path.append(Choice(place=places[0], left=places[1:]))
        place = self.path[self._at].place
        self._at += 1
        return place
