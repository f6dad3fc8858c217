"""A line of a log: the JSON in it, the event that Python printed there, or a line of Lambda's own.

`print(event)` in a function writes what Python calls it: `{'Records': [{'body': '…'}]}`. That is read as a
literal of nothing but texts, numbers, lists and mappings; nothing in it is run.
"""

from __future__ import annotations

import ast
import json
import re
from itertools import accumulate
from typing import Any, Final

MOST_CHARACTERS: Final = 1024 * 1024  # CloudWatch Logs takes no longer event (its quotas)
MOST_LEVELS: Final = 40  # of an event for Lambda there are five or so

OWN: Final = (
    r"(?:INIT_START Runtime|(?:START|END|REPORT) RequestId:|XRAY TraceId:)"  # how Lambda's lines begin
)
NO_MESSAGE: Final = "a line of a log without a message in JSON"

_PRINTED: Final = re.compile(r"\{\s*'")
_TEXT: Final = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+\"""")
_BETWEEN_TEXTS: Final = re.compile(
    r"(?:[\s\[\]{},:\"]|True|False|None|-?[0-9]++(?:\.[0-9]++)?(?:e[-+]?[0-9]++)?)*+"
)
_LEVELS: Final = {"{": 1, "[": 1, "}": -1, "]": -1}


def inside(line: str) -> list[Any]:
    """The message that a line is, or ends with: JSON text, or plain data; none in a line of Lambda's own.

    Raises ValueError with a reason.
    """
    if re.match(OWN, line):
        return []
    _, brace, rest = line.partition("{")
    found = f"{brace}{rest}".rstrip()
    if is_printed(found):
        return [printed(found)]
    try:
        is_message = isinstance(json.loads(found), dict)
    except (ValueError, RecursionError):
        is_message = False
    if not is_message:
        raise ValueError(NO_MESSAGE)
    return [found]


def is_printed(text: str, position: int = 0) -> bool:
    """Whether a mapping begins there as Python prints it."""
    return _PRINTED.match(text, position) is not None


def printed(text: str) -> Any:  # noqa: ANN401 - any JSON
    """What Python printed, as JSON has it. Raises ValueError with a reason."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"an event as Python prints it must have at most {MOST_CHARACTERS} characters")
    between = _TEXT.sub('"', text)
    if not _BETWEEN_TEXTS.fullmatch(between):
        raise ValueError("neither JSON nor an event as Python prints it: is it truncated?")
    if max(accumulate(_LEVELS.get(each, 0) for each in between)) > MOST_LEVELS:
        raise ValueError("nested too deep")
    try:
        return json.loads(json.dumps(ast.literal_eval(text)))
    except (ValueError, SyntaxError, TypeError):
        raise ValueError("neither JSON nor an event as Python prints it: is it truncated?") from None
