"""For each role something that needs all that it may do: events for the functions, hooks with targets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from tests.e2e.deployed.stack import a_notice, an_action_due, an_sqs_event, make_group
from tests.factories import a_policy
from usher.core import configuration
from usher.core.configuration import source_of
from usher.core.finding import Findings
from usher.core.hook_items import Enrolled, Target
from usher.core.queue_messages import question_body, wake_up_body
from usher.core.wanted_hooks import settings_of
from usher.provision import FILE
from usher.wiring.machine import new_id, now

if TYPE_CHECKING:
    from tests.e2e.deployed.stack import Stack

_ANSWERS: Final = "answers-to-cloudformation"


def hook(stack: Stack) -> None:
    """A hook with each target is put, which sends a test message with the role."""
    (role,) = [each for each in stack.iam.list_roles()["Roles"] if "Usher-HookRole" in each["RoleName"]]
    topics = stack.account.client("sns").list_topics()["Topics"]
    (topic,) = [each["TopicArn"] for each in topics if ":Usher-Topic" in each["TopicArn"]]
    for target in (stack.inbox_arn, topic):
        with suppress(ClientError):  # it is refused, where the test message cannot be sent
            stack.auto_scaling.put_lifecycle_hook(
                AutoScalingGroupName="stranger",
                LifecycleHookName="tried",
                LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
                NotificationTargetARN=target,
                RoleARN=role["Arn"],
            )
            stack.auto_scaling.delete_lifecycle_hook(
                AutoScalingGroupName="stranger", LifecycleHookName="tried"
            )


def intake(stack: Stack) -> None:
    """A new action, and what cannot be understood."""
    notice = a_notice("in-flight", "hold", "i-0e0e0e0e0e0e0e0e0", new_id())
    stack.invoke("Intake", an_sqs_event(notice, "{poison"))


def wake(stack: Stack) -> None:
    """An action to complete that Auto Scaling does not know."""
    action = stack.records.open(an_action_due(new_id(), "in-flight"), None)
    stack.invoke("Wake", an_sqs_event(wake_up_body(action.id, action.version)))


def wake_adopted(stack: Stack) -> None:
    """The same, of one without a token, whose scaling activity is not known."""
    action = stack.records.open(an_action_due(new_id(), "in-flight", token=None), None)
    stack.invoke("Wake", an_sqs_event(wake_up_body(action.id, action.version)))


def questions(stack: Stack) -> None:
    """A turn of an action that waits for a user's function."""
    policy = a_policy([{"function": {"name": "slow-answer", "every": "5s"}}])
    action = stack.records.open(replace(an_action_due(new_id(), "in-flight"), policy=policy), None)
    stack.records.keep_findings(action, Findings(turn=1, ask_at=now()))
    stack.invoke("Questions", an_sqs_event(question_body(action.id, 1)))


def sweep(stack: Stack) -> None:
    """The same, overdue; and a group that is to be enrolled.

    One at a time: the sweep puts a few dozen hooks an hour, and this is tried again and again.
    """
    stack.records.open(an_action_due(new_id(), "in-flight"), None)
    if all(stack.hooks(group) for group in stack.groups() if group.startswith("fleet-")):
        make_group(stack.account, f"fleet-{new_id()}")
    stack.invoke("Sweep", {"passes": True})


def sweep_taking_back(stack: Stack) -> None:
    """The same, with a hook on its way out."""
    _let_one_be_on_its_way_out(stack, "in-flight")
    sweep(stack)


def sweep_adopted(stack: Stack) -> None:
    """One to complete without a token, whose scaling activity is not known."""
    stack.records.open(an_action_due(new_id(), "in-flight", token=None), None)
    stack.invoke("Sweep", {})


def deploy(stack: Stack) -> None:
    """A hook that was removed by hand."""
    with suppress(ClientError):
        stack.auto_scaling.delete_lifecycle_hook(AutoScalingGroupName="in-flight", LifecycleHookName="hold")
    event = {
        "RequestType": "Update",
        "ResponseURL": _answer_url(stack),
        "StackId": stack.id,
        "RequestId": new_id(),
        "LogicalResourceId": "Hooks",
        "ResourceProperties": {FILE: stack.file},
    }
    stack.invoke("Provision", event)


def deploy_taking_back(stack: Stack) -> None:
    """The same, and one on its way out in which nobody waits; the group has a pool."""
    _let_one_be_on_its_way_out(stack, "in-flight")
    deploy(stack)


def _let_one_be_on_its_way_out(stack: Stack, group: str) -> None:
    """A hook that the file does not ask for, seen quiet long enough ago."""
    (found,) = stack.auto_scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
        "AutoScalingGroups"
    ]
    named = {"AutoScalingGroupName": group, "LifecycleHookName": f"left-{new_id()[:8]}"}
    stack.auto_scaling.put_lifecycle_hook(
        **named, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING", HeartbeatTimeout=600
    )
    ago = now() - timedelta(minutes=1)
    hook = {"name": named["LifecycleHookName"], "group": group, "transition": "launching", "policy": "p"}
    data = {"version": 1, "policies": {"p": {"until": []}}, "hooks": [hook | {"heartbeat_timeout": "10m"}]}
    (asked,) = configuration.parse(data).hooks
    item = Enrolled(
        group=group,
        group_arn=found["AutoScalingGroupARN"],
        hook=asked.name,
        settings=settings_of(asked, Target(arn=None)),
        source=source_of(asked),
        put_at=ago,
    )
    stack.items.keep(replace(item.retired(ago, ago), quiet_at=ago))


def _answer_url(stack: Stack) -> str:
    """Where CloudFormation would wait for the answer."""
    s3 = stack.account.client("s3")
    s3.create_bucket(Bucket=_ANSWERS)
    return str(s3.generate_presigned_url("put_object", {"Bucket": _ANSWERS, "Key": new_id()}))
