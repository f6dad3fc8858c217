"""For each role something that needs all that it may do: events for the functions, hooks with targets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tests.e2e.deployed.stack import a_notice, an_action_due, an_sqs_event, make_group
from tests.factories import a_policy
from usher.aws.queues import question_body, wake_up_body
from usher.core.finding import Findings
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


def sweep_adopted(stack: Stack) -> None:
    """One to complete without a token, whose scaling activity is not known."""
    stack.records.open(an_action_due(new_id(), "in-flight", token=None), None)
    stack.invoke("Sweep", {})


def release(stack: Stack) -> None:
    """The same, while the stack is being deleted."""
    _release(stack, age_s=20, unenrol=False)


def release_adopted(stack: Stack) -> None:
    """The same, of an action without a token, whose scaling activity is not known."""
    _release(stack, age_s=20, unenrol=False, token=None)


def unenrol(stack: Stack) -> None:
    """The hooks that were put at run time go too."""
    _release(stack, age_s=20, unenrol=True)


def _release(stack: Stack, *, age_s: int, unenrol: bool, **changes: Any) -> None:
    stack.records.open(an_action_due(new_id(), "in-flight", age_s=age_s, **changes), None)
    event = {
        "RequestType": "Delete",
        "ResponseURL": _answer_url(stack),
        "StackId": "stack",
        "RequestId": new_id(),
        "LogicalResourceId": "Release",
        "ResourceProperties": {"Unenrol": str(unenrol).lower()},
    }
    stack.invoke("Release", event)


def _answer_url(stack: Stack) -> str:
    """Where CloudFormation would wait for the answer."""
    s3 = stack.account.client("s3")
    s3.create_bucket(Bucket=_ANSWERS)
    return str(s3.generate_presigned_url("put_object", {"Bucket": _ANSWERS, "Key": new_id()}))
