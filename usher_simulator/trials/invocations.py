"""Invocations of production code on the virtual clock: beside each other, and each step takes time.

Production code knows nothing of the simulation: it calls a store or a client and waits for the
answer. Here such a call lets virtual time pass (`pause`) while other invocations go on, as
containers do beside each other. An invocation runs in greenlets, called its lines: they change
hands at their pauses only, in the order of the clock, so that the same seed gives the same order.
There are no threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from usher_simulator.autoscaling.virtual_clock import VirtualClock

T = TypeVar("T")
_NOTHING: Final = timedelta(0)
TIMES_OUT: Final = "Invocations.start.<locals>.time_out"  # as the clock has it
_MILLISECOND: Final = timedelta(milliseconds=1)


class Cut(BaseException):
    """The function is ended here, between two steps: no code of it may catch this."""


@dataclass(kw_only=True, eq=False, slots=True)
class Invocation:
    """One run of a function, until it returns, fails or is cut off.

    `skew` is how far its clock is ahead; `cut_at` the step before which it is cut off, 0 for never.
    """

    function: str
    timeout: timedelta
    skew: timedelta = _NOTHING
    cut_at: int = 0
    depth: int = 0  # how often its chain of messages has gone through this function
    number: int = 0
    ends_at: datetime | None = None
    steps: int = 0
    is_over: bool = False
    lines: dict[greenlet, Callable[[], None]] = field(default_factory=dict)  # and what their ends call
    actions: set[str] = field(default_factory=set)  # which it was sent for, or has loaded or stored
    sent_for: frozenset[tuple[str, int]] = frozenset()  # actions and versions of its wake-ups
    faults: int = 0  # that it met
    reads_since: datetime | None = None  # when it began to read a record, which may take seconds

    def __str__(self) -> str:
        """As a trace names it."""
        return f"{self.function}-{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeLeft:
    """What the functions use of Lambda's context object."""

    clock: VirtualClock
    ends_at: datetime

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        return max(0, (self.ends_at - self.clock()) // _MILLISECOND)


class Invocations:
    """Runs invocations beside each other. Made where the loop of the clock runs."""

    def __init__(self, clock: VirtualClock, on_cut: Callable[[Invocation, str], None]) -> None:
        self._clock = clock
        self._on_cut = on_cut
        self._loop = getcurrent()
        self._numbers = count(1)
        self.current: Invocation | None = None
        self.running: set[Invocation] = set()

    def now(self) -> datetime:
        """The time, as the machine of the running invocation shows it."""
        return self._clock() + (self.current.skew if self.current else _NOTHING)

    def start(
        self,
        invocation: Invocation,
        work: Callable[[TimeLeft], T],
        ended: Callable[[T | None, BaseException | None], None],
    ) -> None:
        """Begin an invocation, at once. `ended` is told what it returned, or with what it failed."""
        invocation.number = next(self._numbers)
        invocation.ends_at = ends_at = self._clock() + invocation.timeout
        self.running.add(invocation)
        returned: list[T] = []

        def body() -> None:
            returned.append(work(TimeLeft(clock=self._clock, ends_at=ends_at)))

        def finish(error: BaseException | None) -> None:
            if not invocation.is_over:
                self._end(invocation)
                ended(returned[0] if returned else None, error)

        def time_out() -> None:
            if not invocation.is_over:
                self._on_cut(invocation, "timed out")
                finish(Cut())

        self._clock.at(ends_at, time_out)
        self._begin_line(invocation, body, finish)

    def step(self) -> None:
        """A step of the running invocation is to be made, or was made: here it may be cut off."""
        invocation = self.current
        if invocation is None:
            return
        if invocation.is_over:
            raise Cut
        invocation.steps += 1
        if self.cuts(invocation):
            self._on_cut(invocation, f"cut off at step {invocation.steps}")
            raise Cut

    def cuts(self, invocation: Invocation) -> bool:
        """Whether it is cut off at this step."""
        return invocation.steps == invocation.cut_at

    def pause(self, span: timedelta, before: str = "") -> None:  # noqa: ARG002 - for a subclass
        """Let time pass for the running invocation, before it does something. Outside nothing takes time."""
        invocation, line = self.current, getcurrent()
        if invocation is None:
            return
        if invocation.is_over:
            raise Cut
        self._clock.at(self._clock() + span, lambda: self._go_on(invocation, line))
        self._loop.switch()

    def at_once(self, most: int) -> Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]:
        """A `map` whose calls are made several at a time, each in a line of its own."""

        def work(do: Callable[[Any], Any], rows: Iterable[Any]) -> list[Any]:
            asked = list(rows)
            if self.current is None or not asked:
                return [do(row) for row in asked]
            return self._map(self.current, do, asked, most)

        return work

    def _map(self, invocation: Invocation, do: Callable[[Any], Any], rows: list[Any], most: int) -> list[Any]:
        done: list[Any] = [None] * len(rows)
        errors: list[BaseException] = []
        turns = iter(range(len(rows)))
        above, busy = getcurrent(), min(most, len(rows))

        def body() -> None:
            for turn in turns:
                done[turn] = do(rows[turn])

        def finish(error: BaseException | None) -> None:
            nonlocal busy
            busy -= 1
            errors.extend([error] if error else [])
            if not busy or isinstance(error, Cut):
                self._go_on(invocation, above)

        for _ in range(busy):
            self._clock.at(self._clock(), lambda: self._begin_line(invocation, body, finish))
        self._loop.switch()
        if errors:
            raise errors[0]
        return done

    def _begin_line(
        self,
        invocation: Invocation,
        body: Callable[[], None],
        finish: Callable[[BaseException | None], None],
    ) -> None:
        """Run `body` in a line of its own; `finish` is told by the loop how it ended."""
        if invocation.is_over:
            return
        failed: list[BaseException] = []

        def run() -> None:
            try:
                body()
            except BaseException as error:  # noqa: BLE001 - whoever started the line is told
                failed.append(error)

        line = greenlet(run, parent=self._loop)
        invocation.lines[line] = lambda: finish(failed[0] if failed else None)
        self._switch(invocation, line)

    def _go_on(self, invocation: Invocation, line: greenlet) -> None:
        if line in invocation.lines and not invocation.is_over:
            self._switch(invocation, line)

    def _switch(self, invocation: Invocation, line: greenlet) -> None:
        """Let a line run until it pauses or ends. Only the loop does this."""
        self.current = invocation
        line.switch()
        self.current = None
        if line.dead:
            invocation.lines.pop(line)()

    def _end(self, invocation: Invocation) -> None:
        """Cut off the lines that are left. What they still try in leaving is cut off too."""
        invocation.is_over = True
        self.running.discard(invocation)
        for line in list(invocation.lines):
            self.current = invocation
            line.throw(Cut)
            self.current = None
        invocation.lines.clear()
