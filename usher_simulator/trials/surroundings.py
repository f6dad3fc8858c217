"""What a world is like besides its hooks and its faults.

Drawn from dice of its own, so that a seed keeps its hooks, faults and steps when something comes in here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling import moves

if TYPE_CHECKING:
    from datetime import datetime

    from usher_simulator.autoscaling.latencies import Latencies
    from usher_simulator.trials.dice import Dice

_TARGETS_DRAIN: Final = 0.35
_DRAIN_S: Final = (60.0, 3600.0)  # AWS lets it last an hour
_IS_SLOW: Final = 0.2
_SLOW_CALLS_PER_SECOND: Final = 0.5
_IS_VERY_SLOW: Final = 0.5  # of those
_VERY_SLOW_CALLS_PER_SECOND: Final = 0.1  # most calls go out when their wait is about to expire
_LASTS: Final = 0.05
_IS_TAMPERED: Final = 0.5
_SHARE_LOST: Final = (0.1, 0.9)
_IS_WRITTEN, _ANNOUNCES, _RESTORES = 0.25, 0.25, 0.05
_TALKS, _DOUBTS, _IS_UPDATED_SLOWLY = 0.3, 0.35, 0.4
_UPDATE_S: Final = (60.0, 1200.0)
_IS_APPLIED: Final = 0.35
_HELD_UP: Final = 0.25
_HELD_UP_S: Final = (120.0, 1800.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """How long targets drain before a termination's hooks begin, and what Usher may ask a second.

    `loses`: the share of notifications that are lost where Usher looks for what they did not tell.
    `is_written`: what is stored goes through its written form. `announces`: events out are on.
    `restores_at`: at which part of the run the table is restored, to its state of `restores` before.
    `talks`: instances say more than they must. `doubts`: most policies ask AWS, which lies now and then.
    `update_takes`: from when the functions of an update are there until its hooks are put.
    `is_applied`: where Usher puts the hooks, files are applied at run time, without an update.
    `lasts`: the waits of one hook go on until their global timeout is near.
    `is_tampered`: where Usher looks after its hooks, others change or delete some.
    """

    drains_for: timedelta | None = None
    calls_per_second: float | None = None
    loses: float = 0.0
    is_written: bool = False
    announces: bool = False
    restores_at: float | None = None
    restores: timedelta = timedelta(0)
    talks: bool = False
    doubts: bool = False
    update_takes: timedelta | None = None
    is_applied: bool = False
    lasts: bool = False
    is_tampered: bool = False

    @classmethod
    def draw(cls, random: Dice) -> Surroundings:
        """Those of one seed."""
        drains = random.chance(_TARGETS_DRAIN)
        drains_for = timedelta(seconds=random.between(*_DRAIN_S))
        drawn = cls(
            drains_for=drains_for if drains else None,
            calls_per_second=_SLOW_CALLS_PER_SECOND if random.chance(_IS_SLOW) else None,
            loses=random.between(*_SHARE_LOST),
            is_written=random.chance(_IS_WRITTEN),
            announces=random.chance(_ANNOUNCES),
            restores_at=random.uniform(0.1, 1) if random.chance(_RESTORES) else None,
            restores=timedelta(seconds=random.between(*_HELD_UP_S)),
            talks=random.chance(_TALKS),
            doubts=random.chance(_DOUBTS),
            update_takes=timedelta(seconds=random.between(*_UPDATE_S))
            if random.chance(_IS_UPDATED_SLOWLY)
            else None,
            is_applied=random.chance(_IS_APPLIED),
        )
        is_slower = random.chance(_IS_VERY_SLOW) and drawn.calls_per_second is not None
        pace = _VERY_SLOW_CALLS_PER_SECOND if is_slower else drawn.calls_per_second
        lasts, is_tampered = random.chance(_LASTS), random.chance(_IS_TAMPERED)
        return replace(drawn, calls_per_second=pace, lasts=lasts, is_tampered=is_tampered)

    def latencies(self, usual: Latencies) -> Latencies:
        """A termination hook begins when the load balancers have let go of the instance (aws-facts 2.4)."""
        if self.drains_for is None:
            return usual
        return replace(usual, to_wait={**usual.to_wait, moves.TERMINATE: self.drains_for})


class HeldUp:
    """Spans in which notifications are kept back, to be delivered at their end."""

    def __init__(self, random: Dice) -> None:
        self._random = random
        self._spans: list[tuple[datetime, datetime]] = []

    def around(self, moment: datetime) -> None:
        """Now and then a span begins before a deploy of that moment, and outlasts it."""
        before, after = (timedelta(seconds=self._random.between(*_HELD_UP_S)) for _ in range(2))
        if self._random.chance(_HELD_UP):
            self._spans.append((moment - before, moment + after))

    def until(self, now: datetime) -> datetime | None:
        """When a notification of this moment is delivered; None: at once."""
        return max((end for begin, end in self._spans if begin <= now < end), default=None)
