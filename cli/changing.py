"""What all commands that change an action share: who may be changed, how it is stored, what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from cli.account import Trouble
from cli.asking import agreed
from cli.printable import shown
from cli.report import written
from simulator.recorder import Recorder
from usher.core.model import Phase
from usher.ports import Moved
from usher.waking import stored_with_wake_ups

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cli.account import Account
    from usher.core.model import Action

    Change: TypeAlias = "Callable[[Action, datetime], Action]"

TRIES: Final = 8
DECLINED: Final = 1  # the exit code
_MOST_REASON: Final = 500  # characters: a line of the timeline holds 1,000, who said it included


def why(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """An option's callback: the reason, in one line that prints as it is."""
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= _MOST_REASON:
        raise click.BadParameter(f"say why, in 1 to {_MOST_REASON} characters, got {len(reason)}")
    if not reason.isprintable():  # whoever reads it, maybe on another terminal, is not to obey it
        raise click.BadParameter(f"say why without control characters, got {shown(reason)!r}")
    return reason


def name_of(action: Action) -> str:
    """Which action, in words."""
    return f"{action.instance_id} (hook {action.hook.name} of {action.hook.group})"


def refuse_closed(action: Action) -> None:
    """What is over takes nothing any more."""
    if action.phase is Phase.CLOSED:
        result = f" {action.result}" if action.result else ""
        how = f"{action.outcome}{result} at {written(action.closed_at)}: {action.reason}"
        raise Trouble(f"{name_of(action)} is closed, {how}.")


def refuse_ended(action: Action) -> None:
    """An action that has its result takes no word any more."""
    refuse_closed(action)
    if action.phase is Phase.COMPLETING:
        said = f"{action.result} is decided and may have been sent: {action.reason}"
        raise Trouble(f"{name_of(action)} is completing, {said}.")


def changed(
    account: Account, action: Action, change: Change, refuse: Callable[[Action], None] = refuse_ended
) -> Action:
    """Store a change on top of whatever is newest, due at once; return it as it is stored.

    The clock here may be ahead of the functions': the next look never moves to a later time. Raises
    Trouble where `refuse` does, and where others change the action again and again.
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
    raise Trouble(f"{name_of(action)} changed {TRIES} times meanwhile: try again.")


def _store(account: Account, action: Action) -> None:
    kept, clock = Recorder(), account.machine.clock
    stored_with_wake_ups(
        action, clock, lambda: account.records.save(action), account.wake_ups(), kept, needs_queue=True
    )
    for what, error in kept.troubles:
        click.echo(f"{what}, so it takes effect within two minutes: {error}", err=True)


def ask(question: str, *, yes: bool) -> None:
    """End the command where the operator does not agree."""
    if not yes and not agreed(question):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(DECLINED)


def tell(data: object, sentence: str, *, as_json: bool) -> None:
    """Say what was done."""
    click.echo(json.dumps(data, indent=1) if as_json else sentence)
