"""The queues that production code sends to: they lose, double and delay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws.queues import delay_s
from usher.core.queue_messages import question_body, wake_up_body
from usher_simulator.trials.faults import Fault
from usher_simulator.trials.queue import SimulatedQueue

if TYPE_CHECKING:
    from usher.core.held_wait import HeldWait
    from usher.ports.queues import Later
    from usher_simulator.trials.deployed import Deployed
    from usher_simulator.trials.effects import Effects, Watch

DEPTH: Final = "Depth"  # of a wake-up: how often its chain has gone through the function that sends it
_LATE_S: Final = (5, 400)
_LAG_S: Final = (0.01, 0.6)  # after its delay a message is seen, and polled


class SimulatedWakeUps:
    """Implements usher.ports.queues.WakeUps on a simulated queue that loses, doubles and delays."""

    def __init__(self, effects: Effects, queue: SimulatedQueue, watch: Watch) -> None:
        self._effects = effects
        self._queue = queue
        self._watch = watch

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """See usher.ports.queues.WakeUps."""
        self._send(action_id, stamp, (delay, wait))

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        """See usher.ports.queues.WakeUps. Either may be lost, doubled or late."""
        self._send(action_id, stamp, first, second)

    def _send(self, action_id: str, stamp: int, *asked: Later) -> None:
        def do() -> None:
            for delay, wait in asked:
                seconds = timedelta(seconds=delay_s(delay))
                at, by = self._effects.clock() + seconds, self._effects.invocation
                self._watch.woken(action_id, stamp, at, wait, by)
                for _ in range(self._copies(action_id, seconds)):
                    self._put(wake_up_body(action_id, stamp, wait), action_id, seconds)

        self._effects.of_queue(do, action_id)

    def _copies(self, action_id: str, delay: timedelta) -> int:
        if self._effects.faults.hits(Fault.WAKE_UP_LOST):
            self._meets(Fault.WAKE_UP_LOST, action_id, delay)
            return 0
        return 2 if self._effects.faults.hits(Fault.WAKE_UP_DOUBLED) else 1

    def _meets(self, fault: Fault, action_id: str, delay: timedelta) -> None:
        """It hurts when the wake-up should have come, which may be after the next heartbeat."""
        effects = self._effects
        if delay > timedelta(0):
            effects.clock.at(
                effects.clock() + delay, lambda: effects.faults.met(fault, effects.clock(), action_id)
            )
        else:
            effects.meets(fault, action_id)

    def _put(self, body: str, action_id: str, delay: timedelta) -> None:
        sender = self._effects.invocation
        chain = {DEPTH: str(sender.depth + 1)} if sender is not None and sender.function == "wake" else {}

        def send() -> None:
            self._queue.send(body, delay, chain)

        if not self._effects.faults.hits(Fault.WAKE_UP_LATE):
            send()
            return
        self._meets(Fault.WAKE_UP_LATE, action_id, delay)
        late = timedelta(seconds=self._effects.chooser.number(*_LATE_S))
        self._effects.clock.at(self._effects.clock() + late, send)


class SimulatedQuestions:
    """Implements usher.ports.queues.Questions on a simulated queue, with the faults of the wake-ups'."""

    def __init__(self, effects: Effects, queue: SimulatedQueue) -> None:
        self._effects = effects
        self._queue = queue

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """See usher.ports.queues.Questions."""

        def do() -> None:
            for _ in range(self._copies(action_id)):
                self._queue.send(question_body(action_id, turn), timedelta(seconds=delay_s(delay)))

        self._effects.of_queue(do, action_id)

    def _copies(self, action_id: str) -> int:
        if self._effects.faults.hits(Fault.WAKE_UP_LOST):
            self._effects.meets(Fault.WAKE_UP_LOST, action_id)
            return 0
        return 2 if self._effects.faults.hits(Fault.WAKE_UP_DOUBLED) else 1


class SimulatedDeadLetters:
    """Implements usher.ports.queues.DeadLetters on a simulated queue."""

    def __init__(self, effects: Effects, queue: SimulatedQueue) -> None:
        self._effects = effects
        self._queue = queue

    def put(self, body: str, reason: str) -> None:
        """See usher.ports.queues.DeadLetters."""
        self._effects.of_queue(lambda: self._queue.send(body, attributes={"Reason": reason}))


def queue_of(effects: Effects, settings: Deployed, dead_letters: SimulatedQueue) -> SimulatedQueue:
    """A queue as it is deployed for a function."""
    return SimulatedQueue(
        effects.clock,
        visibility_timeout=settings.visibility_timeout,
        most_receives=settings.most_receives,
        dead_letters=dead_letters,
        lag=lambda: timedelta(seconds=effects.chooser.number(*_LAG_S)),
    )
