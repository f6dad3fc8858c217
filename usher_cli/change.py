"""What the commands that change an action share: its reason, the change, the confirmation, the output."""

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
_REASON_LENGTH_MAX: Final = 500  # characters: a line of the timeline holds 1,000, the caller included


def reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """The callback of --reason."""
    return reason_of(text)


def reason_of(text: str) -> str:
    """A reason as one line without control characters. Raises click.BadParameter."""
    line = " ".join(text.split())
    if not 1 <= len(line) <= _REASON_LENGTH_MAX:
        raise click.BadParameter(f"must have 1 to {_REASON_LENGTH_MAX} characters, got {len(line)}")
    if not line.isprintable():  # the terminal of a reader would interpret them
        raise click.BadParameter(f"must have no control characters, got {shown(line)!r}")
    return line


def changed(
    account: Account, action: Action, change: Change, refuse: Callable[[Action], None] = refuse_ended
) -> Action:
    """Store a change to an action; return the action as stored. Raises Trouble if it is refused."""
    after, warnings = stored(account, action, change, refuse)
    for warning in warnings:
        click.echo(warning, err=True)
    return after


def stored(
    account: Account, action: Action, change: Change, refuse: Callable[[Action], None] = refuse_ended
) -> tuple[Action, list[str]]:
    """The same, with what to know besides in place of its output."""
    recorder = Recorder()
    operators = Operators(
        store=account.records,
        wake_ups=account.wake_ups(),
        telemetry=recorder,
        clock=account.machine.clock,
        new_id=account.machine.new_id,
    )
    with refusals():
        after = operators.change(action, change, refuse)
    late = "The change takes effect within two minutes."
    return after, [f"{problem}: {error}. {late}" for problem, error in recorder.troubles]


@contextmanager
def refusals() -> Iterator[None]:
    """Turn CommandRefused into Trouble."""
    try:
        yield
    except CommandRefused as refused:
        raise Trouble(str(refused)) from None


def ask(question: str, *, yes: bool) -> None:
    """End the command unless the operator confirms."""
    if not yes and not agreed(question):
        click.echo("Nothing was changed.", err=True)
        click.get_current_context().exit(DECLINED)


def print_result(data: object, sentence: str, *, as_json: bool) -> None:
    """Print what was done."""
    click.echo(json.dumps(data, indent=1) if as_json else sentence)
