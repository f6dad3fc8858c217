"""What the functions may do: each statement with the least resource that IAM offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from usher.core.conditions.probe import Probe

if TYPE_CHECKING:
    from aws_cdk import aws_dynamodb as dynamodb
    from constructs import Construct

    from infra.configuration import Deployment
    from infra.functions import UsherFunction
    from usher.core.policy import Configuration, GroupSelector

ON_ACTIONS: Final = ("autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat")
REMOVE_HOOK: Final = "autoscaling:DeleteLifecycleHook"
ON_HOOKS: Final = ("autoscaling:PutLifecycleHook", REMOVE_HOOK)
# IAM offers no resource for what describes (aws-facts 4).
DESCRIBE_INSTANCES: Final = (
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeScalingActivities",  # whether an adopted action's move still goes on
    "autoscaling:DescribeLifecycleHooks",  # the heartbeat timeout that stands
)
DESCRIBE_GROUPS: Final = ("autoscaling:DescribeAutoScalingGroups",)
DESCRIBE_WAITING: Final = ("autoscaling:DescribeWarmPool", "ec2:DescribeInstances")


def grant_records(function: UsherFunction, table: dynamodb.ITable, *, of_several: bool) -> None:
    """Reads, also of several records at once, and conditional writes; nothing is deleted but by TTL."""
    function.may(
        (
            *(("dynamodb:BatchGetItem",) if of_several else ()),
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ),
        (table.table_arn,),
    )


def grant_due_index(function: UsherFunction, table: dynamodb.ITable, index: str) -> None:
    """The index by time of the next look, which the sweep reads."""
    function.may(("dynamodb:Query",), (f"{table.table_arn}/index/{index}",))


def grant_lifecycle_actions(function: UsherFunction, deployment: Deployment) -> None:
    """Heartbeat and complete, on the configured groups and on those that are retired."""
    _grant_on_groups(function, ON_ACTIONS, [hook.group for hook in deployment.configuration.hooks])
    if deployment.retired_groups:
        function.may(ON_ACTIONS, [group_arn(function, glob) for glob in deployment.retired_groups])
    function.may(DESCRIBE_INSTANCES, ("*",))


def grant_conditions(function: UsherFunction, configuration: Configuration) -> None:
    """What the conditions of the file's policies ask of AWS, and nothing else.

    A policy that no hook uses any more may still be an open action's.
    """
    stack = cdk.Stack.of(function)
    here = {"partition": stack.partition, "region": stack.region, "account": stack.account}
    probes = [leaf for leaf in configuration.leaves if isinstance(leaf, Probe)]
    for needed in dict.fromkeys(permission for probe in probes for permission in probe.permissions):
        resources = [resource.format(**here) for resource in needed.resources]
        equals = {key: value.format(**here) for key, value in needed.equals}
        conditions = {"StringEquals": equals} if equals else {}
        function.may(needed.actions, resources, **conditions)


def grant_enrolment(function: UsherFunction, deployment: Deployment) -> None:
    """Put and delete hooks, on groups by glob or tags only: hooks of named groups are CloudFormation's.

    The rights to describe, and to delete on retired groups, serve to remove what is wanted no more.
    """
    _grant_on_groups(function, ON_HOOKS, _enrolled(deployment))
    _grant_removal(function, deployment)
    function.may(DESCRIBE_GROUPS, ("*",))


def grant_reconcile(function: UsherFunction) -> None:
    """See which instances of the managed groups wait; the groups themselves grant_enrolment lets see."""
    function.may(DESCRIBE_WAITING, ("*",))


def grant_unenrolment(function: UsherFunction, deployment: Deployment) -> None:
    """Delete the hooks that were put at run time."""
    _grant_on_groups(function, (REMOVE_HOOK,), _enrolled(deployment))
    _grant_removal(function, deployment)


def _enrolled(deployment: Deployment) -> list[GroupSelector]:
    named = deployment.hooks_of_named_groups
    return [hook.group for hook in deployment.configuration.hooks if hook not in named]


def _grant_removal(function: UsherFunction, deployment: Deployment) -> None:
    if deployment.retired_groups:
        function.may((REMOVE_HOOK,), [group_arn(function, glob) for glob in deployment.retired_groups])


def _grant_on_groups(
    function: UsherFunction, actions: tuple[str, ...], selectors: list[GroupSelector]
) -> None:
    globs = sorted({selector.glob for selector in selectors if selector.glob is not None})
    if globs:
        function.may(actions, [group_arn(function, glob) for glob in globs])
    for selector in dict.fromkeys(selector for selector in selectors if selector.glob is None):
        tags = {f"aws:ResourceTag/{key}": value for key, value in selector.tags}
        function.may(actions, [group_arn(function, "*")], StringEquals=tags)


def arns_here(scope: Construct, service: str, resource: str) -> str:
    """The ARNs of a service's resources in this account and Region."""
    stack = cdk.Stack.of(scope)
    return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"


def group_arn(scope: Construct, name: str) -> str:
    """The ARN of a group by name or glob. Its UUID is not known before it is there (aws-facts 4)."""
    return cdk.Stack.of(scope).format_arn(
        service="autoscaling",
        resource="autoScalingGroup",
        resource_name=f"*:autoScalingGroupName/{name}",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
