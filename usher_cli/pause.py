"""`usher pause` and `resume`: nothing is called any more, and then again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from usher.aws.enrolled import EnrolledHooks
from usher.core.operators import look_again, name_of, refuse_closed
from usher.core.policy import Mode
from usher.ports.errors import Denied, Unavailable
from usher.ports.records import ALL_HOOKS
from usher_cli.account import Trouble, with_account
from usher_cli.change import ask, changed, tell, why
from usher_cli.listing import banner, resuming, short
from usher_cli.printable import shown
from usher_cli.report import written
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from usher.core.action import Action
    from usher_cli.account import Account

NOT_WOKEN: Final = 1  # the exit code
_HOOK_NAME: Final = r"[A-Za-z0-9_/-]{1,255}"
_HOOKS_FILE: Final = Path("hooks.yaml")  # one more place in which a hook's name may stand


def _hook_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """An empty name, of a variable that is not set, must not mean all hooks."""
    if name is not None and not re.fullmatch(_HOOK_NAME, name):
        raise click.BadParameter(f"{name!r} is no hook's name")
    return name


@click.command()
@click.option("--hook", callback=_hook_name, metavar="NAME", help="Only this hook.  [default: all hooks]")
@click.option("--unknown", is_flag=True, help="Also a hook of which nothing is known here.")
@click.option("--reason", required=True, callback=why, help="Why; it stands in each timeline.")
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
    ask(f"Pause {_hooks(hook)}?", yes=yes)
    by = f"{account.who()} at {written(account.machine.clock())}: {reason}"
    name = hook or ALL_HOOKS
    account.records.pause(name, by)
    tell(_pauses_as_data(account.records.pauses()), f"Paused {_hooks(hook)}. {_ends(name)}", as_json=as_json)


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
    tell(data, "\n".join(filter(None, sentences)), as_json=as_json)
    click.get_current_context().exit(NOT_WOKEN if missed else 0)


def _refuse_unknown(account: Account, hook: str) -> None:
    """A typo must not pass as a pause: whoever means the name says so."""
    records = EnrolledHooks(account.dynamodb, account.output("TableName"), account.machine.clock)
    known = {action.hook.name for action in account.states(account.open_keys())}
    known |= {record.hook for record in records.enrolled()} | _in_hooks_file()
    if hook in known:
        return
    where = f"no action of it is open, none of its name was enrolled, and no {_HOOKS_FILE} here has it"
    names = f"known are {', '.join(sorted(known))}" if known else "no hook is known"
    raise Trouble(f"Hook {hook} is not known: {where}; {names}. If the name is right, add --unknown.")


def _in_hooks_file() -> set[str]:
    try:
        return {hook.name for hook in load.load(_HOOKS_FILE).hooks}
    except load.HooksFileRefused:
        return set()  # none is here, or none that says anything


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
        changed(account, action, look_again(who), refuse_closed)
    except Denied:
        raise  # so would all others be
    except (Trouble, Unavailable) as error:
        click.echo(shown(f"{name_of(action)} was not woken, a sweep comes to it: {error}"), err=True)
        return False
    return True


# In words


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
