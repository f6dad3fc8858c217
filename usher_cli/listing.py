"""`usher list`: which instances are held, why, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from heapq import nsmallest
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from usher.core.decide import WAITS_FOR
from usher.core.finding import ConditionStatus
from usher.core.globs import glob_fits
from usher_cli.account import with_account
from usher_cli.action_data import IN_LINE, as_data
from usher_cli.fleet.fleet import or_fleet
from usher_cli.fleet.merging import merged
from usher_cli.offline import list_offline
from usher_cli.open_actions import unreadable_text
from usher_cli.printable import pause_banner, short, shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher.ports.records import OpenRow
    from usher_cli.account import Account
    from usher_cli.fleet.fleet import Fleet

INCOMPLETE: Final = 1  # the exit code
_PAGE_SIZE: Final = 50
_CLOSED: Final = "`usher history` lists closed ones"
_SPARE: Final = 200  # rows in the place of those whose records are closed by now, or cannot be read
_HEADINGS: Final = ("INSTANCE", "GROUP", "HOOK", "STATE", "AGE", "EXPIRES", "GIVES UP", "WAITS FOR")
_MAY_BE_CUT: Final = ("GROUP", "HOOK", "WAITS FOR")
_TERMINAL_WIDTHS_MIN: Final = {"AGE": 90, "GROUP": 110, "GIVES UP": 130}  # of a terminal that shows them
_COLOURS: Final = {
    "completing": "green",
    "held": "magenta",
    "observed": "dim",
    "overdue": "red",
    "paused": "red",
    "waiting": "cyan",
}

_EXAMPLES: Final = """\
\b
Examples:
  usher list --region eu-west-1
  usher list --group 'workers-*' --hook usher-drain
  usher list --json | jq '.actions[] | select(.to_expiry_s < 60)'
  usher list --fleet fleet.yaml    all accounts and Regions of a fleet
  usher list --offline    without DynamoDB: what waits, as commands that hold each instance

A narrow terminal shows fewer columns and cuts long names; `usher show` and --json cut nothing.
`usher history` lists the closed actions; `usher show` has everything about one.

