"""What Usher's own messages say: wake-ups and questions, as JSON texts and back."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from usher.core.held_wait import HeldWait

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_READ: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
_ACTION_ID: Final = re.compile(r"[!-~]{1,128}")
_MOMENTS: Final = ("due_at", "expires_at", "ends_at", "beaten_at", "first_at", "missed_at")  # of a HeldWait
_SPANS: Final = ("timeout", "lead")
_FIELDS: Final = tuple(field.name for field in fields(HeldWait))
_values_of: Final = attrgetter(*_FIELDS)
_USUAL: Final = {one.name: one.default for one in fields(HeldWait) if one.default is not MISSING}


def wake_up_body(action_id: str, stamp: int, wait: HeldWait | None = None) -> str:
    """The body of a wake-up; what is absent or as usual is left out of the wait."""
    message: dict[str, Any] = {"action_id": action_id, "version": stamp}
    if wait is not None:
        told = zip(_FIELDS, _values_of(wait), strict=True)
        message["wait"] = {name: _plain(value) for name, value in told if value != _USUAL.get(name, ...)}
    return json.dumps(message)


def wait_of(message: Mapping[str, Any]) -> HeldWait | None:
    """The wait in a wake-up that was read from JSON; None: it has none that this release understands."""
    try:
        known: dict[str, Any] = {name: message["wait"][name] for name in _FIELDS if name in message["wait"]}
        known.update({name: datetime.fromisoformat(known[name]) for name in _MOMENTS if name in known})
        known.update({name: timedelta(seconds=known[name]) for name in _SPANS})
        return HeldWait(**known)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def question_body(action_id: str, turn: int) -> str:
    """The body of a question."""
    return json.dumps({"action_id": action_id, "turn": turn})


def numbered(body: str, number: str) -> tuple[str, int]:
    """The action of a wake-up or a question, and the number that it is for. Raises what is NOT_READ."""
    message = json.loads(body)
    if not isinstance(message["action_id"], str) or not _ACTION_ID.fullmatch(message["action_id"]):
        raise ValueError("no id of an action")
    return message["action_id"], int(message[number])
