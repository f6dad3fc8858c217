"""When wake-ups go out: hints, sent so that a crash between any two steps costs an evaluation at most."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher.core.frozen import frozen, replace
from usher.core.held_wait import held_wait, is_second
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.held_wait import HeldWait
    from usher.ports.queues import Later, WakeUps
    from usher.ports.telemetry import Telemetry

BACKUP: Final = 2  # the number of the second wake-up of an evaluation
# An evaluation within it gets its own wake-ups: SQS delays by 900 s at most.
WAKE_UP_HORIZON: Final = timedelta(seconds=890)
BETWEEN_SWEEPS: Final = timedelta(seconds=150)  # two can stand 119 s apart, and take their time
# A heartbeat with a smaller margin is of a timeout so short that it has its own wake-ups.
LEAST_OWN_MARGIN: Final = WAKE_UP_HORIZON / 12
_LEAST_APART: Final = timedelta(seconds=1)
_CLOCKS_APART: Final = timedelta(seconds=4)  # of two functions, where each is up to two seconds off


@frozen
class WakeUpScheduler:
    """What sends wake-ups. One that is not taken is mostly no reason to stop: the sweep comes, too."""

    queue: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def store_and_schedule(
        self,
        action: Action,
        store: Callable[[Action], object],
        *,
        require_queue: bool = False,
        most: int = 2,
    ) -> tuple[Action, bool]:
        """Run `store`, which makes `action` durable, and send the wake-ups of its next evaluation.

        The first `most` of them, where others are on their way. Returns the action as it was stored, with
        its `backup_at`, and whether the queue took the wake-ups, if any were to be sent.

        A wake-up is sent before the store, so that a crash between the two leaves one wake-up too many
        rather than a record that nothing wakes. Only one that is due at once is sent after it: before,
        it could arrive to find nothing stored. A queue that takes none stops no evaluation; but what is
        stored only to be evaluated soon may `require_queue` (Unavailable): it would wait for a sweep.
        """
        now = self.clock()
        times = wake_up_times(action, now)[:most]
        asked = [(at - now, held_wait(action, number)) for number, at in enumerate(times, start=1)]
        ahead = [one for one in asked if one[0] > timedelta(0)]
        taken = not asked
        if ahead and self._is_sent(action, ahead, require_queue=require_queue):
            taken = True
            action = replace(action, backup_at=times[1] if len(times) > 1 else action.backup_at)
        store(action)
        if len(ahead) < len(asked):
            taken |= self._is_sent(action, asked[:1])
        return action, taken

    def _is_sent(self, action: Action, asked: Sequence[Later], *, require_queue: bool = False) -> bool:
        """Whether one or two wake-ups were taken. Raises Unavailable where they must be, and were not.

        Two are tried twice: they go in one request, and one that fails must not cost both.
        """
        if len(asked) > 1:
            with suppress(Unavailable):
                self._send(action, asked)
                return True
        try:
            self._send(action, asked)
        except Unavailable as error:
            if require_queue:
                raise
            self._tell(error)
            return False
        return True

    def _send(self, action: Action, asked: Sequence[Later]) -> None:
        if len(asked) > 1:
            self.queue.send_both(action.id, action.stamp, *asked)
        else:
            self.queue.send(action.id, action.stamp, *asked[0])

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """Send one wake-up."""
        try:
            self.queue.send(action_id, stamp, delay, wait)
        except Unavailable as error:
            self._tell(error)

    def send_again(self, action: Action, wait: HeldWait | None, now: datetime) -> None:
        """Send one more wake-up where the one that came, with `wait`, is the backup that `action` counts on.

        By a clock that is behind, the retry of an evaluation that was cut off is not due yet when it comes;
        and no other wake-up is on its way. If it was not cut off, the record has moved on by then.
        """
        at, evaluate_at = action.backup_at, action.evaluate_at
        if wait is None or not is_second(wait.chain) or at is None or evaluate_at is None:
            return
        has_own = not is_backed(action, evaluate_at) or at in wake_up_times(action, evaluate_at)
        if at <= now + _CLOCKS_APART and not has_own:
            self.send(
                action.id, action.stamp, max(_LEAST_APART, evaluate_at - now), held_wait(action, BACKUP)
            )

    def _tell(self, error: Unavailable) -> None:
        self.telemetry.trouble("a wake-up could not be sent", error)


def is_backed(action: Action, retry_at: datetime) -> bool:
    """Whether a wake-up is on its way that makes up for a crash: one that comes once the retry is due."""
    return action.backup_at is not None and retry_at + _LEAST_APART <= action.backup_at


def wake_up_times(action: Action, now: datetime) -> list[datetime]:
    """When `action` should be woken: at its next evaluation, unless that is for a sweep to do.

    And once more halfway to the expiry, where no sweep could make up for an evaluation that is cut off; but
    not of a result: the wake-ups of the open state are on their way, and what is due counts for them.
    """
    if action.evaluate_at is None or action.evaluate_at - now > WAKE_UP_HORIZON:
        return []
    first = max(action.evaluate_at, now)
    left = (action.heartbeat_by if action.heartbeat_by > first else action.expires_at) - first
    if action.phase is Phase.COMPLETING or not timedelta(0) < left <= BETWEEN_SWEEPS:
        return [first]
    return [first, first + max(_LEAST_APART, left / 2)]
