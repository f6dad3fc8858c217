"""The pace of Auto Scaling calls: how many fit into a second just now, and which slot is best."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

_LOWERED_TO: Final = 0.7
_LEAST_SHARE: Final = 0.1
_LOWERED_ONCE_IN: Final = timedelta(seconds=5)  # one burst of throttles is one reason
_RECOVERY: Final = timedelta(minutes=5)  # from nothing to the whole rate


@frozen
class Pace:
    """The configured rate, and what throttles made of it.

    Calls are booked in slots of `width`: seconds, or longer where less than one call fits into one.
    """

    calls_per_second: float
    share: float = 1.0  # of the rate, at `lowered_at`
    lowered_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.calls_per_second > 0:  # so that nan is refused too
            raise ValueError(f"calls_per_second must be above 0, got {self.calls_per_second}")

    @property
    def width(self) -> int:
        """Of a slot, in seconds."""
        return max(1, math.ceil(1 / self.calls_per_second))

    def share_at(self, now: datetime) -> float:
        """The share of the rate that is booked: it grows back steadily."""
        if self.lowered_at is None:
            return 1.0
        return min(1.0, self.share + max(timedelta(0), now - self.lowered_at) / _RECOVERY)

    def lowered(self, now: datetime) -> Pace:
        """The pace after a throttle; the same one where it was lowered just before."""
        if self.lowered_at is not None and now - self.lowered_at < _LOWERED_ONCE_IN:
            return self
        return replace(self, share=max(_LEAST_SHARE, _LOWERED_TO * self.share_at(now)), lowered_at=now)

    def room(self, now: datetime) -> int:
        """How many calls one slot takes."""
        return self._room_of(self.share_at(now))

    @property
    def least_room(self) -> int:
        """How many calls one slot takes at any pace, however many throttles there were."""
        return self._room_of(_LEAST_SHARE)

    def _room_of(self, share: float) -> int:
        return max(1, math.floor(self.calls_per_second * self.width * share))

    def slot(self, moment: datetime) -> int:
        """The number of the slot in which `moment` lies."""
        return int(moment.timestamp()) // self.width

    def begins(self, slot: int) -> datetime:
        """When a slot begins."""
        return datetime.fromtimestamp(slot * self.width, UTC)


def best_slot(booked: Callable[[int], int], room: int, first: int, best: int, last: int) -> int | None:
    """The latest slot with room from `best` back to `first`, else the earliest after it up to `last`.

    Slots that are filled from their deadlines backwards take in every call that can fit at all.
    """
    for slot in range(best, first - 1, -1):
        if booked(slot) < room:
            return slot
    for slot in range(max(best, first - 1) + 1, last + 1):
        if booked(slot) < room:
            return slot
    return None
