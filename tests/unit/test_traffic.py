"""Captured traffic: every form of file, folder and stream, taken apart into single messages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usher_cli import traffic
from usher_simulator.replay.replay import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from usher_cli.traffic import Found

BODY = {"Event": "autoscaling:TEST_NOTIFICATION", "Time": "2026-03-01T11:59:59Z"}
TEXT = json.dumps(BODY, separators=(",", ":"))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(tmp_path: Path, name: str, content: str | bytes) -> list[tuple[str, datetime | None, str]]:
    """Source (without the folder), time and body of each entry; the reason of what is unreadable."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [told(found, tmp_path) for found in traffic.read((str(tmp_path),))]


def told(found: Found, folder: Path) -> tuple[str, datetime | None, str]:
    source = found.source.removeprefix(f"{folder}/")
    if isinstance(found, Entry):
        return source, found.received_at, found.body
    assert isinstance(found, traffic.Unreadable)
    return source, None, found.reason


def sqs_record(body: str) -> dict[str, Any]:
    return {"messageId": "m", "eventSource": "aws:sqs", "body": body}


SNS_RECORD = {"EventSource": "aws:sns", "Sns": {"Message": TEXT}}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("a.json", BODY, [("a.json", None, TEXT)]),
        ("a.json", [BODY, BODY], [("a.json[0]", None, TEXT), ("a.json[1]", None, TEXT)]),
        ("a.json", {"Records": [sqs_record(TEXT)]}, [("a.json", None, TEXT)]),
        (
            "a.json",
            {"Records": [sqs_record("one"), sqs_record("two")]},
            [("a.json[0]", None, "one"), ("a.json[1]", None, "two")],
        ),
        ("a.json", {"received_at": "2026-03-01T12:00:00Z", "body": BODY}, [("a.json", AT, TEXT)]),
        ("a.json", {"received_at": "2026-03-01T13:00:00+01:00", "body": TEXT}, [("a.json", AT, TEXT)]),
        (
            "a.json",
            {"received_at": "2026-03-01T12:00:00Z", "body": {"Records": [sqs_record("one")]}},
            [("a.json", AT, "one")],
        ),
    ],
    ids=["one body", "a list", "an SQS event", "a batch", "a captured line", "its text", "a captured event"],
)
def test_every_form_is_taken_apart(tmp_path: Path, name: str, value: Any, expected: list[Any]) -> None:
    assert read(tmp_path, name, json.dumps(value, indent=2)) == expected


def test_a_record_of_an_sns_event_is_kept_whole(tmp_path: Path) -> None:
    ((source, _, body),) = read(tmp_path, "a.json", json.dumps({"Records": [SNS_RECORD]}))
    assert (source, json.loads(body)) == ("a.json", SNS_RECORD)


