"""The deployed simulation without a fault and without a drawn scenario: a test says what happens."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import Request
from usher_simulator.trials.deployed import ROLE, TARGETS
from usher_simulator.trials.faults import Swarm, Thing
from usher_simulator.trials.policy_model import Said
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.surroundings import Surroundings

_TRANSITIONS = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


class Calm(Trial):
    """Groups and hooks as `hooks` has them; every wait is kept, by group."""

    things: ClassVar[frozenset[Thing]] = frozenset()  # what else goes on

    def __init__(
        self,
        hooks: dict[str, Any],
        *,
        standing_s: int = 0,
        most: int = 1000,
        swarm: Swarm | None = None,
        surroundings: Surroundings | None = None,
        tells: bool = False,
    ) -> None:
        """`standing_s`: the heartbeat timeout that the hooks on the groups have, whatever the file says."""
        self.waits: dict[str, list[Wait]] = {}
        self._said = 0
        super().__init__(
            5, hooks=hooks, swarm=swarm or Swarm(things=self.things), surroundings=surroundings, tells=tells
        )
        for group in dict.fromkeys(hook["group"] for hook in hooks["hooks"]):
            self.ask(
                "CreateAutoScalingGroup", AutoScalingGroupName=group, MinSize=0, MaxSize=most, **ANY_SOURCE
            )
        for hook in self.usher.configuration.hooks if not self.scene.is_enrolled else ():
            self.ask(
                "PutLifecycleHook",
                AutoScalingGroupName=str(hook.group),
                LifecycleHookName=hook.name,
                LifecycleTransition=_TRANSITIONS[hook.transition],
                HeartbeatTimeout=standing_s or int(hook.heartbeat_timeout.total_seconds()),
                DefaultResult=hook.default_result,
                NotificationTargetARN=TARGETS["sqs"],
                RoleARN=ROLE,
            )

    def ask(self, operation: str, **parameters: object) -> None:
        """A call of the user's on Auto Scaling."""
        self._said += 1
        self.service(Request(operation=operation, parameters=parameters, request_id=f"user-{self._said:06d}"))

    def grow(self, group: str, size: int) -> None:
        """Set the desired capacity."""
        self.ask("SetDesiredCapacity", AutoScalingGroupName=group, DesiredCapacity=size)

    def signal(self, instance_id: str, name: str, status: str, message: str = "") -> None:
        """The workload sends a signal now."""
        self.usher.inbox.send(self._signalled(instance_id, name, status, message))

    def _signalled(self, instance_id: str, name: str, status: str, message: str = "") -> str:
        """The event of a signal that is sent now, dated in whole seconds as events are."""
        self._said += 1
        detail = {"InstanceId": instance_id, "Signal": name, "Status": status, "Message": message}
        event = {"id": f"signal-{self._said:06d}", "source": "usher.signal", "detail-type": "Usher Signal"}
        event["time"] = self.clock().isoformat(timespec="seconds")
        at = self.clock().replace(microsecond=0)
        self.scene.sent[event["id"]] = Said(
            event_id=event["id"], name=name, status=status, at=at, instance_id=instance_id
        )
        return json.dumps(event | {"detail": detail})

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that is due."""
        self.clock.run_until(self.clock() + timedelta(seconds=seconds))

    def fallen(self, group: str) -> Sequence[Wait]:
        """The waits of a group that are over."""
        return [wait for wait in self.waits[group] if not wait.is_open]

    def _wait_began(self, wait: Wait) -> None:
        self.waits.setdefault(wait.group, []).append(wait)

    def _wait_ended(self, wait: Wait) -> None:
        self.audience.wait_ended(wait)
