"""A function that sleeps: it looks after one instance until its work is done, and pays for the time.

SNS invokes it. Every ten seconds it asks whether the work is done, and it beats at half of the timeout. When
its fifteen minutes are nearly over, it invokes itself. Lambda runs what failed twice more, after one minute
and after two.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks.arena.world import AT_ONCE_OF_LAMBDA, Consumer

if TYPE_CHECKING:
    from benchmarks.arena.world import ConsumerWorld, Told

_TIMEOUT: Final = timedelta(minutes=15)
_ENOUGH: Final = timedelta(minutes=14)
_NAP: Final = timedelta(seconds=10)
_AGAIN_AFTER: Final = (timedelta(minutes=1), timedelta(minutes=2))


class Sleeping(Consumer):
    """One invocation at a time for each instance, as many as an account may have at once."""

    name = "function that sleeps"

    def __init__(self, world: ConsumerWorld) -> None:
        super().__init__(world)
        self._running = 0
        self._waiting: deque[tuple[Told, int]] = deque()

    def notified(self, told: Told) -> None:
        """By SNS."""
        self.world.used["topic request"] += 1
        self._invoke(told, 0)

    def _invoke(self, told: Told, tried: int) -> None:
        """Asynchronously: an event waits where too many run."""
        self._waiting.append((told, tried))
        while self._waiting and self._running < AT_ONCE_OF_LAMBDA:
            self._running += 1
            self._begin(*self._waiting.popleft())

    def _begin(self, told: Told, tried: int) -> None:
        self.world.used["invocation"] += 1
        self.world.used["log and trace of an invocation"] += 1

        def ended(error: BaseException | None) -> None:
            self._running -= 1
            if error is not None and tried < len(_AGAIN_AFTER):
                again_at = self.world.clock() + _AGAIN_AFTER[tried]
                self.world.clock.at(again_at, lambda: self._invoke(told, tried + 1))

        self.world.start("a small function", lambda: self._look_after(told), ended, _TIMEOUT)

    def _look_after(self, told: Told) -> None:
        began = self.world.clock()
        while not self.world.is_done(told.instance_id):
            if self.world.clock() - told.beaten_at >= self.world.heartbeat_timeout / 2:
                told = self.world.heartbeat(told)
            if self.world.clock() - began >= _ENOUGH:
                self._invoke(told, 0)
                return
            self.world.pause(_NAP)
        self.world.complete(told)
