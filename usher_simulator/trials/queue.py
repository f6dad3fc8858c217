"""Simulated SQS queues, and the event source mapping by which Lambda polls one, on a virtual clock.

A queue delivers at least once, after whole seconds of delay, in no better order than that in which
messages become visible. What is received comes back after the visibility timeout unless it is
deleted, and goes to the dead-letter queue where it was received too often. An event source mapping
invokes a function with batches, several at once up to its maximum concurrency; each invocation keeps
a container busy until the caller says that it has ended.

    queue = SimulatedQueue(clock, visibility_timeout=timedelta(seconds=60), most_receives=360)
    EventSourceMapping(clock, queue, invoke, batch_size=10, most_at_once=20)
    queue.send("body", timedelta(seconds=30))
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from usher_simulator.autoscaling.virtual_clock import VirtualClock

LONGEST_DELAY: Final = timedelta(seconds=900)
MOST_BYTES: Final = 1024 * 1024
SHOWS: Final = "SimulatedQueue._show_at.<locals>.show"  # as the clock has it
_AT_ONCE: Final = timedelta(0)


@dataclass(kw_only=True, slots=True)
class Message:
    """One message in a queue. Its attributes are what the sender gave it, such as a reason."""

    id: str
    body: str
    sent_at: datetime
    attributes: dict[str, str] = field(default_factory=dict)
    receives: int = 0
    visible_at: datetime


class SimulatedQueue:
    """A standard queue.

    `copies` says how often a message that is sent stands in the queue: 0 loses it, 2 doubles it, and
    `lag` how much later than asked for one is seen. A message is dead after `most_receives` receives,
    and then goes to `dead_letters`, or nowhere.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        visibility_timeout: timedelta = timedelta(seconds=30),
        most_receives: int | None = None,
        dead_letters: SimulatedQueue | None = None,
        copies: Callable[[str], int] = lambda _: 1,
        lag: Callable[[], timedelta] = timedelta,
    ) -> None:
        self._clock = clock
        self._visibility_timeout = visibility_timeout
        self._most_receives = most_receives
        self._dead_letters = dead_letters
        self.copies = copies
        self._lag = lag
        self._ids = count(1)
        self._messages: dict[str, Message] = {}
        self._visible: dict[str, Message] = {}  # in the order in which they became visible
        self.on_visible: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """All messages: visible, delayed, and being worked on."""
        return len(self._messages)

    @property
    def messages(self) -> Sequence[Message]:
        """All messages, in the order in which they were sent."""
        return list(self._messages.values())

    def send(self, body: str, delay: timedelta = _AT_ONCE, attributes: dict[str, str] | None = None) -> None:
        """Put a message in, visible after `delay`: in whole seconds, at most 900 (aws-facts 5)."""
        if (
            delay != timedelta(seconds=math.floor(delay.total_seconds()))
            or not _AT_ONCE <= delay <= LONGEST_DELAY
        ):
            raise ValueError(f"delay must be 0 to 900 whole seconds, got {delay}")
        parts = [body, *(attributes or {}).values()]
        if sum(len(part.encode(errors="surrogatepass")) for part in parts) > MOST_BYTES:
            raise ValueError(f"a message must have at most {MOST_BYTES} bytes with its attributes")
        now = self._clock()
        for _ in range(self.copies(body)):
            message = Message(
                id=f"message-{next(self._ids):08d}",
                body=body,
                sent_at=now,
                attributes=attributes or {},
                visible_at=now + delay + self._lag(),
            )
            self._messages[message.id] = message
            self._show_at(message, message.visible_at)

    def receive(self, most: int) -> list[Message]:
        """Up to `most` visible messages, which are hidden for the visibility timeout now."""
        received: list[Message] = []
        while self._visible and len(received) < most:
            message = self._visible.pop(next(iter(self._visible)))
            if self._most_receives is not None and message.receives >= self._most_receives:
                self._bury(message)
                continue
            message.receives += 1
            self._show_at(message, self._clock() + self._visibility_timeout)
            received.append(message)
        return received

    def delete(self, message_id: str) -> None:
        """Delete a message. One that is gone is deleted."""
        self._messages.pop(message_id, None)
        self._visible.pop(message_id, None)

    def _bury(self, message: Message) -> None:
        self.delete(message.id)
        if self._dead_letters is not None:
            self._dead_letters.send(message.body, attributes=message.attributes)

    def _show_at(self, message: Message, moment: datetime) -> None:
        message.visible_at = moment

        def show() -> None:
            if message.id in self._messages and message.visible_at == moment:
                self._visible[message.id] = message
                self.on_visible()

        self._clock.at(moment, show)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What an invocation is given: messages, and the container that it runs in (from 1, per mapping)."""

    messages: Sequence[Message]
    container: int


# Told the messages that are to come again; None: all of the batch, as after a crash.
Ended: TypeAlias = "Callable[[Collection[str] | None], None]"
Invoke: TypeAlias = "Callable[[Batch, Ended], None]"


class EventSourceMapping:
    """Invokes a function for what becomes visible in a queue, and deletes what it has done.

    It waits for no batch to fill (a batch window of 0). `invoke` begins an invocation, and calls
    its second argument once when that ends. A container that is idle is used again, the one that
    was busy last before others; a new one takes `cold_start` more before its invocation begins.
    While it is not `is_on` nobody polls, and messages wait in the queue; whoever ends that polls.
    """

    def __init__(
        self,
        clock: VirtualClock,
        queue: SimulatedQueue,
        invoke: Invoke,
        *,
        batch_size: int,
        most_at_once: int,
        cold_start: timedelta = _AT_ONCE,
        is_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._invoke = invoke
        self._is_on = is_on
        self._batch_size = batch_size
        self._most_at_once = most_at_once
        self._cold_start = cold_start
        self._idle: list[int] = []
        self._containers = 0
        self._polls = False
        self.running = 0
        queue.on_visible = self.poll_soon

    def poll_soon(self) -> None:
        """Poll when all that becomes visible at this moment is visible: it may be one batch."""
        if not self._polls:
            self._polls = True
            self._clock.at(self._clock(), self._poll)

    def _poll(self) -> None:
        self._polls = False
        while self.running < self._most_at_once and self._is_on():
            messages = self._queue.receive(self._batch_size)
            if not messages:
                return
            self.running += 1
            self._begin(messages)

    def _begin(self, messages: Sequence[Message]) -> None:
        wait = _AT_ONCE
        if not self._idle:
            self._containers += 1
            self._idle.append(self._containers)
            wait = self._cold_start
        batch = Batch(messages=messages, container=self._idle.pop())
        self._clock.at(self._clock() + wait, lambda: self._invoke(batch, self._ending(batch)))

    def _ending(self, batch: Batch) -> Ended:
        def ended(failed: Collection[str] | None) -> None:
            self.running -= 1
            self._idle.append(batch.container)
            done = [] if failed is None else [one.id for one in batch.messages if one.id not in failed]
            for message_id in done:
                self._queue.delete(message_id)
            self._poll()

        return ended
