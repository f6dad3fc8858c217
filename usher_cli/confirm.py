"""Asks the operator before a command does what cannot be undone."""

from __future__ import annotations

import click

from usher_cli.account import Trouble


def agreed(question: str) -> bool:
    """Whether the operator confirms. Without a terminal that is wrong usage, not a no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C is an answer
            raise
        click.echo(err=True)  # ends the line of the question
        raise Trouble("There is no terminal to ask for confirmation: add --yes.") from None
