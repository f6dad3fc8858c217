"""The JSON values in bytes, by what stands there and not by the name of the file.

One value, a value a line, values one behind the other without anything between them (Firehose),
lines of a log with a time before each value (a CloudWatch export, `aws logs tail`), events as Python
prints them, a table of comma-separated values (Logs Insights); each of them packed by gzip too, and
in UTF-8 or UTF-16.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from usher_cli.traffic import log_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP: Final = b"\x1f\x8b"
HEAD_BYTES: Final = 4096  # bytes that tell whether a file is traffic at all
_TIME: Final = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+(?:Z|[+-]\d\d:?\d\d)?)[ \t]+"
_LOGGED: Final = re.compile(rf"{_TIME}[^{{\n]*(?=\{{)")
# With a time and the name of a stream before it, as `aws logs tail` has them.
_LAMBDAS_OWN: Final = re.compile(rf"(?:{_TIME})?(?:[^\s{{\"]{{1,512}}[ \t]+)?{log_line.OWN}[^\n]*")
_OTHER_LINE: Final = re.compile(rf"{_TIME}[^\n]*")
_BEGINS: Final = re.compile(rf"[ \t]*(?:[{{\[]|{_LOGGED.pattern}|{_LAMBDAS_OWN.pattern})")
_NEXT: Final = re.compile(r"\n(?=[{\[]|\d{4}-\d\d-\d\dT\d\d:)")  # where reading goes on after a bad value
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_TABLE: Final = re.compile(r'[\w"@, .]*"?@?message"?[\w"@, .]*\r?(?:\n|$)')
_DECODER: Final = json.JSONDecoder()

# The errors of the json module, and what they mean to people.
_JSON_ERRORS: Final = {
    "Expecting value": "a value is missing or is not JSON",
    "Expecting property name": "a name in double quotes is missing",
    "Illegal trailing comma": "a comma has nothing after it",
    "Expecting ':'": "a colon is missing",
    "Expecting ','": "a comma or a closing bracket is missing",
    "Unterminated string": "a text has no closing quote",
    "Invalid control character": "a line break or another control character is in a text",
    "Invalid \\": "a backslash in a text is not a JSON escape",
    "Unexpected UTF-8 BOM": "a byte order mark is in the middle of the file",
}


class Value(NamedTuple):
    """A JSON value, where it begins, and the time that stands before it in a log."""

    place: str  # empty where it is all that there is; else `:LINE` or `:LINE:COLUMN`
    value: Any
    logged_at: str | None = None


class Bad(NamedTuple):
    """A place without a value, and why."""

    place: str
    reason: str


def values(content: bytes) -> list[Value | Bad]:
    """All of them, in their order. What is bad keeps nothing behind it from being read."""
    text = _text(content)
    if isinstance(text, Bad):
        return [text]
    found = list(_rows(text) if _TABLE.match(text) else _in_text(text))
    return [found[0]._replace(place="")] if len(found) == 1 and found[0].place == ":1" else found


def is_traffic(head: bytes) -> bool:
    """Whether a file that begins so may hold values: as JSON, a log of it, or a table of messages."""
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error:
            return True  # its reader says what is wrong
    encoding = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    text = head[:HEAD_BYTES].decode(encoding, errors="ignore").lstrip()
    return bool(_BEGINS.match(text) or _TABLE.match(text))


def parsed(text: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON value in `text`; None where there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(content: bytes) -> str | Bad:
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            return Bad("", "truncated or damaged gzip: fetch the file again")
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        return content.removeprefix(BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        problem = (
            _bad_byte(content.removeprefix(BOM_UTF8), error)
            if encoding == "utf-8"
            else "an incomplete character"
        )
        return Bad("", f"not {encoding.upper()}: {problem}")


def _in_text(text: str) -> Iterator[Value | Bad]:
    position, line, counted_to = 0, 1, 0
    while (position := _SPACE.match(text, position).end()) < len(text):  # type: ignore[union-attr] # any text
        line += text.count("\n", counted_to, position)
        counted_to = position
        column = position - text.rfind("\n", 0, position)
        place = f":{line}" if column == 1 else f":{line}:{column}"
        if own := _LAMBDAS_OWN.match(text, position):
            position = own.end()
            continue
        logged = _LOGGED.match(text, position)
        begin = logged.end() if logged else position
        time = logged[1] if logged else None
        if logged is None and (other := _OTHER_LINE.match(text, position)):
            yield Bad(f":{line}", log_line.NO_MESSAGE)
            position = other.end()
            continue
        if log_line.is_printed(text, begin):
            position = text.find("\n", begin) % (len(text) + 1)  # or the end
            yield _printed(place, text[begin:position].rstrip(), time)
            continue
        try:
            value, position = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            following = _NEXT.search(text, begin)
            end = following.start() if following else len(text)
            yield Bad(
                f":{line}", f"not JSON: {_why(text[begin:end].rstrip(), line, column + begin - position)}"
            )
            position = end
        else:
            yield Value(place, value, time)


def _printed(place: str, text: str, logged_at: str | None) -> Value | Bad:
    try:
        return Value(place, log_line.printed(text), logged_at)
    except ValueError as error:
        return Bad(place, str(error))


def _rows(text: str) -> Iterator[Value | Bad]:
    """A table as the console of CloudWatch writes it: the names in its first line."""
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            yield Value(f":{rows.line_num}", row)
    except csv.Error as error:
        yield Bad(f":{rows.line_num}", f"not a row of comma-separated values: {error}")


def _why(text: str, line: int, column: int) -> str:
    """Why `text`, which begins at that place, is not JSON."""
    try:
        json.loads(text)
    except RecursionError:
        return "nested too deep"
    except json.JSONDecodeError as error:
        texts = (text for start, text in _JSON_ERRORS.items() if error.msg.startswith(start))
        place = _place(line + error.lineno - 1, error.colno + (column - 1) * (error.lineno == 1))
        return f"{place}: {next(texts, error.msg)}"
    except ValueError:
        pass
    return "a number has too many digits"  # nothing else is left that `json` raises


def _bad_byte(content: bytes, error: UnicodeDecodeError) -> str:
    before = content[: error.start].decode()
    place = _place(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return f"{place}: the byte {content[error.start]:#04x}"


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}"
