"""The `usher` command."""

from __future__ import annotations

import click

from cli.check import check
from cli.replay import replay_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="usher", prog_name="usher")
def main() -> None:
    """Usher holds and releases EC2 Auto Scaling instances that wait in a lifecycle hook."""


main.add_command(check)
main.add_command(replay_command)