def test_lines_are_numbered_and_empty_ones_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path, "a.jsonl", f"{TEXT}\n\n{TEXT}\n")
    assert [source for source, _, _ in found] == ["a.jsonl:1", "a.jsonl:3"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", b"\xfe\xfd", "not UTF-8"),
        ("a.json", b"\xff\xfe{", "not UTF-16: an incomplete character"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.jsonl", "{", "not JSON"),
        ("a.json", '{"received_at": "yesterday", "body": {}}', "received_at must be a time"),
        ("a.json", '{"received_at": 5, "body": {}}', "received_at must be a time"),
        ("a.json", '{"received_at": "2026-03-01T12:00:00", "body": {}}', "received_at must be a time"),
    ],
)
def test_what_holds_no_message_is_told_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    ((source, _, told_reason),) = read(tmp_path, name, content)
    assert source.startswith(name)
    assert reason in told_reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[\n 1,", "not JSON: line 2, column 4: a value is missing or is not JSON"),
        (b'{"a": 1,', "not JSON: line 1, column 9: a name in double quotes is missing"),
        (b'{"a" 1}', "not JSON: line 1, column 6: a colon is missing"),
        (b'{"a": 1 "b"}', "not JSON: line 1, column 9: a comma or a closing bracket is missing"),
        (b'{"a": "b', "not JSON: line 1, column 7: a text has no closing quote"),
        (b'"\\q"', "not JSON: line 1, column 2: a backslash in a text is not a JSON escape"),
        (
            b'"a\nb"',
            "not JSON: line 1, column 3: a line break or another control character is in a text",
        ),
        (b'{"a": {}\n', "not JSON: line 1, column 9: a comma or a closing bracket is missing"),
        (b"\xef\xbb\xbf\xef\xbb\xbf1", "not JSON: line 1, column 1: a byte order mark"),
        (b"1" * 5000, "not JSON: a number has too many digits"),
        (b'{"a": "\xc3"}', "not UTF-8: line 1, column 8: the byte 0xc3"),
        (b'\xef\xbb\xbf\n "\xc3\xbc\xff"', "not UTF-8: line 2, column 4: the byte 0xff"),
    ],
    ids=lambda part: None if isinstance(part, bytes) else part.rpartition(": ")[2],
)
def test_what_cannot_be_read_is_told_in_plain_words_with_its_place(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    ((_, _, told_reason),) = read(tmp_path, "a.json", content)
    assert told_reason.startswith(reason)


def test_a_bad_line_is_told_by_its_number_in_the_file(tmp_path: Path) -> None:
    *_, (source, _, reason) = read(tmp_path, "a.jsonl", f"{TEXT}\n\n{{]\n")
    expected = "not JSON: line 3, column 2: a name in double quotes is missing"
    assert (source, reason) == ("a.jsonl:3", expected)


PYTHONS_WORDS = re.compile(r"Expecting|delimiter|\(char|codec|Extra|Invalid|Unterminated|Illegal|Exceeds")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.sampled_from('{}[]",:\\ \n\t1eu-.a\ufeff'), max_size=12).map(str.encode)
    | st.binary(max_size=9)
)
def test_no_word_of_python_is_in_what_is_said_of_a_bad_file(tmp_path: Path, content: bytes) -> None:
    """Another Python may say something else, of which this would tell."""
    found = read(tmp_path, "a.json", content)
    assert [one for one in found if PYTHONS_WORDS.search(one[2])] == []


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"], ids=["empty", "blank", "a mark alone"])
def test_an_empty_file_holds_nothing_whatever_its_ending(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, content) == []


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, b"\xef\xbb\xbf" + TEXT.encode()) == [(name, None, TEXT)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_a_line_break_ends_a_line(tmp_path: Path, newline: str) -> None:
    line = '{"NotificationMetadata":"one\u2028text\x85"}'
    found = read(tmp_path, "a.jsonl", f"{line}{newline}{line}{newline}")
    assert [source for source, _, _ in found] == ["a.jsonl:1", "a.jsonl:2"]
    assert [json.loads(body) for _, _, body in found] == [json.loads(line)] * 2


@pytest.mark.parametrize(
    ("content", "sources"),
    [
        pytest.param(json.dumps([BODY, BODY], indent=1), ["a.log[0]", "a.log[1]"], id="JSON"),
        pytest.param(f"{TEXT}\n{TEXT}\n", ["a.log:1", "a.log:2"], id="JSON lines"),
        pytest.param(TEXT, ["a.log"], id="one line"),
    ],
)
def test_a_named_file_of_another_ending_is_json_or_json_lines(
    tmp_path: Path, content: str, sources: list[str]
) -> None:
    file = tmp_path / "a.log"
    file.write_text(content)
    found = [told(one, tmp_path) for one in traffic.read((str(file),))]
    assert found == [(source, None, TEXT) for source in sources]


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(TEXT)
    lost, kept = str(tmp_path / "lost.json"), str(tmp_path / "a.json")
    found = [told(one, tmp_path) for one in traffic.read((lost, kept))]
    assert found == [
        ("lost.json", None, "cannot be read: No such file or directory"),
        ("a.json", None, TEXT),
    ]


def test_a_bad_line_keeps_no_other_line_from_being_read(tmp_path: Path) -> None:
    found = read(tmp_path, "a.jsonl", f"{TEXT}\n{{\n{TEXT}\n")
    assert [source for source, _, _ in found] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]


def test_a_folder_is_read_in_the_order_of_names_and_only_what_begins_as_traffic(tmp_path: Path) -> None:
    for name in ("b.json", "a.jsonl", "usher-1-2026-10-05-09-30-00-abcd", "c.txt"):
        (tmp_path / name).write_text(TEXT)
    (tmp_path / "hooks.yaml").write_text("version: 1\n")
    (tmp_path / "page.html").write_bytes(b"<html>")
    found = list(traffic.read((str(tmp_path),)))
    assert [entry.source.rsplit("/", 1)[1] for entry in found] == [
        "a.jsonl",
        "b.json",
        "c.txt",
        "usher-1-2026-10-05-09-30-00-abcd",
    ]
