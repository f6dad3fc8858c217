"""`usher replay`: captured notifications through the real handlers, on the simulator's clock."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from usher.core import duration
from usher.core.notifications import Home
from usher_cli import traffic, what_if
from usher_cli.html_report import page
from usher_cli.instances_file import read_instances
from usher_cli.report import report
from usher_cli.sources import Access, Source, found_in
from usher_cli.story import print_story
from usher_cli.time_options import Moment, moment_of
from usher_cli.traffic import Unreadable
from usher_cli.traffic.remote import Since, is_remote
from usher_hooksfile.load import HooksFileRefused, load
from usher_simulator.replay.assumed_answers import Source as WorkSource
from usher_simulator.replay.cloudtrail import Call
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from usher.core.policy import Configuration
    from usher_cli.traffic import Found
    from usher_simulator.replay.assumed_answers import Instances, WorkDone
    from usher_simulator.replay.replay import Replayed

_LONG: Final = 2000  # entries from which on progress is shown
_CANNOT: Final = 2  # the exit code
_STANDARD_INPUT: Final = "/dev/stdin"  # as a file
_SAMPLE: Final = Path(__file__).with_name("sample")
_NOTHING_TO_COMPARE: Final = (
    "Nothing to compare: no message belongs to a hook of either hooks file. "
    "Check PATH, --hooks and --against."
)
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself

_EXAMPLES: Final = """
\b
Examples:
  usher replay --sample
  usher replay yesterday.jsonl --json | jq .summary
  usher replay yesterday.jsonl --report yesterday.html
  usher replay yesterday.jsonl --hooks new.yaml --against old.yaml --work-done outcome
  aws sqs receive-message --queue-url URL | usher replay -
  usher replay s3://our-archive/lifecycle/2026/10/05/
  usher replay logs:/aws/events/lifecycle --from 24h

\b
Exit codes:
  0  success
  1  a message was rejected, an action got its default result, or a PATH contains no message
  2  wrong usage, an invalid hooks file, or an output that cannot be written;
     with --against: no action to compare
  3  with --against: a result or an outcome differs
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumed:
    """What is taken for granted that stands in no message."""

    work_done: WorkDone | None
    instances: Instances


