"""A message as SQS hands it to a function: one of the `Records` of an event."""

from __future__ import annotations

from typing import Any


def sqs_record(message_id: str, body: str) -> dict[str, Any]:
    """The record of one message."""
    return {
        "messageId": message_id,
        "receiptHandle": "handle",
        "body": body,
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:usher",
        "awsRegion": "us-east-1",
    }
