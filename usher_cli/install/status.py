"""`usher status`: the versions of command, code and hooks file, the alarms, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError

from usher.aws.enrolled import EnrolledHooks
from usher.aws.file_versions import FileVersionsTable
from usher.core.compiled import compiled
from usher.core.file_versions import NO_VERSION, NONE_YET
from usher.ports.errors import Unavailable
from usher.ports.file_versions import VersionUnreadable
from usher_cli.account import Trouble
from usher_cli.fleet.fleet import or_fleet
from usher_cli.fleet.rows import print_rows
from usher_cli.install import stack
from usher_cli.install.release import VERSION, command_version, release_of
from usher_cli.install.site import Site, with_site
from usher_cli.printable import shown
from usher_hooksfile import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_cli.fleet.fleet import Fleet
    from usher_cli.fleet.sites import FleetSite
    from usher_cli.install.stack import Stack

DOES_NOT_FIT: Final = 1  # the exit code
_EXAMPLES: Final = """
\b
Examples:
  usher status
  usher status --json | jq .problems
  usher status --fleet fleet.yaml    a line for each account and Region

\b
Exit codes:
  0  all fits, and no alarm rings
  1  something does not fit, an alarm rings, or an account or Region of the fleet failed
  2  wrong usage, or there is no such stack
"""


@dataclass(kw_only=True)
class Status:
    """What there is, as `usher status --json` prints it. What cannot be told is None."""

    stack: str
    region: str
    stack_status: str
    command_version: str
    code_version: str | None
    code_sha256: str | None
    code_is_this_release: bool | None
    hooks_from: str | None  # `table`: by usher apply; `asset`: by the CDK
    hooks_file: str | None  # the version in effect, or the hash of the compiled file
    hooks_digest: str | None = None  # of the file that was applied last, or is compiled in
    own_groups: Sequence[str] = ()  # of that file: groups whose own templates contain their hooks
    hooks_file_differs: bool | None = None  # from that of `--fleet`
    parameters: Mapping[str, str] = field(default_factory=dict)
    retiring_hooks: list[str] | None = None  # `hook on group`
    alarms: list[str] | None = None  # those that ring
    problems: list[str] = field(default_factory=list)


def status_fleet(fleet: Fleet, *, as_json: bool) -> None:
    """All sites of a fleet, a line each; then what does not fit."""
    answers = fleet.ask_stacks(_with_drift)
    if as_json:
        sites = [{**site.names, **asdict(told)} for site, told in answers.told]
        click.echo(json.dumps({"sites": sites, "failed": [each.data for each in answers.failed]}, indent=1))
    else:
        print_rows(
            ("STACK", "CODE", "HOOKS FILE", "DRIFT", "RETIRING", "ALARMS"),
            [(site, _cells(told)) for site, told in answers.told],
        )
        for site, told in answers.told:
            for problem in told.problems:
                click.echo(shown(f"{site}: {problem}"))
    answers.finish(incomplete=any(told.problems or told.alarms for _, told in answers.told))


@click.command(epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@or_fleet(status_fleet)
@with_site
def status(site: Site, *, as_json: bool) -> None:
    """Show the versions, the alarms that ring, and what differs."""
    told = _status(site, _found(site))
    if as_json:
        click.echo(json.dumps(asdict(told), indent=1))
    else:
        _print(told)
    if told.problems or told.alarms:
        click.get_current_context().exit(DOES_NOT_FIT)


def _found(site: Site) -> Stack:
    found = stack.find(site)
    if found is None:
        raise Trouble(f"There is no {site}: run `usher install`, or check --region and --stack.")
    return found


def _status(site: Site, found: Stack) -> Status:
    told = Status(
        stack=site.stack,
        region=site.region,
        stack_status=found.status,
        command_version=command_version(),
        code_version=found.outputs.get(VERSION),
        code_sha256=None,
        code_is_this_release=None,
        hooks_from=None,
        hooks_file=None,
        parameters=found.parameters if found.is_released else {},
    )
    if not found.stands:
        told.problems.append(f"The stack is {found.status}: its events say why.")
    for look in (_look_at_versions, _look_at_code, _look_at_hooks_file, _look_at_alarms):
        try:
            look(site, found, told)
        except (BotoCoreError, ClientError, Unavailable, VersionUnreadable) as error:
            told.problems.append(f"A part of the status could not be read: {' '.join(str(error).split())}")
    return told


def _look_at_versions(_site: Site, found: Stack, told: Status) -> None:
    if told.code_version is not None and told.code_version != told.command_version:
        told.problems.append(
            f"The command is {told.command_version} and Usher {told.code_version}: {found.to_upgrade}, or "
            f"install usher-hooks {told.code_version}."
        )


def _look_at_code(site: Site, found: Stack, told: Status) -> None:
    """By one function: all of them have the same code. Of a stack that was cut off it may be gone."""
    if "IntakeArn" not in found.outputs or found.status.startswith("DELETE_"):
        return
    configured = site.client("lambda").get_function_configuration(FunctionName=found.outputs["IntakeArn"])
    told.code_sha256 = configured["CodeSha256"]
    variables = configured.get("Environment", {}).get("Variables", {})
    told.hooks_from = variables.get("USHER_HOOKS_FROM", "asset")
    if not found.is_released or told.code_version != told.command_version:
        return
    try:
        told.code_is_this_release = release_of(site.machine).code_sha256 == told.code_sha256
    except Trouble:
        return  # a checkout without a built release
    if not told.code_is_this_release:
        told.problems.append(f"The code is not that of this release: {found.to_upgrade}.")


def _look_at_hooks_file(site: Site, found: Stack, told: Status) -> None:
    """What is in force, and what should be."""
    if "TableName" not in found.outputs:
        return
    dynamodb, table = site.client("dynamodb"), found.outputs["TableName"]
    items = EnrolledHooks(dynamodb, table, site.machine.clock, 0)
    try:
        in_force = items.in_force()
    except Unavailable as error:
        if "ResourceNotFoundException" not in str(error):
            raise
        told.problems.append(
            f"Table {table} is gone: restore it under this name (docs/operations.md, TableDenied). Only "
            f"without a backup, {found.to_remove}, and deploy it again."
        )
        return
    told.retiring_hooks = sorted(f"{one.hook} on {one.group}" for one in items.enrolled() if one.is_retiring)
    if in_force is not None and in_force.is_closing:
        told.problems.append(f"Usher is being removed: {found.to_remove} again to finish that.")
    if told.hooks_from is None:
        return
    if told.hooks_from == "asset":
        told.hooks_file = told.hooks_digest = in_force.digest if in_force else None
        told.own_groups = in_force.own_groups if in_force else ()
        return
    versions = FileVersionsTable(dynamodb, table)
    schedule = versions.schedule()
    newest = NO_VERSION.file if schedule.newest == NONE_YET else versions.version(schedule.newest).file
    told.hooks_digest, told.own_groups = newest.digest, newest.own_groups
    now = site.machine.clock()
    number = next(iter(schedule.in_effect(now)), NONE_YET)
    told.hooks_file = "none yet" if number == NONE_YET else f"version {number}"
    pending = ", ".join(
        f"version {start.number} from {start.at:%H:%M:%S} UTC" for start in schedule.pending(now)
    )
    if pending:
        told.hooks_file += f" (then {pending})"


def _look_at_alarms(site: Site, found: Stack, told: Status) -> None:
    """Those of the stack alone."""
    pages = site.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=found.id)
    of_stack = {
        each.get("PhysicalResourceId")
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }
    ringing = site.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
    names = {each["AlarmName"] for page in ringing for each in page.get("MetricAlarms", [])}
    told.alarms = sorted(names & of_stack)


def _with_drift(site: Site, of_fleet: FleetSite) -> Status:
    """The status; and whether the site's hooks file of the fleet is the one that was applied last."""
    told = _status(site, _found(site))
    if told.hooks_digest is None or not of_fleet.hooks.exists():
        return told
    try:
        told.hooks_file_differs = compiled(load.examine(of_fleet.hooks).data, told.own_groups).digest != (
            told.hooks_digest
        )
    except load.HooksFileRefused as refused:
        told.problems.append("; ".join(refused.complaints))
    if told.hooks_file_differs:
        told.problems.append(f"{of_fleet.hooks.name} is not what was applied last: see `usher plan --fleet`.")
    return told


