"""`usher watch`: the open actions as they change."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from usher.aws.record_format import UNREADABLE
from usher.core import duration
from usher_cli.account import with_account
from usher_cli.action_data import as_data
from usher_cli.fleet.fleet import is_given, or_fleet
from usher_cli.fleet.merging import merged
from usher_cli.listing import Selection, as_table, listed, selection_options, site_of, unreadable, waits_for
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from usher_cli.account import Account, Machine
    from usher_cli.fleet.fleet import Fleet

_INTERVAL_MIN: Final = timedelta(seconds=1)  # each refresh reads the table, which is billed

Key: TypeAlias = "tuple[str | None, str | None, str]"  # account and Region, of a fleet, and id

_EXAMPLES: Final = """\
\b
Examples:
  usher watch                     a table that refreshes until Ctrl-C
  usher watch | tee incident.log  a line for each change
  usher watch --fleet fleet.yaml  all accounts and Regions of a fleet
"""


class Watched(Protocol):
    """What is watched: one account and Region, or a fleet."""

    @property
    def machine(self) -> Machine:
        """Whose clock and wait count."""
        ...

    def page(self) -> dict[str, Any]:
        """What `usher list --json` prints now."""
        ...

    def account(self, action: Mapping[str, Any]) -> Account:
        """The account of an action of an earlier page."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OneAccount:
    """Implements Watched."""

    of: Account
    selection: Selection

    @property
    def machine(self) -> Machine:
        """See Watched."""
        return self.of.machine

    def page(self) -> dict[str, Any]:
        """See Watched."""
        return listed(self.of, self.selection)

    def account(self, _: Mapping[str, Any]) -> Account:
        """See Watched."""
        return self.of


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeFleet:
    """Implements Watched."""

    of: Fleet
    selection: Selection

    @property
    def machine(self) -> Machine:
        """See Watched."""
        return self.of.machine

    def page(self) -> dict[str, Any]:
        """See Watched."""
        answers = self.of.ask(lambda account, _: listed(account, self.selection), quiet=True)
        return merged(answers, self.machine.clock(), self.selection.limit)

    def account(self, action: Mapping[str, Any]) -> Account:
        """See Watched."""
        site = next(each for each in self.of.sites if each.names.items() <= action.items())
        return self.of.account(site)


def _interval(_context: click.Context, _option: click.Parameter, text: str) -> timedelta:
    try:
        interval = duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if interval < _INTERVAL_MIN:
        raise click.BadParameter(f"must be at least {duration.written(_INTERVAL_MIN)}, got {text}")
    return interval


def watch_fleet(
    fleet: Fleet, interval: timedelta, group: str | None, hook: str | None, limit: int, *, as_json: bool
) -> None:
    """All sites of a fleet, merged."""
    selection = _selection(group, hook, limit, as_json=as_json)
    _watch(WholeFleet(of=fleet, selection=selection), interval, as_json=as_json)


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
@or_fleet(watch_fleet)
@with_account
def watch(
    account: Account, interval: timedelta, group: str | None, hook: str | None, limit: int, *, as_json: bool
) -> None:
    """Follow the open actions until Ctrl-C.

    On a terminal: the table of `usher list`, refreshed. In a pipe: a line for each change, or with --json
    an object. There it follows all open actions; with --limit those that were among the nearest, each until
    it is closed.
    """
    selection = _selection(group, hook, limit, as_json=as_json)
    _watch(OneAccount(of=account, selection=selection), interval, as_json=as_json)


def _selection(group: str | None, hook: str | None, limit: int, *, as_json: bool) -> Selection:
    """A screen has room for some; a log is to have all, unless the operator chose how many."""
    has_room = is_given("limit") or _is_drawn(_console(), as_json=as_json)
    return Selection(group=group, hook=hook, limit=limit if has_room else sys.maxsize)


def _console() -> Console:
    return Console(highlight=False, emoji=False)


def _is_drawn(console: Console, *, as_json: bool) -> bool:
    return console.is_terminal and not as_json


def _watch(watched: Watched, interval: timedelta, *, as_json: bool) -> None:
    console = _console()
    try:
        if _is_drawn(console, as_json=as_json):
            watch_table(watched, interval, console)
        else:
            watch_lines(watched, interval, as_json=as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def watch_table(watched: Watched, interval: timedelta, console: Console) -> None:
    """Refresh a table in place, for ever."""
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            page = watched.page()
            warnings = [Text(shown(line), style="red") for line in _troubles(page)]
            rest = [Text(line) for line in _rest(page)]
            live.update(Group(*warnings, *rest, as_table(page, console.width)), refresh=True)
            watched.machine.wait(interval)


def watch_lines(watched: Watched, interval: timedelta, *, as_json: bool) -> None:
    """Print what changed, for ever."""
    before: dict[Key, dict[str, Any]] = {}
    told: Sequence[str] = ()
    while True:
        page = watched.page()
        after = {_key(action): action for action in page["actions"]}
        failed = {(site["account"], site["region"]) for site in page.get("failed", ())}
        after |= {key: action for key, action in before.items() if key[:2] in failed}  # nobody knows
        lost = [_as_it_stands(watched, before[key], page) for key in before.keys() - after.keys()]
        gone = [action for action in lost if action and action["closed_at"]]
        after |= {_key(action): action for action in lost if action and not action["closed_at"]}
        changed = [
            action for key, action in after.items() if _change_key(action) != _change_key(before.get(key))
        ]
        for action in [*gone, *changed]:
            click.echo(json.dumps(action) if as_json else _line(action, page["at"]))
        troubles = _troubles(page)
        for line in troubles if troubles != told else ():
            click.echo(shown(line), err=True)
        before, told = after, troubles
        watched.machine.wait(interval)


def _key(action: Mapping[str, Any]) -> Key:
    return action.get("account"), action.get("region"), action["id"]


def _troubles(page: Mapping[str, Any]) -> Sequence[str]:
    """The sites of a fleet that failed, and the records that cannot be read."""
    failed = [f"{' '.join(site_of(site))} failed: {site['why']}" for site in page.get("failed", ())]
    return [*failed, *filter(None, [unreadable(page)])]


def _rest(page: Mapping[str, Any]) -> Iterator[str]:
    if page["more"]:
        yield f"Only the {len(page['actions'])} nearest are shown; --limit {page['open']} shows all."


def _as_it_stands(
    watched: Watched, before: Mapping[str, Any], page: Mapping[str, Any]
) -> dict[str, Any] | None:
    """An action that is not listed any more: closed, or behind others; None if its record cannot be read."""
    account = watched.account(before)
    try:
        action = account.records.load(before["id"])
    except UNREADABLE:
        return None
    if action is None:
        return None
    (action,) = account.records.with_findings([action])
    site = {key: before[key] for key in ("account", "account_name", "region") if key in before}
    paused = {each["hook"]: each["by"] for each in page["paused"] if site.items() <= each.items()}
    return {**site, **as_data(action, account.machine.clock(), paused)}


def _change_key(action: Mapping[str, Any] | None) -> object:
    """What makes a new line when it changes: not the ages, which always do."""
    if action is None:
        return None
    conditions = [(condition["status"], condition["detail"]) for condition in action["conditions"]]
    return action["state"], conditions, action["held"], action["gives_up_at"]


def _line(action: Mapping[str, Any], at: str) -> str:
    why = action["reason"] if action["closed_at"] else waits_for(action)
    state = " ".join(filter(None, [action["state"], action["result"]]))
    where = "".join(f"{each}  " for each in site_of(action))
    return shown(f"{at}  {where}{action['instance_id']}  {action['hook']}  {state}: {why}")
