"""Hooks for a group of one's own CDK app: in place before the group's first instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from aws_cdk import aws_autoscaling as autoscaling
from constructs import Construct

from usher.core.policy import Channel

if TYPE_CHECKING:
    from usher.core.policy import Configuration, Hook

_TRANSITIONS: Final = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}


class UnfitHook(Exception):  # noqa: N818 - it reads as what happened
    """A hook that cannot stand in LifecycleHookSpecificationList."""


class UsherHooks(Construct):
    """Puts every hook of `configuration` for `group_name` into `group`.

    A hook that CloudFormation makes apart comes after the group, so the first instances slip past
    it; those in LifecycleHookSpecificationList are there before. All of them must share one target
    and role (aws-facts 1.3), so all must notify by SQS. The group must carry `group_name`, and the
    app that deploys Usher must list it under `own_groups`. `inbox_arn` and `hook_role_arn` are
    outputs of the stack Usher.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        group: autoscaling.AutoScalingGroup,
        group_name: str,
        configuration: Configuration,
        inbox_arn: str,
        hook_role_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        hooks = [hook for hook in configuration.hooks if hook.group.glob and hook.group.may_fit(group_name)]
        if not hooks:
            raise UnfitHook(f"the hooks file must have a hook for group {group_name!r}, it has none")
        for hook in hooks:
            if hook.notify is not Channel.SQS:
                raise UnfitHook(
                    f"hook {hook.name!r} of group {group_name!r} must notify by sqs, not {hook.notify}"
                )
        made = cast("autoscaling.CfnAutoScalingGroup", group.node.default_child)
        made.lifecycle_hook_specification_list = [
            _specified(hook, inbox_arn, hook_role_arn) for hook in hooks
        ]


def _specified(
    hook: Hook, inbox_arn: str, hook_role_arn: str
) -> autoscaling.CfnAutoScalingGroup.LifecycleHookSpecificationProperty:
    return autoscaling.CfnAutoScalingGroup.LifecycleHookSpecificationProperty(
        lifecycle_hook_name=hook.name,
        lifecycle_transition=_TRANSITIONS[hook.transition],
        heartbeat_timeout=int(hook.heartbeat_timeout.total_seconds()),
        default_result=str(hook.default_result),
        notification_metadata=hook.metadata,
        notification_target_arn=inbox_arn,
        role_arn=hook_role_arn,
    )
