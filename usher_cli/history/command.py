"""The command `usher history`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from usher.core.action import Outcome, Result
from usher_cli.account import with_account
from usher_cli.fleet.fleet import or_fleet
from usher_cli.fleet.rows import print_rows
from usher_cli.history.closed import READ_AT_ONCE, Wanted, as_data, newest, totals, wanted_rows
from usher_cli.listing import selection_options
from usher_cli.printable import short, shown
from usher_cli.report import written
from usher_cli.time_options import period_of, period_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from usher_cli.account import Account
    from usher_cli.fleet.fleet import Fleet
    from usher_cli.time_options import Period

_HEADINGS: Final = ("CLOSED", "INSTANCE", "GROUP", "HOOK", "OUTCOME", "RESULT", "WAITED", "REASON")
_MAY_BE_CUT: Final = ("GROUP", "HOOK", "REASON")
_TERMINAL_WIDTHS_MIN: Final = {"WAITED": 90, "GROUP": 120}  # of a terminal that shows them
_COLOURS: Final = {"completed": "green", "ended_elsewhere": "yellow", "defaulted": "red"}
_COUNTED: Final = {"period": "closed in the period", "shown": "shown", "newest_read": "newest read"}
_MOST_REASONS: Final = 10
_SECOND: Final = len("2026-01-31T12:00:00")

_EXAMPLES: Final = """\
\b
Examples:
  usher history                                        the last 24 hours
  usher history --from 7d --outcome defaulted
  usher history --from 2026-03-01T22:00Z --to 2026-03-02T06:00Z --totals
  usher history --group 'workers-*' --result ABANDON --limit 200
  usher history --json | jq -r '.actions[].instance_id'
  usher history --fleet fleet.yaml                     all accounts and Regions of a fleet

Without --totals as many actions are read as are shown, and the figures are of these. With it all
actions of the period are read, and counted. Filters are applied to what is read.

