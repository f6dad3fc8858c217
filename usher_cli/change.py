"""What all commands that change an action share: who may be changed, how it is stored, what is told."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from usher.core.operators import CommandRefused, refuse_ended
from usher.operators import Operators
from usher_cli.account import Trouble
from usher_cli.confirm import agreed
from usher_cli.printable import shown
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher.core.action import Action
    from usher.core.operators import Change
    from usher_cli.account import Account

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


def changed(
    account: Account, action: Action, change: Change, refuse: Callable[[Action], None] = refuse_ended
) -> Action:
    """Store a change to an action; return it as it is stored. Raises Trouble where it is refused."""
    kept = Recorder()
    operators = Operators(
        store=account.records,
        wake_ups=account.wake_ups(),
        telemetry=kept,
        clock=account.machine.clock,
        new_id=account.machine.new_id,
    )
    with refusals():
        after = operators.change(action, change, refuse)
    for what, error in kept.troubles:
        click.echo(f"{what}, so it takes effect within two minutes: {error}", err=True)
    return after


@contextmanager
def refusals() -> Iterator[None]:
    """What an action refuses is a command's trouble."""
    try:
        yield
    except CommandRefused as refused:
        raise Trouble(str(refused)) from None


def ask(question: str, *, yes: bool) -> None:
    """End the command where the operator does not agree."""
    if not yes and not agreed(question):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(DECLINED)


def tell(data: object, sentence: str, *, as_json: bool) -> None:
    """Say what was done."""
    click.echo(json.dumps(data, indent=1) if as_json else sentence)
