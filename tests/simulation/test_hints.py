"""Events that bring the next evaluation forward: the end of an instance, and of a command."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_finding, an_action, at
from tests.message_samples import with_detail
from tests.unit.test_handlers import Stage, message
from usher.core import configuration, messages
from usher.core.finding import Finding, Findings
from usher.core.notifications import CommandEnd, InstanceEnd, InstanceState, NotUnderstood, Unrelated
from usher.ports.records import Raw

if TYPE_CHECKING:
    from usher.core.action import Action

INSTANCE = "i-0f0e0d0c0b0a09080"
COMMAND = "0831e1a8-a1ac-4257-a1fd-c831bExample"


def state_change(state: object, instance_id: object = INSTANCE) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "ee376907-2647-4179-9203-343cfb3017a4",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": "2026-03-01T11:58:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "state": state},
    }


def command_status(status: object = "Success", command_id: object = COMMAND) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "51c0891d-0e34-45b1-83d6-95db273d1602",
        "detail-type": "EC2 Command Invocation Status-change Notification",
        "source": "aws.ssm",
        "account": "123456789012",
        "time": "2026-03-01T12:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{INSTANCE}"],
        "detail": {"command-id": command_id, "instance-id": INSTANCE, "status": status},
    }


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_ending_instance_is_read(state: str) -> None:
    assert messages.read(json.dumps(state_change(state))) == InstanceEnd(
        instance_id=INSTANCE, at=at(-120), detail=f"EC2 Instance State-change Notification: {state}"
    )


@pytest.mark.parametrize(
    ("state", "is_stopped"), [("pending", False), ("running", False), ("stopping", False), ("stopped", True)]
)
def test_no_other_state_is_an_end(state: str, *, is_stopped: bool) -> None:
    """A stopped instance may be one of a warm pool."""
    assert messages.read(json.dumps(state_change(state))) == InstanceState(
        instance_id=INSTANCE,
        at=at(-120),
        is_stopped=is_stopped,
        detail=f"EC2 Instance State-change Notification: {state}",
    )


def test_a_state_that_is_not_known_says_nothing() -> None:
    assert isinstance(messages.read(json.dumps(state_change("hibernated"))), Unrelated)


@pytest.mark.parametrize(
    "event",
    [state_change(7), state_change("terminated", "my-instance"), command_status(command_id=None)],
    ids=["a state that is no text", "an instance id that is none", "a command without an id"],
)
def test_a_hint_that_makes_no_sense_is_not_understood(event: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        messages.read(json.dumps(event))


def test_a_commands_end_is_read() -> None:
    assert messages.read(json.dumps(command_status())) == CommandEnd(
        instance_id=INSTANCE,
        command_id=COMMAND,
        at=at(0),
        detail="EC2 Command Invocation Status-change Notification: Success",
    )


def opened(stage: Stage, action: Action) -> Action:
    return stage.store.open(action, Raw(received_at=at(0), body="{}"))


def test_an_instance_that_ended_brings_the_evaluation_of_its_open_actions_forward() -> None:
    stage = Stage()
    opened(stage, an_action(evaluate_at=at(1000)))

    stage.intake.take(json.dumps(state_change("terminated")), "sqs")

    kept = stage.store.load("action-1")
    assert kept is not None
    assert (kept.evaluate_at, stage.store.evidence(kept).instance_ended_at) == (at(0), at(-120))
    assert [delay.total_seconds() for _, _, delay in stage.woken] == [0]


def test_an_instance_that_ended_before_its_action_was_known_is_remembered() -> None:
    """A Spot instance ends first; Auto Scaling notices later, and only then runs the termination hook."""
    stage = Stage()
    stage.intake.take(json.dumps(state_change("shutting-down")), "sqs")
    opened(stage, an_action())

    stage.evaluator.evaluate("action-1")

    closed = stage.store.load("action-1")
    assert closed is not None
    assert closed.reason == "EC2 has already ended the instance"


def follower(command_id: str) -> Finding:
    return a_finding(
        condition="command drain #1", asked_at=at(0), ask_again_at=at(10), memory={"command_id": command_id}
    )


def test_the_end_of_a_command_has_the_condition_that_follows_it_asked_at_once() -> None:
    stage = Stage()
    action = opened(stage, an_action(evaluate_at=at(1000)))
    others = replace(follower("x"), condition="y")
    stage.store.keep_findings(action, Findings(turn=1, found=(follower(COMMAND), others), ask_at=at(10)))

    stage.intake.take(json.dumps(command_status()), "sqs")

    kept = stage.store.findings("action-1")
    assert kept is not None
    assert [found.ask_again_at for found in kept.found] == [at(0), at(10)]
    assert (kept.turn, kept.ask_at) == (2, at(0))
    assert stage.questions.sent == [("action-1", 2, timedelta(0))]
    assert stage.store.load("action-1") == action


def test_the_end_of_somebody_elses_command_changes_nothing() -> None:
    stage = Stage()
    action = opened(stage, an_action(evaluate_at=at(1000)))
    stage.store.keep_findings(action, Findings(turn=1, found=(follower("another"),), ask_at=at(10)))

    stage.intake.take(json.dumps(command_status()), "sqs")

    kept = stage.store.load("action-1")
    assert kept is not None
    assert stage.questions.sent == []
    assert (kept.evaluate_at, kept.version, stage.woken) == (at(1000), 1, [])


def test_a_failed_launch_is_known_by_its_event_alone() -> None:
    """Where no launching hook is ours, nothing but the event tells of the launch."""
    stage = Stage()
    of = {"AutoScalingGroupName": "workers-1", "EC2InstanceId": INSTANCE}
    failed = with_detail("outcome-launch-unsuccessful", **of, StartTime=None, EndTime="2026-03-01T11:59:58Z")
    waits = message(INSTANCE) | {"AutoScalingGroupName": "workers-1", "LifecycleHookName": "usher-drain"}
    rules = [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "wait"}]
    hook = {"name": "usher-drain", "group": "workers-1", "transition": "terminating", "policy": rules}
    policies = {"wait": {"until": [{"signal": "done"}]}, "park": {"until": []}}
    found = configuration.parse({"version": 1, "policies": policies, "hooks": [hook]})
    intake = replace(stage.intake, configuration=found)

    intake.take(json.dumps(failed), "sqs")
    intake.take(json.dumps(waits), "sqs")

    (action,) = stage.store.of_instance(INSTANCE)
    assert action.policy.name == "park"
