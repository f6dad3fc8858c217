"""`usher signal`, `hold`, `extend` and `complete`: the commands of operators on one action."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from usher.core import duration, evidence, operators
from usher.core.action import OperatorNote, Result, Signal, Status
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.conditions.signalled import Signalled
from usher.core.operators import name_of, refuse_ended, refuse_requested
from usher.core.policy import Mode
from usher.ports.records import ALL_HOOKS
from usher_cli.account import Trouble, with_account
from usher_cli.action_data import as_data
from usher_cli.change import ask, changed, print_result, refusals
from usher_cli.change import reason as reason_callback
from usher_cli.listing import waits_for
from usher_cli.printable import pause_banner, resume_command, short, shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher_cli.account import Account


# Options


def _duration(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        span = duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not span:
        raise click.BadParameter(f"must be at least 1s, got {text}")
    return span


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} is not a time with a zone such as 2026-01-31T12:00:00Z")
    return moment.astimezone(UTC)


def _on_action(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument and options that name one action, and the reason."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--reason", required=True, callback=reason_callback, help="Why; recorded in the timeline."
        ),
        click.option("--hook", metavar="NAME", help="The hook, if the instance waits in several."),
        click.argument("named", metavar="INSTANCE|TOKEN|ID"),
    ):
        command = option(command)
    return command


# The commands


@click.command()
@_on_action
@click.argument("name", metavar="SIGNAL")
@click.option(
    "--status",
    type=click.Choice([status.value for status in Status]),
    default=Status.DONE.value,
    show_default=True,
    help="The status to report.",
)
@with_account
def signal(
    account: Account, named: str, name: str, status: str, hook: str | None, reason: str, *, as_json: bool
) -> None:
    """Send the signal that an action waits for, as its workload would.

    The signal is an event on the default event bus, so the bus's permissions apply.
    """
    action = _selected(account, named, hook)
    with refusals():
        refuse_ended(action)
    message = f"{account.who()}: {reason}"
    _refuse_unexpected(action, name, Status(status), account.machine.clock())
    event_id = _put_signal(account, action, {"Signal": name, "Status": status, "Message": message})
    data = {
        "event_id": event_id,
        "action_id": action.id,
        "signal": name,
        "status": status,
        "message": message,
    }
    print_result(data, f"Sent {name} {status} to {name_of(action)}.", as_json=as_json)


@click.command()
@_on_action
@click.option("--off", is_flag=True, help="End the hold.")
@with_account
def hold(account: Account, named: str, hook: str | None, reason: str, *, off: bool, as_json: bool) -> None:
    """Keep an instance in its wait until `complete` or `hold --off`.

    A hold overrides the policy. Shortly before the global timeout of the hook it ends, and the
    action gets the result that the policy has for giving up.
    """
    action = _selected(account, named, hook)
    note = _note(account, reason)
    after = changed(account, action, operators.hold_off(note) if off else operators.hold(note))
    until = f"until `complete` or `hold --off`, at the latest until {written(after.decide_by)}"
    text = f"No longer held: {name_of(after)}." if off else f"Held: {name_of(after)}, {until}."
    _print_change(account, after, text, as_json=as_json)


@click.command()
@_on_action
@click.option("--by", callback=_duration, metavar="DURATION", help="By how much, such as 45m.")
@click.option("--to", callback=_moment, metavar="TIME", help="Until when, such as 2026-01-31T12:00:00Z.")
@with_account
def extend(
    account: Account,
    named: str,
    hook: str | None,
    reason: str,
    by: timedelta | None,
    to: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Let an action wait longer for its conditions.

    Moves the time at which the policy gives up (`give_up_after`), at the latest to shortly before the
    global timeout of the hook.
    """
    if (by is None) == (to is None):
        raise click.UsageError("Use either --by or --to.")
    action = _selected(account, named, hook)
    after = changed(account, action, operators.extend(_note(account, reason), by, to))
    text = f"{name_of(after)} now gives up at {written(after.give_up_at)}."
    _print_change(account, after, text, as_json=as_json)


@click.command()
@_on_action
@click.option(
    "--result",
    type=click.Choice([result.value for result in Result], case_sensitive=False),
    required=True,
    help="The result to send to Auto Scaling.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_account
def complete(
    account: Account,
    named: str,
    hook: str | None,
    reason: str,
    result: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """End an action now with a result, whatever it still waits for."""
    action = _selected(account, named, hook)
    with refusals():
        refuse_ended(action)
        refuse_requested(action)
    _refuse_uncalled(account, action)
    click.echo(_about_to_end(action, account.machine.clock()), err=True)
    ask(f"End this wait with {result}?", yes=yes)
    after = changed(account, action, operators.complete(_note(account, reason), Result(result)))
    _print_change(account, after, f"Requested {result} for {name_of(after)}.", as_json=as_json)


# One action


def _selected(account: Account, named: str, hook: str | None) -> Action:
    """The action that is meant: of an instance the open one, else the newest."""
    found = [action for action in account.find(named) if hook in (None, action.hook.name)]
    if not found:
        raise Trouble(f"Usher has no record of {named} in hook {hook}.")
    waiting = [action for action in found if action.is_open]
    if len(waiting) > 1:
        names = ", ".join(sorted(action.hook.name for action in waiting))
        raise Trouble(f"{named} waits in {len(waiting)} hooks: choose one with --hook ({names}).")
    return waiting[0] if waiting else found[-1]


def _refuse_uncalled(account: Account, action: Action) -> None:
    """Refuse a result that Usher would not send."""
    if action.policy.mode is Mode.OBSERVE:
        by_hand = "to end the wait, use `aws autoscaling complete-lifecycle-action`"
        raise Trouble(f"{name_of(action)} is only observed, and Usher sends no result for it: {by_hand}.")
    paused = account.records.pauses()
    names = [name for name in (ALL_HOOKS, action.hook.name) if name in paused]
    if names:
        commands = " and ".join(map(resume_command, names))
        by = paused[names[0]]
        raise Trouble(
            f"Usher is paused and sends no result for {name_of(action)} (paused by {by}): "
            f"run {commands} first."
        )


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
    names = [leaf.name for leaf in action.policy.leaves if isinstance(leaf, Signalled)]
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


# Output


def _about_to_end(action: Action, now: datetime) -> str:
    data = as_data(action, now, {})
    return shown(
        f"{name_of(action)}, {action.hook.transition}, has waited {short(data['age_s'])}"
        f" for: {waits_for(data) or 'nothing'}"
    )


def _print_change(account: Account, action: Action, text: str, *, as_json: bool) -> None:
    paused = account.records.pauses()
    for hook in (ALL_HOOKS, action.hook.name):
        if hook in paused:
            click.echo(pause_banner(hook, paused[hook]), err=True)
    print_result(as_data(action, account.machine.clock(), paused), text, as_json=as_json)
