"""Captured traffic: every form of file, folder and stream, taken apart into single messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cli import traffic
from simulator.replay import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from cli.traffic import Unreadable

BODY = {"Event": "autoscaling:TEST_NOTIFICATION"}
TEXT = json.dumps(BODY, separators=(",", ":"))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(tmp_path: Path, name: str, content: str | bytes) -> list[tuple[str, datetime | None, str]]:
    """Source (without the folder), time and body of each entry; the reason of what is unreadable."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [told(found, tmp_path) for found in traffic.read((str(tmp_path),))]


def told(found: Entry | Unreadable, folder: Path) -> tuple[str, datetime | None, str]:
    source = found.source.removeprefix(f"{folder}/")
    return (
        (source, found.received_at, found.body) if isinstance(found, Entry) else (source, None, found.reason)
    )


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
        ("a.json", b"\xff\xfe", "not UTF-8"),
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


def test_a_bad_line_keeps_no_other_line_from_being_read(tmp_path: Path) -> None:
    found = read(tmp_path, "a.jsonl", f"{TEXT}\n{{\n{TEXT}\n")
    assert [source for source, _, _ in found] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]


def test_a_folder_is_read_in_the_order_of_names_and_only_json(tmp_path: Path) -> None:
    for name in ("b.json", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text(TEXT)
    found = list(traffic.read((str(tmp_path),)))
    assert [entry.source.rsplit("/", 1)[1] for entry in found] == ["a.jsonl:1", "b.json"]
