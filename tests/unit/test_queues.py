"""The queue adapters, against the SQS of moto."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from usher.aws.queues import DeadLetterCounts, DeadLetterQueue, WakeUpQueue, delay_s
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def sqs() -> Iterator[SQSClient]:
    with mock_aws():
        yield boto3.client(
            "sqs", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )


def received(sqs: SQSClient, url: str) -> list[tuple[str, dict[str, str]]]:
    messages = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    return [
        (
            message["Body"],
            {name: of["StringValue"] for name, of in message.get("MessageAttributes", {}).items()},
        )
        for message in messages
    ]


@pytest.mark.parametrize(
    ("delay", "seconds"), [(-1, 0), (0, 0), (0.001, 1), (1, 1), (899.5, 900), (900, 900), (90_000, 900)]
)
def test_a_wake_up_is_never_early_and_at_most_15_minutes_away(delay: float, seconds: int) -> None:
    assert delay_s(timedelta(seconds=delay)) == seconds


def test_a_wake_up_says_which_version_it_is_for(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
    WakeUpQueue(sqs, url).send("action-1", 7, timedelta(0))
    ((body, _),) = received(sqs, url)
    assert json.loads(body) == {"action_id": "action-1", "version": 7}


def test_a_dead_letter_carries_its_reason(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    DeadLetterQueue(sqs, url).put("{broken", "the body is not JSON: \u00fc\x00")
    assert received(sqs, url) == [("{broken", {"Reason": "the body is not JSON: \\xfc\\x00"})]


def test_a_body_too_long_beside_its_reason_is_cut_and_says_so(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="dead", Attributes={"MaximumMessageSize": "1048576"})["QueueUrl"]
    DeadLetterQueue(sqs, url).put("x" * 1024 * 1024, "too large")
    ((body, attributes),) = received(sqs, url)
    assert len(body) == 1024 * 1024 - 2000
    assert attributes == {"Reason": "too large", "CutFromBytes": str(1024 * 1024)}


def test_the_dead_letters_of_each_queue_are_counted(sqs: SQSClient) -> None:
    one, other = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("one", "other"))
    for body in ("a", "b"):
        DeadLetterQueue(sqs, one).put(body, "reason")
    assert DeadLetterCounts(sqs, [one, other]).counts() == {"one": 2, "other": 0}


def test_a_queue_that_is_not_there_is_unavailable(sqs: SQSClient) -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/none"
    with pytest.raises(Unavailable, match="queue none"):
        WakeUpQueue(sqs, url).send("action-1", 1, timedelta(0))
    with pytest.raises(Unavailable, match="dead-letter queue"):
        DeadLetterQueue(sqs, url).put("body", "reason")
    with pytest.raises(Unavailable, match="dead-letter queues"):
        DeadLetterCounts(sqs, [url]).counts()
