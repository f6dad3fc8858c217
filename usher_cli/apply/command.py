"""The command `usher apply`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from usher.core import iso_time
from usher.core.file_versions import NONE_YET
from usher_cli.account import with_account
from usher_cli.apply import applying
from usher_cli.apply.data import as_data, print_change
from usher_cli.apply.waiting import Hooks, wait_for_hooks
from usher_cli.change import ask, print_result
from usher_cli.change import reason as reason_callback
from usher_cli.fleet.apply import apply_fleet
from usher_cli.fleet.fleet import or_fleet
from usher_cli.plan.command import in_sentences, planned, print_steps, print_times_of_apply, reading_groups
from usher_cli.printable import short, shown
from usher_hooksfile.warnings import warnings

if TYPE_CHECKING:
    from usher.core.file_versions import FileVersion
    from usher_cli.account import Account
    from usher_cli.apply.applying import Candidate
    from usher_cli.plan.steps import Plan

_DEFAULT: Final = Path("hooks.yaml")
_WITHIN: Final = timedelta(minutes=2)  # of its taking effect a sweep begins with its hooks
_NOT_ALL: Final = 1  # the exit code: it was applied, and not all hooks stand as it asks

_EXAMPLES: Final = """
\b
Examples:
  usher apply hooks.yaml --reason "drain for 45 minutes (ticket 7)"
  usher apply hooks.yaml --reason "ticket 7" --wait
  usher apply --rollback --reason "ticket 7 made it worse"
  usher apply hooks.yaml --reason "ticket 7" --yes --json
  usher apply --fleet fleet.yaml --reason "ticket 7"    one account and Region of a fleet after the other

\b
Exit codes:
  0  applied, or the file is in effect already
  1  not confirmed; with --wait, not all hooks stand as the file asks; with --fleet, one failed
  2  wrong usage, a file that is invalid or needs rights that the stack lacks, or somebody was faster
"""


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--reason", required=True, callback=reason_callback, help="Why; kept with the version.")
@click.option("--rollback", is_flag=True, help="Apply the version before the newest once more.")
@click.option("--wait", is_flag=True, help="Follow the hooks until they stand as the file asks.")
@click.option("--ahead", is_flag=True, help="Before the deploy that goes from a compiled file to the table.")
@click.option(
    "--own-group",
    "own_groups",
    multiple=True,
    metavar="NAME",
    help="A group whose own template contains its hooks, in addition to those of the version before.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@or_fleet(apply_fleet)
@with_account
def apply(  # noqa: PLR0913 - the options of a command
    account: Account,
    file: Path | None,
    reason: str,
    *,
    rollback: bool,
    wait: bool,
    ahead: bool,
    own_groups: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Let a hooks file take effect without a deploy.

    Checks FILE (hooks.yaml by default) as `usher check` does, and against the rights that the stack
    has, shows the plan and asks. The new version takes effect a minute later, in all functions at the
    same moment; then the sweep puts its hooks. Open actions are finished under the policies with which
    they began.
    """
    if rollback and file is not None:
        raise click.UsageError("give a FILE or --rollback, not both")
    if rollback and own_groups:
        raise click.UsageError("--rollback brings the groups of its version: leave --own-group out")
    if ahead and wait:
        raise click.UsageError(
            "--wait has nothing to wait for: with --ahead the version counts from the deploy"
        )
    applying.refuse_where_compiled_in(account, ahead=ahead)
    if rollback:
        candidate = applying.from_before(account)
    else:
        candidate = applying.from_file(account, file or _DEFAULT, own_groups)
    applying.refuse_what_the_rights_lack(account, candidate)
    if applying.is_newest(account, candidate):
        version = applying.read_version(account, candidate.over.newest)
        said = f"{candidate.name} is version {version.number} already: nothing was applied."
        print_result(as_data(version, candidate.over, account.machine.clock()), said, as_json=as_json)
        _follow(account, version, wait=wait)
        return
    with reading_groups():
        plan = planned(account, candidate.file)
    _show(account, candidate, plan)
    applying.refuse_conflicts_of_names(plan, candidate)
    ask(f"Apply {candidate.name} as version {candidate.number}?", yes=yes)
    applied = applying.store(account, candidate, reason, ahead=ahead)
    if applied.doubt is not None:
        click.echo(shown(applied.doubt), err=True)
    version = applied.version
    data = as_data(version, applied.schedule, account.machine.clock())
    print_result(data, _done(account, version, ahead=ahead), as_json=as_json)
    _follow(account, version, wait=wait)


def _follow(account: Account, version: FileVersion, *, wait: bool) -> None:
    if wait and wait_for_hooks(account, version) is not Hooks.STAND:
        click.get_current_context().exit(_NOT_ALL)


def _show(account: Account, candidate: Candidate, plan: Plan) -> None:
    """To stderr, so that --json stays JSON."""
    for warning in warnings(candidate.file.configuration):
        click.echo(shown(f"{candidate.name}: warning: {warning.text}"), err=True)
    print_change(applying.change_of(account, candidate))
    print_steps(plan, stderr=True)
    click.echo(in_sentences(plan, candidate.name), err=True)
    print_times_of_apply(plan, stderr=True)
    count = len(account.open_actions.ids())
    if count == 0:
        click.echo("No action is open.", err=True)
    elif count == 1:
        click.echo("1 open action is finished under the policy with which it began.", err=True)
    else:
        click.echo(f"{count} open actions are finished under the policies with which they began.", err=True)


def _done(account: Account, version: FileVersion, *, ahead: bool) -> str:
    if ahead:
        return f"Applied version {version.number}. It takes effect with the deploy that goes to the table."
    left = (version.effective_at - account.machine.clock()).total_seconds()
    when = f"at {iso_time.to_seconds(version.effective_at)}, in {short(max(left, 0))}"
    is_first = version.previous == NONE_YET
    back = (
        "to take it back, apply a file without hooks."
        if is_first
        else "to take it back: usher apply --rollback --reason ..."
    )
    return (
        f"Applied version {version.number}. It takes effect {when}; the sweep begins with its hooks within "
        f"{short(_WITHIN.total_seconds())} of that; {back}"
    )
