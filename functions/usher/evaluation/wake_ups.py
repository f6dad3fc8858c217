"""When wake-ups go out: hints, sent so that a crash between any two steps costs an evaluation at most."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher.core.frozen import frozen
from usher.core.held_wait import held_wait
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher.ports.queues import WakeUps
    from usher.ports.telemetry import Telemetry

# An evaluation within it gets its own wake-ups: SQS delays by 900 s at most.
WAKE_UP_HORIZON: Final = timedelta(seconds=890)
BETWEEN_SWEEPS: Final = timedelta(seconds=150)  # two can stand 119 s apart, and take their time
# A heartbeat with a smaller margin is of a timeout so short that it has its own wake-ups.
LEAST_OWN_MARGIN: Final = WAKE_UP_HORIZON / 12
_LEAST_APART: Final = timedelta(seconds=1)


@frozen
class WakeUpScheduler:
    """What sends wake-ups. One that is not taken is mostly no reason to stop: the sweep comes, too."""

    queue: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def store_and_schedule(
        self, action: Action, store: Callable[[], object], *, require_queue: bool = False, most: int = 2
    ) -> bool:
        """Run `store`, which makes `action` durable, and send the wake-ups of its next evaluation.

        The first `most` of them, where others are on their way. Whether the queue took one, if any was to
        be sent.

        A wake-up is sent before the store, so that a crash between the two leaves one wake-up too many
        rather than a record that nothing wakes. Only one that is due at once is sent after it: before,
        it could arrive to find nothing stored. A slow queue makes none come late: each delay is reckoned
        when it is sent. A queue that takes none stops no evaluation; but what is
        stored only to be evaluated soon may `require_queue` (Unavailable): it would wait for a sweep.
        """
        first: HeldWait | None = None
        is_due = False
        times = wake_up_times(action, self.clock())[:most]
        taken = not times
        for number, at in enumerate(times, start=1):
            delay, wait = at - self.clock(), held_wait(action, number)
            if delay > timedelta(0):
                taken |= self.send(action.id, action.stamp, delay, wait, require_queue=require_queue)
            elif not is_due:
                is_due, first = True, wait
        store()
        if is_due:
            taken |= self.send(action.id, action.stamp, timedelta(0), first)
        return taken

    def send(
        self,
        action_id: str,
        stamp: int,
        delay: timedelta,
        wait: HeldWait | None = None,
        *,
        require_queue: bool = False,
    ) -> bool:
        """Send one wake-up; whether it was taken. Raises Unavailable where it must be, and was not."""
        try:
            self.queue.send(action_id, stamp, delay, wait)
        except Unavailable as error:
            if require_queue:
                raise
            self.telemetry.trouble("a wake-up could not be sent", error)
            return False
        return True


def backup_at(stored: Action) -> datetime | None:
    """When the second wake-up of the state that is stored comes, where it surely has wake-ups of its own.

    What was stored before a heartbeat has none.
    """
    last = stored.last_entry
    if stored.look_at is None or last is None or last.event == "heartbeat":
        return None
    left = stored.heartbeat_by - stored.look_at
    return stored.look_at + left / 2 if left / 2 >= _LEAST_APART and left <= LEAST_OWN_MARGIN else None


def wake_up_times(action: Action, now: datetime) -> list[datetime]:
    """When `action` should be woken: at its next evaluation, unless that is for a sweep to do.

    And once more halfway to the expiry, where no sweep could make up for an evaluation that is cut off; but
    not of a result: the wake-ups of the open state are on their way, and what is due counts for them.
    """
    if action.look_at is None or action.look_at - now > WAKE_UP_HORIZON:
        return []
    first = max(action.look_at, now)
    left = (action.heartbeat_by if action.heartbeat_by > first else action.expires_at) - first
    if action.phase is Phase.COMPLETING or not timedelta(0) < left <= BETWEEN_SWEEPS:
        return [first]
    return [first, first + max(_LEAST_APART, left / 2)]
