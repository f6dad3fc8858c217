"""The stack of the hooks on groups that are known by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling

from infra.release import ReleaseFirst

if TYPE_CHECKING:
    from constructs import Construct

    from infra.configuration import Deployment
    from infra.controller import Controller
    from usher.core.policy import Hook

TRANSITIONS = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


class Hooks(cdk.Stack):
    """One hook a resource. The controller stands before them, so that each test message gets through."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, controller: Controller
    ) -> None:
        super().__init__(scope, construct_id, description="Usher: lifecycle hooks on groups known by name")
        self.add_stack_dependency(controller)
        made = [self._hook(hook, controller) for hook in deployment.hooks_apart]
        if made:
            release = controller.release.function
            ReleaseFirst(self, "ReleaseFirst", function=release, before=made)

    def _hook(self, hook: Hook, controller: Controller) -> autoscaling.CfnLifecycleHook:
        target, role = controller.target_of(hook.notify)
        return autoscaling.CfnLifecycleHook(
            self,
            _logical_name(hook),
            auto_scaling_group_name=str(hook.group.glob),
            lifecycle_hook_name=hook.name,
            lifecycle_transition=TRANSITIONS[hook.transition],
            heartbeat_timeout=int(hook.heartbeat_timeout.total_seconds()),
            default_result=str(hook.default_result),
            notification_metadata=hook.metadata,
            notification_target_arn=target,
            role_arn=role,
        )


def _logical_name(hook: Hook) -> str:
    """Stable for a hook, whatever stands beside it: group and name, kept apart by their lengths."""
    plain = re.sub(r"[^A-Za-z0-9]", "", f"{hook.group.glob}{hook.name}")
    return f"{plain}{len(str(hook.group.glob))}x{len(hook.name)}"
