"""The functions as they are wired for Lambda, against the DynamoDB and SQS of moto."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from usher import wiring
from usher.aws.table import definition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOOKS = {
    "version": 1,
    "policies": {"p": {"until": [{"elapsed": "10m"}]}},
    "hooks": [{"name": "drain", "group": "web", "transition": "terminating", "policy": "p"}],
}


@pytest.fixture
def wake_ups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account with the table and the queues, and the environment of a function in it."""
    hooks = tmp_path / "hooks.json"
    hooks.write_text(json.dumps(HOOKS))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "USHER_TABLE": "records",
        "USHER_CALLS_PER_SECOND": "10",
        "USHER_HOOKS": str(hooks),
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("dynamodb").create_table(**definition("records"))
        queues = boto3.client("sqs")
        urls = [queues.create_queue(QueueName=name)["QueueUrl"] for name in ("wake-ups", "dead")]
        monkeypatch.setenv("USHER_WAKE_UPS_URL", urls[0])
        monkeypatch.setenv("USHER_DEAD_LETTERS_URL", urls[1])
        wiring.parts.cache_clear()
        yield urls[0]
    wiring.parts.cache_clear()


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


def test_a_message_becomes_a_record_and_its_wake_up_a_look(wake_ups: str) -> None:
    message = MESSAGE | {"Time": wiring.now().isoformat()}
    assert function("intake")(sqs_event(message), None) == {"batchItemFailures": []}
    (wake_up,) = received(wake_ups)
    assert function("wake")(sqs_event(wake_up), None) == {"batchItemFailures": []}
    store = wiring.parts().looks.store
    action = store.of_token(MESSAGE["LifecycleActionToken"])
    assert action is not None
    assert [line.event for line in store.timeline(action.id)] == ["notified", "wait"]
    assert [due.version for due in store.due(wiring.now() + timedelta(hours=2))] == [action.version] == [2]


def test_a_sweep_runs_over_an_empty_table(wake_ups: str) -> None:
    assert function("sweep")({}, None) == {"near": 0, "overdue": 0, "looked": 0}
    assert received(wake_ups) == []


def test_a_poison_message_is_a_dead_letter(wake_ups: str) -> None:
    assert function("intake")(sqs_event("{"), None) == {"batchItemFailures": []}
    assert received(wake_ups.replace("wake-ups", "dead")) == ["{"]
