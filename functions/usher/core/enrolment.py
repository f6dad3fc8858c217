"""Which hooks to put, change and remove on groups that are known at run time only: by glob or tags."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from usher.core.configuration import MOST_HOOKS_OF_A_GROUP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher.core.model import Result, Transition
    from usher.core.policy import GroupSelector, Hook, Way

# Each group that is looked into costs a call, out of what heartbeats need too (aws-facts 5).
MOST_UNSETTLED: Final = 20  # where something is to be put, changed, removed or complained of
MOST_SETTLED: Final = 10  # where all was well when last seen: the others have their turn later

_NEVER_CLEARED: Final = ("role_arn", "metadata")  # PutLifecycleHook takes no empty one (aws-facts 1.1)

Key: TypeAlias = "tuple[str, str]"  # group, hook
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Whom a hook notifies, in which role. No ARN: nobody, so EventBridge alone tells."""

    arn: str | None
    role_arn: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HookSettings:
    """What PutLifecycleHook sets."""

    transition: Transition | None  # None: one that this release does not know
    heartbeat_timeout: timedelta
    default_result: Result
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None

    def differences(self, standing: HookSettings) -> tuple[str, ...]:
        """In what a standing hook is not as these settings ask.

        A role or metadata that is not asked for makes none: it cannot be taken off a hook.
        """
        names = (field.name for field in fields(self))
        differing = (name for name in names if getattr(self, name) != getattr(standing, name))
        return tuple(name for name in differing if name not in _NEVER_CLEARED or getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSeen:
    """A live group. Its ARN tells it from earlier groups of that name."""

    name: str
    arn: str
    tags: tuple[tuple[str, str], ...] = ()
    is_ending: bool = False  # it is being deleted


@dataclass(frozen=True, kw_only=True, slots=True)
class HookSeen:
    """A hook that stands on a group."""

    name: str
    settings: HookSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """The record of a hook that Usher put, or is about to put where `put_at` is absent.

    `before` is what stands there until a put is noted, so that a crash in between disowns nothing.
    """

    group: str
    group_arn: str
    hook: str
    settings: HookSettings
    before: HookSettings | None = None
    put_at: datetime | None = None
    kept_at: datetime | None = None  # None: not stored yet
    version: int = 0  # counts the stored states

    @property
    def key(self) -> Key:
        """What names the hook."""
        return self.group, self.hook

    @property
    def is_noted(self) -> bool:
        """Whether the last put is known to have succeeded."""
        return self.put_at is not None and self.before is None

    def may_have_put(self, standing: HookSettings) -> bool:
        """Whether a standing hook is as Usher put it, now or before."""
        mine = (self.settings, *([self.before] if self.before else []))
        return any(not settings.differences(standing) for settings in mine)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a pass found: every group, every record, and the hooks of the groups it looked into."""

    groups: Sequence[GroupSeen]
    hooks: Mapping[str, Sequence[HookSeen]]
    enrolled: Sequence[Enrolled]


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """Why a hook of the configuration cannot be put."""

    reason: str


Wish: TypeAlias = "HookSettings | Obstacle | None"  # None: CloudFormation puts it


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the configuration asks for, and the targets that its hooks can notify."""

    hooks: Sequence[Hook]
    targets: Mapping[Way, Target]

    @property
    def enrols(self) -> bool:
        """Whether some hooks are for groups by glob or tags."""
        return not all(_is_one_name(hook.group) for hook in self.hooks)

    def on(self, group: GroupSeen) -> dict[str, Wish]:
        """What is asked for on `group`, by the name of the hook."""
        found: dict[str, list[Hook]] = {}
        for hook in self.hooks:
            if hook.group.selects(group.name, group.tags):
                found.setdefault(hook.name, []).append(hook)
        return {name: self._wish(hooks) for name, hooks in found.items()}

    def _wish(self, hooks: Sequence[Hook]) -> Wish:
        if len(hooks) > 1:
            return Obstacle(reason=f"{len(hooks)} hooks of the configuration have this name on this group")
        (hook,) = hooks
        if _is_one_name(hook.group):
            return None
        target = self.targets.get(hook.notify)
        if target is None:
            return Obstacle(reason=f"there is no target here to notify by {hook.notify}")
        return HookSettings(
            transition=hook.transition,
            heartbeat_timeout=hook.heartbeat_timeout,
            default_result=hook.default_result,
            target_arn=target.arn,
            role_arn=target.role_arn,
            metadata=hook.metadata,
        )


def _is_one_name(selector: GroupSelector) -> bool:
    """Whether a hook is for a group known at synth, where CloudFormation puts it."""
    return selector.glob is not None and "*" not in selector.glob


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """Put a hook. `record` is what to store before the call."""

    record: Enrolled
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Remove:
    """Delete a hook that Usher put."""

    record: Enrolled
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Forget:
    """Drop a record whose hook is gone, or is not Usher's any more. No call."""

    record: Enrolled
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Something that a person must settle. Nothing is done."""

    group: str
    hook: str
    reason: str


Step: TypeAlias = Put | Remove | Forget | Conflict


def to_look_into(
    wanted: Wanted, groups: Iterable[GroupSeen], enrolled: Iterable[Enrolled], turn: int
) -> tuple[str, ...]:
    """The groups whose hooks a pass should describe, those that lack a hook first.

    `turn` counts the passes, so that each has its turn, and none is always the last one.
    """
    records = _current(groups, enrolled)
    lacking: set[str] = set()
    unsettled: list[str] = []
    settled: list[str] = []
    for group in sorted(groups, key=lambda group: group.name):
        wishes = {name: wish for name, wish in wanted.on(group).items() if wish is not None}
        here = records[group.arn]
        noted = {record.hook: record.settings for record in here if record.is_noted}
        if not group.is_ending and (wishes or here):
            is_settled = wishes == noted and len(noted) == len(here)
            (settled if is_settled else unsettled).append(group.name)
            if not wishes.keys() <= {record.hook for record in here if record.put_at is not None}:
                lacking.add(group.name)
    first = sorted(share(unsettled, MOST_UNSETTLED, turn), key=lambda name: name not in lacking)
    return (*first, *share(settled, MOST_SETTLED, turn))


def share(names: Sequence[T], size: int, turn: int) -> Sequence[T]:
    """At most `size` of `names`, others in each turn, so that all have theirs within two rounds.

    Each round begins one further on, so that each name comes first in some turn, also where turns
    end early, or are missed at regular intervals.
    """
    if not names:
        return names
    rounds = math.ceil(len(names) / size)
    first = (turn % rounds * size + turn // rounds) % len(names)
    return [*names[first:], *names[:first]][:size]


def leaving(wanted: Wanted, seen: Seen) -> frozenset[Key]:
    """The enrolled hooks, on groups that were looked into, which the configuration does not ask for."""
    records = _current(seen.groups, seen.enrolled)
    return frozenset(
        record.key
        for group in seen.groups
        if group.name in seen.hooks
        for record in records[group.arn]
        if record.hook not in wanted.on(group)
    )


def plan(wanted: Wanted, seen: Seen, in_use: Collection[Key], budget: int) -> tuple[Step, ...]:
    """What to do, in this order: new hooks first, then changes, then removals.

    At most `budget` hooks are put or removed; the rest is for the next pass. `in_use` has those of
    the leaving hooks that an open action waits in.
    """
    records = _current(seen.groups, seen.enrolled)
    steps: list[Step] = list(_forgotten(seen))
    for group in sorted(seen.groups, key=lambda group: group.name):
        if group.name in seen.hooks and not group.is_ending:
            standing = {hook.name: hook.settings for hook in seen.hooks[group.name]}
            steps += _on_group(group, wanted.on(group), standing, records[group.arn], in_use)
    changes = sorted((step for step in steps if isinstance(step, Put | Remove)), key=_rank)
    return (*(step for step in steps if isinstance(step, Forget | Conflict)), *changes[: max(0, budget)])


def _rank(step: Put | Remove) -> int:
    if isinstance(step, Remove):
        return 2
    return 0 if step.record.put_at is None else 1


def _current(groups: Iterable[GroupSeen], enrolled: Iterable[Enrolled]) -> dict[str, list[Enrolled]]:
    """The records of each live group, by its ARN."""
    found: dict[str, list[Enrolled]] = {group.arn: [] for group in groups}
    for record in sorted(enrolled, key=lambda record: record.key):
        if record.group_arn in found:
            found[record.group_arn].append(record)
    return found


def _forgotten(seen: Seen) -> Iterator[Forget]:
    """The records of groups that are gone, be it that another one has their name now."""
    live = {group.arn for group in seen.groups}
    for record in sorted(seen.enrolled, key=lambda record: record.key):
        if record.group_arn not in live:
            yield Forget(record=record, reason="the group is gone")


def _on_group(
    group: GroupSeen,
    wishes: Mapping[str, Wish],
    standing: Mapping[str, HookSettings],
    enrolled: Sequence[Enrolled],
    in_use: Collection[Key],
) -> Iterator[Step]:
    records = {record.hook: record for record in enrolled}
    room = MOST_HOOKS_OF_A_GROUP - len(standing)
    for name in sorted({*wishes, *records}):
        place = _Place(group=group, hook=name, standing=standing.get(name), record=records.get(name))
        step = place.wanted(wishes[name]) if name in wishes else place.leaving(records[name], in_use)
        if isinstance(step, Put) and place.standing is None:
            room -= 1
            if room < 0:
                step = place.conflict(f"the group has {MOST_HOOKS_OF_A_GROUP} hooks, which is AWS's limit")
        if step is not None:
            yield step


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """One name of a hook on one group: what stands there, and what the record says."""

    group: GroupSeen
    hook: str
    standing: HookSettings | None
    record: Enrolled | None

    def wanted(self, wish: Wish) -> Step | None:
        """The step towards what the configuration asks for."""
        if wish is None:
            return self._forget("CloudFormation puts it now") if self.record else None
        if isinstance(wish, Obstacle):
            return self.conflict(wish.reason)
        if self.standing is not None and not self._is_ours(self.standing):
            return self._beside(wish.differences(self.standing))
        why = self._why_absent() if self.standing is None else self._why_again(wish, self.standing)
        return self._put(wish, why) if why else None

    def _beside(self, differing: Sequence[str]) -> Conflict | None:
        """What someone else put is left alone, and right as long as it is as the configuration asks.

        So it is on a group whose own template holds its hooks.
        """
        if not differing:
            return None
        return self.conflict(f"someone else put a hook of this name, which differs in {', '.join(differing)}")

    def _is_ours(self, standing: HookSettings) -> bool:
        """A put that was only begun makes nothing ours but what looks like it."""
        record = self.record
        return record is not None and (record.put_at is not None or record.may_have_put(standing))

    def _why_absent(self) -> str:
        if self.record is None:
            return "the configuration selects the group"
        return "its put was begun" if self.record.put_at is None else "someone else removed it"

    def _why_again(self, wish: HookSettings, standing: HookSettings) -> str:
        """Why to put a hook that stands already; empty where all is well."""
        differing = ", ".join(wish.differences(standing))
        is_known = self.record is not None and self.record.settings == wish
        if differing:
            return f"{'someone else' if is_known else 'the configuration'} changed {differing}"
        if is_known and self.record is not None and self.record.is_noted:
            return ""
        return "that it stands as it should was not noted"

    def leaving(self, record: Enrolled, in_use: Collection[Key]) -> Step | None:
        """The step where no hook of the configuration selects the group for this name any more."""
        if self.standing is None:
            return self._forget("the configuration does not select it any more, and it is gone")
        if not record.may_have_put(self.standing):
            if record.put_at is None:
                return self._forget("its put was begun, and what stands there now is someone else's")
            return self.conflict("to be removed, but someone else changed it: remove it by hand")
        if record.key in in_use:
            return None
        return Remove(record=record, reason="the configuration does not select it any more")

    def conflict(self, reason: str) -> Conflict:
        """Nothing to be done by Usher."""
        return Conflict(group=self.group.name, hook=self.hook, reason=reason)

    def _forget(self, reason: str) -> Step | None:
        return Forget(record=self.record, reason=reason) if self.record else None

    def _put(self, settings: HookSettings, reason: str) -> Put:
        known = self.record
        record = Enrolled(
            group=self.group.name,
            group_arn=self.group.arn,
            hook=self.hook,
            settings=settings,
            before=self.standing,
            put_at=known.put_at if known else None,
            kept_at=known.kept_at if known else None,
            version=known.version if known else 0,
        )
        return Put(record=record, reason=reason)
