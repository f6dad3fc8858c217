"""Rows of a fleet's sites, as aligned columns that begin with account and Region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usher_cli.fleet.sites import FleetSite

SITE: Final = ("ACCOUNT", "REGION")


def print_rows(
    headings: Sequence[str], rows: Iterable[tuple[FleetSite, Sequence[str]]], *, stderr: bool = False
) -> None:
    """A line for each row, under the headings."""
    lines = [(*SITE, *headings), *((site.account_name, site.region, *cells) for site, cells in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(shown(text.rstrip()), err=stderr)
