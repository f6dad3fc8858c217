"""Drives a virtual clock by a real one, at a stated speed-up."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from datetime import timedelta
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from usher_simulator.autoscaling.virtual_clock import VirtualClock

MOST_SPEED: Final = 100_000  # a day passes each second; much faster, and the years soon end


class WallClock:
    """Simulated time that runs `speed` times as fast as `monotonic` counts seconds; with 0 it stands still.

    Whatever touches what the clock drives does so inside `caught_up`: its lock is the only one. A
    thread of its own does what is due while nobody asks; `close` ends it.
    """

    def __init__(self, clock: VirtualClock, monotonic: Callable[[], float], speed: float = 1.0) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._speed = speed
        self._began_at, self._began_s = clock(), monotonic()
        self._changed = Condition()
        self._closed = False
        self._driver = Thread(target=self._drive, name="wall clock")
        self._driver.start()

    @contextmanager
    def caught_up(self) -> Iterator[None]:
        """Alone with the engine, after all that is due by now has been done."""
        with self._changed:
            try:
                self._run()
                yield
            finally:
                self._changed.notify_all()  # something earlier may be due now

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Within `caught_up`: what others ask is answered until the block ends, and caught up with then."""
        self._changed.notify_all()
        self._changed.release()
        try:
            yield
        finally:
            self._changed.acquire()
            self._run()

    def advance(self, span: timedelta) -> datetime:
        """Jump that far, and do all that is due until then; the time there."""
        with self.caught_up():
            self._began_at += span
            self._run()
            return self._clock()

    def close(self) -> None:
        """End the driver; from now on the time stands still."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._driver.join()

    def _run(self) -> None:
        """Do what is due. A fault of the simulator's own ends neither a thread nor the call of another."""
        while not self._closed:
            try:
                self._clock.run_until(self._now())
            except Exception:  # noqa: BLE001 - an outermost edge: what failed is done with, and the rest is due
                traceback.print_exc()
            else:
                return

    def _now(self) -> datetime:
        return self._began_at + timedelta(seconds=(self._monotonic() - self._began_s) * self._speed)

    def _drive(self) -> None:
        with self._changed:
            while not self._closed:
                self._run()
                self._changed.wait(self._until_next_s())

    def _until_next_s(self) -> float | None:
        next_at = self._clock.next_at
        if next_at is None or not self._speed:
            return None
        return max(0.0, (next_at - self._now()).total_seconds() / self._speed)
