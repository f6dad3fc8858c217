"""Promise 5: Usher acts on nothing that no hooks file names, and the terms of an action stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.judge.scene import COMPLETE, HEARTBEAT, Checker
from usher.core.policy import Mode

if TYPE_CHECKING:
    from simulator.effects import Call
    from simulator.invocations import Invocation
    from usher.core.model import Action


class OnlyOurs(Checker):
    """Promise 5: no call but for what the configuration named when the action began; its terms stay."""

    promise = "5 only ours"

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A record begins under a configuration in force, and ends under the same terms."""
        del invocation
        if before is None:
            key = (after.hook.group, after.hook.name, str(after.hook.transition))
            sources = [source for one in self.scene.in_force() for source in one.policies.get(key, ())]
            if after.policy.source not in sources:
                self.broken(f"recorded for {key} under {after.policy.source}, which is not deployed", after)
            return
        policies = {policy.source for policy in (before.policy, before.if_launch_failed) if policy}
        if after.policy.source not in policies:
            self.broken("its policy changed while it was open", after)
        same = (before.token or after.token, before.instance_id, before.hook.group)
        if same != (after.token, after.instance_id, after.hook.group):
            self.broken("its terms changed while it was open", after)
        if before.hook.name != after.hook.name or before.hook.default_result != after.hook.default_result:
            self.broken("the settings of its hook changed while it was open", after)
        if after.hook.heartbeat_timeout > before.hook.heartbeat_timeout:
            self.broken("its heartbeat timeout grew while it was open", after)

    def called(self, call: Call) -> None:
        """A call on a lifecycle action is for a hook that some deployed configuration named."""
        if call.operation not in (HEARTBEAT, COMPLETE):
            return
        named = (call.parameters["AutoScalingGroupName"], call.parameters["LifecycleHookName"])
        if not any(ours[:2] == named for one in self.scene.deployed for ours in one.policies):
            self.broken(f"{call.operation} on {named}, which no configuration names")
        action = self.scene.action_of(call.parameters)
        if action is None:
            return  # an adoption asks by the instance
        if (action.hook.group, action.hook.name) != named:
            self.broken(f"{call.operation} on {named} for an action of {action.hook.name}", action)
        if action.policy.mode is Mode.OBSERVE and "LifecycleActionToken" in call.parameters:
            self.broken(f"{call.operation} in observe mode", action)
