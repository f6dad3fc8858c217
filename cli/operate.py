"""`usher signal`, `hold`, `extend`, `complete`, `pause` and `resume`: an operator's word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from cli import hooks_file
from cli.account import Trouble, with_account
from cli.asking import agreed
from cli.listing import as_data, banner, resuming, short
from cli.printable import shown
from cli.report import written
from simulator.recorder import Recorder
from usher.aws.enrolled import EnrolledHooks
from usher.core import hearing, span
from usher.core.conditions.signalled import NAME as SIGNAL_NAME
from usher.core.conditions.signalled import Signalled
from usher.core.model import Phase, Result, Signal, Status, Word
from usher.core.policy import Mode
from usher.ports import ALL_HOOKS, Moved, Unavailable
from usher.waking import stored_with_wake_ups

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cli.account import Account
    from usher.core.model import Action

    Change: TypeAlias = "Callable[[Action, datetime], Action]"

TRIES: Final = 8
DECLINED: Final = 1  # the exit code
NOT_WOKEN: Final = 1  # likewise
_MOST_REASON: Final = 500  # characters: a signal's message holds 1,000, who said it included
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOKS_FILE: Final = Path("hooks.yaml")  # one more place in which a hook's name may stand


# What the options share


def _reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= _MOST_REASON:
        raise click.BadParameter(f"say why, in 1 to {_MOST_REASON} characters, got {len(reason)}")
    if not reason.isprintable():  # whoever reads it, maybe on another terminal, is not to obey it
        raise click.BadParameter(f"say why without control characters, got {shown(reason)!r}")
    return reason


def _hook_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """An empty name, of a variable that is not set, must not mean all hooks."""
    if name is not None and not re.fullmatch(_HOOK_NAME, name):
        raise click.BadParameter(f"{name!r} is no hook's name")
    return name


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
    _refuse_ended(action)
    _refuse_ordered(action)
    _refuse_uncalled(account, action)
    click.echo(_about_to_end(action, account.machine.clock()), err=True)
    _ask(f"End this wait with {result}?", yes=yes)
    word = _word(account, reason)
    after = _changed(account, action, _ordered(word, Result(result)))
    _tell_change(account, after, f"{result} is ordered for {_named(after)}.", as_json=as_json)


@click.command()
@click.option("--hook", callback=_hook_name, metavar="NAME", help="Only this hook.  [default: all hooks]")
@click.option("--unknown", is_flag=True, help="Also a hook of which nothing is known here.")
@click.option("--reason", required=True, callback=_reason, help="Why; it stands in each timeline.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def pause(
    account: Account, hook: str | None, reason: str, *, unknown: bool, yes: bool, as_json: bool
) -> None:
    """Call nothing any more, until `usher resume`.

    Neither heartbeats nor results go out. Open actions are not kept: their heartbeat timeouts run
    out, and the default results fall.
    """
    if hook is not None and not unknown:
        _refuse_unknown(account, hook)
    click.echo(_about_to_pause(account, hook), err=True)
    _ask(f"Pause {_hooks(hook)}?", yes=yes)
    by = f"{account.who()} at {written(account.machine.clock())}: {reason}"
    name = hook or ALL_HOOKS
    account.records.pause(name, by)
    _tell(_pauses_as_data(account.records.pauses()), f"Paused {_hooks(hook)}. {_ends(name)}", as_json=as_json)


@click.command()
@click.option(
    "--hook", callback=_hook_name, metavar="NAME", help="Only this hook, which was paused by its name."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def resume(account: Account, hook: str | None, *, as_json: bool) -> None:
    """End a pause.

    Every open action that it held back is looked at now, nearest expiry first.
    """
    name, paused, who = hook or ALL_HOOKS, account.records.pauses(), account.who()
    if name not in paused:
        what = (
            "No pause of all hooks is in force" if hook is None else f"Hook {hook} is not paused by its name"
        )
        raise Trouble(f"{what}. {_still_paused(paused) or 'Nothing is paused.'}")
    account.records.resume(name)
    left = account.records.pauses()
    held_back = _held_back(account, hook, left)
    woken = [action for action in held_back if _is_woken(account, action, who)]
    missed = len(held_back) - len(woken)
    data = _pauses_as_data(left) | {"woken": len(woken), "not_woken": missed}
    sentences = (f"Resumed {_hooks(hook)}. {_woken_in_words(account, woken)}", _still_paused(left))
    _tell(data, "\n".join(filter(None, sentences)), as_json=as_json)
    click.get_current_context().exit(NOT_WOKEN if missed else 0)


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


def _refuse_closed(action: Action) -> None:
    """What is over takes nothing any more."""
    if action.phase is Phase.CLOSED:
        result = f" {action.result}" if action.result else ""
        how = f"{action.outcome}{result} at {written(action.closed_at)}: {action.reason}"
        raise Trouble(f"{_named(action)} is closed, {how}.")


def _refuse_ended(action: Action) -> None:
    """An action that has its result takes no word any more."""
    _refuse_closed(action)
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
    names = [name for name in (ALL_HOOKS, action.hook.name) if name in paused]
    if names:
        first = " and ".join(map(resuming, names))
        by = paused[names[0]]
        raise Trouble(f"Usher is paused and sends nothing for {_named(action)} ({by}): {first} first.")


def _refuse_unknown(account: Account, hook: str) -> None:
    """A typo must not pass as a pause: whoever means the name says so."""
    records = EnrolledHooks(account.dynamodb, account.output("TableName"), account.machine.clock, 0)
    known = {action.hook.name for action in account.states(account.open_keys())}
    known |= {record.hook for record in records.enrolled()} | _in_hooks_file()
    if hook in known:
        return
    where = f"no action of it is open, none of its name was enrolled, and no {_HOOKS_FILE} here has it"
    names = f"known are {', '.join(sorted(known))}" if known else "no hook is known"
    raise Trouble(f"Hook {hook} is not known: {where}; {names}. If the name is right, add --unknown.")


def _in_hooks_file() -> set[str]:
    try:
        return {hook.name for hook in hooks_file.load(_HOOKS_FILE).hooks}
    except hooks_file.HooksFileRefused:
        return set()  # none is here, or none that says anything


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


def _looked_at_again(who: str) -> Change:
    def change(action: Action, now: datetime) -> Action:
        return action.noted(now, "resumed", f"by {who}")

    return change


def _changed(
    account: Account, action: Action, change: Change, refuse: Callable[[Action], None] = _refuse_ended
) -> Action:
    """Store a change on top of whatever is newest, due at once; return it as it is stored.

    The clock here may be ahead of the functions': the next look never moves to a later time.
    """
    newest: Action | None = action
    for _ in range(TRIES):
        if newest is None or newest.look_at is None:
            break
        refuse(newest)
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
    refuse(newest or action)
    raise Trouble(f"{_named(action)} changed {TRIES} times meanwhile: try again.")


def _store(account: Account, action: Action) -> None:
    kept, clock = Recorder(), account.machine.clock
    stored_with_wake_ups(
        action, clock, lambda: account.records.save(action), account.wake_ups(), kept, needs_queue=True
    )
    for what, error in kept.troubles:
        click.echo(f"{what}, so it takes effect within two minutes: {error}", err=True)


# All that a pause held back


def _held_back(account: Account, hook: str | None, still_paused: Collection[str]) -> list[Action]:
    """The open actions that may go on now, nearest expiry first. What is only observed always could."""
    return [
        action
        for action in account.states(account.open_keys())
        if hook in (None, action.hook.name)
        and not {ALL_HOOKS, action.hook.name}.intersection(still_paused)
        and action.policy.mode is not Mode.OBSERVE
    ]


def _is_woken(account: Account, action: Action, who: str) -> bool:
    """Make an action due at once. That one of them cannot be changed is no reason to leave the others."""
    try:
        _changed(account, action, _looked_at_again(who), _refuse_closed)
    except (Trouble, Unavailable) as error:
        click.echo(shown(f"{_named(action)} was not woken, a sweep comes to it: {error}"), err=True)
        return False
    return True


# In words


def _about_to_end(action: Action, now: datetime) -> str:
    seen = as_data(action, now, {})
    waits_for = "; ".join(f"{said['detail']} ({said['standing']})" for said in seen["conditions"])
    return shown(
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
        of_hook = "" if hook is None else f" of hook {hook}"
        return f"No action{of_hook} is open; new ones will be recorded, and left to their defaults."
    left = short((first[0].expires_at - account.machine.clock()).total_seconds())
    return (
        f"{_counted(waiting)} of {_hooks(hook)} will get no heartbeat and no result from Usher:\n"
        f"each falls to the default result of its hook when its heartbeat timeout runs out,\n"
        f"the first in {left} ({first[0].instance_id}: {first[0].hook.default_result})."
    )


def _woken_in_words(account: Account, woken: Sequence[Action]) -> str:
    if not woken:
        return "It woke no open action."
    first = woken[0]
    left_s = (first.expires_at - account.machine.clock()).total_seconds()
    when = f"expires in {short(left_s)}" if left_s > 0 else f"ran out {short(-left_s)} ago"
    which = f"{first.instance_id}: {first.hook.default_result} by default"
    return f"It woke {_counted(len(woken))}, the first {when} ({which})."


def _counted(count: int) -> str:
    return "1 open action" if count == 1 else f"{count} open actions"


def _still_paused(paused: Mapping[str, str]) -> str:
    """Each pause, and what ends it."""
    return "\n".join(f"{banner(hook, by)}. {_ends(hook)}" for hook, by in sorted(paused.items()))


def _ends(hook: str) -> str:
    return f"{resuming(hook)} ends it."


def _pauses_as_data(paused: Mapping[str, str]) -> dict[str, Any]:
    return {"paused": [{"hook": hook, "by": by} for hook, by in sorted(paused.items())]}


def _hooks(hook: str | None) -> str:
    return "all hooks" if hook is None else f"hook {hook}"


def _ask(question: str, *, yes: bool) -> None:
    if not yes and not agreed(question):
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
