"""The rule of the peers in the same storm: a heartbeat for each action every T/2, and no pacing.

A call that is throttled is tried again as an SDK does it: twice, after a random part of one second
and of two. A result that was throttled to the end is sent again with the next heartbeat's turn.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks import storm_plan
from benchmarks.storm_world import StormWorld
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.trials.invocations import Invocation

if TYPE_CHECKING:
    from benchmarks.storm_plan import Held, Storm

_RETRIES: Final = 2
_PERCENT: Final = 100
_LONGEST: Final = timedelta(hours=48)


class NaiveInStorm(StormWorld):
    """Runs one storm, with as many workers as there are instances."""

    def begins(self, held: Held) -> None:
        """A worker of its own looks after each instance."""
        super().begins(held)
        worker = Invocation(function="worker", timeout=_LONGEST)
        self.clock.at(
            self.clock(), lambda: self.invocations.start(worker, lambda _: self._keep(held), _ended)
        )

    def _keep(self, held: Held) -> None:
        """Beat until the work is done, then complete; an action that has ended is let go."""
        turn = held.started_at + self.storm.heartbeat_timeout / 2
        while not self._is_over(held):
            done = self.clock() >= held.done_at
            if done:
                self._call("CompleteLifecycleAction", held, LifecycleActionResult="CONTINUE")
            elif self.clock() >= turn:
                self._call("RecordLifecycleActionHeartbeat", held)
            while turn <= self.clock():
                turn += self.storm.heartbeat_timeout / 2
            self.invocations.pause((turn if done else min(turn, held.done_at)) - self.clock())

    def _call(self, operation: str, held: Held, **more: str) -> None:
        parameters = {
            "AutoScalingGroupName": storm_plan.GROUP,
            "LifecycleHookName": storm_plan.HOOK,
            "LifecycleActionToken": self.waits[held.instance_id].token,
            **more,
        }
        for tried in range(_RETRIES + 1):
            try:
                self.door(Request(operation=operation, parameters=parameters))
            except ApiError as error:
                if error.code != "Throttling" or tried == _RETRIES:
                    return
                self.invocations.pause(self.random.random() * 2**tried * timedelta(seconds=1))
            else:
                return

    def _is_over(self, held: Held) -> bool:
        return not self.waits[held.instance_id].is_open

    def run(self) -> None:
        """Until all is over, or until one fell to its default: that is enough to know."""
        end = storm_plan.START + 2 * self.storm.half + 2 * self.storm.heartbeat_timeout
        while not self.defaulted and self.clock.next_at is not None and self.clock.next_at <= end:
            self.clock.step()


def _ended(_: object, error: BaseException | None) -> None:
    if error is not None:
        raise error


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
