"""A virtual clock: time stands still until it jumps to the next thing that is due."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime


class VirtualClock:
    """Calls what is due in the order of time; what is due together in the order of asking."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._asked = count()
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []

    def __call__(self) -> datetime:
        """The time."""
        return self._now

    def at(self, moment: datetime, do: Callable[[], None]) -> None:
        """Call `do` at `moment`; a moment in the past is as soon as possible."""
        heapq.heappush(self._due, (moment, next(self._asked), do))

    @property
    def next_at(self) -> datetime | None:
        """When the next thing is due; None when nothing is."""
        return self._due[0][0] if self._due else None

    def moments_without(self, names: Collection[str]) -> list[datetime]:
        """When things are due, in order, other than functions of these qualified names."""
        return sorted(moment for moment, _, do in self._due if getattr(do, "__qualname__", "") not in names)

    def step(self) -> None:
        """Jump to the next thing that is due, and do it."""
        moment, _, do = heapq.heappop(self._due)
        self._now = max(self._now, moment)
        do()

    def run_until(self, moment: datetime) -> None:
        """Do all that is due until `moment`, and stand there."""
        while self._due and self._due[0][0] <= moment:
            self.step()
        self._now = max(self._now, moment)
