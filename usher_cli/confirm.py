"""Asks the operator before something is done that nothing undoes."""

from __future__ import annotations

import sys

import click

from usher_cli.account import Trouble


def agreed(question: str) -> bool:
    """Whether the operator says yes. Where nobody is there to be asked, that is wrong usage, not a no."""
    if sys.stdin is None:  # it is, where the shell closed it
        raise _nobody_there()
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C is an answer
            raise
        click.echo(err=True)  # ends the line of the question
        raise _nobody_there() from None


def _nobody_there() -> Trouble:
    return Trouble("Nobody is there to answer: add --yes, and it is done without a question.")
