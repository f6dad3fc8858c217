"""The command `usher report`: the page of `usher replay --report`, from what really happened."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher.core.action import Outcome
from usher_cli.account import with_account
from usher_cli.action_data import heartbeat_margins
from usher_cli.history.closed import READ_AT_ONCE, Wanted, wanted_rows
from usher_cli.history.stories import StoriesRead, in_turn
from usher_cli.html_report import Heading, page_of, terms
from usher_cli.open_actions import unreadable_text
from usher_cli.printable import shown
from usher_cli.report import KINDS, reported
from usher_cli.time_options import period_of, period_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from usher_cli.account import Account
    from usher_cli.history.stories import Story
    from usher_cli.time_options import Period

INCOMPLETE: Final = 1  # the exit code
_MOST: Final = 5000  # actions: the page opens in about a second with so many
_APART: Final = "Not in the records: `usher redrive` shows what was rejected."

_EXAMPLES: Final = """\
\b
Examples:
  usher report --from 24h --output yesterday.html
  usher report --from 2026-03-01T22:00Z --to 2026-03-02T06:00Z --group 'workers-*' --output night.html

The page has the actions that were closed in the period, and those that are open at its end if that
is now. It loads nothing and sends nothing. It contains instance IDs, tokens and the texts of signals.

\b
Exit codes:
  0  success
  1  some actions cannot be read; the page has the others
  2  wrong usage, the account cannot be reached, or the file cannot be written
"""


@click.command(epilog=_EXAMPLES)
@period_options
@click.option("--group", metavar="GLOB", help="Only these groups; * matches any text.")
@click.option("--hook", metavar="GLOB", help="Only these hooks; * matches any text.")
@click.option(
    "--limit",
    default=_MOST,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Show at most this many closed actions, the newest.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE.html",
    help="Write the page to this file.",
)
@with_account
def report(
    account: Account,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    limit: int,
    output: Path,
) -> None:
    """Write an HTML page of what happened.

    The timeline of every held instance, as `usher replay --report` shows it, from the records.
    """
    if not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {output.parent}", param_hint="'--output'")
    period = period_of(first, last, account.machine.clock())
    ids, more = _closed(account, period, Wanted(group=group, hook=hook), limit)
    if last is None:
        ids += _open(account, Wanted(group=group, hook=hook))
    read = _read(account, ids)
    heading = Heading(
        title="Usher: what happened",
        text=f"What happened {period}",
        command="usher history --json",
    )
    output.write_text(page_of(page_data(read.stories), heading), encoding="utf-8", newline="\n")
    actions = "1 action" if len(read.stories) == 1 else f"{len(read.stories):,} actions"
    click.echo(f"Wrote {output}: {actions} {period}.", err=True)
    if more:
        click.echo(f"It has the newest {limit} closed actions; --limit NUMBER sets how many.", err=True)
    if read.unreadable:
        click.echo(shown(unreadable_text(read.unreadable, "action")), err=True)
        click.get_current_context().exit(INCOMPLETE)


def _closed(account: Account, period: Period, wanted: Wanted, limit: int) -> tuple[list[str], bool]:
    rows = wanted_rows(account.records, period, wanted, min(limit + 1, READ_AT_ONCE))
    found = [row.action_id for row in islice(rows, limit + 1)]
    return found[:limit], len(found) > limit


def _open(account: Account, wanted: Wanted) -> list[str]:
    return [row.action_id for row in account.records.open_rows() if wanted.selects(row.group, row.hook)]


def _read(account: Account, ids: Sequence[str]) -> StoriesRead:
    found = StoriesRead()
    with Console(stderr=True).status("Reading the records ...") as status:
        for part in in_turn(account.stories(), list(dict.fromkeys(ids))):
            found.stories += part.stories
            found.unreadable += part.unreadable
            status.update(f"Reading the records: {len(found.stories):,} of {len(ids):,} ...")
    found.stories.sort(key=lambda story: (story.action.started_at, story.action.id))
    return found


def page_data(stories: Sequence[Story]) -> dict[str, Any]:
    """What the page shows, in the shape of a report on a replay."""
    actions = [_action(story) for story in stories]
    counts = dict.fromkeys(KINDS, 0) | dict(_messages(stories))
    summary = {
        "received": sum(counts.values()),
        **counts,
        "actions": len(actions),
        "heartbeats": sum(story.action.heartbeats for story in stories),
        "defaulted": sum(story.action.outcome is Outcome.DEFAULTED for story in stories),
    }
    apart: dict[str, Any] = {name: [] for name in ("tests", "unmatched", "ignored", "rejected")}
    return {"summary": summary, "actions": actions, **apart, "apart": _APART}


def _action(story: Story) -> dict[str, Any]:
    margins = heartbeat_margins(story.action, story.timeline)
    return reported(story.action, story.timeline) | terms(story.action) | {"beats": margins}


def _messages(stories: Sequence[Story]) -> Iterator[tuple[str, int]]:
    """How many messages the timelines tell of, by kind."""
    notified = _lines(stories, "notified")
    first = sum(any(line.event == "notified" for line in story.timeline) for story in stories)
    yield "lifecycle", first
    yield "duplicate", notified - first
    for kind in ("outcome", "signal"):
        yield kind, _lines(stories, kind)


def _lines(stories: Sequence[Story], event: str) -> int:
    return sum(line.count for story in stories for line in story.timeline if line.event == event)
