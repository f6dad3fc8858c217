"""Fault 23, with names that every release has: no heartbeat went out while one instance signalled fast."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import Request
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults
from usher_simulator.trials.deployed import TARGETS
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.deployment import Deployment

HOOKS: dict[str, Any] = {
    "version": 1,
    "policies": {"p": {"until": [{"signal": "done"}], "stalled_after": "1h"}},
    "hooks": [
        {
            "name": "h",
            "group": "g",
            "transition": "launching",
            "heartbeat_timeout": "1m",
            "policy": "p",
            "notify": "sqs",
        }
    ],
}


class Quiet(Trial):
    """Nothing happens but what the test asks for, and nothing goes wrong."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        super().__init__(5)
        self.faults.on = False
        self._outside.faults = DeliveryFaults()

    def _make_usher(self, hooks: dict[str, Any]) -> Deployment:
        del hooks
        return super()._make_usher(HOOKS)

    def _wait_began(self, wait: Wait) -> None:
        self.waits.append(wait)

    def _wait_ended(self, wait: Wait) -> None:
        """Nobody pauses launches."""


def test_heartbeats_go_out_while_sixty_signals_a_second_come() -> None:
    trial = Quiet()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CreateAutoScalingGroup", {"MinSize": 0, "MaxSize": 1, **ANY_SOURCE}),
        (
            "PutLifecycleHook",
            {
                "LifecycleHookName": "h",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": 60,
                "NotificationTargetARN": TARGETS["sqs"],
            },
        ),
        ("SetDesiredCapacity", {"DesiredCapacity": 1}),
    ]
    for number, (operation, parameters) in enumerate(calls):
        asked = {"AutoScalingGroupName": "g"} | parameters
        trial.service(Request(operation=operation, parameters=asked, request_id=f"user-{number}"))
    trial.clock.run_until(trial.clock() + timedelta(seconds=25))
    (wait,) = trial.waits
    for second in range(90):
        for number in range(60):
            event = {
                "id": f"s-{second}-{number}",
                "source": "usher.signal",
                "detail-type": "Usher Signal",
                "time": trial.clock().isoformat(timespec="seconds"),
                "detail": {"InstanceId": wait.instance_id, "Signal": "work", "Status": "progress"},
            }
            trial.usher.inbox.send(json.dumps(event))
            trial.clock.run_until(trial.clock() + timedelta(seconds=1 / 60))

    assert wait.is_open
