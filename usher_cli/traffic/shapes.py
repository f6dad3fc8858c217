"""The wrappings of messages: one row for each shape, and what is in it.

A value of no known shape is treated as a message; its reader reports what is wrong with it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from usher_cli.traffic import log_line, trail
from usher_cli.traffic.found import Unreadable
from usher_cli.traffic.times import NoTime, completed, log_moment, moment, of_milliseconds
from usher_cli.traffic.values import Value, parsed, values
from usher_simulator.replay.replay import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher_cli.traffic.found import Found

Wrapped: TypeAlias = "Mapping[str, Any]"


class Part(NamedTuple):
    """A value inside another one: where, and when it was received, if that is told here."""

    place: str
    value: Any
    received_at: datetime | None = None


class Shape(NamedTuple):
    """What a wrapping looks like, and what is in it. Raises ValueError with a reason."""

    name: str
    fits: Callable[[Wrapped], bool]
    parts: Callable[[Wrapped], Sequence[Part]]


def take_apart(source: str, value: Any, received_at: datetime | None) -> Iterator[Found]:  # noqa: ANN401 - any JSON
    """Every message in a JSON value, with the time of the innermost wrapping that tells one."""
    inner = _wrapping_in(value) if isinstance(value, str) else value
    if isinstance(inner, list) and _is_row(inner):
        inner = {field["field"]: field.get("value") for field in inner}
    if isinstance(inner, list):
        for index, element in enumerate(inner):
            yield from take_apart(f"{source}[{index}]", element, received_at)
        return
    shape = _shape_of(inner)
    if shape is not None:
        try:
            parts = shape.parts(inner)
        except ValueError as error:
            yield Unreadable(source=source, reason=str(error))
            return
        for part in parts:
            yield from take_apart(f"{source}{part.place}", part.value, part.received_at or received_at)
    elif isinstance(inner, dict) and trail.is_call(inner):
        yield trail.call(source, inner)
    else:
        yield _message(source, value, received_at)


def _message(source: str, value: Any, received_at: datetime | None) -> Found:  # noqa: ANN401 - any JSON
    message = parsed(value) if isinstance(value, str) else value
    try:
        done = completed(message, received_at) if isinstance(message, dict) else message
    except NoTime as error:
        return Unreadable(source=source, reason=str(error))
    text = value if isinstance(value, str) and done is message else json.dumps(done, separators=(",", ":"))
    return Entry(source=source, received_at=received_at, body=text)


def _wrapping_in(text: str) -> Any:  # noqa: ANN401 - any JSON
    """A wrapping that is text inside another one; other text is left to who reads the message."""
    inner = parsed(text) if text[:1] in ("{", "[") else None
    is_wrapping = isinstance(inner, list) or _shape_of(inner) is not None
    return inner if is_wrapping or (isinstance(inner, dict) and trail.is_call(inner)) else text


def _shape_of(value: object) -> Shape | None:
    if not isinstance(value, dict):
        return None
    return next((shape for shape in SHAPES if shape.fits(value)), None)


def _is_row(value: Sequence[Any]) -> bool:
    """Of Logs Insights: a list of fields."""
    return bool(value) and all(isinstance(one, dict) and isinstance(one.get("field"), str) for one in value)


# How each is recognised


def _has(*keys: str) -> Callable[[Wrapped], bool]:
    return lambda value: all(key in value for key in keys)


def _lists(key: str, *, empty: bool = True) -> Callable[[Wrapped], bool]:
    return lambda value: isinstance(value.get(key), list) and (empty or bool(value[key]))


def _is_sqs_record(value: Wrapped) -> bool:
    return isinstance(value.get("body"), str) and (
        "receiptHandle" in value or value.get("eventSource") == "aws:sqs"
    )


def _is_received(value: Wrapped) -> bool:
    return isinstance(value.get("Body"), str) and ("MessageId" in value or "ReceiptHandle" in value)


def _is_logged(value: Wrapped) -> bool:
    return isinstance(value.get("message"), str | dict) and "timestamp" in value


def _is_lambdas_own(value: Wrapped) -> bool:
    return str(value.get("type")).startswith("platform.") and "record" in value


# What is in each


def _each(key: str) -> Callable[[Wrapped], list[Part]]:
    """One that is alone needs no number."""

    def parts(value: Wrapped) -> list[Part]:
        alone = len(value[key]) == 1
        return [Part("" if alone else f"[{index}]", one) for index, one in enumerate(value[key])]

    return parts


def _captured(value: Wrapped) -> list[Part]:
    received_at = moment(value["received_at"])
    if received_at is None:
        shown = ascii(str(value["received_at"])[:80])
        raise ValueError(f"received_at must be a time such as 2026-01-31T12:00:00Z, got {shown}")
    return [Part("", value["body"], received_at)]


def _sqs_record(value: Wrapped) -> list[Part]:
    return [Part("", value["body"], _sent_at(value.get("attributes")))]


def _received(value: Wrapped) -> list[Part]:
    return [Part("", value["Body"], _sent_at(value.get("Attributes")))]


def _sent_at(attributes: object) -> datetime | None:
    return of_milliseconds(attributes.get("SentTimestamp")) if isinstance(attributes, dict) else None


def _logged(value: Wrapped) -> list[Part]:
    received_at = of_milliseconds(value.get("ingestionTime")) or of_milliseconds(value["timestamp"])
    return [Part("", inner, received_at) for inner in _in_message(value["message"])]


def _insights(value: Wrapped) -> list[Part]:
    """Its times have no zone; they are UTC."""
    stamps = [value.get(key) for key in ("@ingestionTime", "@timestamp")]
    times = (log_moment(stamp) or of_milliseconds(stamp) for stamp in stamps)
    message = value["@message"]
    received_at = next((time for time in times if time), None)
    return [Part("", inner, received_at) for inner in _in_message(message)]


def _in_message(message: object) -> list[Any]:
    return log_line.inside(message) if isinstance(message, str) else [message]


def _subscribed(value: Wrapped) -> list[Part]:
    try:
        content = base64.b64decode(value["awslogs"]["data"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise ValueError("awslogs must have data in base64") from None
    return [_part_of(found) for found in values(content)]


def _part_of(found: Any) -> Part:  # noqa: ANN401 - a Value, or Bad
    if isinstance(found, Value):
        return Part("", found.value)
    raise ValueError(f"awslogs: {found.reason}")


def _trail_event(value: Wrapped) -> list[Part]:
    record = parsed(value["CloudTrailEvent"]) if isinstance(value["CloudTrailEvent"], str) else None
    if not isinstance(record, dict):
        raise ValueError("CloudTrailEvent must be an event of CloudTrail as JSON text")  # noqa: TRY004 - of its text
    return [Part("", record)]


SHAPES: Final[tuple[Shape, ...]] = (
    Shape("a captured line", _has("received_at", "body"), _captured),
    Shape(
        "what Lambda is invoked with, or a file of CloudTrail",
        _lists("Records", empty=False),
        _each("Records"),
    ),
    Shape("what receive-message prints", _lists("Messages"), _each("Messages")),
    Shape("a message of receive-message", _is_received, _received),
    Shape("a record of SQS (Lambda, Pipes)", _is_sqs_record, _sqs_record),
    Shape("what filter-log-events and get-log-events print", _lists("events"), _each("events")),
    Shape("what a subscription of a log group sends", _lists("logEvents"), _each("logEvents")),
    Shape("the same, as Lambda gets it", _has("awslogs"), _subscribed),
    Shape("an event of a log, or what a logger writes", _is_logged, _logged),
    Shape("a line of Lambda's own, in JSON", _is_lambdas_own, lambda _: []),
    Shape("what get-query-results prints", _lists("results"), _each("results")),
    Shape("a row of Logs Insights", _has("@message"), _insights),
    Shape("what lookup-events prints", _lists("Events"), _each("Events")),
    Shape("an event of lookup-events", _has("CloudTrailEvent"), _trail_event),
)
