"""`usher watch`: the open actions as they change."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from usher.aws.record_format import UNREADABLE
from usher.core import duration
from usher_cli.account import with_account
from usher_cli.action_data import as_data
from usher_cli.listing import Selection, as_table, listed, selection_options, waits_for
from usher_cli.open_actions import unreadable_text
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_cli.account import Account

_INTERVAL_MIN: Final = timedelta(seconds=1)  # each refresh reads the table, which is billed

_EXAMPLES: Final = """\
\b
Examples:
  usher watch                     a table that refreshes until Ctrl-C
  usher watch | tee incident.log  a line for each change
"""


def _interval(_context: click.Context, _option: click.Parameter, text: str) -> timedelta:
    try:
        interval = duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if interval < _INTERVAL_MIN:
        raise click.BadParameter(f"must be at least {duration.written(_INTERVAL_MIN)}, got {text}")
    return interval


@click.command(epilog=_EXAMPLES)
@click.option(
    "--interval",
    default="5s",
    show_default=True,
    callback=_interval,
    metavar="DURATION",
    help="Refresh interval, at least 1s.",
)
@selection_options
@with_account
def watch(
    account: Account, interval: timedelta, group: str | None, hook: str | None, limit: int, *, as_json: bool
) -> None:
    """Follow the open actions until Ctrl-C.

    On a terminal: the table of `usher list`, refreshed. Piped: a line for each change; with --json
    one object per line.
    """
    selection = Selection(group=group, hook=hook, limit=limit)
    console = Console(highlight=False, emoji=False)
    try:
        if console.is_terminal and not as_json:
            watch_table(account, selection, interval, console)
        else:
            watch_lines(account, selection, interval, as_json=as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def watch_table(account: Account, selection: Selection, interval: timedelta, console: Console) -> None:
    """Refresh a table in place, for ever."""
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            page = listed(account, selection)
            warning = Text(shown(unreadable_text(page["unreadable"])), style="red")
            table = as_table(page, console.width)
            live.update(Group(warning, table) if page["unreadable"] else table, refresh=True)
            account.machine.wait(interval)


def watch_lines(account: Account, selection: Selection, interval: timedelta, *, as_json: bool) -> None:
    """Print what changed, for ever."""
    before: dict[str, dict[str, Any]] = {}
    unreadable_before: list[str] = []
    while True:
        page = listed(account, selection)
        after = {action["id"]: action for action in page["actions"]}
        gone = [_closed(account, action_id) for action_id in before.keys() - after.keys()]
        changed = [
            action for key, action in after.items() if _change_key(action) != _change_key(before.get(key))
        ]
        for action in [*filter(None, gone), *changed]:
            click.echo(json.dumps(action) if as_json else _line(action, page["at"]))
        if page["unreadable"] and page["unreadable"] != unreadable_before:
            click.echo(shown(unreadable_text(page["unreadable"])), err=True)
        before, unreadable_before = after, page["unreadable"]
        account.machine.wait(interval)


def _closed(account: Account, action_id: str) -> dict[str, Any] | None:
    """An action that is not listed any more, if it is closed; None if others only come before it now."""
    try:
        action = account.records.load(action_id)
    except UNREADABLE:
        return None
    if action is None or action.is_open:
        return None
    return as_data(action, account.machine.clock(), {})


def _change_key(action: Mapping[str, Any] | None) -> object:
    """What makes a new line when it changes: not the ages, which always do."""
    if action is None:
        return None
    conditions = [(condition["status"], condition["detail"]) for condition in action["conditions"]]
    return action["state"], conditions, action["held"], action["gives_up_at"]


def _line(action: Mapping[str, Any], at: str) -> str:
    why = action["reason"] if action["closed_at"] else waits_for(action)
    state = " ".join(filter(None, [action["state"], action["result"]]))
    return shown(f"{at}  {action['instance_id']}  {action['hook']}  {state}: {why}")
