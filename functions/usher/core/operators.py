"""The commands of operators on one action: what each changes in the record, and when it is refused."""

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
    """The action does not accept the command; the text says why."""


def name_of(action: Action) -> str:
    """Which action, as texts name it."""
    return f"{action.instance_id} (hook {action.hook.name} of {action.hook.group})"


def refuse_closed(action: Action) -> None:
    """A closed action accepts no command. Raises CommandRefused."""
    if action.phase is Phase.CLOSED:
        result = f" {action.result}" if action.result else ""
        when = f" at {iso_time.to_milliseconds(action.closed_at)}" if action.closed_at else ""
        raise CommandRefused(f"{name_of(action)} is closed, {action.outcome}{result}{when}: {action.reason}.")


def refuse_ended(action: Action) -> None:
    """An action whose result is decided accepts no command. Raises CommandRefused."""
    refuse_closed(action)
    if action.phase is Phase.COMPLETING:
        decided = f"{action.result} is decided and may already have been sent ({action.reason})"
        raise CommandRefused(f"{name_of(action)} is completing: {decided}.")


def refuse_requested(action: Action) -> None:
    """A result can be requested once. Raises CommandRefused."""
    if action.operator_result_by is not None:
        by = f"has already been requested by {action.operator_result_by.who}"
        raise CommandRefused(f"{action.operator_result} {by} for {name_of(action)}.")


def hold(note: OperatorNote) -> Change:
    """Keep the instance, whatever its policy says."""

    def change(action: Action, now: datetime) -> Action:
        if now >= action.decide_by:
            raise CommandRefused(
                f"{name_of(action)} can no longer be held: the global timeout of its hook is too near."
            )
        return _noted(replace(action, operator_hold=note), now, note, "hold")

    return change


def hold_off(note: OperatorNote) -> Change:
    """End a hold."""

    def change(action: Action, now: datetime) -> Action:
        if action.operator_hold is None:
            raise CommandRefused(f"{name_of(action)} is not held.")
        return _noted(replace(action, operator_hold=None), now, note, "hold off")

    return change


def extend(note: OperatorNote, by: timedelta | None, to: datetime | None) -> Change:
    """Let an action wait longer: `by` a duration, or until `to`."""

    def change(action: Action, now: datetime) -> Action:
        if action.policy.candidates:
            raise CommandRefused(
                f"The policy of {name_of(action)} is not chosen yet: try again in two minutes."
            )
        until = to if by is None else max(action.give_up_at, now) + by
        if until is None or until <= max(action.give_up_at, now):
            gives_up_at = iso_time.to_milliseconds(action.give_up_at)
            raise CommandRefused(f"{name_of(action)} already gives up at {gives_up_at}: give a later time.")
        then = iso_time.to_milliseconds(until)
        if until > action.decide_by:
            latest = iso_time.to_milliseconds(action.decide_by)
            limit = f"{latest} at the latest, just before the global timeout of its hook"
            raise CommandRefused(f"{name_of(action)} can wait until {limit}; got {then}.")
        return _noted(replace(action, extended_to=until), now, note, f"extend to {then}")

    return change


def complete(note: OperatorNote, result: Result) -> Change:
    """End the action with a result, whatever it still waits for."""

    def change(action: Action, now: datetime) -> Action:
        refuse_requested(action)
        requested = replace(action, operator_result_by=note, operator_result=result)
        return _noted(requested, now, note, f"complete {result}")

    return change


def evaluate_again(who: str) -> Change:
    """Have it evaluated now, after a pause."""

    def change(action: Action, now: datetime) -> Action:
        return action.noted(now, "resumed", f"by {who}")

    return change


def _noted(action: Action, now: datetime, note: OperatorNote, what: str) -> Action:
    return action.noted(now, "operator", f"{note.who}: {what}: {note.reason}")
