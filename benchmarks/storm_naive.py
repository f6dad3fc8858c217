"""The rule of the peers in the same storm: a heartbeat for each action every T/2, and no pacing.

A call that is throttled is tried again as an SDK does it: twice, after a random part of one second
and of two. A result that was throttled to the end is sent again with the next heartbeat's turn.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from benchmarks import storm_plan
from benchmarks.storm_auto_scaling import LimitedCalls
from benchmarks.storm_lambda import Tasks
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Waits
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.autoscaling.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from benchmarks.storm_plan import Held, Storm
    from usher_simulator.autoscaling.lifecycle_actions import Wait

_RETRIES: Final = 2
_PERCENT: Final = 100


class NaiveInStorm:
    """Runs one storm, with as many workers as there are instances."""

    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.clock = VirtualClock(storm_plan.START)
        self._tasks = Tasks(self.clock)
        self._random = Random(storm.seed)  # noqa: S311 - a benchmark's own data
        self.defaulted: list[str] = []  # the tokens of the actions that no call ended
        self._waits = Waits(self.clock, self._note)
        self.auto_scaling = LimitedCalls(self._tasks, self._waits, storm.rate)
        for held in storm.instances:
            self.clock.at(held.started_at, lambda held=held: self._begin(held))  # type: ignore[misc]

    def _begin(self, held: Held) -> None:
        self._waits.begin(self.storm.wait_of(held))
        self._tasks.start(lambda: self._keep(held))

    def _keep(self, held: Held) -> None:
        """Beat until the work is done, then complete; an action that has ended is let go."""
        turn = held.started_at + self.storm.heartbeat_timeout / 2
        while not self._ended(held):
            done = self.clock() >= held.done_at
            if done:
                self._call("CompleteLifecycleAction", held)
            elif self.clock() >= turn:
                self._call("RecordLifecycleActionHeartbeat", held)
            while turn <= self.clock():
                turn += self.storm.heartbeat_timeout / 2
            self._tasks.take((turn if done else min(turn, held.done_at)) - self.clock())

    def _call(self, operation: str, held: Held) -> None:
        parameters = {
            "AutoScalingGroupName": storm_plan.GROUP,
            "LifecycleHookName": storm_plan.HOOK,
            "LifecycleActionToken": held.token,
            "LifecycleActionResult": "CONTINUE",
        }
        for tried in range(_RETRIES + 1):
            try:
                self.auto_scaling(Request(operation=operation, parameters=parameters))
            except ApiError as error:
                if error.code != "Throttling" or tried == _RETRIES:
                    return
                self._tasks.take(self._random.random() * 2**tried * timedelta(seconds=1))
            else:
                return

    def _ended(self, held: Held) -> bool:
        wait = self._waits.of_token(held.token)
        return wait is not None and not wait.is_open

    def _note(self, wait: Wait) -> None:
        if wait.ended_by is not EndedBy.CALL:
            self.defaulted.append(wait.token)

    def run(self) -> None:
        """Until all is over, or until one fell to its default: that is enough to know."""
        end = storm_plan.START + 2 * self.storm.half + 2 * self.storm.heartbeat_timeout
        while not self.defaulted and self.clock.next_at is not None and self.clock.next_at <= end:
            self.clock.step()


def most_held(storm: Storm) -> NaiveInStorm:
    """The run with the most instances of which none fell to its default, in steps of 1 % of the bound."""
    least, most, best = 0, _PERCENT, None
    while least + 1 < most:
        middle = (least + most) // 2
        run = NaiveInStorm(replace(storm, held=round(storm.bound * middle / _PERCENT)))
        run.run()
        if run.defaulted:
            most = middle
        else:
            least, best = middle, run
    if best is None:
        raise AssertionError("not even 1 % of the bound is held")
    return best
