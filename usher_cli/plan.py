"""`usher plan`: which groups and hooks of an account a hooks file would enrol, change or take back."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from usher.aws.enrolled import EnrolledHooks
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core import enrolment, hook_marks, iso_time
from usher.core.compiled import compiled
from usher.core.conditions.probe import Probe
from usher.core.enrolment import Seen
from usher.core.enrolment_steps import Conflict, Forget, Keep, Put
from usher.core.hook_items import Target
from usher.core.policy import Channel
from usher.core.wanted_hooks import Wanted
from usher.passes.retirement import waiting
from usher.ports.errors import CallRefused, GroupGone, TryLater
from usher_cli import enrolment_times
from usher_cli.account import Trouble, with_account
from usher_cli.enrolment_times import Pace
from usher_hooksfile import load
from usher_hooksfile.foreign_hooks import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition
    from usher.core.enrolment_steps import Step
    from usher.core.hook_items import Enrolled, GroupSeen, HookSeen
    from usher.core.policy import Configuration
    from usher.ports.autoscaling import LiveGroups, LiveMembers
    from usher_cli.account import Account
    from usher_hooksfile.load import HooksFile

_NOT_YET: Final = "(made by the next deploy)"
_WIDTH: Final = 1000  # nothing is cut to fit: a terminal wraps long lines by itself

_EXAMPLES: Final = """
\b
Examples:
  usher plan
  usher plan --hooks staging/hooks.yaml --region eu-west-1
  usher plan --own-group workers-blue
  usher plan --json | jq '.steps[] | select(.what == "retire")'

