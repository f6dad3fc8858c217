"""`usher signal`, `hold`, `extend` and `complete`: the commands of operators on one action."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from usher.core import duration
from usher.core.action import Result, Status, Transition
from usher.core.operators import name_of
from usher_cli import acts
from usher_cli.account import with_account
from usher_cli.action_data import as_data
from usher_cli.change import ask, print_result
from usher_cli.change import reason as reason_callback
from usher_cli.listing import waits_for
from usher_cli.printable import short, shown
from usher_cli.time_options import time_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from usher.core.action import Action
    from usher_cli.account import Account
    from usher_cli.acts import Done


# Options


def _duration(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    return None if text is None else duration_of(text)


def duration_of(text: str) -> timedelta:
    """A duration of a second at least. Raises click.BadParameter."""
    try:
        span = duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not span:
        raise click.BadParameter(f"must be at least 1s, got {text}")
    return span


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    try:
        return None if text is None else time_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
    action = acts.selected(account, named, hook)
    _print(acts.signal(account, action, name, Status(status), reason), as_json=as_json)


@click.command()
@_on_action
@click.option("--off", is_flag=True, help="End the hold.")
@click.option("--over", is_flag=True, help="Also where somebody else holds the instance.")
@with_account
def hold(
    account: Account, named: str, hook: str | None, reason: str, *, off: bool, over: bool, as_json: bool
) -> None:
    """Keep an instance in its wait until `complete` or `hold --off`.

    A hold overrides the policy. It ends shortly before the global timeout of the hook: the action then
    gets the result that the policy has for giving up. An instance has one hold: somebody else's is
    replaced, or ended, only with --over.
    """
    action = acts.selected(account, named, hook)
    _print(acts.hold(account, action, reason, off=off, over=over), as_json=as_json)


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
    global timeout of the hook. It does not move `stalled_after`: send a progress signal, or hold.
    """
    if (by is None) == (to is None):
        raise click.UsageError("Use either --by or --to.")
    action = acts.selected(account, named, hook)
    _print(acts.extend(account, action, reason, by, to), as_json=as_json)


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
    action = acts.selected(account, named, hook)
    acts.refuse_result(account, action)
    click.echo(_about_to_end(action, account.machine.clock()), err=True)
    is_fatal = result == Result.ABANDON and action.hook.transition is Transition.LAUNCHING
    ends = " The instance is terminated." if is_fatal else ""
    ask(f"Send {result}?{ends}", yes=yes)
    _print(acts.complete(account, action, reason, Result(result)), as_json=as_json)


# Output


def _about_to_end(action: Action, now: datetime) -> str:
    data = as_data(action, now, {})
    return shown(
        f"{name_of(action)}, {action.hook.transition}, has waited {short(data['age_s'])}"
        f" for: {waits_for(data) or 'nothing'}"
    )


def _print(done: Done, *, as_json: bool) -> None:
    for warning in done.warnings:
        click.echo(warning, err=True)
    print_result(done.data, done.sentence, as_json=as_json)
