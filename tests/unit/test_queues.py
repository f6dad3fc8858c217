"""The queue adapters, against the SQS of moto."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
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


def test_two_wake_ups_go_in_one_request(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="wake-ups")["QueueUrl"]
    requests = counted(sqs)

    WakeUpQueue(sqs, url).send_both("action-1", 7, (timedelta(0), None), (timedelta(0), None))

    assert requests == ["SendMessageBatch"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(one["Body"]) for one in found] == [{"action_id": "action-1", "version": 7}] * 2


def counted(sqs: SQSClient) -> list[str]:
    requests: list[str] = []
    sqs.meta.events.register("before-call.sqs", lambda model, **_: requests.append(model.name))
    return requests


def answering(sqs: SQSClient, *refused: list[str]) -> list[list[str]]:
    """Let SQS take all but these messages of each batch; returns the messages that it is sent."""
    answers, asked = list(refused), []

    def answer(params: dict[str, Any], **_: object) -> tuple[Any, dict[str, Any]]:
        entries = json.loads(params["body"])["Entries"]
        asked.append([entry["Id"] for entry in entries])
        failed = [
            {"Id": name, "Code": "InternalError", "SenderFault": False}
            for name in (answers.pop(0) if answers else [])
        ]
        return AWSResponse("", 200, {}, None), {"Successful": [], "Failed": failed}

    sqs.meta.events.register("before-call.sqs.SendMessageBatch", answer)
    return asked


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        pytest.param([[]], [["0", "1"]], id="all is taken"),
        pytest.param([["1"]], [["0", "1"], ["1"]], id="one is sent once more"),
        pytest.param([["0", "1"]], [["0", "1"], ["0", "1"]], id="both are sent once more"),
    ],
)
def test_of_two_what_is_not_taken_is_sent_once_more(
    sqs: SQSClient, refused: list[list[str]], asked: list[list[str]]
) -> None:
    sent = answering(sqs, *refused)

    WakeUpQueue(sqs, "https://sqs/1/wake-ups").send_both(
        "action-1", 7, (timedelta(1), None), (timedelta(2), None)
    )

    assert sent == asked


def test_what_is_refused_twice_is_unavailable(sqs: SQSClient) -> None:
    answering(sqs, ["0", "1"], ["1"])

    with pytest.raises(Unavailable, match="queue wake-ups: InternalError"):
        WakeUpQueue(sqs, "https://sqs/1/wake-ups").send_both(
            "action-1", 7, (timedelta(1), None), (timedelta(2), None)
        )


def test_a_dead_letter_carries_its_reason(sqs: SQSClient) -> None:
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    DeadLetterQueue(sqs, url).put("{broken", "the body is not JSON: \u00fc\x00")
    assert received(sqs, url) == [("{broken", {"Reason": "the body is not JSON: \\xfc\\x00"})]


def test_what_sqs_does_not_take_of_a_body_is_written_out(sqs: SQSClient) -> None:
    taken = "\t\n\r \x7f\x85\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    refused = "\x00\x08\x0b\x0c\x0e\x1f\ud800\udfff\ufffe\uffff"
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    DeadLetterQueue(sqs, url).put(taken + refused, "")
    ((body, _),) = received(sqs, url)
    assert body == taken + r"\x00\x08\x0b\x0c\x0e\x1f\ud800\udfff\ufffe\uffff"


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
