"""Captured traffic in files, folders and standard input, taken apart into single messages."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from simulator.replay import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_LINES: Final = {".json": False, ".jsonl": True}  # any other ending: whichever it is

# What the json module says, and what it means to people.
_JSON_WORDS: Final = {
    "Expecting value": "a value is missing, or is none of JSON's",
    "Expecting property name": "a name in double quotes is missing",
    "Illegal trailing comma": "a comma has nothing after it",
    "Expecting ':'": "a colon is missing",
    "Expecting ','": "a comma or a closing bracket is missing",
    "Unterminated string": "a text has no closing quote",
    "Invalid control character": "a line break or another control character stands in a text",
    "Invalid \\": "a backslash in a text begins nothing that JSON knows",
    "Extra data": "something stands after the end of the value",
    "Unexpected UTF-8 BOM": "a byte order mark stands in the middle of the file",
}

_EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)  # as usher.aws.messages reads times
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A place that holds no message, and why."""

    source: str
    reason: str


Found: TypeAlias = Entry | Unreadable


def read(paths: tuple[str, ...]) -> Iterator[Found]:
    """Every message in the files and folders, in their order; `-` is standard input."""
    for path in paths:
        if path == "-":
            yield from _read_text("-", sys.stdin.buffer.read(), lines=None)
            continue
        for file in files(Path(path)):
            yield from _read_file(file)


def files(path: Path) -> list[Path]:
    """The files that are read for this path."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _BY_LINES and file.is_file())


def _read_file(file: Path) -> Iterator[Found]:
    try:
        content = file.read_bytes()
    except OSError as error:
        yield Unreadable(source=str(file), reason=f"cannot be read: {error.strerror}")
        return
    yield from _read_text(str(file), content, lines=_BY_LINES.get(file.suffix))


def _read_text(source: str, content: bytes, *, lines: bool | None) -> Iterator[Found]:
    """`lines`: one JSON value a line, or one in all; None: whichever it is."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Unreadable(source=source, reason=f"not UTF-8: {_bad_byte(error)}")
        return
    if lines is None:
        lines = not _is_json(text)
    if not lines:
        yield from _read_json(source, text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        yield from _read_json(f"{source}:{number}", line, number)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_json(source: str, text: str, first_line: int = 1) -> Iterator[Found]:
    if not text.strip():
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield Unreadable(source=source, reason=f"not JSON: {_words(error, first_line)}")
        return
    try:
        yield from list(_take_apart(source, value, None))
    except RecursionError:
        yield Unreadable(source=source, reason="captures nested too deep in one another")


def _take_apart(source: str, value: Any, received_at: datetime | None) -> Iterator[Found]:  # noqa: ANN401 - any JSON
    """One entry, or those in it: a list, a captured line, an event with Records."""
    match value:
        case list():
            for index, element in enumerate(value):
                yield from _take_apart(f"{source}[{index}]", element, received_at)
        case {"received_at": moment, "body": body}:
            yield from _take_capture(source, moment, body)
        case {"Records": [_, *_] as records}:
            for index, record in enumerate(records):
                place = source if len(records) == 1 else f"{source}[{index}]"
                body = record.get("body", record) if isinstance(record, dict) else record
                yield Entry(source=place, received_at=received_at, body=_text(body))
        case _:
            yield Entry(source=source, received_at=received_at, body=_text(value))


def _take_capture(source: str, moment: Any, body: Any) -> Iterator[Found]:  # noqa: ANN401 - any JSON
    try:
        received_at = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        received_at = None
    if received_at is None or received_at.tzinfo is None or not _EARLIEST <= received_at <= _LATEST:
        reason = f"received_at must be a time such as 2026-01-31T12:00:00Z, got {str(moment)[:80]!r}"
        yield Unreadable(source=source, reason=reason)
    elif isinstance(body, dict | list):
        yield from _take_apart(source, body, received_at.astimezone(UTC))
    else:
        yield Entry(source=source, received_at=received_at.astimezone(UTC), body=_text(body))


def _text(body: Any) -> str:  # noqa: ANN401 - any JSON
    return body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))


def _bad_byte(error: UnicodeDecodeError) -> str:
    before = error.object[: error.start].decode()
    byte = error.object[error.start]
    return f"{_place(before.count(chr(10)) + 1, len(before) - before.rfind(chr(10)))}: the byte {byte:#04x}"


def _words(error: Exception, first_line: int) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return "a number has too many digits"  # nothing else is left that `json` raises
    said = next((words for start, words in _JSON_WORDS.items() if error.msg.startswith(start)), error.msg)
    return f"{_place(first_line + error.lineno - 1, error.colno)}: {said}"


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}"
