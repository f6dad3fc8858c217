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

    from cli.traffic import Found
    from simulator.replay import Replayed
    from usher.core.policy import Configuration

_LONG: Final = 2000  # entries from which on progress is shown
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself

_EXAMPLES: Final = """
\b
Examples:
  usher replay events/captured/ --hooks events/captured/hooks.yaml
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

    PATH is a file of JSON or JSON lines, a folder of .json and .jsonl files, or - for standard
    input. Nothing is sent to AWS, and no credentials are needed: simulated Auto Scaling opens each
    action at the time in its message, and everything runs on a virtual clock.
    """
    try:
        configuration = load(hooks)
    except HooksFileRefused as refused:
        for complaint in refused.complaints:
            click.echo(complaint, err=True)
        click.echo(f"Mend {hooks}, or name another file with --hooks.", err=True)
        context.exit(2)
    found = _found(paths)
    entries = [entry for entry in found if isinstance(entry, Entry)]
    unreadable = [place for place in found if isinstance(place, Unreadable)]
    told = report(_replay(entries, configuration), unreadable)
    if as_json:
        click.echo(json.dumps(told, indent=1))
    elif found:
        tell(told, Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH))
    if _concerns_nobody(told["summary"]):
        click.echo(f"No action: no message is of a hook in {hooks}; is --hooks right?", err=True)
    context.exit(_exit_code(told["summary"]))


def _found(paths: tuple[str, ...]) -> list[Found]:
    """All that is in `paths`, with a word on each that holds nothing."""
    if "-" in paths and sys.stdin is None:
        raise click.UsageError("- is standard input, and that is closed.")
    found: list[Found] = []
    for path in paths:
        of_path = list(traffic.read((path,)))
        if not of_path:
            click.echo(_nothing_in(path), err=True)
        found += of_path
    return found


def _nothing_in(path: str) -> str:
    if path == "-":
        return "Standard input holds no message."
    files = ": only its .json and .jsonl files are read" if Path(path).is_dir() else ""
    return f"{path} holds no message{files}."


def _concerns_nobody(summary: dict[str, Any]) -> bool:
    """Whether there were messages to understand, and none of them led to an action."""
    return not summary["actions"] and summary["received"] > summary["rejected"]


def _replay(entries: Sequence[Entry], configuration: Configuration) -> Replayed:
    if len(entries) < _LONG or sys.stderr is None or not sys.stderr.isatty():
        return replay(entries, configuration)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=len(entries))
        return replay(entries, configuration, lambda: progress.advance(task))


def _exit_code(summary: dict[str, Any]) -> int:
    return 1 if summary["rejected"] or summary["defaulted"] else 0
