"""What an operator does to one action, by a command or on the console: hold, extend, complete, signal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from usher.core import evidence, operators
from usher.core.action import OperatorNote, Signal, Status
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.conditions.signalled import Signalled
from usher.core.operators import CommandRefused, name_of, refuse_ended, refuse_requested
from usher.core.policy import Mode
from usher.ports.records import ALL_HOOKS
from usher_cli.account import Trouble
from usher_cli.action_data import as_data
from usher_cli.change import refusals, stored
from usher_cli.open_actions import unread
from usher_cli.printable import pause_banner, resume_command
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from usher.core.action import Action, Result
    from usher.core.operators import Change
    from usher_cli.account import Account

_HOLD_BY_HAND: Final = "to hold it, use `aws autoscaling record-lifecycle-action-heartbeat`"


class Done(NamedTuple):
    """What was done: as `--json` prints it, in a sentence, and what to know besides."""

    data: dict[str, Any]
    sentence: str
    warnings: Sequence[str] = ()


# All of these raise Trouble where the action accepts nothing of the kind.


def selected(account: Account, named: str, hook: str | None) -> Action:
    """The action that is meant: of an instance the open one, else the newest."""
    found = [action for action in account.find(named) if hook in (None, action.hook.name)]
    waiting = [action for action in found if action.is_open]
    if (hook is None or not waiting) and not account.reads_all(named):  # what cannot be read may be meant
        raise Trouble(f"{unread(named)} `usher show {named}` has the others: name one of them by its ID.")
    if not found:
        raise Trouble(f"Usher has no record of {named} in hook {hook}.")
    if len(waiting) > 1:
        names = ", ".join(sorted(action.hook.name for action in waiting))
        raise Trouble(f"{named} waits in {len(waiting)} hooks: choose one with --hook ({names}).")
    return waiting[0] if waiting else found[-1]


def hold(account: Account, action: Action, reason: str, *, off: bool, over: bool = False) -> Done:
    """Keep the instance in its wait, or end the hold. Somebody else's hold is touched only with `over`."""
    if not off:
        _refuse_observed(action, _HOLD_BY_HAND)
    note = _note(account, reason)

    def refuse(newest: Action) -> None:
        refuse_ended(newest)
        if not off:
            refuse_requested(newest)
        theirs = newest.operator_hold
        if theirs is not None and theirs.who != note.who and not over:
            raise CommandRefused(
                f"{name_of(newest)} is held by {theirs.who} since {written(theirs.at)}: {theirs.reason}. "
                f"`usher hold {'--off ' if off else ''}--over` does it all the same."
            )

    after, warnings = stored(
        account, action, operators.hold_off(note) if off else operators.hold(note), refuse
    )
    until = f"until `complete` or `hold --off`, at the latest until {written(after.decide_by)}"
    if off:
        return _done(account, after, f"No longer held: {name_of(after)}.", warnings)
    since = " from `usher resume` on (no heartbeat is sent before)" if _pauses_of(account, after) else ""
    return _done(account, after, f"Held{since}: {name_of(after)}, {until}.", warnings)


def extend(account: Account, action: Action, reason: str, by: timedelta | None, to: datetime | None) -> Done:
    """Move the time at which the policy gives up, by a duration or to a time."""
    _refuse_observed(action, _HOLD_BY_HAND)

    def refuse(newest: Action) -> None:
        refuse_ended(newest)
        refuse_requested(newest)

    after, warnings = stored(account, action, operators.extend(_note(account, reason), by, to), refuse)
    sentence = f"{name_of(after)} now gives up at {written(after.give_up_at)}."
    return _done(account, after, sentence, warnings)


