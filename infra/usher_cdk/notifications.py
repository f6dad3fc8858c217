"""The ways in for messages: the role that hooks publish with, the topic, and the rules on the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from usher.core.conditions.command import Command
from usher_cdk.key import TO_SEND
from usher_cdk.permissions import group_arn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sqs as sqs
    from aws_cdk.interfaces.aws_events import IRuleRef

    from usher.core.policy import Channel
    from usher_cdk.configuration import Deployment
    from usher_cdk.queue import QueueWithDeadLetters

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

_COMMAND_ENDS: Final[dict[str, Any]] = {
    "source": ["aws.ssm"],
    "detail_type": ["EC2 Command Invocation Status-change Notification"],
    "detail": {"status": ["Success", "Failed", "TimedOut", "Cancelled"]},
}


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
        let_send(inbox.queue, "sns.amazonaws.com", [self.topic.topic_arn])
        sns.Subscription(
            self,
            "Inbox",
            topic=self.topic,
            protocol=sns.SubscriptionProtocol.SQS,
            raw_message_delivery=raw,
            endpoint=inbox.queue.queue_arn,
            dead_letter_queue=inbox.dead_letters,
        )


def let_send(queue: sqs.Queue, service: str, sources: Sequence[str]) -> None:
    """Let a service send to a queue, for these resources of ours and no others of the account."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service)],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": list(sources)}},
        )
    )


@jsii.implements(events.IRuleTarget)
class _ToQueue:
    """A rule's target that grants nothing by itself.

    The CDK's own opens an encrypted queue and its key to the rules of every account.
    """

    def __init__(self, to: QueueWithDeadLetters) -> None:
        self._to = to

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:  # noqa: A002, ARG002
        """Called by the CDK for each rule."""
        letters = events.CfnRule.DeadLetterConfigProperty(arn=self._to.dead_letters.queue_arn)
        return events.RuleTargetConfig(arn=self._to.queue.queue_arn, dead_letter_config=letters)


class BusRules(Construct):
    """The rules that bring events to a queue of their own: one for each kind, for all groups.

    What is ours of it intake knows. A rule by names would not hear of a hook on its way out, and
    would outgrow what a pattern takes. A flood of events of others delays no hook's own notice.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, to: QueueWithDeadLetters
    ) -> None:
        super().__init__(scope, construct_id)
        target, stack = _ToQueue(to), cdk.Stack.of(self)
        rules = [
            events.Rule(
                self,
                name,
                event_pattern=events.EventPattern(account=[stack.account], region=[stack.region], **pattern),
                targets=[target],
            )
            for name, pattern in rule_patterns(deployment)
        ]
        for queue in (to.queue, to.dead_letters):
            let_send(queue, "events.amazonaws.com", [rule.rule_arn for rule in rules])


def rule_patterns(deployment: Deployment) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each rule listens to, by its name; besides account and Region, which are ours."""
    yield "Actions", {"source": ["aws.autoscaling"], "detail_type": list(_LIFECYCLE_ACTIONS)}
    yield "Outcomes", {"source": ["aws.autoscaling"], "detail_type": list(_OUTCOMES)}
    yield "Signals", {"source": ["usher.signal"], "detail_type": ["Usher Signal"]}
    if any(isinstance(leaf, Command) for leaf in deployment.configuration.leaves):
        yield "CommandEnds", _COMMAND_ENDS
    yield (
        "InstanceEnds",
        {
            "source": ["aws.ec2"],
            "detail_type": ["EC2 Instance State-change Notification"],
            "detail": {"state": ["shutting-down", "stopped", "terminated"]},
        },
    )


def notifies_by(deployment: Deployment, way: Channel) -> bool:
    """Whether any hook of the configuration is notified that way."""
    return any(hook.notify is way for hook in deployment.configuration.hooks)
