"""Captured traffic: every wrapping in which people have messages, told by what stands in it."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.simulation.test_cloudtrail import record
from usher.core import messages
from usher.core.notifications import LifecycleNotice
from usher_cli import traffic
from usher_cli.traffic import Unreadable
from usher_simulator.replay.cloudtrail import Call
from usher_simulator.replay.replay import Entry

if TYPE_CHECKING:
    from usher_cli.traffic import Found

SENT: Final = datetime(2026, 10, 5, 9, 30, tzinfo=UTC)
CAME: Final = datetime(2026, 10, 5, 9, 30, 2, tzinfo=UTC)
CAME_MS: Final = 1791192602000


def hook(number: int = 1, **changed: Any) -> dict[str, Any]:
    """What a hook sends to SQS. None leaves a key out."""
    message = {
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "LifecycleHookName": "usher-drain",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "AutoScalingGroupName": "jobs-blue",
        "Time": "2026-10-05T09:30:00Z",
        "EC2InstanceId": f"i-{number:017}",
        "LifecycleActionToken": f"{number:036}",
        **changed,
    }
    return {key: value for key, value in message.items() if value is not None}


ACTION: Final = "EC2 Instance-terminate Lifecycle Action"


def event(number: int = 1, kind: str = ACTION, **changed: Any) -> dict[str, Any]:
    """What a rule hands on."""
    detail = hook(number, Time=None)
    return {
        "version": "0", "id": "00000901-0000-4000-8000-000000000901", "detail-type": kind,
        "source": "aws.autoscaling", "account": "111122223333", "time": "2026-10-05T09:30:00Z",
        "region": "eu-west-1", "resources": [], "detail": detail, **changed,
    }  # fmt: skip


def text(*values: Any) -> str:
    """Each as JSON on its own line."""
    return "\n".join(json.dumps(value) for value in values)


def logged(value: Any) -> dict[str, Any]:
    return {"timestamp": CAME_MS - 1000, "ingestionTime": CAME_MS, "message": value, "eventId": "1"}


def subscribed(*values: Any) -> dict[str, Any]:
    """What a subscription of a log group sends."""
    events = [{"id": "1", "timestamp": CAME_MS, "message": text(value)} for value in values]
    return {"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": events}


def received(body: str, **attributes: str) -> dict[str, Any]:
    return {"MessageId": "m", "ReceiptHandle": "r", "Body": body, "Attributes": attributes}


def sns(message: str) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": message}


def insights(*values: Any) -> dict[str, Any]:
    """What get-query-results prints."""
    fields = ({"@timestamp": "2026-10-05 09:30:02.000", "@message": text(value)} for value in values)
    rows = [[{"field": name, "value": value} for name, value in row.items()] for row in fields]
    return {"results": rows, "statistics": {}, "status": "Complete"}


def read(content: str | bytes) -> list[Found]:
    return list(traffic.read_content("f", content if isinstance(content, bytes) else content.encode()))


def notices(found: list[Found]) -> list[LifecycleNotice]:
    """All of them, where nothing else was found."""
    assert [one for one in found if not isinstance(one, Entry)] == []
    read_as = [messages.read(one.body) for one in found if isinstance(one, Entry)]
    assert all(isinstance(one, LifecycleNotice) for one in read_as)
    return [one for one in read_as if isinstance(one, LifecycleNotice)]


TAIL = "2026-10-05T09:30:02.000000+00:00 54dab8ed "
CSV_BODY = json.dumps(event()).replace('"', '""')
DLQ_OF_A_LAMBDA = text({"Records": [{"EventSource": "aws:sns", "Sns": sns(text(hook()))}]})
DOCUMENTED = "yyyy-mm-ddThh:mm:ss.xxxZ"

PACKED: Final = base64.b64encode(gzip.compress(text(subscribed(event())).encode())).decode()
TWO_HOOKS: Final = [text(hook(1)), text(hook(2))]
TWO_EVENTS: Final = [text(event(1)), text(event(2))]
TWO_LOGGED: Final = [text(subscribed(event(1))), text(subscribed(event(2)))]


def zipped(*texts: str) -> bytes:
    """Each packed by itself, one behind the other."""
    return b"".join(gzip.compress(one.encode()) for one in texts)


# name: what people have, how many messages are in it, and whether it tells when they came
INPUTS: Final[dict[str, tuple[str | bytes, int, bool]]] = {
    "receive-message": (text({"Messages": [received(one) for one in TWO_HOOKS]}), 2, False),
    "with the time of sending": (text(received(text(hook()), SentTimestamp=str(CAME_MS))), 1, True),
    "messages by jq, laid out": ("".join(json.dumps(received(one), indent=2) for one in TWO_HOOKS), 2, False),
    "bodies by --query, as JSON": (json.dumps(TWO_HOOKS, indent=4), 2, False),
    "bodies by --query, as text": ("\t".join(TWO_HOOKS), 2, False),
    "Firehose": ("".join(TWO_EVENTS), 2, False),
    "Firehose, packed part by part": (zipped(*TWO_EVENTS), 2, False),
    "Firehose after a subscription": (zipped("".join(TWO_LOGGED)), 2, True),
    "a subscription's Lambda event": (text({"awslogs": {"data": PACKED}}), 1, True),
    "Pipes": (text([{"receiptHandle": "r", "body": text(hook()), "attributes": {}}]), 1, False),
    "filter-log-events": (text({"events": [logged(text(event()))]}), 1, True),
    "a function that prints its event": (
        text({"events": [logged(f"[INFO] got {text(event())}\n")]}),
        1,
        True,
    ),
    "aws logs tail": (f"{TAIL}{text(event(1))}\n{TAIL}{text(event(2))}\n", 2, True),
    "a CloudWatch export": (zipped(f"2026-10-05T09:30:02.000Z {text(event())}\n"), 1, True),
    "get-query-results": (text(insights(event(1), event(2))), 2, True),
    "Logs Insights, CSV": (f'@timestamp,@message\r\n2026-10-05 09:30:02.000,"{CSV_BODY}"\r\n', 1, True),
    "Logs Insights, JSON": (text([{"@timestamp": "2026-10-05 09:30:02.000", "@message": event()}]), 1, True),
    "the console's log, CSV": (f'timestamp,message\n{CAME_MS},"{CSV_BODY}"\n', 1, True),
    "PowerShell's >": ("\ufeff{}\r\n{}\r\n".format(*TWO_HOOKS).encode("utf-16-le"), 2, False),
    "a dead letter of a Lambda": (text({"Messages": [received(DLQ_OF_A_LAMBDA)]}), 1, False),
    "an archive's replay": (text(event() | {"replay-name": "redo"}), 1, False),
}


@pytest.mark.parametrize(("content", "count", "tells_when"), INPUTS.values(), ids=INPUTS)
def test_what_people_have_is_taken_apart_to_its_messages(
    content: str | bytes, count: int, tells_when: bool
) -> None:
    found = read(content)
    assert [(one.instance_id, one.at) for one in notices(found)] == [
        (f"i-{number:017}", SENT) for number in range(1, count + 1)
    ]
    came = {one.received_at for one in found if isinstance(one, Entry)}
    assert came == ({CAME} if tells_when else {None})


# When a message was sent


TIMELESS: Final = {
    "a rule's $.detail": hook(Time=None),
    "documentation": hook(Time=DOCUMENTED),
    "a fixture": hook(Time="1970-01-01T00:00:00.000Z"),
    "an event of documentation": event(time="yyyy-mm-ddThh:mm:ssZ"),
    "an envelope around it": sns(text(hook(Time=DOCUMENTED))),
    "a direct invocation that failed": {"requestPayload": event(time=DOCUMENTED), "requestContext": {}},
    "an invocation by SNS": {"Records": [{"Sns": sns(text(hook(Time=DOCUMENTED)))}]},
}


@pytest.mark.parametrize("body", TIMELESS.values(), ids=TIMELESS)
def test_when_it_was_received_stands_for_the_time_that_a_message_does_not_tell(body: Any) -> None:
    (notice,) = notices(read(text({"received_at": "2026-10-05T09:30:02Z", "body": body})))
    assert notice.at == CAME


@pytest.mark.parametrize("body", list(TIMELESS.values())[1:], ids=list(TIMELESS)[1:])
def test_a_placeholder_for_a_time_is_refused_by_name_where_nothing_tells_the_time(body: Any) -> None:
    good, bad = read(text(hook(), body))
    assert isinstance(good, Entry)
    assert isinstance(bad, Unreadable)
    assert bad.source == "f:2"
    assert "ime is a placeholder, '" in bad.reason
    assert 'as {"received_at": ' in bad.reason


def test_a_time_that_is_told_is_kept_as_it_is() -> None:
    body = text(hook())
    (entry,) = read(text({"received_at": "2026-10-05T09:30:02Z", "body": body}))
    assert entry == Entry(source="f", received_at=CAME, body=body)


def test_an_outcome_of_documentation_ends_when_it_came() -> None:
    detail = {"StartTime": DOCUMENTED, "EndTime": DOCUMENTED, "EC2InstanceId": "i-1"}
    body = event(kind="EC2 Instance Terminate Successful", time=DOCUMENTED, detail=detail)
    (entry,) = read(text({"received_at": "2026-10-05T09:30:02Z", "body": body}))
    assert isinstance(entry, Entry)
    told = json.loads(entry.body)
    assert (told["time"], told["detail"]) == (CAME.isoformat(), {"EC2InstanceId": "i-1"})


# What is wrong in one place harms no other


WRONG: Final = {
    "a captured line": ({"received_at": "yesterday", "body": {}}, "received_at must be a time"),
    "a line of a log": (logged("5 jobs are left"), "a line of a log without a message in JSON"),
    "a row of Logs Insights": ({"@message": "END"}, "a line of a log without a message in JSON"),
    "a subscription": ({"awslogs": {"data": "?"}}, "awslogs must have data in base64"),
    "a subscription without data": ({"awslogs": 1}, "awslogs must have data in base64"),
    "what a subscription has packed": (
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"{")).decode()}},
        "awslogs: not JSON: line 1, column 2",
    ),
    "an event of lookup-events": ({"CloudTrailEvent": "{"}, "CloudTrailEvent must be an event"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrapping_that_is_wrong_is_told_with_its_place_and_stops_no_other(wrong: Any, reason: str) -> None:
    before, bad, after = read(text([hook(1), wrong, hook(2)]))
    assert (type(before), type(after)) == (Entry, Entry)
    assert isinstance(bad, Unreadable)
    assert bad.source == "f[1]"
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(gzip.compress(text(hook()).encode())[:-9], "truncated or damaged gzip", id="gzip"),
        pytest.param(b"\x1f\x8bnothing", "truncated or damaged gzip", id="no gzip"),
        pytest.param(b'@message\n"' + b"x" * 200_000, "not a row of comma-separated values", id="a table"),
    ],
)
def test_a_file_that_cannot_be_unpacked_is_told_in_one_line(content: bytes, reason: str) -> None:
    (bad,) = read(content)
    assert isinstance(bad, Unreadable)
    assert bad.reason.startswith(reason)


def test_values_behind_a_broken_one_are_read_and_the_broken_one_told_once() -> None:
    broken = json.dumps(hook(2), indent=2)[:-5]
    found = read(f"{json.dumps(hook(1), indent=2)}\n{broken}\n{text(hook(3), hook(4))}\n")
    assert [(type(one).__name__, one.source) for one in found] == [
        ("Entry", "f:1"),
        ("Unreadable", "f:11"),
        ("Entry", "f:20"),
        ("Entry", "f:21"),
    ]


def test_an_empty_answer_of_aws_holds_no_message() -> None:
    assert read(text({"events": []}) + text({"Messages": []}) + text({"results": []})) == []


# CloudTrail


RECORD: Final = record(
    40, awsRegion="eu-west-1", lifecycleHookName="usher-drain", instanceId="i-00000000000000001"
)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(zipped(text({"Records": [RECORD]})), id="a file of a trail"),
        pytest.param(text({"Events": [{"CloudTrailEvent": text(RECORD)}]}), id="lookup-events"),
        pytest.param(text(event(kind="AWS API Call via CloudTrail", detail=RECORD)), id="a rule"),
        pytest.param(text({"events": [logged(text(RECORD))]}), id="a trail in a log group"),
    ],
)
def test_a_record_of_cloudtrail_is_a_call_in_whatever_it_comes(content: str | bytes) -> None:
    (call,) = read(content)
    assert isinstance(call, Call)
    assert (call.name, call.group, call.hook, call.instance_id, call.token, call.result, call.error) == (
        "CompleteLifecycleAction",
        "jobs-blue",
        "usher-drain",
        "i-00000000000000001",
        None,
        "ABANDON",
        None,
    )
    assert str(call.home) == "account 111122223333, Region eu-west-1"


@pytest.mark.parametrize("parameters", [None, [], "x", {"instanceId": 5}])
def test_what_a_record_of_cloudtrail_does_not_tell_is_not_told(parameters: Any) -> None:
    (call,) = read(text({**RECORD, "requestParameters": parameters, "eventTime": 5}))
    assert isinstance(call, Call)
    assert (call.at, call.group, call.instance_id) == (None, None, None)
