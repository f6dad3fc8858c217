"""SQS batches: each message by itself, and only what failed comes again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from usher.invocation import Context, Event, Handler
    from usher.ports.telemetry import Telemetry


def batch_handler(handle: Callable[[Event], None], telemetry: Telemetry, failed: str) -> Handler:
    """A handler of SQS batches that reports each failed record, and only it, for redelivery.

    Lambda takes that for a success, and counts no error: so each is counted here, in the metric `failed`.
    """

    def succeeds(record: Event) -> bool:
        try:
            handle(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others of the batch are handled
            telemetry.trouble(f"message {record['messageId']} will be delivered again", error)
            telemetry.count(failed)
            return False
        return True

    def handler(event: Event, _: Context | None = None) -> Event:
        return answer(record["messageId"] for record in event["Records"] if not succeeds(record))

    return handler


def answer(failed: Iterable[str]) -> Event:
    """What Lambda is told: the ids of the messages to deliver again."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def body_of(record: Event) -> str:
    """The text of a record; a record without one, as JSON, so that its reason is found in its place."""
    body = record.get("body")
    return body if isinstance(body, str) else as_text(record)


def as_text(message: object) -> str:
    """As JSON. What is nested too deep for that is no message either: its reason is found in its place."""
    try:
        return json.dumps(message)
    except RecursionError:
        return '"nested too deep"'
