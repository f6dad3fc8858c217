"""When wake-ups go out: hints, sent so that a crash between any two steps costs a look at most."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import deadlines
from usher.ports import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.model import Action
    from usher.ports import Telemetry, WakeUps

NEAR: Final = timedelta(seconds=150)  # two sweeps can stand 119 s apart, and take their time
SHORT_HEARTBEAT_TIMEOUT: Final = timedelta(minutes=5)


def stored_with_wake_ups(
    action: Action, now: datetime, store: Callable[[], None], wake_ups: WakeUps, telemetry: Telemetry
) -> None:
    """Run `store`, which makes `action` durable, and send the wake-ups of its next look.

    A wake-up is sent before the store, so that a crash between the two leaves one wake-up too many
    rather than a record that nothing wakes. Only one that is due at once is sent after it: before,
    it could arrive to find nothing stored.
    """
    delays = [at - now for at in wake_up_times(action, now)]
    for delay in delays:
        if delay > timedelta(0):
            send(wake_ups, telemetry, action.id, action.version, delay)
    store()
    if timedelta(0) in delays:
        send(wake_ups, telemetry, action.id, action.version, timedelta(0))


def wake_up_times(action: Action, now: datetime) -> list[datetime]:
    """When `action` should be woken: at its next look, if that is near.

    For a short heartbeat timeout once more half a margin later, because no sweep could make up for
    a wake-up that was lost.
    """
    if action.look_at is None or action.look_at - now > NEAR:
        return []
    first = max(action.look_at, now)
    timeout = action.hook.heartbeat_timeout
    if timeout >= SHORT_HEARTBEAT_TIMEOUT:
        return [first]
    return [first, first + deadlines.usual_margin(timeout) / 2]


def send(wake_ups: WakeUps, telemetry: Telemetry, action_id: str, version: int, delay: timedelta) -> None:
    """Send one wake-up. A queue that does not take it is no reason to stop: the sweep comes too."""
    try:
        wake_ups.send(action_id, version, delay)
    except Unavailable as error:
        telemetry.trouble("a wake-up was not sent", error)
