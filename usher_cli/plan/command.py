"""The command `usher plan`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core.compiled import compiled
from usher.core.wanted_hooks import Wanted
from usher.ports.errors import CallRefused, TryLater
from usher_cli.account import Trouble, with_account
from usher_cli.fleet.fleet import or_fleet
from usher_cli.fleet.rows import print_rows
from usher_cli.plan import enrolment_times
from usher_cli.plan.enrolment_times import Pace
from usher_cli.plan.steps import Known, Live, Plan, Row, Step, plan, targets
from usher_cli.printable import shown
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.status import Status

    from usher.core.compiled import Compiled
    from usher_cli.account import Account
    from usher_cli.fleet.fleet import Fleet
    from usher_cli.fleet.sites import FleetSite

_DEFAULT: Final = Path("hooks.yaml")
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself

_EXAMPLES: Final = """
\b
Examples:
  usher plan
  usher plan staging/hooks.yaml --region eu-west-1
  usher plan --own-group workers-blue
  usher plan --json | jq '.steps[] | select(.step == "retire")'
  usher plan --fleet fleet.yaml    all accounts and Regions of a fleet, each with its hooks file

\b
Steps:
  enrol, change  put the hook: a deploy on groups that the file names, the sweep on all others;
                 where `usher apply` applies the file, the sweep on all
  restore        keep a hook that was retiring: the file asks for it again
  reclaim        keep a hook that exists already and notifies Usher
  retire         the hook starts to retire once the file is in effect
  retiring       the hook is retiring: since when, how many wait in it, what keeps it
  forget         delete only Usher's record of it: the hook is gone, or the group's own template contains it
  foreign        a hook of another service that holds the same instances; Usher does not touch it
  permission     an open action would lose the permission that one of its conditions needs
  conflict       a person must resolve it; if the file names the group, a deploy or an apply fails

\b
Exit codes:
  0  a plan without conflicts
  1  a plan with conflicts, or an account or Region of the fleet failed
  2  wrong usage, an invalid hooks file, or the account cannot be reached
"""


def plan_fleet(
    fleet: Fleet, file: Path | None, hooks: Path | None, own_groups: tuple[str, ...], *, as_json: bool
) -> None:
    """All sites of a fleet, each with its own hooks file."""
    if file or hooks or own_groups:
        raise click.UsageError("the fleet's file names the hooks files: leave FILE and --own-group out")
    answers = fleet.ask(lambda account, site: _plan_of(account, site.hooks, ()))
    if as_json:
        now = fleet.machine.clock()
        sites = [
            {**site.names, "hooks": site.hooks.name, **as_data(found, now)} for site, found in answers.told
        ]
        click.echo(json.dumps({"sites": sites, "failed": [each.data for each in answers.failed]}, indent=1))
    else:
        print_fleet_steps(answers.told)
    answers.finish(incomplete=any(found.has_conflicts for _, found in answers.told))


def print_fleet_steps(plans: Sequence[tuple[FleetSite, Plan]], *, stderr: bool = False) -> None:
    """The steps of all sites as a table, and a sentence for each site."""
    rows = [(site, row) for site, found in plans for row in found.rows]
    if rows:
        cells = [(site, (row.step, row.group, row.hook, row.reason)) for site, row in rows]
        print_rows(("STEP", "GROUP", "HOOK", "REASON"), cells, stderr=stderr)
        click.echo(err=stderr)
    for site, found in plans:
        click.echo(shown(f"{site}: {in_sentences(found, site.hooks.name)}"), err=stderr)


@click.command(name="plan", epilog=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--hooks", metavar="FILE", type=click.Path(path_type=Path), help="FILE, as an option.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--own-group",
    "own_groups",
    multiple=True,
    help="A group whose own template contains its hooks, in addition to those of the last deploy.",
)
@or_fleet(plan_fleet)
@with_account
def plan_command(
    account: Account,
    file: Path | None,
    hooks: Path | None,
    own_groups: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Show what a hooks file would enrol, change or retire.

    FILE is hooks.yaml by default. It only reads: one call for each group that the file selects, and two
    for each retiring hook.
    """
    if file is not None and hooks is not None:
        raise click.UsageError("give FILE or --hooks, not both")
    path = file or hooks or _DEFAULT
    with reading_groups():
        found = _plan_of(account, path, own_groups)
    now = account.machine.clock()
    if as_json:
        click.echo(json.dumps(as_data(found, now), indent=1))
    else:
        _print(found, path, now)
    click.get_current_context().exit(1 if found.has_conflicts else 0)


def _plan_of(account: Account, path: Path, own_groups: Sequence[str]) -> Plan:
    try:
        file = load.examine(path)
    except load.HooksFileRefused as refused:
        raise Trouble("; ".join(refused.complaints)) from refused
    return planned(account, compiled(file.data, {*own_groups, *own_groups_of(account)}))


def own_groups_of(account: Account) -> tuple[str, ...]:
    """The groups whose own templates contain their hooks, as the file in force has them."""
    in_force = account.hook_items().in_force()
    return in_force.own_groups if in_force else ()


def wanted_by(account: Account, file: Compiled) -> Wanted:
    """What a file asks for in an account."""
    return Wanted(
        hooks=file.configuration.hooks,
        targets=targets(account.outputs),
        own_groups=frozenset(file.own_groups),
    )


