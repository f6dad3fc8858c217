"""The steps that a hooks file would lead to, compared with the groups and hooks of an account."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher.core import enrolment, hook_marks, iso_time
from usher.core.conditions.probe import Probe
from usher.core.enrolment import Seen
from usher.core.enrolment_steps import Conflict, Forget, Keep, Put
from usher.core.hook_items import Target
from usher.core.policy import Channel
from usher.passes.retirement import waiting
from usher.ports.errors import GroupGone
from usher_cli.plan.abandon import abandoning
from usher_hooksfile.foreign_hooks import foreign_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition
    from usher.core.enrolment_steps import Step as EnrolmentStep
    from usher.core.hook_items import Enrolled, GroupSeen, HookSeen
    from usher.core.policy import Configuration
    from usher.core.wanted_hooks import Wanted
    from usher.ports.autoscaling import LiveGroups, LiveMembers
    from usher_cli.plan.abandon import Abandoning
    from usher_cli.plan.enrolment_times import Pace

TAG: Final = "usher"  # that a group must carry in an installation, with the value of its parameter TagValue
_NOT_YET: Final = "(made by the next deploy)"


class Step(StrEnum):
    """What happens to a hook on a group."""

    ENROL = "enrol"
    CHANGE = "change"
    RESTORE = "restore"
    RECLAIM = "reclaim"
    RETIRE = "retire"
    RETIRING = "retiring"
    FORGET = "forget"
    FOREIGN = "foreign"
    PERMISSION = "permission"
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the plan."""

    step: Step
    group: str
    hook: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All steps. `unchanged` counts the hooks that are as the file asks."""

    rows: Sequence[Row]
    groups: int  # that the file selects
    unchanged: int
    enrolled: int  # of these groups, those that have all their hooks
    by_sweep: int = 0  # puts on groups that the file does not name: a deploy does not wait for them
    by_deploy: int = 0  # puts on groups that the file names
    named: int = 0  # groups that these are on
    calls_per_second: float | None = None  # None: the stack of an older release has no such output
    pace: Pace | None = None  # None: not known
    is_deployed: bool = False  # the file is in force, and the sweep enrols by it
    abandoning: Sequence[Abandoning] = ()  # what ABANDON does, where a termination may end so
    is_applied: bool = False  # files are applied here: the sweep puts the hooks of named groups, too

    @property
    def has_conflicts(self) -> bool:
        """Whether a person must settle something."""
        return any(row.step is Step.CONFLICT for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What a plan reads of Auto Scaling."""

    groups: LiveGroups
    members: LiveMembers


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What Usher has stored, and may do."""

    enrolled: Sequence[Enrolled]
    in_use: Mapping[tuple[str, str], int]  # how many open actions wait, by group and hook
    open_actions: Iterable[Action]  # read as they are taken
    tag_value: str | None = None  # of the tag of the groups on which it may put hooks; None: on all
    is_applied: bool = False  # files are applied here, not deployed: rights do not follow them


def targets(outputs: Mapping[str, str]) -> dict[Channel, Target]:
    """The targets that the hooks of a deployed stack can notify; the next deploy makes missing ones."""
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
    """The plan. Only reads. Raises TryLater and CallRefused, as LiveGroups."""
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
        _retiring(record, live.members, known, clock)
        for record in enrolled.values()
        if record.is_retiring and record.key not in done
    ]
    rows += [*_foreign(wanted, seen), *_missing(wanted, groups)]
    if not known.is_applied:
        rows += lost_permissions(configuration, known.open_actions)
    if known.tag_value is not None:
        tagged = {group.name for group in groups if (TAG, known.tag_value) in group.tags}
        rows = [row if row.group in tagged else _refused(row, known.tag_value) for row in rows]
    return _summed_up(wanted, seen, rows)


_PUTS: Final = (Step.ENROL, Step.CHANGE)


def _summed_up(wanted: Wanted, seen: Seen, rows: list[Row]) -> Plan:
    touched = {(row.group, row.hook) for row in rows}
    selected = [group for group in seen.groups if group.name in seen.hooks and wanted.on(group)]
    all_wanted = {(group.name, hook) for group in selected for hook in wanted.on(group)}
    order = list(Step)
    rows.sort(key=lambda row: (order.index(row.step), row.group, row.hook))
    puts = [row for row in rows if row.step in _PUTS]
    named = [row.group for row in puts if row.group in wanted.named_groups]
    lacking = {row.group for row in rows if row.step in (*_PUTS, Step.CONFLICT)}
    return Plan(
        rows=rows,
        groups=len(selected),
        unchanged=len(all_wanted - touched),
        enrolled=sum(group.name not in lacking for group in selected),
        by_sweep=len(puts) - len(named),
        by_deploy=len(named),
        named=len(set(named)),
        abandoning=abandoning(wanted.hooks, selected),
    )


def _refused(row: Row, value: str) -> Row:
    """The same, where it puts a hook on a group without the tag: IAM refuses that."""
    reason = f"the group lacks the tag {TAG}={value}, without which Usher may put no hook on it"
    return replace(row, step=Step.CONFLICT, reason=reason) if row.step in _PUTS else row


_STEPS: Final = {  # by the word of a Keep
    "retiring": Step.RETIRE,
    "restored": Step.RESTORE,
    "reclaimed": Step.RECLAIM,
}


def _rows(steps: Iterable[EnrolmentStep]) -> Iterator[Row]:
    for step in steps:
        match step:
            case Put(record=record):
                kind = Step.ENROL if record.before is None else Step.CHANGE
            case Keep(record=record) if step.word in _STEPS:
                kind = _STEPS[step.word]
            case Keep(record=record):
                if record.missed:
                    reason = f"{step.reason}; it retires after {hook_marks.PASSES} such passes in a row"
                    yield Row(step=Step.RETIRE, group=record.group, hook=record.hook, reason=reason)
                continue
            case Forget(record=record):
                kind = Step.FORGET
            case Conflict():
                yield Row(step=Step.CONFLICT, group=step.group, hook=step.hook, reason=step.reason)
                continue
        yield Row(step=kind, group=record.group, hook=record.hook, reason=step.reason)


def _retiring(record: Enrolled, live: LiveMembers, known: Known, clock: Callable[[], datetime]) -> Row:
    """Since when it has been retiring, how many wait in it, and what keeps it."""
    recorded = known.in_use.get(record.key, 0)
    try:
        count = waiting(live, record, clock)
    except GroupGone:
        count = 0
    since = record.retiring_since
    texts = [f"since {iso_time.to_seconds(since)}" if since else "from now on"]
    if record.let_through_from is None:
        texts.append("the hook that replaces it does not exist yet")
    if count or recorded:
        texts.append(f"kept by {_instances(count)} and {_counted(recorded, 'open action')}")
    elif record.let_through_from is not None:
        texts.append("no instance waits in it; one of the next passes deletes it")
    return Row(step=Step.RETIRING, group=record.group, hook=record.hook, reason="; ".join(texts))


def _instances(count: int) -> str:
    return f"{_counted(count, 'instance')} waiting in it or about to"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _missing(wanted: Wanted, groups: Iterable[GroupSeen]) -> Iterator[Row]:
    live = {group.name for group in groups if not group.is_ending}
    for hook in wanted.hooks:
        name = str(hook.group.glob)
        if name in wanted.named_groups - live:
            reason = "the group does not exist here: a deploy or an apply would fail"
            yield Row(step=Step.CONFLICT, group=name, hook=hook.name, reason=reason)


def _foreign(wanted: Wanted, seen: Seen) -> Iterator[Row]:
    """Groups that a service of AWS operates, and hooks of other services on the selected groups."""
    for group in seen.groups:
        if group.name not in seen.hooks or not wanted.on(group):
            continue
        if group.operator is not None:
            reason = f"{group.operator} operates the group: AWS refuses hooks from anyone else"
            for name in wanted.on(group):
                yield Row(step=Step.CONFLICT, group=group.name, hook=name, reason=reason)
        for name, reason in foreign_hooks(wanted, group, seen.hooks[group.name]):
            yield Row(step=Step.FOREIGN, group=group.name, hook=name, reason=reason)


def lost_permissions(configuration: Configuration, open_actions: Iterable[Action]) -> Iterator[Row]:
    """Open actions whose conditions need permissions that the functions would lose."""
    granted = {needed for probe in _probes(configuration.leaves) for needed in probe.permissions}
    for action in open_actions:
        policies = (action.policy, *action.policy.possible)
        needed = dict.fromkeys(probe for policy in policies for probe in _probes(policy.leaves))
        lost = [probe.name for probe in needed if not granted.issuperset(probe.permissions)]
        if lost:
            names = dict.fromkeys(policy.name for policy in action.policy.possible)
            reason = (
                f"action {action.id} still needs the permission for {', '.join(lost)}: "
                f"keep policy {', '.join(names)} in the file"
            )
            yield Row(step=Step.PERMISSION, group=action.hook.group, hook=action.hook.name, reason=reason)


def _probes(leaves: Iterable[Condition]) -> list[Probe]:
    return [leaf for leaf in leaves if isinstance(leaf, Probe)]
