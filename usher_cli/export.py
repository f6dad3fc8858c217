"""`usher export`: the captured notifications of a time range, as lines that `usher replay` takes.

They are found by a scan of the table: notifications lie with their actions, which no index has by
time, and one would cost a write for each of them, always. A scan reads all of the table, now and then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher.aws import evidence_format, record_format, table
from usher.core import iso_time, messages
from usher.core.action import ActivityEnd, Signal, Transition
from usher.core.notifications import InstanceEnd, InstanceState, LifecycleNotice, NotUnderstood, TestNotice
from usher.core.policy import glob_fits
from usher_cli.account import with_account
from usher_cli.printable import shown
from usher_cli.time_options import Moment, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item
    from usher.core.notifications import Notice
    from usher_cli.account import Account

INCOMPLETE: Final = 1  # the exit code
_MOST_TOLD: Final = 10
_LAST: Final = "\uffff"  # sorts after all that follows a prefix
_NAMES: Final = {
    "#pk": "pk",
    "#sk": "sk",
    "#body": "body",
    "#at": "received_at",
    "#doc": "doc",
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
    " OR (#sk = :state AND contains(#doc, :with_end))"  # an outcome outlives its own item there
)
_OUTCOMES: Final = {
    Transition.LAUNCHING: "EC2 Instance Launch",
    Transition.TERMINATING: "EC2 Instance Terminate",
}

_EXAMPLES: Final = """
\b
Examples:
  usher export --from 24h --output yesterday.jsonl
  usher export --from 2026-03-01T02:00Z --to 2026-03-01T04:00Z | usher replay -
  usher export --from 7d --group 'workers-*' --hook usher-drain --output week.jsonl

An operator's words (hold, extend, complete, pause) are no messages: `usher show` has them.

Of signals, test messages and events Usher keeps what they said, and not when they came: they are
written anew, dated by their own time. Of equal copies of a message one is kept; of the signals of one
name and status of an instance the last one, and of those before one a minute, for a day.

The whole table is read, which costs about $0.02 a GB and takes a minute or two for each.

