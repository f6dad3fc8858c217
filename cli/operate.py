"""`usher signal`, `hold`, `extend`, `complete`, `pause` and `resume`: an operator's word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from cli.account import Trouble, with_account
from cli.listing import as_data, banner, short
from cli.report import written
from simulator.recorder import Recorder
from usher.core import hearing, span
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.conditions.signalled import Signalled
from usher.core.model import Phase, Result, Signal, Status, Word
from usher.core.policy import Mode
from usher.ports import ALL_HOOKS, Moved
from usher.waking import stored_with_wake_ups

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.account import Account
    from usher.core.model import Action

    Change: TypeAlias = "Callable[[Action, datetime], Action]"

TRIES: Final = 8
DECLINED: Final = 1  # the exit code
_MOST_REASON: Final = 500  # characters: a signal's message holds 1,000, who said it included


# What the options share


def _reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= _MOST_REASON:
        raise click.BadParameter(f"say why, in 1 to {_MOST_REASON} characters, got {len(reason)}")
    return reason


def _duration(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    try:
        return None if text is None else span.parse(text)
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
        click.option("--reason", required=True, callback=_reason, help="Why; it stands in the timeline."),
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
    _refuse_ended(action)
    message = f"{account.who()}: {reason}"
    _refuse_unheard(action, name, Status(status), account.machine.clock())
    event_id = _put_signal(account, action, {"Signal": name, "Status": status, "Message": message})
    said = {"event_id": event_id, "action_id": action.id, "signal": name, "status": status}
    _tell(said | {"message": message}, f"Sent {name} {status} to {_named(action)}.", as_json=as_json)


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
    after = _changed(account, action, _no_more_held(word) if off else _held(word))
    until = f"until complete or hold --off, at the latest until {written(after.decide_by)}"
    what = "No longer held" if off else "Held"
    _tell_change(
        account, after, f"{what}: {_named(after)}" + ("." if off else f", {until}."), as_json=as_json
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
    after = _changed(account, action, _extended(word, by, to))
    _tell_change(
        account, after, f"{_named(after)} now gives up at {written(after.give_up_at)}.", as_json=as_json
    )


@click.command()
@_on_action
@click.option(
    "--result",
    type=click.Choice([each.value for each in Result]),
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
    _refuse_ended(action)
    _refuse_ordered(action)
    _refuse_uncalled(account, action)
    click.echo(_about_to_end(action, account.machine.clock()), err=True)
    _ask(f"End this wait with {result}?", yes=yes)
    word = _word(account, reason)
    after = _changed(account, action, _ordered(word, Result(result)))
    _tell_change(account, after, f"{result} is ordered for {_named(after)}.", as_json=as_json)


@click.command()
@click.option("--hook", metavar="NAME", help="Only this hook.  [default: all hooks]")
@click.option("--reason", required=True, callback=_reason, help="Why; it stands in each timeline.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def pause(account: Account, hook: str | None, reason: str, *, yes: bool, as_json: bool) -> None:
    """Call nothing any more, until `usher resume`.

    Neither heartbeats nor results go out. Open actions are not kept: their heartbeat timeouts run
    out, and the default results fall.
    """
    click.echo(_about_to_pause(account, hook), err=True)
    _ask(f"Pause {_hooks(hook)}?", yes=yes)
    by = f"{account.who()} at {written(account.machine.clock())}: {reason}"
    account.records.pause(hook or ALL_HOOKS, by)
    _tell_pauses(account, f"Paused {_hooks(hook)}. `usher resume` goes on.", as_json=as_json)


@click.command()
@click.option("--hook", metavar="NAME", help="Only this hook, which was paused by its name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def resume(account: Account, hook: str | None, *, as_json: bool) -> None:
    """End a pause. Open actions are looked at again within two minutes."""
    paused = account.records.pauses()
    if (hook or ALL_HOOKS) not in paused:
        others = "; ".join(banner(name, by) for name, by in sorted(paused.items()))
        what = "All hooks are" if hook is None else f"Hook {hook} is"
        raise Trouble(f"{what} not paused as such. {others or 'Nothing is paused'}.")
    account.records.resume(hook or ALL_HOOKS)
    _tell_pauses(account, f"Resumed {_hooks(hook)}.", as_json=as_json)


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


def _named(action: Action) -> str:
    return f"{action.instance_id} (hook {action.hook.name} of {action.hook.group})"


def _refuse_ended(action: Action) -> None:
    """An action that has its result takes no word any more."""
    if action.phase is Phase.CLOSED:
        result = f" {action.result}" if action.result else ""
        how = f"{action.outcome}{result} at {written(action.closed_at)}: {action.reason}"
        raise Trouble(f"{_named(action)} is closed, {how}.")
    if action.phase is Phase.COMPLETING:
        said = f"{action.result} is decided and may have been sent: {action.reason}"
        raise Trouble(f"{_named(action)} is completing, {said}.")


def _refuse_ordered(action: Action) -> None:
    if action.ordered is not None:
        by = f"ordered by {action.ordered.who} already"
        raise Trouble(f"{action.ordered_result} is {by} for {_named(action)}.")


def _refuse_uncalled(account: Account, action: Action) -> None:
    """Where Usher calls nothing, no order leads anywhere."""
    if action.policy.mode is Mode.OBSERVE:
        by_hand = "`aws autoscaling complete-lifecycle-action` ends the wait"
        raise Trouble(f"{_named(action)} is only observed, Usher sends nothing for it: {by_hand}.")
    paused = account.records.pauses()
    by = paused.get(ALL_HOOKS, paused.get(action.hook.name))
    if by is not None:
        raise Trouble(f"Usher is paused and sends nothing for {_named(action)} ({by}): `usher resume` first.")


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
    if hearing.fits(meant, action, now):
        return
    names = [leaf.name for leaf in action.policy.leaves if isinstance(leaf, Signalled)]
    waits_for = f"it waits for {', '.join(names)}" if names else "it waits for no signal"
    raise Trouble(
        f"A signal {name} {status} is nothing to {_named(action)}, policy {action.policy.name}: {waits_for}."
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


def _word(account: Account, reason: str) -> Word:
    return Word(who=account.who(), at=account.machine.clock(), reason=reason)


def _noted(action: Action, now: datetime, word: Word, what: str) -> Action:
    return action.noted(now, "operator", f"{word.who}: {what}: {word.reason}")


def _held(word: Word) -> Change:
    def change(action: Action, now: datetime) -> Action:
        if now >= action.decide_by:
            raise Trouble(f"{_named(action)} cannot be held any longer: its last moment has come.")
        return _noted(replace(action, held=word), now, word, "hold")

    return change


def _no_more_held(word: Word) -> Change:
    def change(action: Action, now: datetime) -> Action:
        if action.held is None:
            raise Trouble(f"{_named(action)} is not held.")
        return _noted(replace(action, held=None), now, word, "hold off")

    return change


def _extended(word: Word, by: timedelta | None, to: datetime | None) -> Change:
    def change(action: Action, now: datetime) -> Action:
        until = to if by is None else max(action.give_up_at, now) + by
        if until is None or until <= max(action.give_up_at, now):
            raise Trouble(
                f"{_named(action)} gives up at {written(action.give_up_at)} already: name a later time."
            )
        if until > action.decide_by:
            limit = f"{written(action.decide_by)}, just before the global timeout of the hook"
            raise Trouble(f"{_named(action)} can wait until {limit}, and not until {written(until)}.")
        return _noted(replace(action, extended_to=until), now, word, f"extend to {written(until)}")

    return change


def _ordered(word: Word, result: Result) -> Change:
    def change(action: Action, now: datetime) -> Action:
        _refuse_ordered(action)
        ordered = replace(action, ordered=word, ordered_result=result)
        return _noted(ordered, now, word, f"complete {result}")

    return change


def _changed(account: Account, action: Action, change: Change) -> Action:
    """Store a change on top of whatever is newest, due at once; return it as it is stored.

    The clock here may be ahead of the functions': the next look never moves to a later time.
    """
    newest: Action | None = action
    for _ in range(TRIES):
        if newest is None or newest.look_at is None:
            break
        _refuse_ended(newest)
        now = account.machine.clock()
        after = replace(
            change(newest, now),
            look_at=min(now, newest.look_at),
            version=newest.version + 1,
            look_id=account.machine.new_id(),
        )
        try:
            _store(account, after)
        except Moved:
            newest = account.records.load(action.id)
        else:
            return replace(after, unsaved=())
    _refuse_ended(newest or action)
    raise Trouble(f"{_named(action)} changed {TRIES} times meanwhile: try again.")


def _store(account: Account, action: Action) -> None:
    kept, clock = Recorder(), account.machine.clock
    stored_with_wake_ups(
        action, clock, lambda: account.records.save(action), account.wake_ups(), kept, needs_queue=True
    )
    for what, error in kept.troubles:
        click.echo(f"{what}, so it takes effect within two minutes: {error}", err=True)


# In words


def _about_to_end(action: Action, now: datetime) -> str:
    seen = as_data(action, now, {})
    waits_for = "; ".join(f"{said['detail']} ({said['standing']})" for said in seen["conditions"])
    return (
        f"{_named(action)}, {action.hook.transition}, waits since {short(seen['age_s'])}"
        f" for: {waits_for or 'nothing'}"
    )


def _about_to_pause(account: Account, hook: str | None) -> str:
    keys = account.open_keys()
    if hook is None:
        waiting, first = len(keys), account.states(keys[:1])
    else:
        first = [action for action in account.states(keys) if action.hook.name == hook]
        waiting = len(first)
    if not first:
        return f"No action of {_hooks(hook)} is open; new ones will be recorded, and left to their defaults."
    left = short((first[0].expires_at - account.machine.clock()).total_seconds())
    return (
        f"{waiting} open actions of {_hooks(hook)} will get no heartbeat and no result from Usher:\n"
        f"each falls to the default result of its hook when its heartbeat timeout runs out,\n"
        f"the first in {left} ({first[0].instance_id}: {first[0].hook.default_result})."
    )


def _hooks(hook: str | None) -> str:
    return "all hooks" if hook is None else f"hook {hook}"


def _ask(question: str, *, yes: bool) -> None:
    if not yes and not click.confirm(question, err=True):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(DECLINED)


def _tell(data: object, sentence: str, *, as_json: bool) -> None:
    click.echo(json.dumps(data, indent=1) if as_json else sentence)


def _tell_change(account: Account, action: Action, sentence: str, *, as_json: bool) -> None:
    paused = account.records.pauses()
    for hook in (ALL_HOOKS, action.hook.name):
        if hook in paused:
            click.echo(banner(hook, paused[hook]), err=True)
    _tell(as_data(action, account.machine.clock(), paused), sentence, as_json=as_json)


def _tell_pauses(account: Account, sentence: str, *, as_json: bool) -> None:
    paused = sorted(account.records.pauses().items())
    _tell({"paused": [{"hook": hook, "by": by} for hook, by in paused]}, sentence, as_json=as_json)
