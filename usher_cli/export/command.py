"""The command `usher export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from usher.core import iso_time
from usher_cli.account import with_account
from usher_cli.export.captured import TimeRange, of_hooks
from usher_cli.export.scan import captured_messages
from usher_cli.printable import shown
from usher_cli.time_options import Moment, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from usher_cli.account import Account
    from usher_cli.export.captured import Captured

INCOMPLETE: Final = 1  # the exit code
_UNREADABLE_SHOWN: Final = 10

_EXAMPLES: Final = """
\b
Examples:
  usher export --from 24h --output yesterday.jsonl
  usher export --from 2026-03-01T02:00Z --to 2026-03-01T04:00Z | usher replay -
  usher export --from 7d --group 'workers-*' --hook usher-drain --output week.jsonl

Operator commands (hold, extend, complete, pause) are not messages: see them with `usher show`.

Usher stores the contents of signals, test messages and events, but not when they arrived: they are
rebuilt, with their own time as the time of arrival. Of identical messages one is stored. Of the
signals with one name and status for one instance the last is stored for four days, and for a day one
per minute; what an action waited for stays with its record.

The command reads the whole table. Each GB costs about $0.02 and takes one or two minutes.

\b
Exit codes:
  0  success
  1  some items cannot be read; the others were exported
  2  wrong usage, or the account cannot be reached
"""


@click.command(name="export", epilog=_EXAMPLES)
@click.option(
    "--from", "first", required=True, type=Moment(), metavar="T", help="Start: a time, or how long ago."
)
@click.option(
    "--to", "last", type=Moment(), metavar="T", help="End: a time, or how long ago.  [default: now]"
)
@click.option("--group", metavar="GLOB", help="Only messages of these groups; * matches any text.")
@click.option("--hook", metavar="NAME", help="Only messages of this hook.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write to this file.  [default: standard output]",
)
@with_account
def export(
    account: Account,
    first: datetime | timedelta,
    last: datetime | timedelta | None,
    group: str | None,
    hook: str | None,
    output: Path | None,
) -> None:
    """Export captured notifications for a replay.

    Writes the messages of a time range as JSON lines that `usher replay` reads.
    """
    now = account.machine.clock()
    within = TimeRange(first=moment_of(first, now), last=now if last is None else moment_of(last, now))
    if within.first > within.last:
        raise click.UsageError("--from is after --to.")
    if output is not None and not output.parent.is_dir():
        raise click.UsageError(f"There is no folder {output.parent}.")
    unreadable: list[str] = []
    found = _found(account, within, unreadable.append)
    if group is not None or hook is not None:
        found = of_hooks(found, group, hook)
    understood = [message for message in found if message.notice is not None]
    text = "".join(f"{message.json_line}\n" for message in understood)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="\n")
    _print_summary(within, len(understood), len(found) - len(understood), output)
    if unreadable:
        _print_unreadable(unreadable)
        click.get_current_context().exit(INCOMPLETE)


def _found(account: Account, within: TimeRange, unreadable: Callable[[str], None]) -> list[Captured]:
    console = Console(stderr=True)
    read = 0
    with console.status("Reading the table ...") as status:

        def progress(items: int) -> None:
            nonlocal read
            read += items
            status.update(f"Reading the table: {read:,} items ...")

        return captured_messages(account.dynamodb, account.outputs["TableName"], within, progress, unreadable)


def _print_summary(within: TimeRange, count: int, left_out: int, output: Path | None) -> None:
    messages = "1 message" if count == 1 else f"{count} messages"
    first, last = iso_time.to_microseconds(within.first), iso_time.to_microseconds(within.last)
    where = "" if output is None else f", in {output}"
    click.echo(f"{messages} from {first} to {last}{where}.", err=True)
    if left_out:
        click.echo(f"{left_out} left out: too long to be stored whole, or not a known message.", err=True)


def _print_unreadable(unreadable: Sequence[str]) -> None:
    for item in unreadable[:_UNREADABLE_SHOWN]:
        click.echo(f"cannot read {shown(item)}", err=True)
    count = len(unreadable)
    items = "1 item" if count == 1 else f"{count} items"
    click.echo(f"Cannot read {items}: if a newer release of Usher stored them, export with that.", err=True)
