"""A daemon on the instance: it takes its notification from its queue, and beats each ten seconds.

The message is deleted before the work begins, since no queue hides one for as long as work may last.
`is_careful`: it is deleted last, each action is looked after by itself, and the result is sent until it is
answered.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ReadTimeoutError

from benchmarks.arena.world import Consumer
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.arena.world import ConsumerWorld, Told

_EVERY: Final = timedelta(seconds=10)
_HIDDEN_FOR: Final = 3 * _EVERY  # the message of a careful daemon, and again with each heartbeat


class Daemon(Consumer):
    """A process on each instance, that the machine starts again where it dies."""

    name = "daemon"

    def __init__(self, world: ConsumerWorld, *, is_careful: bool = False) -> None:
        super().__init__(world)
        self._is_careful = is_careful
        self._taken: set[str] = set()

    def notified(self, told: Told) -> None:
        """A daemon that has work hears no further message, unless it is careful."""
        self.world.used["topic request"] += 1
        key = told.token if self._is_careful else told.instance_id
        if key not in self._taken:
            self._taken.add(key)
            self._begin(told)

    def _begin(self, told: Told) -> None:
        self.world.used["queue request"] += 2  # received, deleted

        def ended(error: BaseException | None) -> None:
            if error is not None and self._is_careful:
                self.world.clock.at(self.world.clock() + _HIDDEN_FOR, lambda: self._begin(told))

        self.world.start("a daemon", lambda: self._keep(told), ended)

    def _keep(self, told: Told) -> None:
        while not self.world.is_done(told.instance_id):
            self._is_answered(self.world.heartbeat, told)
            self.world.used["queue request"] += self._is_careful  # the message is hidden for longer
            self.world.pause(_EVERY)
        if not self._is_careful:
            self.world.complete(told)
            return
        while not self._is_answered(self.world.complete, told):
            self.world.pause(_EVERY)

    def _is_answered(self, call: Callable[[Told], object], told: Told) -> bool:
        """A call that fails is logged, no more."""
        try:
            call(told)
        except ReadTimeoutError:
            return False
        except ApiError as error:
            return error.code == "ValidationError"  # there is no such action any more
        return True
