"""The scan of the table that finds captured messages.

Notifications are stored with their actions, and no index has them by time: one would cost a write for
each of them, always, while a scan reads all of the table now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher.aws import evidence_format, record_format, table
from usher.aws.items import group_evidence, state
from usher.core import iso_time
from usher_cli.export import captured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item
    from usher_cli.export.captured import Captured, TimeRange

_LAST: Final = "\uffff"  # sorts after everything with the same prefix
_NAMES: Final = {
    "#pk": "pk",
    "#sk": "sk",
    "#instance": "instance_id",
    "#body": "body",
    "#at": "received_at",
    "#doc": "doc",
    "#packed": "packed",
    "#signal": "signal",
    "#order": "signal_order",
    "#end": "move_end",
    "#ended": "ended_at",
    "#stopped": "stopped_at",
}
_FILTER: Final = (
    "(begins_with(#sk, :raw) AND #at BETWEEN :first AND :last)"
    " OR begins_with(#sk, :test)"
    " OR (#sk BETWEEN :heard_first AND :heard_last)"
    " OR (#order BETWEEN :first AND :order_last)"
    " OR (begins_with(#sk, :ended) AND #ended BETWEEN :first AND :last)"
    " OR #stopped BETWEEN :first AND :last"
    " OR #sk = :state"  # what the action was told of outlives the items of the others
)


def captured_messages(
    client: DynamoDBClient,
    table_name: str,
    within: TimeRange,
    progress: Callable[[int], None] = lambda _: None,
    unreadable: Callable[[str], None] = lambda _: None,
) -> list[Captured]:
    """Every stored message of the range, in the order of arrival.

    `progress` counts the items read; `unreadable` gets each item that cannot be read, and the others
    are still returned. Notifications are as they came. Of test messages, signals and events only the
    contents are stored: they are rebuilt, with their own time as the time of arrival.
    """
    found: dict[tuple[datetime, str], Captured] = {}
    for item in _scanned(client, table_name, within, progress):
        try:
            messages = list(_messages(item))
        except record_format.UNREADABLE as error:
            unreadable(f"{item['pk']['S']} / {item['sk']['S']}: {type(error).__name__}: {error}")
            continue
        for message in messages:
            if within.has(message.received_at):
                found[message.received_at, message.body] = message
    return [found[key] for key in sorted(found)]


def _scanned(
    client: DynamoDBClient, table_name: str, within: TimeRange, progress: Callable[[int], None]
) -> Iterator[Item]:
    """One page after the other: a parallel scan could take read capacity from the functions."""
    first, last = iso_time.stored(within.first), iso_time.stored(within.last)
    values = {
        ":raw": "RAW#",
        ":test": "TEST#",
        ":state": "STATE",
        ":first": first,
        ":last": last,
        ":heard_first": f"HEARD#{first}",
        ":heard_last": f"HEARD#{last}{_LAST}",
        ":order_last": f"{last}{_LAST}",
        ":ended": "HEARD#ENDED",
    }
    pages = client.get_paginator("scan").paginate(
        TableName=table_name,
        FilterExpression=_FILTER,
        ProjectionExpression=", ".join(_NAMES),
        ExpressionAttributeNames=_NAMES,
        ExpressionAttributeValues={name: table.text(value) for name, value in values.items()},
    )
    for page in pages:
        progress(page["ScannedCount"])
        yield from page["Items"]


def _messages(item: Item) -> Iterator[Captured]:
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if sk == "STATE":
        yield from _of_action(item)
    elif sk.startswith("RAW#"):
        yield captured.as_it_came(item["body"]["S"], iso_time.parse(item["received_at"]["S"]))
    elif sk.startswith("TEST#"):
        yield captured.test_message(group_evidence.test_from_data(table.from_json(item)))
    elif "ended_at" in item:
        ended_at = iso_time.parse(item["ended_at"]["S"])
        yield captured.instance_end_event(pk.removeprefix("INSTANCE#"), ended_at)
    elif "stopped_at" in item:
        stopped_at = iso_time.parse(item["stopped_at"]["S"])
        yield captured.stop_event(pk.removeprefix("INSTANCE#"), stopped_at)
    elif "signal" in item:
        yield captured.signal_event(evidence_format.signal_from_data(table.from_json(item, "signal")))
    elif "move_end" in item:
        yield from _activity_event(table.from_json(item, "move_end"))


def _of_action(item: Item) -> Iterator[Captured]:
    """What it was told of, rebuilt as from the items of that, so that one is written where both are."""
    data = state.evidence_in(item)
    for signal in data.get("signals", ()):
        yield captured.signal_event(evidence_format.signal_from_data(signal))
    if "move_end" in data:
        yield from _activity_event(data["move_end"])
    if "instance_ended_at" in data:
        ended_at = iso_time.parse(data["instance_ended_at"])
        yield captured.instance_end_event(state.instance_of(item), ended_at)
    if "stopped_at" in data:
        yield captured.stop_event(state.instance_of(item), iso_time.parse(data["stopped_at"]))


def _activity_event(data: Mapping[str, Any]) -> Iterator[Captured]:
    event = captured.activity_event(evidence_format.activity_end_from_data(data))
    if event is not None:
        yield event
