"""Asks the operator before a command does what cannot be undone."""

from __future__ import annotations

import sys

import click

from usher_cli.account import Trouble


def agreed(question: str) -> bool:
    """Whether the operator confirms. Without a terminal that is wrong usage, not a no."""
    if sys.stdin is None:  # it is, where the shell closed it
        raise _no_terminal()
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C is an answer
            raise
        click.echo(err=True)  # ends the line of the question
        raise _no_terminal() from None


def _no_terminal() -> Trouble:
    return Trouble("There is no terminal to ask for confirmation: add --yes.")
