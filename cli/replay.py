"""`usher replay`: captured notifications through the real handlers, on the simulator's clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from cli import traffic
from cli.hooks_file import HooksFileRefused, load
from cli.report import report
from cli.story import tell
from cli.traffic import Unreadable
from simulator.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.replay import Replayed
    from usher.core.policy import Configuration

_LONG: Final = 2000  # entries from which on progress is shown

_EXAMPLES: Final = """
\b
Examples:
  usher replay events/captured/ --hooks hooks.yaml
  usher replay yesterday.jsonl --json | jq .summary
  aws sqs receive-message --queue-url URL | jq -c '.Messages[].Body|fromjson' | usher replay -

\b
Exit codes:
  0  all is well
  1  something was rejected, or fell to the hook's default result
  2  wrong usage, or a hooks file that is not sound
"""


@click.command(name="replay", epilog=_EXAMPLES)
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, allow_dash=True)
)
@click.option(
    "--hooks",
    default="hooks.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The hooks file to replay under.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.pass_context
def replay_command(context: click.Context, paths: tuple[str, ...], hooks: Path, *, as_json: bool) -> None:
    """Feed captured notifications through the real handlers.

    PATH is a .json or .jsonl file, a folder of them, or - for standard input. Nothing is sent to
    AWS, and no credentials are needed: simulated Auto Scaling opens each action at the time in
    its message, and everything runs on a virtual clock.
    """
    try:
        configuration = load(hooks)
    except HooksFileRefused as refused:
        for complaint in refused.complaints:
            click.echo(complaint, err=True)
        click.echo(f"Mend {hooks}, or name another file with --hooks.", err=True)
        context.exit(2)
    found = list(traffic.read(paths))
    entries = [entry for entry in found if isinstance(entry, Entry)]
    unreadable = [place for place in found if isinstance(place, Unreadable)]
    told = report(_replay(entries, configuration), unreadable)
    if as_json:
        json.dump(told, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        tell(told, Console(highlight=False))
    context.exit(_exit_code(told["summary"]))


def _replay(entries: Sequence[Entry], configuration: Configuration) -> Replayed:
    if len(entries) < _LONG or not sys.stderr.isatty():
        return replay(entries, configuration)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=len(entries))
        return replay(entries, configuration, lambda: progress.advance(task))


def _exit_code(summary: dict[str, Any]) -> int:
    return 1 if summary["rejected"] or summary["defaulted"] else 0