\b
Exit codes:
  0  all is well
  1  some items cannot be read; the others were written
  2  wrong usage, or an account that is not reached
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """From when until when, both included."""

    first: datetime
    last: datetime

    def has(self, moment: datetime) -> bool:
        """Whether it lies within."""
        return self.first <= moment <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A message, when it came, and what it says; None: it cannot be understood."""

    received_at: datetime
    body: str
    notice: Notice | None

    @property
    def written(self) -> str:
        """As `usher replay` takes it."""
        try:
            body: object = json.loads(self.body)
        except ValueError:
            body = self.body
        captured = {"received_at": iso_time.to_microseconds(self.received_at), "body": body}
        return json.dumps(captured, separators=(",", ":"))


# In the table


def found(
    client: DynamoDBClient,
    table_name: str,
    within: Range,
    progress: Callable[[int], None] = lambda _: None,
    unreadable: Callable[[str], None] = lambda _: None,
) -> list[Line]:
    """Every message of the range that is kept, in the order of arrival.

    `progress` counts the items read; `unreadable` is told of each that cannot be, which spoils no other.

    Notifications are as they came. What is kept of test messages, signals and events is what they
    said; they are written anew, and dated by their own time.
    """
    lines: dict[tuple[datetime, str], Line] = {}
    for item in _scanned(client, table_name, within, progress):
        try:
            line = _line(item)
        except record_format.UNREADABLE as error:
            unreadable(f"{item['pk']['S']} / {item['sk']['S']}: {type(error).__name__}: {error}")
            continue
        if line is not None and within.has(line.received_at):
            lines[line.received_at, line.body] = line
    return [lines[key] for key in sorted(lines)]


def _scanned(
    client: DynamoDBClient, table_name: str, within: Range, progress: Callable[[int], None]
) -> Iterator[Item]:
    """One page after the other: many at once could take from the functions what they need."""
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
        ":with_end": '"move_end":',
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


def _line(item: Item) -> Line | None:
    sk = item["sk"]["S"]
    if sk.startswith("RAW#"):
        body = item["body"]["S"]
        return Line(received_at=iso_time.parse(item["received_at"]["S"]), body=body, notice=_read(body))
    if sk.startswith("TEST#"):
        return _of_test(evidence_format.test_from_data(table.from_json(item)))
    if "ended_at" in item:
        return _of_instance_end(
            item["pk"]["S"].removeprefix("INSTANCE#"), iso_time.parse(item["ended_at"]["S"])
        )
    if "stopped_at" in item:
        return _of_stop(item["pk"]["S"].removeprefix("INSTANCE#"), iso_time.parse(item["stopped_at"]["S"]))
    if "signal" in item:
        return _of_signal(evidence_format.signal_from_data(table.from_json(item, "signal")))
    ends = table.from_json(item, "move_end") if "move_end" in item else None
    if sk == "STATE":
        ends = table.from_json(item).get("move_end")
    return _of_move_end(evidence_format.activity_end_from_data(ends)) if ends else None


def _read(body: str) -> Notice | None:
    try:
        return messages.read(body)
    except NotUnderstood:
        return None


# What is not kept as it came


def _of_test(test: TestNotice) -> Line:
    body = {
        "AutoScalingGroupName": test.group,
        "Event": "autoscaling:TEST_NOTIFICATION",
        "RequestId": test.request_id,
        "Service": "AWS Auto Scaling",
        "Time": iso_time.to_microseconds(test.at),
    }
    return Line(received_at=test.at, body=json.dumps(body), notice=test)


def _of_signal(signal: Signal) -> Line:
    detail = {
        "InstanceId": signal.instance_id,
        "LifecycleActionToken": signal.token,
        "Signal": signal.name,
        "Status": str(signal.status),
        "Message": signal.message or None,
    }
    body = _event(signal.event_id, "usher.signal", "Usher Signal", signal.at, detail)
    return Line(received_at=signal.at, body=body, notice=signal)


def _of_move_end(end: ActivityEnd) -> Line | None:
    """None: it is no event, but Usher's own reckoning."""
    if not end.is_event:
        return None
    kind = f"{_OUTCOMES[end.transition]} {'Successful' if end.succeeded else 'Unsuccessful'}"
    detail = {
        "ActivityId": end.activity_id,
        "AutoScalingGroupName": end.group,
        "EC2InstanceId": end.instance_id,
        "Origin": end.origin,
        "Destination": end.destination,
        "StartTime": None if end.started_at is None else iso_time.to_microseconds(end.started_at),
        "EndTime": iso_time.to_microseconds(end.ended_at),
        "StatusMessage": end.detail.removeprefix(kind).removeprefix(": ") or None,
    }
    body = _event(end.activity_id, "aws.autoscaling", kind, end.ended_at, detail)
    return Line(received_at=end.ended_at, body=body, notice=end)


def _of_instance_end(instance_id: str, ended_at: datetime) -> Line:
    return _of_state(instance_id, "shutting-down", ended_at)


def _of_stop(instance_id: str, stopped_at: datetime) -> Line:
    """As long as it is EC2's newest word: what it was before is not kept."""
    return _of_state(instance_id, "stopped", stopped_at)


def _of_state(instance_id: str, state: str, at: datetime) -> Line:
    kind = "EC2 Instance State-change Notification"
    detail = {"instance-id": instance_id, "state": state}
    body = _event(instance_id, "aws.ec2", kind, at, detail)
    return Line(received_at=at, body=body, notice=messages.read(body))


def _event(event_id: str, source: str, kind: str, at: datetime, detail: Mapping[str, Any]) -> str:
    present = {key: value for key, value in detail.items() if value is not None}
    written = iso_time.to_microseconds(at)
    event = {"version": "0", "id": event_id, "detail-type": kind, "source": source, "time": written}
    return json.dumps({**event, "detail": present})