def refuse_result(account: Account, action: Action) -> None:
    """Refuse a result that Usher would not send."""
    with refusals():
        refuse_ended(action)
        refuse_requested(action)
    _refuse_observed(action, "to end the wait, use `aws autoscaling complete-lifecycle-action`")
    paused = _pauses_of(account, action)
    if paused:
        commands = " and ".join(map(resume_command, paused))
        by = next(iter(paused.values()))
        raise Trouble(
            f"Usher is paused and sends no result for {name_of(action)} (paused by {by}): "
            f"run {commands} first."
        )


def _refuse_observed(action: Action, by_hand: str) -> None:
    if action.policy.mode is Mode.OBSERVE:
        raise Trouble(f"{name_of(action)} is only observed, and Usher sends nothing for it: {by_hand}.")


def _pauses_of(account: Account, action: Action) -> dict[str, str]:
    """Who paused what holds an action back: by hook, all hooks first."""
    paused = account.records.pauses()
    return {name: paused[name] for name in (ALL_HOOKS, action.hook.name) if name in paused}


def complete(account: Account, action: Action, reason: str, result: Result) -> Done:
    """Request a result, which Usher sends. `refuse_result` comes first."""
    change: Change = operators.complete(_note(account, reason), result)
    after, warnings = stored(account, action, change)
    return _done(account, after, f"Requested {result} for {name_of(after)}.", warnings)


def signal(account: Account, action: Action, name: str, status: Status, reason: str) -> Done:
    """Send the signal that the action waits for, as its workload would."""
    with refusals():
        refuse_ended(action)
    message = f"{account.who()}: {reason}"
    _refuse_unexpected(action, name, status, account.machine.clock())
    event_id = _put_signal(account, action, {"Signal": name, "Status": status, "Message": message})
    data = {
        "event_id": event_id,
        "action_id": action.id,
        "signal": name,
        "status": status,
        "message": message,
    }
    return Done(data, f"Sent {name} {status} to {name_of(action)}.")


def expected_signals(action: Action) -> list[str]:
    """The names of the signals that its policy waits for."""
    return [leaf.name for leaf in action.policy.leaves if isinstance(leaf, Signalled)]


def _refuse_unexpected(action: Action, name: str, status: Status, now: datetime) -> None:
    if not re.fullmatch(SIGNAL_NAME, name):
        raise Trouble(f"A signal name has 1 to 64 of the characters A-Z a-z 0-9 . _ -, got {name!r}.")
    sent = Signal(
        event_id="-",
        at=max(now, action.started_at),
        name=name,
        status=status,
        token=action.token,
        instance_id=action.instance_id,
    )
    if any(evidence.fits(sent, replace(action, policy=policy)) for policy in action.policy.possible):
        return
    names = expected_signals(action)
    expected = f"it waits for {', '.join(names)}" if names else "it waits for no signal"
    raise Trouble(
        f"{name_of(action)}, policy {action.policy.name}, does not wait for a signal {name} {status}: "
        f"{expected}."
    )


def _put_signal(account: Account, action: Action, contents: dict[str, str]) -> str:
    """Put the event of docs/configuration.md on the bus; return its id."""
    token = {"LifecycleActionToken": action.token} if action.token else {}
    detail = {"InstanceId": action.instance_id, **token, **contents}
    event = {"Source": "usher.signal", "DetailType": "Usher Signal", "Detail": json.dumps(detail)}
    (answer,) = account.client("events").put_events(Entries=[event])["Entries"]
    if "EventId" not in answer:
        raise Trouble(
            f"The event bus rejected the signal: {answer.get('ErrorCode')}: {answer.get('ErrorMessage')}."
        )
    return str(answer["EventId"])


def _note(account: Account, reason: str) -> OperatorNote:
    return OperatorNote(who=account.who(), at=account.machine.clock(), reason=reason)


def _done(account: Account, after: Action, sentence: str, warnings: Sequence[str]) -> Done:
    paused = _pauses_of(account, after)
    banners = [pause_banner(name, by) for name, by in paused.items()]
    return Done(as_data(after, account.machine.clock(), paused), sentence, [*warnings, *banners])
