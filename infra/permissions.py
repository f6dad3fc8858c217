"""What the functions may do: each statement with the least resource that IAM offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from usher.core.conditions.probe import Probe

if TYPE_CHECKING:
    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_iam as iam
    from constructs import Construct

    from infra.configuration import Deployment
    from infra.functions import UsherFunction
    from usher.core.policy import Configuration, GroupSelector

ON_ACTIONS: Final = ("autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat")
PUT_HOOK: Final = "autoscaling:PutLifecycleHook"
REMOVE_HOOK: Final = "autoscaling:DeleteLifecycleHook"
# IAM offers no resource for what describes (aws-facts 4).
DESCRIBE_WAITS: Final = (
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


def grant_lifecycle_actions(function: UsherFunction) -> None:
    """Heartbeat and complete, on every group: an open action outlasts whatever named its group.

    That Usher acts on its own actions only, the code keeps (promise 5, docs/adr/0009).
    """
    function.may(ON_ACTIONS, (group_arn(function, "*"),))
    function.may(DESCRIBE_WAITS, ("*",))


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


def grant_enrolment(
    function: UsherFunction, deployment: Deployment, table: dynamodb.ITable, hook_role: iam.IRole
) -> None:
    """Put hooks where the file asks for some; delete them, with an item of theirs, wherever they stand.

    A hook on its way out is on a group that the file does not name any more (docs/adr/0009).
    """
    _grant_on_groups(function, (PUT_HOOK,), [hook.group for hook in deployment.configuration.hooks])
    function.may((REMOVE_HOOK,), (group_arn(function, "*"),))
    function.may(DESCRIBE_GROUPS, ("*",))
    function.may(DESCRIBE_WAITING, ("*",))
    function.may(("dynamodb:ConditionCheckItem",), (table.table_arn,))
    function.may(
        ("iam:PassRole",),
        (hook_role.role_arn,),
        StringEquals={"iam:PassedToService": "autoscaling.amazonaws.com"},
    )


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
