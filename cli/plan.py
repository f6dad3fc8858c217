"""`usher plan`: which groups and hooks of an account a hooks file would enrol, change or remove."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import hooks_file
from cli.account import Trouble, with_account
from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.core import enrolment
from usher.core.enrolment import Conflict, Forget, HookSettings, Put, Remove, Seen, Target, Wanted
from usher.core.policy import Way
from usher.ports import CallRefused, GroupGone, TryLater

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cli.account import Account
    from usher.core.enrolment import Enrolled, GroupSeen, HookSeen, Key, Step
    from usher.core.policy import Configuration, Hook
    from usher.ports import LiveGroups, OpenActions

_ALL: Final = 1_000_000  # steps: a plan shows all of them, however many an hour the sweep takes
_NOT_YET: Final = "(made by the next deploy)"
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself

_EXAMPLES: Final = """
\b
Examples:
  usher plan
  usher plan --hooks staging/hooks.yaml --region eu-west-1
  usher plan --json | jq '.steps[] | select(.what == "remove")'

\b
What each step means:
  enrol, change, remove  the sweep does it after the deploy, on groups by glob or tags
  remove later           an open action waits in it: the sweep removes it when none does
  forget                 only its record goes: the hook is gone, or CloudFormation's now
  deploy                 CloudFormation does it, on groups that the file names; what a deploy takes
                         away from such groups, `make cdk ARGS=diff` shows
  conflict               a person must settle it

\b
Exit codes:
  0  a plan without conflicts
  1  there are conflicts
  2  wrong usage, a hooks file that is not sound, or an account that is not reached
