"""`usher signal`, `hold`, `extend` and `complete`: an operator's word on one action."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from usher.core import duration, evidence, operators
from usher.core.action import OperatorNote, Result, Signal, Status
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.conditions.signalled import Signalled
from usher.core.operators import name_of, refuse_ended, refuse_ordered
from usher.core.policy import Mode
from usher.ports.records import ALL_HOOKS
from usher_cli.account import Trouble, with_account
from usher_cli.change import ask, changed, refusals, tell, why
from usher_cli.listing import as_data, banner, resuming, short
from usher_cli.printable import shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher_cli.account import Account


# What the options share


def _duration(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    try:
        return None if text is None else duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
    """Give a command what names one action, and why."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--reason", required=True, callback=why, help="Why; it stands in the timeline."),
        click.option(
            "--hook", metavar="NAME", help="Which action, where the instance waits in several hooks."
        ),
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
    type=click.Choice([each.value for each in Status]),
    default=Status.DONE.value,
    show_default=True,
    help="What it says.",
)
@with_account
def signal(
    account: Account, named: str, name: str, status: str, hook: str | None, reason: str, *, as_json: bool
) -> None:
    """Send the signal that an action waits for, as its workload would.

    It goes out as an event on the default bus, so that the bus's own rights apply.
    """
    action = _one(account, named, hook)
    with refusals():
        refuse_ended(action)
    message = f"{account.who()}: {reason}"
    _refuse_unheard(action, name, Status(status), account.machine.clock())
    event_id = _put_signal(account, action, {"Signal": name, "Status": status, "Message": message})
    said = {"event_id": event_id, "action_id": action.id, "signal": name, "status": status}
    tell(said | {"message": message}, f"Sent {name} {status} to {name_of(action)}.", as_json=as_json)


@click.command()
@_on_action
@click.option("--off", is_flag=True, help="End a hold.")
@with_account
def hold(account: Account, named: str, hook: str | None, reason: str, *, off: bool, as_json: bool) -> None:
    """Keep an instance in its wait until `complete` or `hold --off`.

    Whatever its policy says, but the global limit of the hook ends it all the same.
    """
    action = _one(account, named, hook)
    word = _word(account, reason)
    after = changed(account, action, operators.hold_off(word) if off else operators.hold(word))
    until = f"until complete or hold --off, at the latest until {written(after.decide_by)}"
    what = "No longer held" if off else "Held"
    _tell_change(
        account, after, f"{what}: {name_of(after)}" + ("." if off else f", {until}."), as_json=as_json
    )


@click.command()
@_on_action
@click.option("--by", callback=_duration, metavar="SPAN", help="By how much, such as 45m.")
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

    It moves what its policy says in `give_up_after`, and no further than the global limit of the hook.
    """
    if (by is None) == (to is None):
        raise click.UsageError("Say either --by or --to.")
    action = _one(account, named, hook)
    word = _word(account, reason)
    after = changed(account, action, operators.extend(word, by, to))
    _tell_change(
        account,
        after,
        f"{name_of(after)} now gives up at {written(after.give_up_at)}.",
        as_json=as_json,
    )


@click.command()
@_on_action
@click.option(
    "--result",
    type=click.Choice([each.value for each in Result], case_sensitive=False),
    required=True,
    help="What Auto Scaling is told.",
)
@click.option("--yes", is_flag=True, help="Do not ask first.")
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
    """End an action now, with a result, whatever it still waits for."""
    action = _one(account, named, hook)
    with refusals():
        refuse_ended(action)
        refuse_ordered(action)
    _refuse_uncalled(account, action)
    click.echo(_about_to_end(action, account.machine.clock()), err=True)
    ask(f"End this wait with {result}?", yes=yes)
    word = _word(account, reason)
    after = changed(account, action, operators.complete(word, Result(result)))
    _tell_change(account, after, f"{result} is ordered for {name_of(after)}.", as_json=as_json)


# One action


def _one(account: Account, named: str, hook: str | None) -> Action:
    """The action that is meant: of an instance the open one, or the last that was."""
    found = [action for action in account.find(named) if hook in (None, action.hook.name)]
    if not found:
        raise Trouble(f"{named} never waited in hook {hook}, as far as Usher knows.")
    waiting = [action for action in found if action.is_open]
    if len(waiting) > 1:
        names = ", ".join(sorted(action.hook.name for action in waiting))
        raise Trouble(f"{named} waits in {len(waiting)} hooks: say which by --hook ({names}).")
    return waiting[0] if waiting else found[-1]


def _refuse_uncalled(account: Account, action: Action) -> None:
    """Where Usher calls nothing, no order leads anywhere."""
    if action.policy.mode is Mode.OBSERVE:
        by_hand = "`aws autoscaling complete-lifecycle-action` ends the wait"
        raise Trouble(f"{name_of(action)} is only observed, Usher sends nothing for it: {by_hand}.")
    paused = account.records.pauses()
    names = [name for name in (ALL_HOOKS, action.hook.name) if name in paused]
    if names:
        first = " and ".join(map(resuming, names))
        by = paused[names[0]]
        raise Trouble(f"Usher is paused and sends nothing for {name_of(action)} ({by}): {first} first.")


def _refuse_unheard(action: Action, name: str, status: Status, now: datetime) -> None:
    if not re.fullmatch(SIGNAL_NAME, name):
        raise Trouble(f"The name of a signal is 1 to 64 of A-Z a-z 0-9 . _ -, got {name!r}.")
    meant = Signal(
        event_id="-",
        at=max(now, action.started_at),
        name=name,
        status=status,
        token=action.token,
        instance_id=action.instance_id,
    )
    if evidence.fits(meant, action):
        return
    names = [leaf.name for leaf in action.policy.leaves if isinstance(leaf, Signalled)]
    waits_for = f"it waits for {', '.join(names)}" if names else "it waits for no signal"
    raise Trouble(
        f"A signal {name} {status} is nothing to {name_of(action)}, policy {action.policy.name}: {waits_for}."
    )


def _put_signal(account: Account, action: Action, said: dict[str, str]) -> str:
    """Put the event on the bus, as docs/configuration.md has it; return its id."""
    token = {"LifecycleActionToken": action.token} if action.token else {}
    detail = {"InstanceId": action.instance_id, **token, **said}
    event = {"Source": "usher.signal", "DetailType": "Usher Signal", "Detail": json.dumps(detail)}
    (answer,) = account.client("events").put_events(Entries=[event])["Entries"]
    if "EventId" not in answer:
        raise Trouble(f"The bus took no signal: {answer.get('ErrorCode')}: {answer.get('ErrorMessage')}.")
    return str(answer["EventId"])


def _word(account: Account, reason: str) -> OperatorNote:
    return OperatorNote(who=account.who(), at=account.machine.clock(), reason=reason)


# In words


def _about_to_end(action: Action, now: datetime) -> str:
    seen = as_data(action, now, {})
    waits_for = "; ".join(f"{said['detail']} ({said['standing']})" for said in seen["conditions"])
    return shown(
        f"{name_of(action)}, {action.hook.transition}, waits since {short(seen['age_s'])}"
        f" for: {waits_for or 'nothing'}"
    )


def _tell_change(account: Account, action: Action, sentence: str, *, as_json: bool) -> None:
    paused = account.records.pauses()
    for hook in (ALL_HOOKS, action.hook.name):
        if hook in paused:
            click.echo(banner(hook, paused[hook]), err=True)
    tell(as_data(action, account.machine.clock(), paused), sentence, as_json=as_json)
