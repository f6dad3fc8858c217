"""The time of a message without one: a rule removed it, or it is a placeholder of documentation.

A rule with the InputPath `$.detail` passes an event on without its time. Samples in documentation and
fixtures have 1970, or `yyyy-mm-ddThh:mm:ssZ`. The time of receipt is used then.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from usher_cli.traffic.values import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)  # as usher.core.messages reads times
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

_LETTERS: Final = re.compile(r"(?=.*y)[ymdhsxzt:.+ -]+", re.IGNORECASE)  # for digits
_TEST: Final = "autoscaling:TEST_NOTIFICATION"
_LONGEST: Final = 40  # characters of a time


class NoTime(Exception):  # noqa: N818 - it reads as what happened
    """A message has no time, nor a time of receipt; the text says what to do."""


def moment(value: object) -> datetime | None:
    """A time as text with its zone, in UTC; None for anything else, and for what no message can have."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not EARLIEST <= found <= LATEST:
        return None
    return found.astimezone(UTC)


def log_moment(text: str | None) -> datetime | None:
    """A time that stands before a line of a log: where it has no zone it is UTC."""
    return moment(text) or moment(f"{text}Z")


def of_milliseconds(value: object) -> datetime | None:
    """Milliseconds since 1970 as a number or text, as SQS and CloudWatch Logs tell times."""
    try:
        found = datetime.fromtimestamp(int(value) / 1000, UTC)  # type: ignore[call-overload] # may be anything
    except (ArithmeticError, OSError, TypeError, ValueError):
        return None
    return found if EARLIEST <= found <= LATEST else None


def completed(message: Mapping[str, Any], received_at: datetime | None) -> Mapping[str, Any]:
    """The message with a time; itself where it has one. Raises NoTime."""
    for key in ("Sns", "requestPayload"):
        if isinstance(message.get(key), dict):
            return _with(message, key, completed(message[key], received_at))
    if "TopicArn" in message and isinstance(message.get("Message"), str):
        inner = parsed(message["Message"])
        done = completed(inner, received_at) if isinstance(inner, dict) else inner
        return message if done is inner else {**message, "Message": json.dumps(done)}
    if "detail-type" in message:
        return _timed(_without_placeholders(message), "time", received_at)
    if "LifecycleTransition" in message or message.get("Event") == _TEST:
        return _timed(message, "Time", received_at)
    return message


def _with(message: Mapping[str, Any], key: str, value: object) -> Mapping[str, Any]:
    return message if value is message[key] else {**message, key: value}


def _timed(message: Mapping[str, Any], key: str, received_at: datetime | None) -> Mapping[str, Any]:
    value = message.get(key)
    if value is not None and not _is_placeholder(value):
        return message
    if received_at is not None:
        return {**message, key: received_at.isoformat()}
    if value is None:
        return message  # who reads it says so
    raise NoTime(
        f"{key} is a placeholder, {value!a}: add the time of receipt, as "
        '{"received_at": "2026-01-31T12:00:00Z", "body": ...}'
    )


def _without_placeholders(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of an outcome: when its activity began and ended may be left out."""
    detail = event.get("detail")
    if not isinstance(detail, dict):
        return event
    timed = {
        key: value
        for key, value in detail.items()
        if key not in ("StartTime", "EndTime") or not _is_placeholder(value)
    }
    return event if len(timed) == len(detail) else {**event, "detail": timed}


def _is_placeholder(value: object) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST:
        return False
    if _LETTERS.fullmatch(value):
        return True
    try:
        return datetime.fromisoformat(value).year < EARLIEST.year
    except ValueError:
        return False
