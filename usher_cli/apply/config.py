"""The commands `usher config history`, `diff` and `show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from usher.core import iso_time
from usher.core.file_versions import NO_VERSION, NONE_YET
from usher.ports.file_versions import VersionUnreadable
from usher_cli.account import Trouble, with_account
from usher_cli.apply.applying import read_version
from usher_cli.apply.data import Named, as_data, difference, print_difference, status
from usher_cli.printable import shown
from usher_hooksfile.write import as_yaml

if TYPE_CHECKING:
    from usher_cli.account import Account

_NONE: Final = "No hooks file was applied here yet: usher apply hooks.yaml --reason ..."
_STYLES: Final = {"in effect": "green", "pending": "yellow", "past": ""}
_WIDTH: Final = 1000  # as of `usher plan`


@click.group()
def config() -> None:
    """Show the versions of the hooks file that were applied.

    \b
    Examples:
      usher config history
      usher config show > hooks.yaml
      usher config show 6 --json
      usher config diff
      usher config diff 3 6
    """  # noqa: D301 - \b keeps click from joining the lines of the examples


@config.command()
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def history(account: Account, most: int, *, as_json: bool) -> None:
    """List the versions, the newest first: from when, by whom and why."""
    now, schedule = account.machine.clock(), account.versions().schedule()
    try:
        versions = account.versions().history(most)
    except VersionUnreadable as error:
        raise Trouble(f"{error}: use the release that wrote it.") from error
    if as_json:
        click.echo(json.dumps([as_data(version, schedule, now) for version in versions], indent=1))
        return
    if not versions:
        click.echo(_NONE)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("version", "status", "effective at", "hooks", "by", "reason"):
        table.add_column(heading, no_wrap=True)
    for version in versions:
        data, is_now = as_data(version, schedule, now), status(version, schedule, now)
        hooks = "?" if data["hooks"] is None else str(data["hooks"])
        table.add_row(
            str(version.number),
            Text(is_now, style=_STYLES[is_now]),
            iso_time.to_seconds(version.effective_at),
            hooks,
            *(Text(shown(text)) for text in (version.by, version.reason)),
        )
    Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH).print(table)


@config.command()
@click.argument("version", type=click.IntRange(min=1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with by whom and why.")
@with_account
def show(account: Account, version: int | None, *, as_json: bool) -> None:
    """Print a version as it was applied, by default the one in effect.

    A version that an older release stored is printed without its comments.
    """
    found = read_version(account, version or _in_effect(account))
    if not as_json:
        click.echo(as_yaml(found.file.file) if found.written is None else found.written, nl=False)
        return
    data = as_data(found, account.versions().schedule(), account.machine.clock())
    file = {"own_groups": found.file.own_groups, "file": found.file.file, "written": found.written}
    click.echo(json.dumps(data | file, indent=1))


@config.command()
@click.argument("versions", type=click.IntRange(min=1), nargs=-1, metavar="[VERSION [VERSION]]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def diff(account: Account, versions: tuple[int, ...], *, as_json: bool) -> None:
    """Compare two versions, or one with the one before it; by default the newest."""
    if len(versions) > 2:  # noqa: PLR2004 - two are compared
        raise click.UsageError("give two versions at most")
    new = versions[-1] if versions else _newest(account)
    old = versions[0] if len(versions) > 1 else read_version(account, new).previous
    lines = difference(_named(account, old), _named(account, new))
    if as_json:
        click.echo(json.dumps({"old": old or None, "new": new, "diff": lines}, indent=1))
    elif not lines:
        click.echo(f"{_name(old)} and {_name(new)} are the same.")
    else:
        print_difference(lines)


def _in_effect(account: Account) -> int:
    numbers = account.versions().schedule().in_effect(account.machine.clock())
    if not numbers:
        newest = account.versions().schedule().newest
        raise Trouble(f"Version {newest} is yet to take effect: give its number." if newest else _NONE)
    return numbers[0]


def _newest(account: Account) -> int:
    newest = account.versions().schedule().newest
    if newest == NONE_YET:
        raise Trouble(_NONE)
    return newest


def _name(number: int) -> str:
    return f"version {number}" if number else "nothing applied"


def _named(account: Account, number: int) -> Named:
    if number == NONE_YET:
        return Named(name=_name(number), file=NO_VERSION.file, written="")
    version = read_version(account, number)
    return Named(name=_name(number), file=version.file, written=version.written)