\b
Exit codes:
  0  success
  1  some open actions cannot be read, or an account or Region of the fleet failed; the others are listed
  2  wrong usage, or the account cannot be reached
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which open actions to show, how many at most, and after how many others."""

    group: str | None
    hook: str | None
    limit: int
    first: int = 0

    def selects(self, row: OpenRow) -> bool:
        """Whether both globs match."""
        pairs = ((self.group, row.group), (self.hook, row.hook))
        return all(glob is None or glob_fits(glob, name) for glob, name in pairs)


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Selection, and --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--limit",
            "-n",
            default=_PAGE_SIZE,
            show_default=True,
            type=click.IntRange(min=1),
            metavar="NUMBER",
            help="Show at most this many actions. `watch` shows all of them in a pipe or with --json.",
        ),
        click.option("--hook", metavar="GLOB", help="Only these hooks; * matches any text."),
        click.option("--group", metavar="GLOB", help="Only these groups; * matches any text."),
    ):
        command = option(command)
    return command


def list_fleet(
    fleet: Fleet, group: str | None, hook: str | None, limit: int, *, as_json: bool, offline: bool
) -> None:
    """All sites of a fleet, merged."""
    if offline:
        raise click.UsageError("--offline asks one account and Region: leave --fleet out")
    selection = Selection(group=group, hook=hook, limit=limit)
    answers = fleet.ask(lambda account, _: listed(account, selection))
    page = merged(answers, fleet.machine.clock(), limit)
    _print_page(page, as_json=as_json)
    answers.finish(incomplete=bool(page["unreadable"]))


@click.command(name="list", epilog=_EXAMPLES)
@selection_options
@click.option(
    "--offline", is_flag=True, help="Ask Auto Scaling alone, and print a command that holds each instance."
)
@or_fleet(list_fleet)
@with_account
def list_command(
    account: Account, group: str | None, hook: str | None, limit: int, *, as_json: bool, offline: bool
) -> None:
    """Show the open actions, nearest expiry first.

    STATE is waiting, in line (at_once), held (by an operator), completing, observed or paused; it is
    overdue if no function has evaluated the action in time. For an outage of DynamoDB, use --offline.
    """
    selection = Selection(group=group, hook=hook, limit=limit)
    if offline:
        list_offline(account, selection, as_json=as_json)
        return
    page = listed(account, selection)
    _print_page(page, as_json=as_json)
    if page["unreadable"]:
        click.get_current_context().exit(INCOMPLETE)


def listed(account: Account, selection: Selection) -> dict[str, Any]:
    """What `usher list --json` prints. Rows of the index are read page by page, and the records shown."""
    now = account.machine.clock()
    total, selected = count(), count()

    def chosen_from(rows: Iterable[OpenRow]) -> Iterator[tuple[datetime, str]]:
        for row in rows:
            next(total)
            if selection.selects(row):
                next(selected)
                yield row.expires_at, row.action_id

    most = selection.first + selection.limit + _SPARE
    rows = nsmallest(most, chosen_from(account.records.open_rows()))
    nearest = list(dict.fromkeys(action_id for _, action_id in rows))[selection.first :]
    found: list[Action] = []
    unreadable: list[str] = []
    while nearest and len(found) < selection.limit:
        page = account.load_open(nearest[: selection.limit])
        found += page.actions
        unreadable += page.unreadable
        nearest = nearest[selection.limit :]
    paused = account.records.pauses()
    chosen = sorted(found, key=lambda action: (action.expires_at, action.id))[: selection.limit]
    return {
        "at": written(now),
        "stack": account.place.stack,
        "region": account.place.region,
        "open": next(total),
        "more": bool(nearest) or len(found) > selection.limit or next(selected) > len(rows),
        "unreadable": unreadable,
        "paused": [{"hook": hook, "by": by} for hook, by in sorted(paused.items())],
        "actions": [as_data(action, now, paused) for action in chosen],
    }


# Output


def _print_page(page: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(page, indent=1))
    else:
        console = Console(highlight=False, emoji=False)
        if console.is_terminal:
            console.print(as_table(page, console.width))
        else:
            for line in _plain(page):
                click.echo(line)
        _print_rest(page)
    if page["unreadable"]:
        click.echo(shown(unreadable(page)), err=True)


def _plain(page: Mapping[str, Any]) -> Iterator[str]:
    """Aligned columns, one line for each action."""
    yield from _banners(page)
    rows = [_headings(page), *(_cells(action) for action in page["actions"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if len(rows) > 1 else []:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_table(page: Mapping[str, Any], width: int) -> Group:
    """A table for a terminal of that width, one line for each action."""
    banners = [Text(line, style="bold red") for line in _banners(page)]
    closed = "" if "sites" in page else f"; {_CLOSED}"
    title = f"{len(page['actions'])} of {page['open']} open in {_where(page)}, {page['at']}{closed}"
    actions = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    all_headings = _headings(page)
    headings = [heading for heading in all_headings if width >= _TERMINAL_WIDTHS_MIN.get(heading, 0)]
    for heading in headings:
        actions.add_column(heading, no_wrap=heading not in _MAY_BE_CUT)
    for action in page["actions"]:
        cells = dict(zip(all_headings, _cells(action), strict=True))
        styles = {"STATE": _COLOURS.get(action["state"], "")}
        actions.add_row(*(_cut_to_fit(cells[heading], styles.get(heading, "")) for heading in headings))
    return Group(*banners, actions)


def _cut_to_fit(cell: str, style: str) -> Text:
    """One line: rich narrows a column that may wrap, but never below its longest word."""
    return Text(cell, style, no_wrap=True, overflow="ellipsis")


def _banners(page: Mapping[str, Any]) -> Iterator[str]:
    for pause in page["paused"]:
        yield " ".join([*site_of(pause), pause_banner(pause["hook"], pause["by"])])


def unreadable(page: Mapping[str, Any]) -> str:
    """What to say about open actions that cannot be read; empty if there are none."""
    return unreadable_text(
        [" ".join([each["id"], *site_of(each)]) if "sites" in page else each for each in page["unreadable"]]
    )


def _headings(page: Mapping[str, Any]) -> tuple[str, ...]:
    return ("ACCOUNT", "REGION", *_HEADINGS) if "sites" in page else _HEADINGS


def site_of(of_page: Mapping[str, Any]) -> tuple[str, ...]:
    """Account and Region, where they are a fleet's."""
    return (of_page["account_name"] or of_page["account"], of_page["region"]) if "account" in of_page else ()


def _where(page: Mapping[str, Any]) -> str:
    return f"{len(page['sites'])} accounts and Regions" if "sites" in page else str(page["stack"])


def _cells(action: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (
        *site_of(action),
        action["instance_id"],
        action["group"],
        action["hook"],
        action["state"],
        short(action["age_s"]),
        short(action["to_expiry_s"]),
        short(action["to_giving_up_s"]),
        waits_for(action),
    )
    return tuple(map(shown, cells))


def waits_for(action: Mapping[str, Any]) -> str:
    """Why an instance is still held: first the operator's notes, then the conditions."""
    requested, held = action["requested"], action["held"]
    texts = []
    if requested:
        texts.append(f"{requested['result']} requested by {requested['who']}: {requested['reason']}")
    if held:
        texts.append(f"held by {held['who']}: {held['reason']}")
    if action["result"]:
        texts.append(f"{action['result']}: {action['reason']}")
    last = (action["last"] or {}).get("detail", "")
    if action["state"] == IN_LINE:  # its conditions do not count yet
        texts.append(last.removeprefix(WAITS_FOR) if last.startswith(WAITS_FOR) else "its turn")
    else:
        texts += [
            f"{condition['detail']} ({condition['status']})"
            for condition in action["conditions"]
            if condition["status"] != ConditionStatus.HOLDS
        ]
    return "; ".join(texts) or last


def _print_rest(page: Mapping[str, Any]) -> None:
    count, total = len(page["actions"]), page["open"]
    if page.get("sites") == []:
        return  # nobody knows
    if not total:
        is_fleet = "sites" in page
        where = _where(page) if is_fleet else f"stack {page['stack']}, {page['region']}; {_CLOSED}"
        click.echo(f"No action is open in {where}.", err=True)
    elif page["more"]:
        click.echo(f"{count} of {total} open actions shown; --limit {total} shows all.", err=True)
    elif not count and not page["unreadable"]:
        click.echo(f"None of the {total} open actions matches.", err=True)
