"""`usher simulator`: simulated Auto Scaling on a loopback port, for any AWS client."""

from __future__ import annotations

import click

from usher_simulator.__main__ import main


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> None:
    """Serve simulated Auto Scaling on a loopback port."""
    raise click.exceptions.Exit(main(arguments, "usher simulator"))