def planned(account: Account, file: Compiled) -> Plan:
    """What a file would lead to, as far as the rights of the stack go. Raises Trouble."""
    per_hour = account.enrolments_per_hour
    items = account.hook_items()
    in_force = items.in_force()
    wanted = wanted_by(account, file)
    is_deployed = in_force is not None and in_force.digest == file.digest and not in_force.is_closing
    pace = Pace(per_hour=per_hour, left=max(0, items.left(account.machine.clock()))) if per_hour else None
    client = account.client("autoscaling")
    live = Live(groups=GroupsApi(client), members=WaitingApi(client))
    known = Known(
        enrolled=items.enrolled(),
        in_use=account.records.hooks_in_use(),
        open_actions=account.records.open_of(row.action_id for row in account.records.open_rows()),
        tag_value=account.parameters.get("TagValue"),
        is_applied=in_force is not None and in_force.version is not None,
    )
    try:
        found = plan(wanted, file.configuration, live, known, account.machine.clock)
    except TryLater as busy:
        raise Trouble(f"Auto Scaling is busy ({busy}): try again.") from busy
    except CallRefused as refusal:
        raise Trouble(f"Auto Scaling refused a call: {refusal}") from refusal
    calls = account.outputs.get("CallsPerSecond")
    return replace(
        found,
        pace=pace,
        is_deployed=is_deployed,
        is_applied=known.is_applied,
        calls_per_second=float(calls) if calls else None,
    )


def reading_groups() -> Status:
    """Says on a terminal that a plan takes its time."""
    return Console(stderr=True).status("Reading the groups ...")


_OLD_NAMES: Final = {  # of the key `what`, which is removed in 0.2
    Step.RESTORE: "take back",
    Step.RECLAIM: "ours again",
    Step.FOREIGN: "beside",
    Step.PERMISSION: "right",
}


def as_data(found: Plan, now: datetime) -> dict[str, object]:
    """What `usher plan --json` prints."""
    counts = Counter(row.step for row in found.rows)
    summary = {"groups": found.groups, "enrolled": found.enrolled, "unchanged": found.unchanged}
    summary |= {str(step): counts[step] for step in Step}
    summary |= {old: counts[step] for step, old in _OLD_NAMES.items()}
    left = found.pace.lasts(found.by_sweep, now) if found.pace and found.by_sweep else None
    sweep = {
        "goes_on": found.is_deployed,
        "hooks_left": found.by_sweep,
        "seconds_left": None if left is None else int(left.total_seconds()),
    }
    return {
        "summary": summary,
        "sweep": sweep,
        "steps": [_row_data(row) for row in found.rows],
        "abandon": [asdict(each) for each in found.abandoning],
    }


def _row_data(row: Row) -> dict[str, str]:
    return {
        "step": row.step,
        "what": _OLD_NAMES.get(row.step, row.step),
        "group": row.group,
        "hook": row.hook,
        "reason": row.reason,
    }


_COUNTED: Final = {
    Step.ENROL: "to enrol",
    Step.CHANGE: "to change",
    Step.RESTORE: "to restore",
    Step.RECLAIM: "to reclaim",
    Step.RETIRE: "to retire",
    Step.FORGET: "to forget",
    Step.FOREIGN: "of other services",
    Step.PERMISSION: "without a permission",
    Step.CONFLICT: "in conflict",
}
_COLOURS: Final = {
    Step.ENROL: "green",
    Step.RETIRE: "yellow",
    Step.RETIRING: "yellow",
    Step.FOREIGN: "yellow",
    Step.PERMISSION: "red",
    Step.CONFLICT: "red",
}


def _print(found: Plan, hooks: Path, now: datetime) -> None:
    print_steps(found)
    click.echo(in_sentences(found, str(hooks)))
    for each in found.abandoning:
        click.echo(shown(str(each)))
    if found.is_applied and not found.is_deployed:
        print_times_of_apply(found)
        return
    if found.calls_per_second is not None and found.by_deploy and not found.is_deployed:
        click.echo(enrolment_times.in_the_deploy(found.by_deploy, found.named, found.calls_per_second))
    if found.pace is not None and found.by_sweep:
        if found.is_deployed:
            click.echo(
                enrolment_times.while_enrolling(found.enrolled, found.groups, found.by_sweep, found.pace, now)
            )
        else:
            click.echo(enrolment_times.after_deploy(found.by_sweep, found.pace.per_hour))


def print_times_of_apply(found: Plan, *, stderr: bool = False) -> None:
    """How long the sweep takes to put hooks, where `usher apply` applies the file."""
    if (found.by_deploy or found.by_sweep) and found.pace is not None:
        click.echo(
            enrolment_times.after_apply(found.by_deploy, found.by_sweep, found.pace.per_hour), err=stderr
        )


def print_steps(found: Plan, *, stderr: bool = False) -> None:
    """The steps as a table."""
    console = Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH, stderr=stderr)
    if found.rows:
        steps = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("step", "group", "hook", "reason"):
            steps.add_column(heading, no_wrap=True)
        for row in found.rows:
            steps.add_row(
                Text(row.step, style=_COLOURS.get(row.step, "")),
                *(Text(shown(each)) for each in (row.group, row.hook, row.reason)),
            )
        console.print(steps)
        console.print()


def in_sentences(found: Plan, file: str) -> str:
    """How many groups the file selects, and how many hooks take each step."""
    groups = "1 group" if found.groups == 1 else f"{found.groups} groups"
    counts = Counter(row.step for row in found.rows)
    steps = [f"{count} {_COUNTED.get(step, step)}" for step, count in counts.items()]
    if found.unchanged or not steps:
        steps.insert(0, f"{found.unchanged} unchanged")
    return f"{file} selects {groups}. Hooks: {', '.join(steps)}."
