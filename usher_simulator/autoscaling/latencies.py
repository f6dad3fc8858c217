"""How long simulated Auto Scaling takes from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling import moves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.moves import MoveKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Latencies:
    """The times between states.

    `notice`: from a change that someone asked for to the activity that answers it. `to_wait`: from
    an activity's start to the wait state, or where no hook holds it to `:Proceed`. `to_end`: from
    `:Proceed` to the end of the activity. `after_abandon`: from an abandoned launch to the
    termination of its instance. `replace`: from a gap that nobody asked for to the activity that
    fills it. `force_delete`: from a force delete of the group to the termination of an instance, and
    `force_delete_retained` of one that was retained.
    """

    notice: timedelta
    to_wait: Mapping[MoveKind, timedelta]
    to_end: Mapping[MoveKind, timedelta]
    after_abandon: timedelta
    replace: timedelta
    force_delete: timedelta = timedelta(seconds=0.5)
    force_delete_retained: timedelta = timedelta(seconds=1)


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


PROMPT: Final = Latencies(
    notice=_seconds(0.5),
    to_wait=dict.fromkeys(moves.KINDS, _seconds(0.5)),
    to_end=dict.fromkeys(moves.KINDS, _seconds(0.5)),
    after_abandon=_seconds(0.3),
    replace=_seconds(0.5),
)

# Middles of what was recorded (events/recorded; aws-facts 2.2, 9.7, 9.8).
CAPTURED: Final = Latencies(
    notice=_seconds(11),
    to_wait={
        moves.LAUNCH: _seconds(4.4),
        moves.LAUNCH_INTO_POOL: _seconds(4.4),
        moves.LAUNCH_FROM_POOL: _seconds(7.8),
        moves.TERMINATE: _seconds(0.7),
        moves.RETURN_TO_POOL: _seconds(0.7),
        moves.TERMINATE_FROM_POOL: _seconds(0.7),
        moves.REPLACE_ROOT_VOLUME: _seconds(0.7),
        moves.AFTER_ROOT_VOLUME: _seconds(4.4),
    },
    to_end={
        moves.LAUNCH: _seconds(0.8),
        moves.LAUNCH_INTO_POOL: _seconds(40),  # it boots and is stopped again
        moves.LAUNCH_FROM_POOL: _seconds(0.8),
        moves.TERMINATE: _seconds(21.5),  # EC2 shuts it down
        moves.RETURN_TO_POOL: _seconds(30),
        moves.TERMINATE_FROM_POOL: _seconds(21.5),
        moves.REPLACE_ROOT_VOLUME: _seconds(30),
        moves.AFTER_ROOT_VOLUME: _seconds(0.8),
    },
    after_abandon=_seconds(0.3),
    replace=_seconds(1.5),
    force_delete=_seconds(4),  # aws-facts 11.2, and the next
    force_delete_retained=_seconds(13),
)
