"""The functions as they are wired for Lambda, against the DynamoDB and SQS of moto."""

from __future__ import annotations

import importlib
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import FileVersionsTable
from usher.aws.table import definition
from usher.core.compiled import compiled
from usher.core.file_versions import CACHED, NO_VERSION, NOTICE, FileVersion
from usher.core.hook_items import FileInForce
from usher.ports.errors import Unavailable
from usher.settings import SettingsRefused
from usher.wiring import machine
from usher.wiring.parts import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOKS: dict[str, Any] = {
    "version": 1,
    "policies": {"p": {"until": [{"elapsed": "10m"}]}},
    "hooks": [{"name": "drain", "group": "web", "transition": "terminating", "policy": "p"}],
}


@pytest.fixture
def wake_ups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account with the table and the queues, and the environment of a function in it."""
    hooks = tmp_path / "hooks.json"
    hooks.write_text(compiled(HOOKS).text)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "USHER_TABLE": "records",
        "USHER_CALLS_PER_SECOND": "10",
        "USHER_HOOKS": str(hooks),
        "USHER_INBOX_ARN": "arn:aws:sqs:us-east-1:123456789012:inbox",
        "USHER_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
        "USHER_INTAKE_ARN": "arn:aws:lambda:us-east-1:123456789012:function:intake",
        "USHER_HOOK_ROLE_ARN": "arn:aws:iam::123456789012:role/usher",
        "USHER_ENROLMENTS_PER_HOUR": "50",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("dynamodb").create_table(**definition("records"))
        queues = boto3.client("sqs")
        urls = [queues.create_queue(QueueName=name)["QueueUrl"] for name in ("wake-ups", "dead", "questions")]
        monkeypatch.setenv("USHER_WAKE_UPS_URL", urls[0])
        monkeypatch.setenv("USHER_DEAD_LETTERS_URL", urls[1])
        monkeypatch.setenv("USHER_QUESTIONS_URL", urls[2])
        parts.cache_clear()
        yield urls[0]
    parts.cache_clear()


def function(name: str) -> Any:
    """The handler of functions/NAME.py, imported anew as a cold start does."""
    sys.modules.pop(name, None)
    return importlib.import_module(name).handler


def sqs_event(body: object) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": text}]}


MESSAGE = {
    "LifecycleHookName": "drain",
    "AutoScalingGroupName": "web",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "EC2InstanceId": "i-0123456789abcdef0",
    "LifecycleActionToken": "11111111-2222-4333-8444-555555555555",
}


def received(url: str) -> list[str]:
    answer = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def test_a_message_becomes_a_record_and_its_wake_up_an_evaluation(wake_ups: str) -> None:
    message = MESSAGE | {"Time": machine.now().isoformat()}
    assert function("intake")(sqs_event(message), None) == {"batchItemFailures": []}
    wake_up, *_ = received(wake_ups)
    assert function("wake")(sqs_event(wake_up), None) == {"batchItemFailures": []}
    store = parts().evaluator.store
    action = store.of_token(MESSAGE["LifecycleActionToken"])
    assert action is not None
    assert [line.event for line in store.timeline(action.id)] == ["notified", "wait"]
    assert [due.action_id for due in store.due(machine.now() + timedelta(hours=2))] == [action.id]
    assert action.version == 2


def a_group(client: Any, name: str) -> None:
    client.create_launch_configuration(
        LaunchConfigurationName="l", ImageId="ami-12345678", InstanceType="t3.nano"
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName="l",
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=["us-east-1a"],
    )


@pytest.mark.parametrize(("minute", "expected"), [(0, ["drain"]), (1, [])], ids=["even", "odd"])
def test_every_second_sweep_enrols_the_groups_that_fit(
    wake_ups: str, monkeypatch: pytest.MonkeyPatch, minute: int, expected: list[str]
) -> None:
    hooks = compiled(HOOKS | {"hooks": [{**hook, "group": "we*"} for hook in HOOKS["hooks"]]})
    Path(os.environ["USHER_HOOKS"]).write_text(hooks.text)
    items = EnrolledHooks(boto3.client("dynamodb"), "records", machine.now)
    items.put_in_force(FileInForce(digest=hooks.digest))
    monkeypatch.setattr(machine, "now", lambda: datetime(2026, 3, 1, 12, minute, tzinfo=UTC))
    groups = boto3.client("autoscaling")
    a_group(groups, "web")
    assert function("sweep")({}, None)["evaluated"] == 0
    found = groups.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
    assert [hook["LifecycleHookName"] for hook in found] == expected
    assert received(wake_ups) == []


@pytest.fixture
def applied(wake_ups: str, monkeypatch: pytest.MonkeyPatch) -> FileVersionsTable:
    """The versions of a deployment in which the hooks file is applied at run time: no file lies in it."""
    del wake_ups
    Path(os.environ["USHER_HOOKS"]).unlink()
    monkeypatch.setenv("USHER_HOOKS_FROM", "table")
    items = EnrolledHooks(boto3.client("dynamodb"), "records", machine.now)
    items.put_in_force(NO_VERSION.in_force)
    return FileVersionsTable(boto3.client("dynamodb"), "records")


def apply(versions: FileVersionsTable, number: int, group: str) -> None:
    """In effect since an hour ago."""
    ago, over = machine.now() - timedelta(hours=1), versions.schedule()
    file = compiled(HOOKS | {"hooks": [{**hook, "group": group} for hook in HOOKS["hooks"]]})
    version = FileVersion(
        number=number, file=file, applied_at=ago, effective_at=ago + NOTICE, by="me", reason="why"
    )
    versions.apply(version, over.then(number, ago), over)


def test_intake_works_by_the_version_in_effect(
    applied: FileVersionsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, later = machine.now, [timedelta(0)]
    monkeypatch.setattr(machine, "now", lambda: real() + later[0])
    intake, store = function("intake"), parts().evaluator.store

    def policy_of(token: str) -> str | None:
        message = MESSAGE | {"Time": real().isoformat(), "LifecycleActionToken": token}
        assert intake(sqs_event(message), None) == {"batchItemFailures": []}
        action = store.of_token(token)
        return action.policy.name if action else None

    one, two, three = (f"{number}1111111-2222-4333-8444-555555555555" for number in (1, 2, 3))
    assert policy_of(one) is None, "no version is applied yet"
    apply(applied, 1, "web")
    assert policy_of(two) is None, "the container has read the schedule a moment ago"
    later[0] = CACHED
    assert policy_of(three) == "p"


def test_a_message_comes_again_where_nobody_knows_which_version_counts(
    applied: FileVersionsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(applied, 1, "web")
    monkeypatch.setenv("USHER_TABLE", "gone")
    with pytest.raises(Unavailable, match="the hooks file in effect is not known"):
        function("intake")(sqs_event(MESSAGE), None)


def test_a_sweep_enrols_by_the_version_in_effect(
    applied: FileVersionsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(applied, 1, "web")
    put, today = boto3.client("autoscaling"), machine.now()
    monkeypatch.setattr(machine, "now", lambda: today.replace(minute=today.minute // 2 * 2))
    a_group(put, "web")
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert function("sweep")({}, None)["evaluated"] == 0
    found = put.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
    assert [hook["LifecycleHookName"] for hook in found] == ["drain"]
    in_force = EnrolledHooks(boto3.client("dynamodb"), "records", machine.now).in_force()
    assert in_force is not None
    assert in_force.version == 1


def test_only_the_sweep_needs_what_enrolment_needs(wake_ups: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USHER_INBOX_ARN", "USHER_HOOK_ROLE_ARN", "USHER_ENROLMENTS_PER_HOUR"):
        monkeypatch.delenv(name)
    assert function("intake")(sqs_event("{"), None) == {"batchItemFailures": []}
    assert function("wake")(sqs_event("{"), None) == {"batchItemFailures": []}
    with pytest.raises(SettingsRefused, match="USHER_INBOX_ARN"):
        function("sweep")
    assert received(wake_ups) == []
