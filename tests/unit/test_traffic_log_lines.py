"""Logs of functions: events as Python prints them, lines of Lambda's own, and other people's lines."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher_cli import traffic
from usher_cli.traffic import Unreadable, log_line
from usher_simulator.replay.replay import Entry

HOOK: Final = {
    "LifecycleHookName": "usher-drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "AutoScalingGroupName": "jobs-blue",
    "EC2InstanceId": "i-00000000000000001",
    "LifecycleActionToken": "0" * 36,
    "Time": "2026-10-05T09:30:00Z",
    "NotificationMetadata": 'it\'s "quoted" \\ and so on',
}
RECORD: Final = {
    "messageId": "m", "receiptHandle": "r", "body": json.dumps(HOOK), "eventSource": "aws:sqs",
    "attributes": {"SentTimestamp": "1791192602000"}, "messageAttributes": {}, "more": [1, -2.5, True, None],
}  # fmt: skip
PRINTED: Final = repr({"Records": [RECORD]})
OWN: Final = (
    "INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: arn:aws:lambda:eu-west-1::runtime:1",
    "START RequestId: 8f5a Version: $LATEST",
    "END RequestId: 8f5a",
    "REPORT RequestId: 8f5a\tDuration: 1.50 ms\tBilled Duration: 2 ms",
    "XRAY TraceId: 1-5 SegmentId: 1 Sampled: true",
)


def read(content: str) -> list[Any]:
    return list(traffic.read_content("a.log", content.encode()))


def exported(*lines: str) -> str:
    return "".join(f"2026-10-05T09:30:0{number}.100Z {line}\n" for number, line in enumerate(lines))


def filtered(*lines: str) -> str:
    events = [{"message": line, "timestamp": 1791192602000, "eventId": "1"} for line in lines]
    return json.dumps({"events": events})


def table(*lines: str) -> str:
    rows = [f'1791192602000,"{line.replace(chr(34), chr(34) * 2)}"' for line in lines]
    return "\n".join(["timestamp,message", *rows])


WAYS: Final = {"an export": exported, "filter-log-events": filtered, "a table": table}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", ["", "[INFO]\t2026-10-05T09:30:00.100Z\t8f5a\t", "event: "])
def test_an_event_that_a_function_printed_is_read_and_lambdas_own_lines_are_passed_over(
    way: str, before: str
) -> None:
    (found,) = read(WAYS[way](*OWN[:2], before + PRINTED, *OWN[2:]))
    assert isinstance(found, Entry)
    assert json.loads(found.body) == HOOK
    assert found.received_at is not None
    assert found.received_at.isoformat() == "2026-10-05T09:30:02+00:00"


def test_printed_events_without_times_are_read_one_a_line() -> None:
    first, second = read(f"{PRINTED}\n{PRINTED}\r\n")
    assert (first.source, second.source) == ("a.log:1", "a.log:2")


@pytest.mark.parametrize("event", [PRINTED, {"Records": [RECORD]}], ids=["as text", "as JSON"])
def test_what_a_logger_writes_as_json_is_read_and_lambdas_own_lines_in_json_too(event: object) -> None:
    start = {"time": "2026-10-05T09:30:00.100Z", "type": "platform.start", "record": {"requestId": "8f5a"}}
    line = {"timestamp": "2026-10-05T09:30:00Z", "level": "INFO", "message": event, "requestId": "8f5a"}
    lines = [json.dumps(one) for one in (start, line)]
    for content in ("\n".join(lines), exported(*lines), filtered(*lines)):
        (found,) = read(content)
        assert json.loads(found.body) == HOOK


@pytest.mark.parametrize("way", WAYS)
def test_another_line_is_told_once(way: str) -> None:
    bad, good = read(WAYS[way]("5 of 7 jobs are left", PRINTED))
    assert (bad.reason, isinstance(good, Entry)) == ("a line of a log without a message in JSON", True)


CUT: Final = "neither JSON nor an event as Python prints it: is it truncated?"
HOSTILE: Final = {
    "cut off": (PRINTED[:-1], CUT),
    "cut off in a text": (PRINTED[:60], CUT),
    "a call": ("{'a': __import__('os').getcwd()}", CUT),
    "an addition": ("{'a': 1+1}", CUT),
    "a set": ("{'a', 'b'}", CUT),
    "bytes": ("{'a': b'x'}", CUT),
    "a list as key": ("{'a': 1, ['b']: 2}", CUT),
    "many digits": ("{'a': " + "1" * 5_000 + "}", CUT),
    "many digits, and no number": ("{'a': " + "1" * 100_000 + "x}", CUT),
    "too deep": ("{'a': " + "[" * 40 + "]" * 40 + "}", "nested too deep"),
    "far too deep": ("{'a': " + "[" * 200_000, "nested too deep"),
    "too long": (
        "{'a': '" + "x" * 1024 * 1024 + "'}",
        "an event as Python prints it must have at most 1048576 characters",
    ),
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_only_looks_printed_is_told_and_stops_no_other(text: str, reason: str) -> None:
    for way in (exported, filtered):
        bad, good = read(way(text, PRINTED))
        assert isinstance(bad, Unreadable)
        assert (bad.reason, isinstance(good, Entry)) == (reason, True)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_whatever_json_python_printed_comes_back(value: Any) -> None:
    assert log_line.printed(repr({"Records": value})) == {"Records": value}


@given(st.text(alphabet="{}[]'\"\\:,x1 \n", max_size=60))
def test_whatever_begins_so_is_read_or_told(text: str) -> None:
    try:
        json.dumps(log_line.printed("{'" + text))
    except ValueError as error:
        assert str(error) in (CUT, "nested too deep")  # noqa: PT017 - both are right
