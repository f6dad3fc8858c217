"""The ways in for messages: the role that hooks publish with, the topic, and the rules on the bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.key import TO_SEND
from infra.permissions import arns_here, group_arn
from usher.core.conditions.command import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sqs as sqs
    from aws_cdk.interfaces.aws_events import IRuleRef

    from infra.configuration import Deployment
    from infra.queue import QueueWithDeadLetters
    from usher.core.policy import GroupSelector, Way

MOST_PATTERN_CHARACTERS: Final = 2048  # aws-facts 5
_LIFECYCLE_ACTIONS: Final = (
    "EC2 Instance-launch Lifecycle Action",
    "EC2 Instance-terminate Lifecycle Action",
)
_OUTCOMES: Final = (
    "EC2 Instance Launch Successful",
    "EC2 Instance Launch Unsuccessful",
    "EC2 Instance Terminate Successful",
    "EC2 Instance Terminate Unsuccessful",
)


class HookRole(Construct):
    """The role with which Auto Scaling publishes to the inbox, and to the topic where there is one."""

    def __init__(
        self, scope: Construct, construct_id: str, *, inbox: QueueWithDeadLetters, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            description="Auto Scaling publishes lifecycle notifications to Usher with it",
            assumed_by=iam.ServicePrincipal(
                "autoscaling.amazonaws.com",
                conditions={  # no other account's group may use it (aws-facts 4)
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": group_arn(self, "*")},
                },
            ),
        )
        self._may("sqs:SendMessage", inbox.queue.queue_arn)
        self._may("sqs:GetQueueUrl", inbox.queue.queue_arn)  # without it PutLifecycleHook fails
        if key is not None:
            self.role.add_to_policy(iam.PolicyStatement(actions=list(TO_SEND), resources=[key.key_arn]))

    def may_publish(self, topic: sns.ITopic) -> None:
        """Let hooks notify by SNS too."""
        self._may("sns:Publish", topic.topic_arn)

    def _may(self, action: str, resource: str) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))


class HookTopic(Construct):
    """The topic of hooks that notify by SNS; the inbox is subscribed, and so may be others.

    The CDK's own subscription would open the customer's key to SNS for every account.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        inbox: QueueWithDeadLetters,
        raw: bool,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", enforce_ssl=True, master_key=key)
        let_send(inbox.queue, "sns.amazonaws.com", self.topic.topic_arn)
        sns.Subscription(
            self,
            "Inbox",
            topic=self.topic,
            protocol=sns.SubscriptionProtocol.SQS,
            raw_message_delivery=raw,
            endpoint=inbox.queue.queue_arn,
            dead_letter_queue=inbox.dead_letters,
        )


def let_send(queue: sqs.Queue, service: str, source: str) -> None:
    """Let a service send to a queue, for the resources that `source` fits."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service)],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnLike": {"aws:SourceArn": source}},
        )
    )


@jsii.implements(events.IRuleTarget)
class _ToInbox:
    """A rule's target that grants nothing by itself.

    The CDK's own has a statement for each rule, which may outgrow a queue's policy (8,192 bytes,
    aws-facts 5), and opens an encrypted queue and its key to the rules of every account.
    """

    def __init__(self, inbox: QueueWithDeadLetters) -> None:
        self._inbox = inbox

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:  # noqa: A002, ARG002
        """Called by the CDK for each rule."""
        letters = events.CfnRule.DeadLetterConfigProperty(arn=self._inbox.dead_letters.queue_arn)
        return events.RuleTargetConfig(arn=self._inbox.queue.queue_arn, dead_letter_config=letters)


class BusRules(Construct):
    """The rules that bring events to the inbox: lifecycle actions, outcomes, signals, ends of instances."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, inbox: QueueWithDeadLetters
    ) -> None:
        super().__init__(scope, construct_id)
        for queue in (inbox.queue, inbox.dead_letters):
            let_send(queue, "events.amazonaws.com", arns_here(self, "events", "rule/*"))
        target = _ToInbox(inbox)
        for name, pattern in rule_patterns(deployment):
            source, kinds, detail = pattern["source"], pattern.get("detail-type"), pattern.get("detail")
            events.Rule(
                self,
                name,
                event_pattern=events.EventPattern(source=source, detail_type=kinds, detail=detail),
                targets=[target],
            )


_STATUS_OF_COMMANDS: Final[dict[str, Any]] = {
    "source": ["aws.ssm"],
    "detail-type": ["EC2 Command Invocation Status-change Notification"],
    "detail": {"status": ["Success", "Failed", "TimedOut", "Cancelled"]},
}


def rule_patterns(deployment: Deployment) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and pattern of each rule. What would pass 2,048 characters is split."""
    hooks = deployment.configuration.hooks
    names = sorted({hook.name for hook in hooks})
    yield from _split("Actions", names, lambda some: _pattern(_LIFECYCLE_ACTIONS, "LifecycleHookName", some))
    selectors = [hook.group for hook in hooks]
    if any(selector.glob is None for selector in selectors):
        yield "Outcomes0", {"source": ["aws.autoscaling"], "detail-type": list(_OUTCOMES)}
    else:
        groups = _matchers(selectors)
        yield from _split("Outcomes", groups, lambda some: _pattern(_OUTCOMES, "AutoScalingGroupName", some))
    yield "Signals", {"source": ["usher.signal"], "detail-type": ["Usher Signal"]}
    if any(isinstance(leaf, Command) for leaf in deployment.configuration.leaves):
        yield "CommandEnds", _STATUS_OF_COMMANDS
    yield (
        "InstanceEnds",
        {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Instance State-change Notification"],
            "detail": {"state": ["shutting-down", "terminated"]},
        },
    )


def _pattern(kinds: tuple[str, ...], key: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"source": ["aws.autoscaling"], "detail-type": list(kinds), "detail": {key: list(values)}}


def _matchers(selectors: Sequence[GroupSelector]) -> list[Any]:
    """How the bus matches names and globs; a backslash in a wildcard stands for itself when doubled."""
    globs = sorted({selector.glob for selector in selectors if selector.glob is not None})
    return [{"wildcard": glob.replace("\\", "\\\\")} if "*" in glob else glob for glob in globs]


def _split(
    name: str, values: Sequence[Any], pattern: Callable[[Sequence[Any]], dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """As few patterns as hold all values within the limit."""
    part: list[Any] = []
    number = 0
    for value in values:
        if part and len(json.dumps(pattern([*part, value]))) > MOST_PATTERN_CHARACTERS:
            yield f"{name}{number}", pattern(part)
            part, number = [], number + 1
        part.append(value)
    if part:
        yield f"{name}{number}", pattern(part)


def notifies_by(deployment: Deployment, way: Way) -> bool:
    """Whether any hook of the configuration is notified that way."""
    return any(hook.notify is way for hook in deployment.configuration.hooks)