# A part of it


def of_hooks(lines: Sequence[Line], group: str | None, hook: str | None) -> list[Line]:
    """The notifications of these hooks, and what else is of their instances, tokens and groups.

    `group` may be a glob. Signals name no group, and test messages no hook.
    """
    chosen = [
        line.notice
        for line in lines
        if isinstance(line.notice, LifecycleNotice)
        and (group is None or glob_fits(group, line.notice.group))
        and hook in (None, line.notice.hook)
    ]
    tokens = {notice.token for notice in chosen}
    instances = {notice.instance_id for notice in chosen}
    groups = {notice.group for notice in chosen}
    return [line for line in lines if _belongs(line.notice, tokens, instances, groups)]


def _belongs(notice: Notice | None, tokens: set[str], instances: set[str], groups: set[str]) -> bool:
    match notice:
        case LifecycleNotice():
            return notice.token in tokens
        case TestNotice():
            return notice.group in groups
        case Signal():
            return notice.instance_id in instances or notice.token in tokens
        case ActivityEnd():
            return notice.instance_id in instances and notice.group in groups
        case InstanceEnd() | InstanceState():
            return notice.instance_id in instances
        case _:
            return False


# The command


@click.command(name="export", epilog=_EXAMPLES)
@click.option("--from", "first", required=True, type=Moment(), metavar="T", help="A time, or how long ago.")
@click.option("--to", "last", type=Moment(), metavar="T", help="Likewise.  [default: now]")
@click.option("--group", metavar="GLOB", help="Only what is of these groups; * stands for any text.")
@click.option("--hook", metavar="NAME", help="Only what is of this hook.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write to this file.  [default: standard output]",
)
@with_account
def export(
    account: Account,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    output: Path | None,
) -> None:
    """Write out the captured notifications of a time range, as JSON lines that `usher replay` takes."""
    now = account.machine.clock()
    within = Range(first=moment_of(first, now), last=now if last is None else moment_of(last, now))
    if within.first > within.last:
        raise click.UsageError("--from is after --to.")
    if output is not None and not output.parent.is_dir():
        raise click.UsageError(f"there is no folder {output.parent}")
    unreadable: list[str] = []
    lines = _found(account, within, unreadable.append)
    if group is not None or hook is not None:
        lines = of_hooks(lines, group, hook)
    readable = [line for line in lines if line.notice is not None]
    text = "".join(f"{line.written}\n" for line in readable)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="\n")
    _tell(within, len(readable), len(lines) - len(readable), output)
    if unreadable:
        _tell_unreadable(unreadable)
        click.get_current_context().exit(INCOMPLETE)


def _found(account: Account, within: Range, unreadable: Callable[[str], None]) -> list[Line]:
    console = Console(stderr=True)
    read = 0
    with console.status("Reading the table ...") as status:

        def progress(items: int) -> None:
            nonlocal read
            read += items
            status.update(f"Reading the table: {read:,} items ...")

        return found(account.dynamodb, account.outputs["TableName"], within, progress, unreadable)


def _tell(within: Range, count: int, left_out: int, output: Path | None) -> None:
    where = "" if output is None else f", in {output}"
    first, last = (iso_time.to_microseconds(bound) for bound in (within.first, within.last))
    said = f"{count} message{'' if count == 1 else 's'} from {first} to {last}{where}."
    click.echo(said, err=True)
    if left_out:
        click.echo(f"{left_out} left out: too long to be kept whole, or no message.", err=True)


def _tell_unreadable(unreadable: Sequence[str]) -> None:
    for each in unreadable[:_MOST_TOLD]:
        click.echo(f"passed over: {shown(each)}", err=True)
    count = len(unreadable)
    what = "1 item cannot be read" if count == 1 else f"{count} items cannot be read"
    click.echo(f"{what}: a newer release may have written them, so export with that one.", err=True)
