"""Lambda on the virtual clock: production code that waits in the middle, many invocations at once.

Each invocation is a greenlet. Where the code in it makes a call that takes time, the clock goes on
with what else is due, and comes back to it. So nothing here is a thread, and every run is the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from greenlet import getcurrent, greenlet

from usher.ports.errors import Unavailable
from usher.sweep import SweepFailed
from usher_simulator.trials.queue import SimulatedQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime
    from random import Random

    from usher.invocation import Handler, Work
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.queue import Batch, Ended, Message

T = TypeVar("T")
Row = TypeVar("Row")
SWEEP_INTERVAL: Final = timedelta(minutes=1)
SWEEP_TIMEOUT: Final = timedelta(seconds=60)


class Tasks:
    """What runs at the same time. Made by whoever steps the clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._hub = getcurrent()

    def start(self, work: Callable[[], object]) -> None:
        """Begin `work` at once, beside what runs."""
        task = greenlet(work, parent=self._hub)
        self.clock.at(self.clock(), task.switch)

    def take(self, span: timedelta) -> None:
        """Let `span` pass for the task that runs."""
        self.clock.at(self.clock() + span, getcurrent().switch)
        self._hub.switch()

    def at_once(self, most: int) -> Work:
        """A `map` that has `most` calls running at once and begins them in order, as a pool of threads."""

        def work(do: Callable[[Row], T], rows: Iterable[Row], /) -> Iterable[T]:
            todo = deque(enumerate(rows))
            done: dict[int, T] = {}
            caller, running = getcurrent(), most

            def worker() -> None:
                nonlocal running
                while todo:
                    place, row = todo.popleft()
                    done[place] = do(row)
                running -= 1
                if not running:
                    self.clock.at(self.clock(), caller.switch)

            for _ in range(most):
                self.start(worker)
            self._hub.switch()
            return [done[place] for place in sorted(done)]

        return work


class GatedQueue(SimulatedQueue):
    """A queue that Lambda does not poll while `polled` is False: messages wait in it."""

    polled = True

    def receive(self, most: int) -> list[Message]:
        """Nothing while it is not polled."""
        return super().receive(most) if self.polled else []


class Function:
    """A function behind an event source mapping; each container has a handler of its own."""

    def __init__(self, tasks: Tasks, make_handler: Callable[[], Handler]) -> None:
        self._tasks = tasks
        self._make_handler = make_handler
        self._handlers: dict[int, Handler] = {}

    def invoke(self, batch: Batch, ended: Ended) -> None:
        """Begin one invocation; tell `ended` which messages failed."""
        handler = self._handlers.get(batch.container)
        if handler is None:
            handler = self._handlers[batch.container] = self._make_handler()
        event = {"Records": [_sqs_record(message) for message in batch.messages]}
        self._tasks.start(lambda: ended(_failed(handler(event, None))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """Implements usher.invocation.Context."""

    clock: VirtualClock
    ends_at: datetime

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        return int((self.ends_at - self.clock()) / timedelta(milliseconds=1))


class Sweeps:
    """The schedule: once in every minute, at any second of it; the next does not wait for the last."""

    def __init__(self, tasks: Tasks, make_handler: Callable[[], Handler], random: Random) -> None:
        self._tasks = tasks
        self._make_handler = make_handler
        self._random = random
        self.on = True
        self.failed = 0
        self.longest = timedelta(0)

    def start(self) -> None:
        """Run from this minute on."""
        self._plan(self._tasks.clock())

    def _plan(self, minute: datetime) -> None:
        clock = self._tasks.clock
        clock.at(minute + self._random.random() * SWEEP_INTERVAL, lambda: self._tasks.start(self._run))
        clock.at(minute + SWEEP_INTERVAL, lambda: self._plan(minute + SWEEP_INTERVAL))

    def _run(self) -> None:
        began = self._tasks.clock()
        if self.on:
            try:
                self._make_handler()({}, Remaining(clock=self._tasks.clock, ends_at=began + SWEEP_TIMEOUT))
            except (SweepFailed, Unavailable):
                self.failed += 1  # the next one comes anyway
        self.longest = max(self.longest, self._tasks.clock() - began)


def _sqs_record(message: Message) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": "handle",
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:usher",
        "awsRegion": "us-east-1",
    }


def _failed(answer: dict[str, Any]) -> Collection[str]:
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
