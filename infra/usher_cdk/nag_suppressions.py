"""What cdk-nag's rules find in the stacks and what stays so: each finding by itself, with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from usher_hooksfile.size import in_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constructs import Construct

    from usher_cdk.configuration import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledgement:
    """One finding of one rule on one resource."""

    path: str  # of the construct, from its app
    rule: str
    reason: str


_NEVER_VPC: Final = (
    "It calls public AWS endpoints only, over TLS and with IAM, and nothing reaches it by network. In a VPC "
    "it would hang on a NAT gateway or on an endpoint for each service, and what waits falls to its default "
    "when one of those fails."
)
_RUNTIME: Final = (
    "AWS supports Python 3.13 until June 2029. The asset is built for it, and `make invoke` runs it so: they "
    "move together."
)
_RESERVATION: Final = (
    "A reservation must leave 100 of the account's concurrency to others, which a new account does not have: "
    "it could not be deployed."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Function:
    letters: str  # why it has no DeadLetterConfig
    bound: str  # what bounds its concurrency
    describes: str = ", of what describes instances and activities"  # what else IAM has no resource for


_MAPPED: Final = "Its event source mapping bounds how many run at once."
_FUNCTIONS: Final = {
    "Intake": _Function(
        letters="Its queue redrives to dead letters. A direct invocation that fails goes to the inbox, by an "
        "on-failure destination.",
        bound=f"{_MAPPED} Auto Scaling invokes it once for each action.",
        describes="",
    ),
    "Wake": _Function(
        letters="Nothing but its queue invokes it, and that redrives to dead letters.", bound=_MAPPED
    ),
    "Questions": _Function(
        letters="Nothing but its queue invokes it, and that redrives to dead letters.",
        bound=_MAPPED,
        describes=", nor of what the conditions describe",
    ),
    "Sweep": _Function(
        letters="A run that fails leaves nothing behind: the next one comes in a minute; SweepErrors tells.",
        bound="Its schedule starts it once a minute, and it ends within one.",
        describes=", of what describes instances, activities, groups and hooks",
    ),
    "Provision": _Function(
        letters="CloudFormation invokes it and waits for its answer: a failure stands in the stack's events.",
        bound="CloudFormation starts it when the stack is made, changed or deleted.",
        describes=", of what describes instances, activities, groups and hooks",
    ),
}
_ANNOUNCE: Final = _Function(
    letters="Nothing but its stream invokes it, and what fails stays in there for a day.",
    bound="Its event source mapping runs it once at a time for each shard of the stream.",
    describes=", of ListStreams",
)
_PUTS: Final = ("Sweep", "Provision")
_ON_GROUPS: Final = ("Wake", "Sweep", "Provision")
_MAPPINGS: Final = (
    "Usher/Intake/Function/SqsEventSource:UsherInboxQueue8BF38892/Resource",
    "Usher/Intake/Function/SqsEventSource:UsherEventsQueueA0A81B5D/Resource",
    "Usher/Wake/Function/SqsEventSource:UsherWakeUpsQueue78AE8B70/Resource",
    "Usher/Questions/Function/SqsEventSource:UsherQuestionsQueue9CD439AE/Resource",
)
_ROLES: Final = ("HookRole", "Intake", "Wake", "Questions", "Sweep", "Provision", "Schedule")


def acknowledge(app: cdk.App, deployment: Deployment) -> None:
    """Write the acknowledgements into the constructs, where cdk-nag looks for them."""
    for each in acknowledgements(deployment):
        place: Construct = app
        for name in each.path.split("/"):
            place = place.node.find_child(name)  # type: ignore[assignment] # its stub says IConstruct
        cdk.Validations.of(place).acknowledge(cdk.Acknowledgment(id=each.rule, reason=each.reason))


def acknowledgements(deployment: Deployment) -> Iterator[Acknowledgement]:
    """All that `deployment` needs, and no more."""
    for name, function in _functions(deployment).items():
        yield from _of_function(name, function)
    yield from _of_queues()
    if deployment.announce:
        yield Acknowledgement(
            path="Usher/Announce/Function/Stream/Resource",
            rule="Serverless-LambdaEventSourceMappingDestination",
            reason="What the bus refuses is tried for a day, and an alarm tells of it after 15 minutes: what "
            "is older has no news for anyone.",
        )
    yield from _of_roles(deployment)
    yield from _of_data(deployment)
    if not deployment.customer_key:
        yield from _without_customer_key(deployment)
    if deployment.demo:
        yield from _of_demo()


def _functions(deployment: Deployment) -> dict[str, _Function]:
    return _FUNCTIONS | ({"Announce": _ANNOUNCE} if deployment.announce else {})


def _of_function(name: str, function: _Function) -> Iterator[Acknowledgement]:
    for rule, reason in (
        ("AwsSolutions-L1", _RUNTIME),
        ("Serverless-LambdaLatestVersion", _RUNTIME),
        ("Serverless-LambdaDLQ", function.letters),
        ("NIST.800.53.R5-LambdaDLQ", function.letters),
        ("NIST.800.53.R5-LambdaConcurrency", f"{function.bound} {_RESERVATION}"),
        ("NIST.800.53.R5-LambdaInsideVPC", _NEVER_VPC),
    ):
        yield Acknowledgement(path=f"Usher/{name}/Function/Resource", rule=rule, reason=reason)
    of = function.describes if name == "Sweep" else f" of X-Ray's Put calls{function.describes}"
    yield Acknowledgement(
        path=f"Usher/{name}/Role/DefaultPolicy/Resource",
        rule="AwsSolutions-IAM5[Resource::*]",
        reason=f"IAM knows no resource{of.removeprefix(',')}: it is all or nothing.",
    )
    if name == "Sweep":
        yield Acknowledgement(
            path="Usher/Sweep/Function/Resource",
            rule="Serverless-LambdaTracing",
            reason="It runs each minute, and X-Ray would take each run: the log has its time (ADR 35).",
        )


def _of_queues() -> Iterator[Acknowledgement]:
    for name in ("Inbox", "Events", "WakeUps", "QuestionsQueue", "Schedule"):
        yield Acknowledgement(
            path=f"Usher/{name}/DeadLetters/Resource",
            rule="Serverless-SQSRedrivePolicy",
            reason="It is itself where dead letters go, and stay until somebody looks.",
        )
    yield Acknowledgement(
        path="Usher/Schedule/DeadLetters/Resource",
        rule="AwsSolutions-SQS3",
        reason="It is where the dead letters of the schedule go: no queue redrives to it.",
    )
    yield Acknowledgement(
        path="Usher/Sweep/Failures",
        rule="Serverless-LambdaAsyncFailureDestination",
        reason="A run that fails has nothing in it that the next one, a minute later, does not do.",
    )
    for path in _MAPPINGS:
        yield Acknowledgement(
            path=path,
            rule="Serverless-LambdaEventSourceMappingDestination",
            reason="A mapping of an SQS queue takes no on-failure destination: the queue redrives by itself.",
        )


def _of_roles(deployment: Deployment) -> Iterator[Acknowledgement]:
    for name in (*_ROLES, *(["Announce"] if deployment.announce else [])):
        yield Acknowledgement(
            path=f"Usher/{name}/Role/DefaultPolicy/Resource",
            rule="NIST.800.53.R5-IAMNoInlinePolicy",
            reason="It is of this role alone and goes with it. A managed policy could be attached elsewhere.",
        )
    globs = {in_iam(hook.group.glob or "*", is_pattern=True) for hook in deployment.configuration.hooks}
    for glob in sorted({*globs, "*"}):
        if re.search(r"[\s()\[\]{}]", glob):
            continue  # no id of a rule may have these: such a group stays a finding
        for name in _ON_GROUPS if glob == "*" else _PUTS:
            yield Acknowledgement(
                path=f"Usher/{name}/Role/DefaultPolicy/Resource",
                rule=f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:autoscaling:<AWS::Region>:"
                f"<AWS::AccountId>:autoScalingGroup:*:autoScalingGroupName/{glob}]",
                reason=_why_by_name(glob),
            )


def _why_by_name(glob: str) -> str:
    unknown = "A group's ARN has a UUID, which nobody knows before the group is there."
    if glob == "*":
        return f"{unknown} Open actions, and hooks on their way out, outlast what named their groups."
    return f"{unknown} The name bounds the grant to what the hooks file has."


def _of_data(deployment: Deployment) -> Iterator[Acknowledgement]:
    yield Acknowledgement(
        path="Usher/Records/Table/Resource",
        rule="NIST.800.53.R5-DynamoDBInBackupPlan",
        reason="It has point-in-time recovery, and its records live for days: an older backup would bring "
        "back nothing but actions that are over.",
    )
    if deployment.alarm_email is not None:
        yield Acknowledgement(
            path=f"Usher/Watch/Alarms/{deployment.alarm_email}/Resource",
            rule="Serverless-SNSRedrivePolicy",
            reason="An alarm stands in CloudWatch until it is over, whether or not its mail arrives.",
        )


def _without_customer_key(deployment: Deployment) -> Iterator[Acknowledgement]:
    for name in _functions(deployment):
        yield Acknowledgement(
            path=f"Usher/{name}/Logs/Resource",
            rule="NIST.800.53.R5-CloudWatchLogGroupEncrypted",
            reason="CloudWatch Logs encrypts it under a key of AWS; `customer_key` puts it under a key of "
            "the account.",
        )
    for topic in ("Watch/Alarms", "Topic/Topic"):
        yield Acknowledgement(
            path=f"Usher/{topic}/Resource",
            rule="NIST.800.53.R5-SNSEncryptedKMS",
            reason="No service may publish to a topic under the key that AWS manages; `customer_key` puts it "
            "under a key of the account.",
        )


def _of_demo() -> Iterator[Acknowledgement]:
    closed = "Nothing flows in it: its subnets are isolated, and its one security group has no rule."
    for path, rule, reason in (
        ("Vpc/Resource", "AwsSolutions-VPC7", closed),
        ("Vpc/Resource", "NIST.800.53.R5-VPCFlowLogsEnabled", closed),
        (
            "Vpc/Resource",
            "NIST.800.53.R5-VPCDefaultSecurityGroupClosed",
            "Nothing is in its default security group: the instances have one of their own, without rules.",
        ),
        ("Group/ASG", "AwsSolutions-AS3", "Usher itself shows what the group launches and terminates."),
    ):
        yield Acknowledgement(path=f"UsherDemo/{path}", rule=rule, reason=reason)