def _in_a_folder(_context: click.Context, _option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse, before the replay, a file that cannot be written after it."""
    if file is not None and not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}")
    return file


def _as_work_done(_context: click.Context, _option: click.Parameter, text: str | None) -> WorkDone | None:
    if text is None:
        return None
    try:
        return WorkSource(text) if text in tuple(WorkSource) else duration.parse(text)
    except ValueError:
        raise click.BadParameter(
            f"must be outcome, signal, or a duration such as 10m, got {text!r}"
        ) from None


@click.command(name="replay", epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, metavar="PATH...", type=Source())
@click.option(
    "--sample", is_flag=True, help="Replay the sample day that comes with Usher, with its own hooks file."
)
@click.option(
    "--hooks",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The hooks file to replay with.  [default: hooks.yaml]",
)
@click.option(
    "--against",
    metavar="OLD.yaml",
    type=click.Path(path_type=Path),
    help="Also replay with this hooks file, and show the differences; no action to compare is an error.",
)
@click.option(
    "--work-done",
    metavar="outcome|signal|DURATION",
    callback=_as_work_done,
    help="When the conditions that ask AWS begin to hold: at the captured outcome event, at the first "
    "done signal, or this long after the start. Captured outcome events then end no action.",
)
@click.option(
    "--instances",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The output of `aws ec2 describe-instances`, for rules by zone, type or tags of the instance. "
    "Without it they are passed over.",
)
@click.option(
    "--account", metavar="ID", help="The account of Usher.  [default: the account of most messages]"
)
@click.option(
    "--region",
    metavar="REGION",
    help="The Region of Usher; messages of others are ignored. s3: and logs: are read there.",
)
@click.option(
    "--from", "first", type=Moment(), metavar="T", help="For logs: the start, a time or how long ago."
)
@click.option("--to", "last", type=Moment(), metavar="T", help="For logs: the end, likewise.")
@click.option("--profile", metavar="NAME", help="For s3: and logs: a profile of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--markdown", is_flag=True, help="With --against: print the differences as Markdown.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    callback=_in_a_folder,
    help="Write an HTML page with the timeline of every held instance.",
)
@click.pass_context
def replay_command(  # noqa: PLR0913 - its options
    context: click.Context,
    paths: tuple[str, ...],
    hooks: Path | None,
    against: Path | None,
    work_done: WorkDone | None,
    instances: Path | None,
    report_file: Path | None,
    *,
    sample: bool,
    account: str | None,
    region: str | None,
    first: datetime | timedelta | None,
    last: datetime | timedelta | None,
    profile: str | None,
    as_json: bool,
    markdown: bool,
) -> None:
    """Replay captured notifications through the real handlers.

    PATH is a file or a folder, - for standard input, s3://BUCKET/PREFIX, or logs:GROUP. The format is
    detected: JSON in any form that AWS and its command line write, one value or many, also gzipped.
    Nothing is sent to AWS: a simulated Auto Scaling starts each action at the time in its message, and
    everything runs on a virtual clock. Only s3: and logs: need credentials.
    """
    if sample:
        paths, hooks = (*paths, str(_SAMPLE / "fleet-day.jsonl")), hooks or _SAMPLE / "hooks.yaml"
    if not paths:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    if markdown and (as_json or against is None):
        raise click.UsageError("--markdown is for --against, and not with --json.")
    hooks = hooks or Path("hooks.yaml")
    _refuse_to_overwrite(report_file, [*paths, hooks, *filter(None, [against, instances])])
    configuration = _loaded(context, hooks, "--hooks")
    before = None if against is None else _loaded(context, against, "--against")
    assumed = Assumed(work_done=work_done, instances=read_instances(instances))
    since = Since(*_edges(context, first, last))
    access = Access(profile=profile, region=region, since=since)
    of_paths = [found_in(path, access) for path in paths]
    found = [item for of_path in of_paths for item in of_path]
    home = Home(account=account, region=region)
    data, replayed = _replayed(found, configuration, assumed, home)
    if report_file is not None:
        report_file.write_text(page(data, replayed), encoding="utf-8", newline="\n")
        click.echo(f"Wrote {report_file}.", err=True)
    if before is not None:
        compared = what_if.compare(_replayed(found, before, assumed, home)[0], data)
        show = _as_json if as_json else _as_markdown if markdown else _as_differences
        exit_code = _compared(context, data, compared, show)
    else:
        if as_json:
            click.echo(json.dumps(data, indent=1))
        elif found:
            print_story(data, _wide_console())
        exit_code = _exit_code(data["summary"]) or int(not all(of_paths))
    if _is_of_no_hook(data["summary"]):
        click.echo(f"No action: no message belongs to a hook in {hooks}. Check --hooks.", err=True)
    context.exit(exit_code)


def _edges(context: click.Context, *edges: datetime | timedelta | None) -> list[datetime | None]:
    if not any(edges):
        return [None for _ in edges]
    from usher_cli.account import this_machine  # noqa: PLC0415 - boto3 takes its time, and most replays need none

    now = (context.obj or this_machine()).clock()
    return [None if edge is None else moment_of(edge, now) for edge in edges]


def _refuse_to_overwrite(report_file: Path | None, inputs: Sequence[str | Path]) -> None:
    """Refuse a report file that is an input, by whatever path or link: there may be no other copy."""
    if report_file is None or not report_file.exists():
        return
    for path in inputs:
        if is_remote(str(path)):
            continue
        files = traffic.files(Path(_STANDARD_INPUT if path == "-" else path))
        if any(file.exists() and file.samefile(report_file) for file in files):
            raise click.UsageError(f"--report {report_file} is an input of this replay: use another file.")


def _loaded(context: click.Context, hooks: Path, option: str) -> Configuration:
    try:
        return load(hooks)
    except HooksFileRefused as refused:
        for complaint in refused.complaints:
            click.echo(complaint, err=True)
        click.echo(f"Correct {hooks}, or use another file with {option}.", err=True)
        context.exit(_CANNOT)


def _replayed(
    found: Sequence[Found], configuration: Configuration, assumed: Assumed, home: Home
) -> tuple[dict[str, Any], Replayed]:
    """The report of a replay, and the replay itself."""
    entries = [entry for entry in found if isinstance(entry, Entry)]
    unreadable = [place for place in found if isinstance(place, Unreadable)]
    calls = [call for call in found if isinstance(call, Call)]
    replayed = _replay(entries, calls, configuration, assumed, home)
    return report(replayed, unreadable), replayed


def _compared(
    context: click.Context,
    new: dict[str, Any],
    compared: dict[str, Any],
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Show what differs; the exit code."""
    for place in new["rejected"]:
        click.echo(f"rejected {place['source']}: {place['reason']}", err=True)
    if not compared["actions"]:
        click.echo(_NOTHING_TO_COMPARE, err=True)
        context.exit(_CANNOT)
    show(compared)
    differs = any(what_if.result_differs(pair) for pair in compared["actions"])
    return what_if.RESULT_DIFFERS if differs else _exit_code(new["summary"])


def _as_json(compared: dict[str, Any]) -> None:
    click.echo(json.dumps(compared, indent=1))


def _as_markdown(compared: dict[str, Any]) -> None:
    click.echo(what_if.in_markdown(compared))


def _as_differences(compared: dict[str, Any]) -> None:
    on_terminal = Console(highlight=False, emoji=False)
    what_if.print_comparison(compared, on_terminal if on_terminal.is_terminal else _wide_console())


def _wide_console() -> Console:
    return Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH)


def _is_of_no_hook(summary: dict[str, Any]) -> bool:
    """Whether there were messages to understand, and none of them led to an action."""
    return not summary["actions"] and summary["received"] > summary["rejected"]


def _replay(
    entries: Sequence[Entry],
    calls: Sequence[Call],
    configuration: Configuration,
    assumed: Assumed,
    home: Home,
) -> Replayed:
    run = partial(
        replay,
        entries,
        configuration,
        work_done=assumed.work_done,
        home=home,
        calls=calls,
        instances=assumed.instances,
    )
    if len(entries) < _LONG or sys.stderr is None or not sys.stderr.isatty():
        return run()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=len(entries))
        return run(progress=lambda: progress.advance(task))


def _exit_code(summary: dict[str, Any]) -> int:
    return 1 if summary["rejected"] or summary["defaulted"] else 0
