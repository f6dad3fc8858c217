"""The `usher` command."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, NoReturn

import click

from cli.check import check
from cli.export import export
from cli.listing import list_command, watch
from cli.local import local
from cli.operate import complete, extend, hold, pause, resume, signal
from cli.plan import plan_command
from cli.redrive import redrive
from cli.replay import replay_command
from cli.showing import show


class _Usher(click.Group):
    """Ends in words and an exit code, never in a traceback, whatever its streams take."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click has it
        """Run a command, and see to it that its output is written before this process ends."""
        _replace_what_cannot_be_shown()
        try:
            try:
                return super().main(*args, **options)
            finally:
                if sys.stdout is not None:  # it is, where the shell closed it
                    sys.stdout.flush()
        except OSError as error:
            _end_with(error)


def _replace_what_cannot_be_shown() -> None:
    """An arrow becomes a question mark where the output is ASCII or Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end_with(error: OSError) -> NoReturn:
    """Say it in one line; a reader that has seen enough, such as `head`, is click's affair."""
    click.echo(f"usher: {error.filename or 'the output'}: {error.strerror or error}", err=True)
    if error.filename is None and sys.stdout is not None:
        _drop_the_output()
    sys.exit(1)


def _drop_the_output() -> None:
    """What is left goes nowhere: otherwise Python tries to write it once more, and complains itself."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@click.group(cls=_Usher, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="usher", prog_name="usher")
def main() -> None:
    """Usher holds and releases EC2 Auto Scaling instances that wait in a lifecycle hook."""


main.add_command(check)
main.add_command(local)
main.add_command(replay_command)
for command in (list_command, show, watch, signal, hold, extend, complete, pause, resume):
    main.add_command(command)
for command in (plan_command, export, redrive):
    main.add_command(command)
