"""What the functions may do: each statement with the least resource that IAM offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from usher.aws.file_versions import PARTITION
from usher.aws.table import INDEXES
from usher_hooksfile.size import in_iam, in_line, packed, to_ask, to_put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_dynamodb as dynamodb
    from constructs import Construct

    from usher.core.conditions.probe import Permission
    from usher.core.policy import Configuration, GroupSelector
    from usher_cdk.functions import UsherFunction
    from usher_hooksfile.size import Right

ON_ACTIONS: Final = ("autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat")
PUT_HOOK: Final = "autoscaling:PutLifecycleHook"
REMOVE_HOOK: Final = "autoscaling:DeleteLifecycleHook"
_WRITES: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem")
# IAM offers no resource for what describes (aws-facts 4).
DESCRIBE_WAITS: Final = (
    "autoscaling:DescribeScalingActivities",  # whether an adopted action's move still goes on
    "autoscaling:DescribeLifecycleHooks",  # the heartbeat timeout that stands
)
DESCRIBE_GROUPS: Final = ("autoscaling:DescribeAutoScalingGroups",)
DESCRIBE_WAITING: Final = ("autoscaling:DescribeWarmPool", "ec2:DescribeInstances")


def grant_records(function: UsherFunction, table: dynamodb.ITable, *, of_several: bool) -> None:
    """Reads, also of several records at once, and conditional writes; nothing is deleted but by TTL.

    No function writes what people apply: it says which documents run (docs/adr/0025).
    """
    function.may(
        (
            *(("dynamodb:BatchGetItem",) if of_several else ()),
            "dynamodb:GetItem",
            "dynamodb:Query",
            *_WRITES,
        ),
        (table.table_arn,),
    )
    applied = {"dynamodb:LeadingKeys": [PARTITION]}
    function.may_not(_WRITES, (table.table_arn,), **{"ForAnyValue:StringEquals": applied})


def grant_indexes(function: UsherFunction, table: dynamodb.ITable) -> None:
    """The index of the actions, and the one of the release before, which functions of then still query."""
    indexes = tuple(f"{table.table_arn}/index/{index}" for index in reversed(INDEXES))
    function.may(("dynamodb:Query", "dynamodb:Scan"), indexes)


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
    needed = to_ask(configuration)
    if in_line(needed):
        for right in needed:
            function.role.add_to_policy(_asking(function, right.of))
        return
    for number, few in enumerate(packed(needed), start=1):
        statements = [_asking(function, right.of) for right in few]
        iam.ManagedPolicy(function, f"Asks{number}", roles=[function.role], statements=statements)


def _asking(scope: Construct, needed: Permission) -> iam.PolicyStatement:
    stack = cdk.Stack.of(scope)
    here = {"partition": stack.partition, "region": stack.region, "account": stack.account}
    equals = {key: value.format(**here) for key, value in needed.equals}
    return iam.PolicyStatement(
        actions=list(needed.actions),
        resources=[resource.format(**here) for resource in needed.resources],
        conditions={"StringEquals": equals} if equals else {},
    )


def grant_enrolment(function: UsherFunction, table: dynamodb.ITable, hook_role: iam.IRole) -> None:
    """All that enrolment may do but put hooks: delete them, with an item of theirs, wherever they stand.

    A hook on its way out is on a group that the file does not name any more (docs/adr/0009).
    """
    function.may((REMOVE_HOOK,), (group_arn(function, "*"),))
    function.may(DESCRIBE_GROUPS, ("*",))
    function.may(DESCRIBE_WAITING, ("*",))
    function.may(("dynamodb:ConditionCheckItem",), (table.table_arn,))
    function.may(
        ("iam:PassRole",),
        (hook_role.role_arn,),
        StringEquals={"iam:PassedToService": "autoscaling.amazonaws.com"},
    )


def grant_putting(scope: UsherFunction, functions: Sequence[UsherFunction], of: Configuration) -> None:
    """Put hooks on the groups that the file asks for: among the other rights, or in policies of their own.

    Policies that several functions share are made in `scope`.
    """
    needed = to_put(of)
    if in_line(needed):
        for function in functions:
            for statement in _to_put(function, needed):
                function.role.add_to_policy(statement)
        return
    roles = [function.role for function in functions]
    for number, few in enumerate(packed(needed), start=1):
        iam.ManagedPolicy(scope, f"Groups{number}", roles=roles, statements=_to_put(scope, few))


def _to_put(scope: Construct, needed: Sequence[Right[GroupSelector]]) -> list[iam.PolicyStatement]:
    globs = [in_iam(right.of.glob, is_pattern=True) for right in needed if right.of.glob is not None]
    statements = [_putting([group_arn(scope, glob) for glob in sorted(globs)])] if globs else []
    for right in needed:
        if right.of.glob is None:
            tags = {f"aws:ResourceTag/{key}": in_iam(value, is_pattern=False) for key, value in right.of.tags}
            statements.append(_putting([group_arn(scope, "*")], {"StringEquals": tags}))
    return statements


def _putting(resources: list[str], conditions: Mapping[str, Any] | None = None) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[PUT_HOOK], resources=resources, conditions=conditions)


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
