"""The dead-letter queues, and the messages in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

WAKE_UPS: Final = "wake-ups"
QUESTIONS: Final = "questions"

VISIBILITY_TIMEOUT_S: Final = 600  # long enough to be asked about each; then they become visible again
BATCH_SIZE: Final = 10  # messages that one receive returns at most
LONG_POLL_S: Final = 2
_VISIBLE: Final = "ApproximateNumberOfMessages"
_HIDDEN: Final = "ApproximateNumberOfMessagesNotVisible"
_NO_REASON: Final = "none recorded: SQS moved it here after too many failed receives"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterQueue:
    """A dead-letter queue, and its source queue."""

    name: str  # inbox | events | wake-ups | questions
    url: str
    source_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A message of a dead-letter queue. `handle` deletes it."""

    queue: DeadLetterQueue
    id: str
    handle: str
    sent_at: datetime
    reason: str
    body: str


def queue_of(sqs: SQSClient, name: str, url: str) -> DeadLetterQueue:
    """The dead-letter queue of a queue, as its redrive policy names it."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    arn: str = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    dead = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    return DeadLetterQueue(name=name, url=dead, source_url=url)


def receive(sqs: SQSClient, queue: DeadLetterQueue, most: int) -> tuple[list[DeadLetter], int]:
    """The dead letters of a queue, oldest first, at most `most`; hidden from others for ten minutes.

    With about how many somebody else had received just before. A short poll asks only some of SQS's
    servers, so it polls longer while some messages are missing.
    """
    counts = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=[_VISIBLE, _HIDDEN])["Attributes"]
    expected = int(counts[_VISIBLE])
    found: dict[str, DeadLetter] = {}
    while len(found) < most:
        received = sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=min(BATCH_SIZE, most - len(found)),
            WaitTimeSeconds=LONG_POLL_S if len(found) < expected else 0,
            VisibilityTimeout=VISIBILITY_TIMEOUT_S,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not received:
            break
        found |= {message["MessageId"]: _dead_letter(queue, message) for message in received}
    return sorted(found.values(), key=lambda letter: (letter.sent_at, letter.id)), int(counts[_HIDDEN])


def _dead_letter(queue: DeadLetterQueue, message: MessageTypeDef) -> DeadLetter:
    attributes = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    return DeadLetter(
        queue=queue,
        id=message["MessageId"],
        handle=message["ReceiptHandle"],
        sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        reason=_reason(attributes),
        body=message["Body"],
    )


def _reason(attributes: Mapping[str, str]) -> str:
    """Usher's own; else that of EventBridge, which could not deliver an event; SQS itself gives none."""
    by_bus = ": ".join(attributes[name] for name in ("ERROR_CODE", "ERROR_MESSAGE") if attributes.get(name))
    return attributes.get("Reason") or by_bus or _NO_REASON


def release(sqs: SQSClient, letters: Iterable[DeadLetter]) -> None:
    """Make them visible to others at once. Where that fails, they become visible after ten minutes."""
    for letter in letters:
        try:
            sqs.change_message_visibility(
                QueueUrl=letter.queue.url, ReceiptHandle=letter.handle, VisibilityTimeout=0
            )
        except (BotoCoreError, ClientError):
            continue


def send(sqs: SQSClient, letter: DeadLetter) -> None:
    """Send it to its source queue, then delete it here: a crash in between leaves a harmless copy.

    Its token, version or turn shows that it is one.
    """
    sqs.send_message(QueueUrl=letter.queue.source_url, MessageBody=letter.body)
    drop(sqs, letter)


def drop(sqs: SQSClient, letter: DeadLetter) -> None:
    """Delete it."""
    sqs.delete_message(QueueUrl=letter.queue.url, ReceiptHandle=letter.handle)