"""


class What(StrEnum):
    """What becomes of a hook on a group."""

    ENROL = "enrol"
    CHANGE = "change"
    REMOVE = "remove"
    LATER = "remove later"  # an open action waits in it
    FORGET = "forget"  # its record only
    DEPLOY = "deploy"  # CloudFormation's, not the sweep's
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the plan."""

    what: What
    group: str
    hook: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that would be done. `unchanged` counts the hooks that stand as the file asks."""

    rows: Sequence[Row]
    groups: int  # that the file selects
    unchanged: int

    @property
    def has_conflicts(self) -> bool:
        """Whether a person must settle something."""
        return any(row.what is What.CONFLICT for row in self.rows)


def targets(outputs: Mapping[str, str]) -> dict[Way, Target]:
    """Whom the hooks of a deployed stack can notify; what is not deployed yet is made by the next one."""
    role = outputs["HookRoleArn"]
    return {
        Way.SQS: Target(arn=outputs["InboxArn"], role_arn=role),
        Way.SNS: Target(arn=outputs.get("TopicArn", _NOT_YET), role_arn=role),
        Way.LAMBDA: Target(arn=outputs.get("IntakeArn", _NOT_YET)),
        Way.EVENTBRIDGE: Target(arn=None),
    }


def plan(
    wanted: Wanted,
    live: LiveGroups,
    enrolled: Sequence[Enrolled],
    open_actions: OpenActions,
) -> Plan:
    """The plan. It reads, and changes nothing. Raises TryLater and CallRefused, as LiveGroups."""
    groups = live.groups()
    known = {record.group_arn for record in enrolled}
    hooks: dict[str, Sequence[HookSeen]] = {}
    for group in groups:
        if not group.is_ending and (wanted.on(group) or group.arn in known):
            try:
                hooks[group.name] = live.hooks_of(group.name)
            except GroupGone:
                continue
    seen = Seen(groups=groups, hooks=hooks, enrolled=enrolled)
    in_use = _in_use(enrolment.leaving(wanted, seen), open_actions)
    return _told(wanted, seen, in_use)


def _in_use(leaving: Collection[Key], open_actions: OpenActions) -> dict[Key, int]:
    """How many open actions wait in each of the hooks that are leaving. It reads them only if some are."""
    counts = open_actions.hooks_in_use() if leaving else {}
    return {key: count for key, count in counts.items() if key in leaving}


def _told(wanted: Wanted, seen: Seen, in_use: Mapping[Key, int]) -> Plan:
    rows = [_row(step) for step in enrolment.plan(wanted, seen, in_use, _ALL)]
    for (group, hook), count in sorted(in_use.items()):
        waits = f"{count} open action{'s wait' if count > 1 else ' waits'} in it; it goes once none does"
        rows.append(Row(what=What.LATER, group=group, hook=hook, reason=waits))
    rows += _deployed(wanted, seen)
    touched = {(row.group, row.hook) for row in rows}
    selected = [group for group in seen.groups if group.name in seen.hooks and wanted.on(group)]
    all_wanted = {(group.name, hook) for group in selected for hook in wanted.on(group)}
    order = list(What)
    rows.sort(key=lambda row: (order.index(row.what), row.group, row.hook))
    return Plan(rows=rows, groups=len(selected), unchanged=len(all_wanted - touched))


def _row(step: Step) -> Row:
    match step:
        case Put(record=record):
            what = What.ENROL if record.before is None else What.CHANGE
        case Remove(record=record):
            what = What.REMOVE
        case Forget(record=record):
            what = What.FORGET
        case Conflict():
            return Row(what=What.CONFLICT, group=step.group, hook=step.hook, reason=step.reason)
    return Row(what=what, group=record.group, hook=record.hook, reason=step.reason)


# Hooks on groups that the file names: CloudFormation's


def _deployed(wanted: Wanted, seen: Seen) -> Iterator[Row]:
    live = {group.name: group for group in seen.groups}
    for hook in wanted.hooks:
        name = hook.group.glob
        if name is None or "*" in name:
            continue
        why = _why_deploy(hook, wanted.targets[hook.notify], live.get(name), seen)
        if why is not None:
            yield Row(what=What.DEPLOY, group=name, hook=hook.name, reason=why)


def _why_deploy(hook: Hook, target: Target, group: GroupSeen | None, seen: Seen) -> str | None:
    """What the next deploy has to do; None where the hook stands as the file asks."""
    if group is None or group.name not in seen.hooks:
        return "there is no such group here yet"
    standing = next((each.settings for each in seen.hooks[group.name] if each.name == hook.name), None)
    if standing is None:
        return "CloudFormation puts it"
    differing = ", ".join(_settings(hook, target).differences(standing))
    return f"CloudFormation changes {differing}" if differing else None


def _settings(hook: Hook, target: Target) -> HookSettings:
    return HookSettings(
        transition=hook.transition,
        heartbeat_timeout=hook.heartbeat_timeout,
        default_result=hook.default_result,
        target_arn=target.arn,
        role_arn=target.role_arn,
        metadata=hook.metadata,
    )


# The command


@click.command(
    name="plan", epilog=_EXAMPLES, short_help="Show what a hooks file would enrol, change or remove."
)
@click.option(
    "--hooks",
    default="hooks.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The hooks file to plan for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
@click.pass_context
def plan_command(context: click.Context, account: Account, hooks: Path, *, as_json: bool) -> None:
    """Show which groups and hooks of an account a hooks file would enrol, change or remove.

    It only reads: one call for each group that the file selects.
    """
    try:
        configuration = hooks_file.load(hooks)
    except hooks_file.HooksFileRefused as refused:
        raise Trouble("; ".join(refused.complaints)) from refused
    found = _planned(account, configuration)
    if as_json:
        click.echo(json.dumps(as_data(found), indent=1))
    else:
        _print(found, hooks)
    context.exit(1 if found.has_conflicts else 0)


def _planned(account: Account, configuration: Configuration) -> Plan:
    table = account.outputs["TableName"]
    enrolled = EnrolledHooks(account.dynamodb, table, account.machine.clock, 0).enrolled()
    wanted = Wanted(hooks=configuration.hooks, targets=targets(account.outputs))
    console = Console(stderr=True)
    with console.status("Looking at the groups ..."):
        try:
            return plan(wanted, GroupsApi(account.client("autoscaling")), enrolled, account.records)
        except TryLater as busy:
            raise Trouble(f"Auto Scaling is busy ({busy}): try again.") from busy
        except CallRefused as refusal:
            raise Trouble(f"Auto Scaling refuses: {refusal}") from refusal


def as_data(found: Plan) -> dict[str, object]:
    """What `usher plan --json` prints."""
    counts = Counter(row.what for row in found.rows)
    summary = {"groups": found.groups, "unchanged": found.unchanged}
    summary |= {str(what): counts[what] for what in What}
    return {"summary": summary, "steps": [asdict(row) for row in found.rows]}


_COLOURS: Final = {What.ENROL: "green", What.REMOVE: "yellow", What.LATER: "yellow", What.CONFLICT: "red"}


def _print(found: Plan, hooks: Path) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True, width=_WIDTH)
    if found.rows:
        steps = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("step", "group", "hook", "why"):
            steps.add_column(heading, no_wrap=True)
        for row in found.rows:
            steps.add_row(
                Text(row.what, style=_COLOURS.get(row.what, "")),
                *map(Text, (row.group, row.hook, row.reason)),
            )
        console.print(steps)
        console.print()
    hooks_stand = "1 hook stands" if found.unchanged == 1 else f"{found.unchanged} hooks stand"
    groups = "1 group" if found.groups == 1 else f"{found.groups} groups"
    click.echo(f"{hooks} selects {groups} here. {hooks_stand} as it asks, {_in_all(found)}.")


def _in_all(found: Plan) -> str:
    counts = Counter(row.what for row in found.rows)
    said = [f"{count} to {what}" for what, count in counts.items() if what is not What.CONFLICT]
    conflicts = counts[What.CONFLICT]
    said += [f"{conflicts} in conflict"] if conflicts else []
    return ", ".join(said) or "nothing to do"
