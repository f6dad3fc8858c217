"""SQS batches: each message by itself, and only what failed comes again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from usher.invocation import Context, Event, Handler
    from usher.ports.telemetry import Telemetry


def batch_handler(handle: Callable[[SQSRecord], None], telemetry: Telemetry, failed: str) -> Handler:
    """A handler of SQS batches that reports each failed record, and only it, for redelivery.

    Lambda takes that for a success, and counts no error: so each is counted here, in the metric `failed`.
    """
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_one(record: SQSRecord) -> None:
        try:
            handle(record)
        except Exception as error:
            telemetry.trouble(f"message {record.message_id} will be delivered again", error)
            telemetry.count(failed)
            raise

    def handler(event: Event, context: Context | None = None) -> Event:
        del context  # with it the library reads the signature of `handle_one` in every invocation
        return dict(process_partial_response(event=event, record_handler=handle_one, processor=processor))

    return handler


def body_of(record: SQSRecord) -> str:
    """The text of a record; a record without one, as JSON, so that its reason is found in its place."""
    body = record.raw_event.get("body")
    return body if isinstance(body, str) else as_text(record.raw_event)


def as_text(message: object) -> str:
    """As JSON. What is nested too deep for that is no message either: its reason is found in its place."""
    try:
        return json.dumps(message)
    except RecursionError:
        return '"nested too deep"'