def _cells(told: Status) -> tuple[str, ...]:
    code = told.code_version or "unknown"
    drift = {None: "unknown", True: "hooks file", False: "none"}[told.hooks_file_differs]
    if any("HookDrift" in name for name in told.alarms or ()):
        drift = "hooks" if drift == "none" else f"{drift}, hooks"
    return (
        told.stack_status,
        code if told.code_is_this_release in (None, True) else f"{code}, changed",
        told.hooks_file or "unknown",
        drift,
        "unknown" if told.retiring_hooks is None else str(len(told.retiring_hooks)),
        _listed(told.alarms),
    )


def _listed(names: list[str] | None) -> str:
    return "unknown" if names is None else ", ".join(names) or "none"


def _print(told: Status) -> None:
    release = {None: "", True: ", of this release", False: ", not of this release"}
    rows: dict[str, Any] = {
        "stack": f"{told.stack} in {told.region}, {told.stack_status}",
        "command": told.command_version,
        "code": f"{told.code_version or 'unknown'}{release[told.code_is_this_release]}",
        "hooks file": ", from the ".join(filter(None, (told.hooks_file or "unknown", told.hooks_from))),
        "retiring hooks": _listed(told.retiring_hooks),
        "alarms": _listed(told.alarms),
        **{f"  {name}": value for name, value in sorted(told.parameters.items()) if value},
    }
    for name, value in rows.items():
        click.echo(shown(f"{name:<22}{value}"))
    for problem in told.problems:
        click.echo(shown(problem))
