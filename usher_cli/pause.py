"""`usher pause` and `usher resume`: stop all Auto Scaling calls, and go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from usher.core.operators import evaluate_again, name_of, refuse_closed
from usher.core.policy import Mode
from usher.ports.errors import Denied, Unavailable
from usher.ports.records import ALL_HOOKS
from usher_cli.account import Trouble, with_account
from usher_cli.change import ask, changed, print_result
from usher_cli.change import reason as reason_callback
from usher_cli.open_actions import unreadable_text
from usher_cli.printable import pause_banner, resume_command, short, shown
from usher_cli.report import written
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from usher.core.action import Action
    from usher_cli.account import Account

NOT_SCHEDULED: Final = 1  # the exit code
_READ_FOR_FIRST: Final = 10  # more than one, in case the first cannot be read
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOKS_FILE: Final = Path("hooks.yaml")  # it may contain hooks that nothing waits in


def _hook_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """Refuse an empty name, such as that of a variable that is not set: it must not mean all hooks."""
    if name is not None and not re.fullmatch(_HOOK_NAME, name):
        raise click.BadParameter(f"{name!r} is not a valid hook name")
    return name


@click.command()
@click.option("--hook", callback=_hook_name, metavar="NAME", help="Only this hook.  [default: all hooks]")
@click.option("--unknown", is_flag=True, help="Accept a hook name that Usher does not know.")
@click.option("--reason", required=True, callback=reason_callback, help="Why; recorded in each timeline.")
@click.option("--over", is_flag=True, help="Also where somebody else has paused: yours takes its place.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def pause(
    account: Account, hook: str | None, reason: str, *, unknown: bool, over: bool, yes: bool, as_json: bool
) -> None:
    """Send no heartbeats and no results until `usher resume`.

    Open actions are not protected: when a heartbeat timeout expires, Auto Scaling applies the hook's
    default result. Hooks are still put and deleted.
    """
    if hook is not None and not unknown:
        _refuse_unknown(account, hook)
    name, who = hook or ALL_HOOKS, account.who()
    theirs = account.records.pauses().get(name)
    if theirs is not None and not theirs.startswith(f"{who} at ") and not over:
        raise Trouble(
            f"Usher is paused already, for {_hooks(hook)}, by {theirs}. A `usher resume` ends that pause for "
            "both of you: with --over yours takes its place."
        )
    click.echo(_about_to_pause(account, hook), err=True)
    ask(f"Pause {_hooks(hook)}?", yes=yes)
    by = f"{who} at {written(account.machine.clock())}: {reason}"
    account.records.pause(name, by)
    text = f"Paused {_hooks(hook)}. {_ends(name)}"
    print_result(_pauses_as_data(account.records.pauses()), text, as_json=as_json)


@click.command()
@click.option("--hook", callback=_hook_name, metavar="NAME", help="End the pause of this hook only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def resume(account: Account, hook: str | None, *, as_json: bool) -> None:
    """End a pause.

    Every open action that the pause held back is evaluated now, nearest expiry first.
    """
    name, paused, who = hook or ALL_HOOKS, account.records.pauses(), account.who()
    if name not in paused:
        raise Trouble(f"There is no pause of {_hooks(hook)}. {_still_paused(paused) or 'Nothing is paused.'}")
    click.echo(shown(f"Ends the pause by {paused[name]}"), err=True)
    account.records.resume(name)
    left = account.records.pauses()
    loaded = account.load_open(account.open_actions.ids())
    held_back = _held_back(loaded.actions, hook, left)
    scheduled = [action for action in held_back if is_scheduled(account, action, who)]
    missed = len(held_back) - len(scheduled) + len(loaded.unreadable)
    if loaded.unreadable:
        click.echo(shown(unreadable_text(loaded.unreadable)), err=True)
    data = _pauses_as_data(left) | {"woken": len(scheduled), "not_woken": missed}
    lines = (f"Resumed {_hooks(hook)}. {_scheduled_text(account, scheduled)}", _still_paused(left))
    print_result(data, "\n".join(filter(None, lines)), as_json=as_json)
    click.get_current_context().exit(NOT_SCHEDULED if missed else 0)


def _refuse_unknown(account: Account, hook: str) -> None:
    """Refuse a name that is probably a typing error."""
    open_actions = account.load_open(account.open_actions.ids()).actions
    known = {action.hook.name for action in open_actions} | _in_hooks_file()
    known |= {record.hook for record in account.hook_items().enrolled()}
    if hook in known:
        return
    where = f"it has no open action, Usher has not enrolled it, and no {_HOOKS_FILE} here contains it"
    names = f"Known hooks: {', '.join(sorted(known))}." if known else "No hook is known."
    raise Trouble(f"Hook {hook} is unknown: {where}. {names} If the name is right, add --unknown.")


def _in_hooks_file() -> set[str]:
    try:
        return {hook.name for hook in load.load(_HOOKS_FILE).hooks}
    except load.HooksFileRefused:
        return set()  # there is none here, or not a valid one


# What a pause held back


def _held_back(
    open_actions: Sequence[Action], hook: str | None, still_paused: Collection[str]
) -> list[Action]:
    """The open actions that can go on now, nearest expiry first. A pause does not stop observe mode."""
    return [
        action
        for action in open_actions
        if hook in (None, action.hook.name)
        and not {ALL_HOOKS, action.hook.name}.intersection(still_paused)
        and action.policy.mode is not Mode.OBSERVE
    ]


def is_scheduled(account: Account, action: Action, who: str) -> bool:
    """Make an action due at once; report one that cannot be changed, and let the others go on."""
    try:
        changed(account, action, evaluate_again(who), refuse_closed)
    except Denied:
        raise  # it would be the same for all others
    except (Trouble, Unavailable) as error:
        click.echo(
            shown(f"{name_of(action)} could not be scheduled; the next sweep evaluates it: {error}"), err=True
        )
        return False
    return True


# Output


def _about_to_pause(account: Account, hook: str | None) -> str:
    ids = account.open_actions.ids()
    if hook is None:
        count, actions = len(ids), account.load_open(ids[:_READ_FOR_FIRST]).actions
    else:
        actions = [action for action in account.load_open(ids).actions if action.hook.name == hook]
        count = len(actions)
    if not count:
        of_hook = "" if hook is None else f" of hook {hook}"
        return f"There is no open action{of_hook}. New ones will be recorded, and get their default results."
    first = ""
    if actions:
        left = short((actions[0].expires_at - account.machine.clock()).total_seconds())
        first = f", first in {left} ({actions[0].instance_id}: {actions[0].hook.default_result})"
    return (
        f"Usher will send no heartbeat and no result for {_counted(count)} of {_hooks(hook)}.\n"
        f"When a heartbeat timeout expires, Auto Scaling applies the hook's default result{first}."
    )


def _scheduled_text(account: Account, scheduled: Sequence[Action]) -> str:
    if not scheduled:
        return "It held back no open action."
    first = scheduled[0]
    left_s = (first.expires_at - account.machine.clock()).total_seconds()
    when = f"expires in {short(left_s)}" if left_s > 0 else f"expired {short(-left_s)} ago"
    which = f"{first.instance_id}: {first.hook.default_result} by default"
    return f"{_counted(len(scheduled))} will be evaluated now; the first {when} ({which})."


def _counted(count: int) -> str:
    return "1 open action" if count == 1 else f"{count} open actions"


def _still_paused(paused: Mapping[str, str]) -> str:
    """Each pause, and what ends it."""
    return "\n".join(f"{pause_banner(hook, by)}. {_ends(hook)}" for hook, by in sorted(paused.items()))


def _ends(hook: str) -> str:
    return f"{resume_command(hook)} ends it."


def _pauses_as_data(paused: Mapping[str, str]) -> dict[str, Any]:
    return {"paused": [{"hook": hook, "by": by} for hook, by in sorted(paused.items())]}


def _hooks(hook: str | None) -> str:
    return "all hooks" if hook is None else f"hook {hook}"
