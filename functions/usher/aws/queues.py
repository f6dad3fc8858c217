"""The SQS queues that Usher writes to: wake-ups, questions, and dead letters."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from usher.core.queue_messages import question_body, wake_up_body
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from usher.core.held_wait import HeldWait
    from usher.ports.queues import Later

LONGEST_DELAY_S: Final = 900  # aws-facts 5
_MOST_MESSAGE_BYTES: Final = 1024 * 1024  # body and attributes together
_MOST_REASON_CHARACTERS: Final = 1000
# What SQS does not take; no lone surrogates either. To name what it takes would be compiled in 5 ms.
_NOT_TAKEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def delay_s(delay: timedelta) -> int:
    """The delay in the whole seconds that SQS takes: never early, at most 15 minutes."""
    return min(LONGEST_DELAY_S, max(0, math.ceil(delay.total_seconds())))


class WakeUpQueue:
    """Implements usher.ports.queues.WakeUps."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """SendMessageBatch, with DelaySeconds."""
        _send(self._client, self._queue_url, (wake_up_body(action_id, stamp, wait), delay))

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        """SendMessageBatch, with DelaySeconds."""
        messages = [(wake_up_body(action_id, stamp, wait), delay) for delay, wait in (first, second)]
        _send(self._client, self._queue_url, *messages)


class QuestionQueue:
    """Implements usher.ports.queues.Questions."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """SendMessageBatch, with DelaySeconds."""
        _send(self._client, self._queue_url, (question_body(action_id, turn), delay))


def _send(client: SQSClient, queue_url: str, *messages: tuple[str, timedelta]) -> None:
    """Twice what is not taken, unless that would take too long: whoever sends has more to do.

    A batch of one costs as much as one message (aws-facts 5).
    """
    name = queue_url.rpartition("/")[2]
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": body, "DelaySeconds": delay_s(delay)}
        for number, (body, delay) in enumerate(messages)
    ]
    for is_last in (False, True):
        try:
            answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            if is_last or isinstance(error, ConnectTimeoutError | ReadTimeoutError):
                raise Unavailable(f"queue {name}: {error}") from error
            continue
        refused = {each["Id"]: each["Code"] for each in answer.get("Failed", ())}
        entries = [entry for entry in entries if entry["Id"] in refused]
        if not entries:
            return
        if is_last:
            raise Unavailable(f"queue {name}: {', '.join(refused.values())}")


class DeadLetterQueue:
    """Implements usher.ports.queues.DeadLetters."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, body: str, reason: str) -> None:
        """SendMessage with the reason as an attribute; a body too long beside it is cut, and says so."""
        shown = "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in reason)
        kept = _NOT_TAKEN.sub(lambda one: ascii(one[0])[1:-1], body).encode()
        attributes = {"Reason": shown[:_MOST_REASON_CHARACTERS]}
        room = _MOST_MESSAGE_BYTES - 2 * _MOST_REASON_CHARACTERS
        if len(kept) > room:
            attributes["CutFromBytes"] = str(len(kept))
            kept = kept[:room]
        try:
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=kept.decode(errors="ignore") or "(empty)",
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"dead-letter queue: {error}") from error


class DeadLetterCounts:
    """Implements usher.ports.queues.DeadLettersKept."""

    def __init__(self, client: SQSClient, queue_urls: Iterable[str]) -> None:
        self._client = client
        self._queue_urls = tuple(queue_urls)

    def counts(self) -> dict[str, int]:
        """GetQueueAttributes of each queue."""
        try:
            return {url.rpartition("/")[2]: self._count(url) for url in self._queue_urls}
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"dead-letter queues: {error}") from error

    def _count(self, url: str) -> int:
        name: Final = "ApproximateNumberOfMessages"
        return int(self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
