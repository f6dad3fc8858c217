"""The sample messages of events/, and what is read of a message, for the suites of the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from usher.core import messages
from usher.core.action import Signal
from usher.core.notifications import NotUnderstood

EVENTS = Path(__file__).parents[1] / "events"
TEXTS = {path.stem: path.read_text() for path in sorted((EVENTS / "messages").glob("*"))}
INVOCATIONS = {path.stem: json.loads(path.read_text()) for path in sorted((EVENTS / "invoke").glob("*"))}
SURROGATE = "\ud800"
NESTED_DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
KIBIBYTE = 1024
HUGE_INTEGER = 10**4000  # below the 4,300 digits at which Python itself gives up


def read_sample(name: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(TEXTS[name])
    return sample


def bodies(event: dict[str, Any]) -> list[Any]:
    """The messages in what Lambda hands to the intake."""
    return [record.get("body", record) for record in event.get("Records", [event])]


def reason(body: object) -> str:
    with pytest.raises(NotUnderstood) as caught:
        messages.read(body)
    assert_short(str(caught.value))
    return str(caught.value)


def assert_short(text: str) -> None:
    """A reason travels in an attribute of the dead letter, and is read by people."""
    assert text.isascii()
    assert 0 < len(text) <= 400


def signal_put(entry: dict[str, str]) -> Signal:
    """What Usher reads of an entry of PutEvents, as EventBridge passes it on."""
    event = {
        "id": "1",
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "time": "2026-03-10T09:00:00Z",
        "detail": json.loads(entry["Detail"]),
    }
    signal = messages.read(event)
    assert isinstance(signal, Signal)
    return signal


def with_detail(name: str, **changes: object) -> dict[str, Any]:
    body = read_sample(name)
    body["detail"] |= changes
    return body


def padded(size: int) -> str:
    """A good message of `size` bytes, most of them in characters of two bytes."""
    empty = len(json.dumps(read_sample("hook-terminating") | {"Padding": ""}).encode())
    wide, narrow = divmod(size - empty, 2)
    body = read_sample("hook-terminating") | {"Padding": "é" * wide + "e" * narrow}
    return json.dumps(body, ensure_ascii=False)
