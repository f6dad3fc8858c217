"""An operator's word on one action: what it changes in the record, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from usher.core import iso_time
from usher.core.action import Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from usher.core.action import Action, OperatorNote, Result

    Change: TypeAlias = "Callable[[Action, datetime], Action]"


class CommandRefused(Exception):  # noqa: N818 - it reads as what happened
    """The action takes no such word; the text says why."""


def name_of(action: Action) -> str:
    """Which action, in words."""
    return f"{action.instance_id} (hook {action.hook.name} of {action.hook.group})"


def refuse_closed(action: Action) -> None:
    """What is over takes nothing any more. Raises Refused."""
    if action.phase is Phase.CLOSED:
        result = f" {action.result}" if action.result else ""
        when = f" at {iso_time.to_milliseconds(action.closed_at)}" if action.closed_at else ""
        raise CommandRefused(f"{name_of(action)} is closed, {action.outcome}{result}{when}: {action.reason}.")


def refuse_ended(action: Action) -> None:
    """An action that has its result takes no word any more. Raises Refused."""
    refuse_closed(action)
    if action.phase is Phase.COMPLETING:
        said = f"{action.result} is decided and may have been sent: {action.reason}"
        raise CommandRefused(f"{name_of(action)} is completing, {said}.")


def refuse_ordered(action: Action) -> None:
    """One order is enough. Raises Refused."""
    if action.operator_result_by is not None:
        by = f"ordered by {action.operator_result_by.who} already"
        raise CommandRefused(f"{action.operator_result} is {by} for {name_of(action)}.")


def hold(word: OperatorNote) -> Change:
    """Keep the instance, whatever its policy says."""

    def change(action: Action, now: datetime) -> Action:
        if now >= action.decide_by:
            raise CommandRefused(f"{name_of(action)} cannot be held any longer: its last moment has come.")
        return _noted(replace(action, operator_hold=word), now, word, "hold")

    return change


def hold_off(word: OperatorNote) -> Change:
    """End a hold."""

    def change(action: Action, now: datetime) -> Action:
        if action.operator_hold is None:
            raise CommandRefused(f"{name_of(action)} is not held.")
        return _noted(replace(action, operator_hold=None), now, word, "hold off")

    return change


def extend(word: OperatorNote, by: timedelta | None, to: datetime | None) -> Change:
    """Let an action wait longer: `by` a span, or `to` a moment."""

    def change(action: Action, now: datetime) -> Action:
        until = to if by is None else max(action.give_up_at, now) + by
        if until is None or until <= max(action.give_up_at, now):
            now_at = iso_time.to_milliseconds(action.give_up_at)
            raise CommandRefused(f"{name_of(action)} gives up at {now_at} already: name a later time.")
        then = iso_time.to_milliseconds(until)
        if until > action.decide_by:
            limit = (
                f"{iso_time.to_milliseconds(action.decide_by)}, just before the global timeout of the hook"
            )
            raise CommandRefused(f"{name_of(action)} can wait until {limit}, and not until {then}.")
        return _noted(replace(action, extended_to=until), now, word, f"extend to {then}")

    return change


def complete(word: OperatorNote, result: Result) -> Change:
    """End the action with a result, whatever it still waits for."""

    def change(action: Action, now: datetime) -> Action:
        refuse_ordered(action)
        operator_result_by = replace(action, operator_result_by=word, operator_result=result)
        return _noted(operator_result_by, now, word, f"complete {result}")

    return change


def look_again(who: str) -> Change:
    """Have it looked at now, after a pause."""

    def change(action: Action, now: datetime) -> Action:
        return action.noted(now, "resumed", f"by {who}")

    return change


def _noted(action: Action, now: datetime, word: OperatorNote, what: str) -> Action:
    return action.noted(now, "operator", f"{word.who}: {what}: {word.reason}")
