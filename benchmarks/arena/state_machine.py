"""A Step Functions loop: is it done? if not, beat, wait, and again. One execution for each action.

A standard workflow, begun by a pipe from the hook's queue, and named by the token, so that a copy begins
no second one.
Each state that is entered is a transition, and each retry of a task one more. No function runs, so there
is none to be killed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ReadTimeoutError

from benchmarks.arena.world import AN_EXECUTION, Consumer
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.arena.world import ConsumerWorld, Told

_LONGEST_WAIT: Final = timedelta(seconds=60)
_RETRY_AFTER: Final = timedelta(seconds=10)  # IntervalSeconds 10, BackoffRate 1, MaxAttempts 20
_MOST_TRIES: Final = 21
_QUEUE_REQUESTS: Final = 3


class StateMachine(Consumer):
    """The executions of one state machine."""

    name = "Step Functions loop"

    def __init__(self, world: ConsumerWorld) -> None:
        super().__init__(world)
        self._wait = min(_LONGEST_WAIT, world.heartbeat_timeout / 2)
        self._begun: set[str] = set()

    def notified(self, told: Told) -> None:
        """The pipe starts an execution, unless there was one of that name."""
        self.world.used["queue request"] += _QUEUE_REQUESTS
        self.world.used["pipe request"] += 1
        if told.token not in self._begun:
            self._begun.add(told.token)
            self.world.start(AN_EXECUTION, lambda: self._execute(told), lambda _: None)

    def _execute(self, told: Told) -> None:
        self._enter()  # the start state
        while not self._is_done(told):
            if not self._task(self.world.heartbeat, told):
                return
            self._enter()
            self.world.pause(self._wait)
        self._task(self.world.complete, told)

    def _is_done(self, told: Told) -> bool:
        """A task that asks, and a choice."""
        self._enter()
        self._enter()
        return self.world.is_done(told.instance_id)

    def _task(self, call: Callable[[Told, int], object], told: Told) -> bool:
        """Whether it succeeded: one call, tried again as `Retry` has it."""
        for _ in range(_MOST_TRIES):
            self._enter()
            try:
                call(told, 1)
            except (ApiError, ReadTimeoutError) as error:
                if isinstance(error, ApiError) and error.code == "ValidationError":
                    return False  # there is no such action any more
                self.world.pause(_RETRY_AFTER)
            else:
                return True
        return False

    def _enter(self) -> None:
        self.world.used["state transition"] += 1
