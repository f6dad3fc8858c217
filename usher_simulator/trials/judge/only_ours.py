"""Promise 5: Usher acts on nothing that no hooks file names, and the terms of an action stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from usher.core.policy import Mode
from usher_simulator.trials.judge.known_waits import WaitChecker
from usher_simulator.trials.judge.scene import COMPLETE, DELETE_HOOK, HEARTBEAT, PUT_HOOK

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.effects import Call
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.judge.terms import Terms


class OnlyOurs(WaitChecker):
    """No call but for what the configuration named when the action began, and its terms stay."""

    promise = "5 only ours"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._may_enforce: set[str] = set()  # actions whose rule EC2 had to tell, where one of them enforces
        self._knows: set[tuple[int, str]] = set()  # invocations that read which rule was chosen for one

    def read(self, action: Action, invocation: Invocation | None) -> None:
        """From here on an invocation knows what was chosen."""
        if invocation is not None and action.id in self._may_enforce and not action.policy.candidates:
            self._knows.add((invocation.number, action.id))

    def stored(self, before: Action | None, after: Action, invocation: Invocation | None) -> None:
        """A record begins under a configuration in force, and ends under the same terms."""
        super().stored(before, after, invocation)
        if any(rule.use.mode is Mode.ENFORCE for rule in after.policy.candidates):
            self._may_enforce.add(after.id)
        wait, terms = self.wait_of(after), self.terms_of(after)
        if wait is not None and terms is not None and not _has_same_policy(before, after):
            self._check_policy(after, wait, terms)
        if before is not None:
            self._check_terms(before, after)

    def _check_policy(self, after: Action, wait: Wait, terms: Terms) -> None:
        """The record keeps a policy of its hook, as the file had it when the record began."""
        if not terms.hooks:
            self.broken(f"recorded for {wait.hook} on {wait.group}, which no hooks file names", after)
            return
        if after.policy.candidates:
            if not any(isinstance(hook["policy"], list) for _, hook in terms.hooks):
                self.broken("its policy is not chosen, though its hook has one only", after)
            return
        fine = self.scene.policies(after, wait, terms)
        if json.loads(after.policy.source) not in fine:
            self.broken(f"it is under {after.policy.source}, which is not its hook's policy", after)

    def _check_terms(self, before: Action, after: Action) -> None:
        same = (before.token or after.token, before.instance_id, before.hook.group)
        if same != (after.token, after.instance_id, after.hook.group):
            self.broken("its terms changed while it was open", after)
        if before.hook.name != after.hook.name or before.hook.default_result != after.hook.default_result:
            self.broken("the settings of its hook changed while it was open", after)
        if after.hook.heartbeat_timeout > before.hook.heartbeat_timeout:
            self.broken("its heartbeat timeout grew while it was open", after)

    def called(self, call: Call) -> None:
        """A call on a lifecycle action is for a hook that some deployed configuration named."""
        super().called(call)
        if call.operation not in (HEARTBEAT, COMPLETE, PUT_HOOK, DELETE_HOOK):
            return
        group, hook = call.parameters["AutoScalingGroupName"], call.parameters["LifecycleHookName"]
        tags = self.scene.tags[group]
        if not any(file.hooks_on(group, hook, tags) for file in self.scene.deployed):
            self.broken(f"{call.operation} on {hook} of {group}, which no configuration names")
        if call.operation not in (HEARTBEAT, COMPLETE):
            return
        action = self.scene.action_of(call.parameters)
        if action is None:
            return  # an adoption asks by the instance
        if (action.hook.group, action.hook.name) != (group, hook):
            self.broken(f"{call.operation} on {hook} of {group} for an action of {action.hook.name}", action)
        wait = self.wait_of(action)
        terms = self.terms_of(action)
        if wait is None or terms is None or "LifecycleActionToken" not in call.parameters:
            return
        by = call.invocation
        is_known = by is not None and (by.number, action.id) in self._knows
        if call.operation == HEARTBEAT and action.id in self._may_enforce and not is_known:
            return  # it may have to be held; without the table nobody knows of a choice since
        policies = self.scene.policies(action, wait, terms)
        if all(policy.get("mode") == "observe" for policy in policies):
            self.broken(f"{call.operation} in observe mode", action)


def _has_same_policy(before: Action | None, after: Action) -> bool:
    """Whether a policy that was judged already goes on. One whose rule was not chosen yet was not."""
    return before is not None and not before.policy.candidates and before.policy.source == after.policy.source
