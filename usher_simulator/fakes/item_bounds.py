"""What DynamoDB refuses, for the stores in memory: an item of more than 400 KB, a key that is too long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from usher.aws import record_format

if TYPE_CHECKING:
    from usher.core.action import Action, Entry

MOST_BYTES: Final = 400 * 1024
_LONGEST_LETTER: Final = 12  # bytes, as JSON spells it
_ROOM: Final = 16 * 1024  # for all that is short by its nature
_LINES_OF_AN_ITEM: Final = 20


class ItemRefused(Exception):  # noqa: N818 - it reads as what happened
    """DynamoDB would say ValidationException, now and at every further try."""


def check_record(action: Action) -> None:
    """Refuse a record that no item holds. What cannot come near is not measured exactly."""
    letters = len(action.policy.source) + len(action.reason) + len(action.activity_id or "")
    letters += sum(len(signal.message) for signal in action.signals)
    words = (action.operator_hold, action.operator_result_by)
    letters += sum(len(word.reason) + len(word.who) for word in words if word is not None)
    if letters * _LONGEST_LETTER < MOST_BYTES - _ROOM:
        return
    size = len(json.dumps(record_format.action_to_data(action)))
    if size > MOST_BYTES - 1024:
        raise ItemRefused(f"the record of {action.id} has {size} bytes")


def check_lines(lines: tuple[Entry, ...]) -> None:
    """Refuse lines that are no one transaction, or no items."""
    if len(lines) > _LINES_OF_AN_ITEM * 90:
        raise ItemRefused(f"{len(lines)} lines are more than a transaction takes")
    longest = max((len(line.detail) + len(line.event) for line in lines), default=0)
    if longest * _LONGEST_LETTER * min(len(lines), _LINES_OF_AN_ITEM) > MOST_BYTES - _ROOM:
        raise ItemRefused(f"{len(lines)} lines of up to {longest} characters are more than an item holds")
