"""What a half-hour drain costs, counted: exact on any machine, so each call more is seen here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.judge.scene import Checker

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene

HOOKS: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {"drain": {"until": [{"signal": "done"}]}},
    "hooks": [
        {
            "name": "usher-wait",
            "group": "g",
            "transition": "launching",
            "heartbeat_timeout": "5m",
            "notify": "sqs",
            "policy": "drain",
        }
    ],
}


def _is_own(stamp: int) -> bool:
    """Whether a wake-up names a state. The sweep's names a version: one a minute, for all actions."""
    return stamp > 1 << 32


class Counted(Checker):
    """Counts the evaluations that `wake` begins, and the wake-ups that are sent."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.woken_by: set[int] = set()
        self.sends = 0
        self.taken: list[str] = []

    def read(self, action: Action, invocation: Invocation | None) -> None:
        del action
        if invocation is not None and any(_is_own(stamp) for _, stamp in invocation.sent_for):
            self.woken_by.add(invocation.number)

    def acknowledged(self, body: str) -> None:
        self.taken.append(body)

    def woken(self, action_id: str, version: int, *others: Any) -> None:
        del action_id, others
        self.sends += _is_own(version)


def test_half_an_hour_in_a_hook_of_five_minutes_costs_so_many_invocations_and_sends() -> None:
    """Six heartbeats and a result, each with the evaluation and a wake-up that makes up for a crash."""
    calm = Calm(HOOKS)
    counted = Counted(calm.scene)
    calm.audience.checkers.append(counted)
    calm.grow("g", 1)
    calm.pass_time(20)
    (wait,) = calm.waits["g"]
    calm.usher.inbox.send(counted.taken[0])  # a further copy
    calm.pass_time(1790)
    calm.signal(wait.instance_id, "done", "done")
    calm.pass_time(400)

    assert wait.ended_by is EndedBy.CALL
    assert (len(counted.woken_by), counted.sends) == (19, 19)