\b
What each step means:
  enrol, change   the deploy does it on groups that the file names, the sweep on all others
  take back       a hook that was on its way out is asked for again
  ours again      it stands already, and notifies Usher
  retire          it is on its way out from the deploy on
  retiring        it is on its way out: since when, how many wait in it, and what keeps it
  forget          only its item goes: the hook is gone, or its group's own template holds it
  beside          another service holds the same instances by a hook of its own: nothing is done to it
  right           an open action would lose the right to ask one of its conditions
  conflict        a person must settle it; where the file names the group, a deploy is refused

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
    TAKE_BACK = "take back"
    OURS_AGAIN = "ours again"
    RETIRE = "retire"
    RETIRING = "retiring"
    FORGET = "forget"
    BESIDE = "beside"
    RIGHT = "right"
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
    enrolled: int  # of these groups, those that lack nothing
    by_sweep: int = 0  # puts on groups that the file does not name: the deploy does not wait for them
    by_deploy: int = 0  # puts on groups that the file names
    named: int = 0  # groups that these are on
    calls_per_second: float | None = None  # None: a stack of an older release does not tell it
    pace: Pace | None = None  # None: not known
    goes_on: bool = False  # the file is deployed, and the sweep is at it

    @property
    def has_conflicts(self) -> bool:
        """Whether a person must settle something."""
        return any(row.what is What.CONFLICT for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What a plan asks of Auto Scaling."""

    groups: LiveGroups
    members: LiveMembers


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What Usher has stored."""

    enrolled: Sequence[Enrolled]
    open_actions: Sequence[Action]


def targets(outputs: Mapping[str, str]) -> dict[Channel, Target]:
    """Whom the hooks of a deployed stack can notify; what is not deployed yet is made by the next one."""
    role = outputs["HookRoleArn"]
    return {
        Channel.SQS: Target(arn=outputs["InboxArn"], role_arn=role),
        Channel.SNS: Target(arn=outputs.get("TopicArn", _NOT_YET), role_arn=role),
        Channel.LAMBDA: Target(arn=outputs.get("IntakeArn", _NOT_YET)),
        Channel.EVENTBRIDGE: Target(arn=None),
    }


def plan(
    wanted: Wanted, configuration: Configuration, live: Live, known: Known, clock: Callable[[], datetime]
) -> Plan:
    """The plan. It reads, and changes nothing. Raises TryLater and CallRefused, as LiveGroups."""
    groups = live.groups.groups()
    enrolled = {record.place: record for record in known.enrolled}
    arns = {record.group_arn for record in known.enrolled}
    hooks: dict[str, Sequence[HookSeen]] = {}
    for group in groups:
        if not group.is_ending and (wanted.on(group) or group.arn in arns):
            with suppress(GroupGone):
                hooks[group.name] = live.groups.hooks_of(group.name)
    marks = hook_marks.marks(wanted, groups, known.enrolled, clock())
    for mark in marks:
        enrolled.pop(mark.record.place)
        enrolled |= {mark.record.place: mark.record} if isinstance(mark, Keep) else {}
    seen = Seen(groups=groups, hooks=hooks, enrolled=list(enrolled.values()))
    rows = [*_rows(marks), *_rows(enrolment.plan(wanted, seen, clock()))]
    done = {(row.group, row.hook) for row in rows}
    rows += [
        _on_its_way_out(record, live.members, known, clock)
        for record in enrolled.values()
        if record.is_retiring and record.key not in done
    ]
    rows += _of_others(wanted, seen)
    rows += [*_missing(wanted, groups), *_lost_rights(configuration, known.open_actions)]
    return _told(wanted, seen, rows)


_PUTS: Final = (What.ENROL, What.CHANGE)


def _told(wanted: Wanted, seen: Seen, rows: list[Row]) -> Plan:
    touched = {(row.group, row.hook) for row in rows}
    selected = [group for group in seen.groups if group.name in seen.hooks and wanted.on(group)]
    all_wanted = {(group.name, hook) for group in selected for hook in wanted.on(group)}
    order = list(What)
    rows.sort(key=lambda row: (order.index(row.what), row.group, row.hook))
    puts = [row for row in rows if row.what in _PUTS]
    named = [row.group for row in puts if row.group in wanted.named_groups]
    lacking = {row.group for row in rows if row.what in (*_PUTS, What.CONFLICT)}
    return Plan(
        rows=rows,
        groups=len(selected),
        unchanged=len(all_wanted - touched),
        enrolled=sum(group.name not in lacking for group in selected),
        by_sweep=len(puts) - len(named),
        by_deploy=len(named),
        named=len(set(named)),
    )


_WORDS: Final = {
    "retiring": What.RETIRE,
    "taken back": What.TAKE_BACK,
    "ours again": What.OURS_AGAIN,
}


def _rows(steps: Iterable[Step]) -> Iterator[Row]:
    for step in steps:
        match step:
            case Put(record=record):
                what = What.ENROL if record.before is None else What.CHANGE
            case Keep(record=record) if step.word in _WORDS:
                what = _WORDS[step.word]
            case Keep(record=record):
                if record.missed:
                    told = f"{step.reason}; it counts once {hook_marks.PASSES} passes in a row have seen that"
                    yield Row(what=What.RETIRE, group=record.group, hook=record.hook, reason=told)
                continue
            case Forget(record=record):
                what = What.FORGET
            case Conflict():
                yield Row(what=What.CONFLICT, group=step.group, hook=step.hook, reason=step.reason)
                continue
        yield Row(what=what, group=record.group, hook=record.hook, reason=step.reason)


def _on_its_way_out(record: Enrolled, live: LiveMembers, known: Known, clock: Callable[[], datetime]) -> Row:
    """Since when, how many wait in it, and what keeps it."""
    recorded = sum((action.hook.group, action.hook.name) == record.key for action in known.open_actions)
    try:
        count = waiting(live, record, clock)
    except GroupGone:
        count = 0
    since = record.retiring_since
    said = [f"since {iso_time.to_seconds(since)}" if since else "from now on"]
    if record.let_through_from is None:
        said.append("what replaces it does not stand yet")
    if count or recorded:
        said.append(f"kept by {_instances(count)} and {recorded} open actions")
    elif record.let_through_from is not None:
        said.append("nobody waits in it: it goes in one of the next passes")
    return Row(what=What.RETIRING, group=record.group, hook=record.hook, reason="; ".join(said))


def _instances(count: int) -> str:
    who = "1 instance that waits, or is" if count == 1 else f"{count} instances that wait, or are"
    return f"{who} on the way to it"


def _missing(wanted: Wanted, groups: Iterable[GroupSeen]) -> Iterator[Row]:
    live = {group.name for group in groups if not group.is_ending}
    for hook in wanted.hooks:
        name = str(hook.group.glob)
        if name in wanted.named_groups - live:
            reason = "there is no such group here: a deploy is refused"
            yield Row(what=What.CONFLICT, group=name, hook=hook.name, reason=reason)


def _of_others(wanted: Wanted, seen: Seen) -> Iterator[Row]:
    """What the services that run groups, or hooks on them, have to do with what the file asks for."""
    for group in seen.groups:
        if group.name not in seen.hooks or not wanted.on(group):
            continue
        if group.operator is not None:
            reason = f"{group.operator} operates the group: AWS refuses a hook from anyone else"
            for name in wanted.on(group):
                yield Row(what=What.CONFLICT, group=group.name, hook=name, reason=reason)
        for name, reason in beside(wanted, group, seen.hooks[group.name]):
            yield Row(what=What.BESIDE, group=group.name, hook=name, reason=reason)


def _lost_rights(configuration: Configuration, open_actions: Iterable[Action]) -> Iterator[Row]:
    """What the policies of the file do not need any more, the functions may not do any more."""
    granted = {needed for probe in _probes(configuration.leaves) for needed in probe.permissions}
    for action in open_actions:
        lost = [
            probe.name for probe in _probes(action.policy.leaves) if not granted.issuperset(probe.permissions)
        ]
        if lost:
            reason = (
                f"action {action.id} asks {', '.join(lost)}: keep policy {action.policy.name} in the file"
            )
            yield Row(what=What.RIGHT, group=action.hook.group, hook=action.hook.name, reason=reason)


def _probes(leaves: Iterable[Condition]) -> list[Probe]:
    return [leaf for leaf in leaves if isinstance(leaf, Probe)]


# The command


@click.command(name="plan", epilog=_EXAMPLES)
@click.option(
    "--hooks",
    default="hooks.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The hooks file to plan for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--own-group",
    "own_groups",
    multiple=True,
    help="A group whose own template holds its hooks, besides those of the last deploy.",
)
@with_account
@click.pass_context
def plan_command(
    context: click.Context, account: Account, hooks: Path, own_groups: tuple[str, ...], *, as_json: bool
) -> None:
    """Show which groups and hooks of an account a hooks file would enrol, change or take back.

    It only reads: one call for each group that the file selects, and two for each hook on its way out.
    """
    try:
        file = load.examine(hooks)
    except load.HooksFileRefused as refused:
        raise Trouble("; ".join(refused.complaints)) from refused
    found, now = _planned(account, file, own_groups), account.machine.clock()
    if as_json:
        click.echo(json.dumps(as_data(found, now), indent=1))
    else:
        _print(found, hooks, now)
    context.exit(1 if found.has_conflicts else 0)


def _planned(account: Account, file: HooksFile, own_groups: Collection[str]) -> Plan:
    per_hour = int(
        account.outputs.get("EnrolmentsPerHour", 0)
    )  # a stack of an older release does not tell it
    items = EnrolledHooks(account.dynamodb, account.outputs["TableName"], account.machine.clock, per_hour)
    in_force = items.in_force()
    groups_of_their_own = {*own_groups, *(in_force.own_groups if in_force else ())}
    wanted = Wanted(
        hooks=file.configuration.hooks,
        targets=targets(account.outputs),
        own_groups=frozenset(groups_of_their_own),
    )
    digest = compiled(file.data, groups_of_their_own).digest
    goes_on = in_force is not None and in_force.digest == digest and not in_force.is_closing
    pace = Pace(per_hour=per_hour, left=max(0, items.left(account.machine.clock()))) if per_hour else None
    client = account.client("autoscaling")
    live = Live(groups=GroupsApi(client), members=WaitingApi(client))
    known = Known(enrolled=items.enrolled(), open_actions=list(account.records.all_open()))
    console = Console(stderr=True)
    with console.status("Looking at the groups ..."):
        try:
            found = plan(wanted, file.configuration, live, known, account.machine.clock)
            calls = account.outputs.get("CallsPerSecond")
            return replace(
                found, pace=pace, goes_on=goes_on, calls_per_second=float(calls) if calls else None
            )
        except TryLater as busy:
            raise Trouble(f"Auto Scaling is busy ({busy}): try again.") from busy
        except CallRefused as refusal:
            raise Trouble(f"Auto Scaling refuses: {refusal}") from refusal


def as_data(found: Plan, now: datetime) -> dict[str, object]:
    """What `usher plan --json` prints."""
    counts = Counter(row.what for row in found.rows)
    summary = {"groups": found.groups, "enrolled": found.enrolled, "unchanged": found.unchanged}
    summary |= {str(what): counts[what] for what in What}
    left = found.pace.lasts(found.by_sweep, now) if found.pace and found.by_sweep else None
    sweep = {
        "goes_on": found.goes_on,
        "hooks_left": found.by_sweep,
        "seconds_left": None if left is None else int(left.total_seconds()),
    }
    return {"summary": summary, "sweep": sweep, "steps": [asdict(row) for row in found.rows]}


_COLOURS: Final = {
    What.ENROL: "green",
    What.RETIRE: "yellow",
    What.RETIRING: "yellow",
    What.BESIDE: "yellow",
    What.RIGHT: "red",
    What.CONFLICT: "red",
}


def _print(found: Plan, hooks: Path, now: datetime) -> None:
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
    if found.calls_per_second is not None and found.by_deploy and not found.goes_on:
        click.echo(enrolment_times.in_the_deploy(found.by_deploy, found.named, found.calls_per_second))
    if found.pace is not None and found.by_sweep:
        if found.goes_on:
            click.echo(
                enrolment_times.going_on(found.enrolled, found.groups, found.by_sweep, found.pace, now)
            )
        else:
            click.echo(enrolment_times.beforehand(found.by_sweep, found.pace.per_hour))


def _in_all(found: Plan) -> str:
    counts = Counter(row.what for row in found.rows)
    told_apart = (What.CONFLICT, What.BESIDE)
    said = [f"{count} to {what}" for what, count in counts.items() if what not in told_apart]
    said += [f"{counts[What.BESIDE]} of other services"] if counts[What.BESIDE] else []
    conflicts = counts[What.CONFLICT]
    said += [f"{conflicts} in conflict"] if conflicts else []
    return ", ".join(said) or "nothing to do"
