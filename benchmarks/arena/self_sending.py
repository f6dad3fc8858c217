"""A function that sends itself on: each message is a turn, and brings the next one by a delay.

A turn asks whether the work is done, beats where half of the timeout has passed, and sends its message
again. A turn that fails comes back when the queue shows it again. `is_careful`: a call that fails costs the
next turn, and no more.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ReadTimeoutError

from benchmarks.arena.world import Consumer, Told
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from benchmarks.arena.world import ConsumerWorld

_TIMEOUT: Final = timedelta(seconds=30)
_LONGEST_PACE: Final = timedelta(seconds=60)
_TURNS: Final = 4  # in each heartbeat timeout at least


class SelfSending(Consumer):
    """One function and its queue, for all instances."""

    name = "function that sends itself on"

    def __init__(self, world: ConsumerWorld, *, is_careful: bool = False) -> None:
        super().__init__(world)
        self._failures = (ApiError, ReadTimeoutError) if is_careful else ()
        self._pace = min(_LONGEST_PACE, world.heartbeat_timeout / _TURNS)
        self._queue = world.function_of_queue(self._turn, _TIMEOUT)

    def notified(self, told: Told) -> None:
        """The hook's target is the queue."""
        self._send(told, timedelta(0))

    def _send(self, told: Told, after: timedelta) -> None:
        self._queue.send(json.dumps(asdict(told), default=datetime.isoformat), after)

    def _turn(self, body: str) -> None:
        told = Told(**json.loads(body))
        told = replace(told, beaten_at=datetime.fromisoformat(str(told.beaten_at)))
        try:
            if self.world.is_done(told.instance_id):
                self.world.complete(told)
                return
            if self.world.clock() - told.beaten_at >= self.world.heartbeat_timeout / 2:
                told = self.world.heartbeat(told)
        except self._failures as failure:
            if isinstance(failure, ApiError) and failure.code == "ValidationError":
                return  # there is no such action any more
        self.world.invocations.step()
        self._send(told, self._pace)