Closed actions are kept for 30 days; `usher show ID` has everything about one of them.
"""


def history_fleet(  # noqa: PLR0913 - the options of a command
    fleet: Fleet,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    limit: int,
    *,
    outcome: str | None,
    result: str | None,
    counts_all: bool,
    as_json: bool,
) -> None:
    """The closed actions of all sites, newest first; the figures of each site."""
    period = period_of(first, last, fleet.machine.clock())
    wanted = Wanted(group=group, hook=hook, outcome=outcome, result=result)
    answers = fleet.ask(lambda account, _: closed_page(account, period, wanted, limit, counts_all=counts_all))
    for _, page in answers.told:
        if page["totals_of"] == "shown":
            page["totals_of"] = "newest_read"  # those of other sites may be newer, and shown in their place
    found = [(site, action) for site, page in answers.told for action in page["actions"]]
    found.sort(key=lambda one: one[1]["closed_at"], reverse=True)
    data = {
        "at": written(fleet.machine.clock()),
        "from": written(period.since),
        "to": written(period.until),
        "more": len(found) > limit or any(page["more"] for _, page in answers.told),
        "sites": [
            {**site.names, "totals_of": page["totals_of"], "totals": page["totals"]}
            for site, page in answers.told
        ],
        "failed": [each.data for each in answers.failed],
        "actions": [{**site.names, **action} for site, action in found[:limit]],
    }
    if as_json:
        click.echo(json.dumps(data, indent=1))
    else:
        if found:
            print_rows(_HEADINGS, [(site, _cells(action)) for site, action in found[:limit]])
        for site, page in answers.told:
            for line in filter(None, _figures(page)):
                click.echo(shown(f"{site}: {line}"))
        if answers.told:
            where = f"in {len(answers.told)} accounts and Regions"
            _print_rest(data, period, where, counts_all=counts_all)
    answers.finish()


@click.command(epilog=_EXAMPLES)
@period_options
@selection_options
@click.option(
    "--outcome",
    type=click.Choice([str(outcome) for outcome in Outcome]),
    help="Only actions with this outcome.",
)
@click.option(
    "--result",
    type=click.Choice([str(result) for result in Result]),
    help="Only actions for which Usher sent this result.",
)
@click.option(
    "--totals", "counts_all", is_flag=True, help="Count all actions of the period, not only those shown."
)
@or_fleet(history_fleet)
@with_account
def history(  # noqa: PLR0913 - its options
    account: Account,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    limit: int,
    *,
    outcome: str | None,
    result: str | None,
    counts_all: bool,
    as_json: bool,
) -> None:
    """Show the closed actions of a period, newest first.

    How each ended and why, how many ended how, and how long they waited.
    """
    period = period_of(first, last, account.machine.clock())
    wanted = Wanted(group=group, hook=hook, outcome=outcome, result=result)
    page = closed_page(account, period, wanted, limit, counts_all=counts_all)
    if as_json:
        click.echo(json.dumps(page, indent=1))
        return
    console = Console(highlight=False, emoji=False)
    if console.is_terminal:
        console.print(as_table(page, console.width))
    else:
        for line in _plain(page):
            click.echo(line)
    for line in _figures(page):
        click.echo(line)
    where = f"in stack {page['stack']}, {page['region']}"
    _print_rest(page, period, where, counts_all=counts_all)


def closed_page(
    account: Account, period: Period, wanted: Wanted, limit: int, *, counts_all: bool
) -> dict[str, Any]:
    """What `usher history --json` prints."""
    at_once = READ_AT_ONCE if counts_all else limit + 1
    rows = wanted_rows(account.records, period, wanted, at_once)
    if counts_all:
        counted = list(rows)
        listed = newest(counted, limit)
    else:
        listed = newest(rows, limit)
        counted = list(listed.rows)
    return {
        "at": written(account.machine.clock()),
        "stack": account.place.stack,
        "region": account.place.region,
        "from": written(period.since),
        "to": written(period.until),
        "more": listed.more,
        "totals_of": "period" if counts_all or not listed.more else "shown",
        "totals": totals(counted),
        "actions": [as_data(row) for row in listed.rows],
    }


# Output for people


def as_table(page: Mapping[str, Any], width: int) -> Group:
    """A table for a terminal of that width, one line for each action."""
    title = f"Closed in {page['stack']}, {page['from'][:_SECOND]}Z to {page['to'][:_SECOND]}Z"
    actions = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    headings = [heading for heading in _HEADINGS if width >= _TERMINAL_WIDTHS_MIN.get(heading, 0)]
    for heading in headings:
        actions.add_column(heading, no_wrap=heading not in _MAY_BE_CUT)
    for action in page["actions"]:
        cells = dict(zip(_HEADINGS, _cells(action), strict=True))
        styles = {"OUTCOME": _COLOURS.get(action["outcome"], "")}
        row = [
            Text(cells[each], styles.get(each, ""), no_wrap=True, overflow="ellipsis") for each in headings
        ]
        actions.add_row(*row)
    return Group(actions)


def _plain(page: Mapping[str, Any]) -> Iterator[str]:
    """Aligned columns, one line for each action."""
    rows = [_HEADINGS, *(_cells(action) for action in page["actions"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if len(rows) > 1 else []:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(action: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (
        f"{action['closed_at'][:_SECOND]}Z",
        action["instance_id"],
        action["group"],
        action["hook"],
        action["outcome"],
        action["result"] or "-",
        short(action["age_s"]),
        action["reason"],
    )
    return tuple(map(shown, cells))


def _figures(page: Mapping[str, Any]) -> Iterator[str]:
    """How many ended how, how long they waited, and why they ended."""
    figures = page["totals"]
    if not figures["actions"]:
        return
    of = _COUNTED[page["totals_of"]]
    ends = {**figures["results"], **{k: n for k, n in figures["outcomes"].items() if k != "completed"}}
    yield ""
    yield f"{figures['actions']:,} {of}: " + ", ".join(f"{count:,} {end}" for end, count in ends.items())
    waits = ", ".join(f"{name} {short(seconds)}" for name, seconds in figures["waits_s"].items())
    yield f"waits: {waits}"
    for each in figures["reasons"][:_MOST_REASONS]:
        yield shown(f"{each['count']:>7,}  {each['reason']}")
    left_out = len(figures["reasons"]) - _MOST_REASONS
    if left_out > 0:
        yield f"         … and {left_out} more reasons; --json has all of them"


def _print_rest(page: Mapping[str, Any], period: Period, where: str, *, counts_all: bool) -> None:
    count = len(page["actions"])
    if page["more"]:
        counts = "" if counts_all else ", --totals counts all of the period"
        click.echo(f"The newest {count} are shown; --limit {2 * count} shows more{counts}.", err=True)
    elif not count:
        click.echo(f"No action that matches was closed {period} {where}.", err=True)
