"""Which hooks to put, change and take back: every hook of the file, on every group that it selects.

What is whose stands in an item for each hook and group, which is stored before the hook is put. Only
what an item names is ever changed or deleted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from usher.core.configuration import (
    MOST_HOOKS_OF_A_GROUP,
    ConfigurationRefused,
    parse_source,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Result, Transition
    from usher.core.policy import Channel, GroupSelector, Hook

# Each group that is looked into costs a call, out of what heartbeats need too (aws-facts 5).
MOST_UNSETTLED: Final = 20  # where something is to be put, changed, removed or complained of
MOST_SETTLED: Final = 10  # where all was well when last seen: the others have their turn later

PASSES: Final = 3  # in a row in which a tag or a group was not found, before that is believed
GRACE: Final = timedelta(seconds=60)  # what began so soon after the change is finished as before it
NOT_TAKEN_BACK: Final = timedelta(seconds=60)  # a delete that was announced may still be on its way
FORMER_KEPT: Final = timedelta(hours=49)  # as long as an action under a former timeout may be open
MOST_FORMER: Final = 5
_SEEN_AGAIN: Final = timedelta(hours=6)
_RENEWED_AFTER: Final = timedelta(days=100)  # of the 400 for which an item is kept
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

    def differences(self, live: HookSettings) -> tuple[str, ...]:
        """In what a standing hook is not as these settings ask.

        A role or metadata that is not asked for makes none: it cannot be taken off a hook.
        """
        names = (field.name for field in fields(self))
        differing = (name for name in names if getattr(self, name) != getattr(live, name))
        return tuple(name for name in differing if name not in _NEVER_CLEARED or getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSeen:
    """A live group. Its ARN tells it from earlier groups of that name."""

    name: str
    arn: str
    tags: tuple[tuple[str, str], ...] = ()
    is_ending: bool = False  # it is being deleted
    operator: str | None = None  # a service that alone may change it (aws-facts 11.1)


@dataclass(frozen=True, kw_only=True, slots=True)
class HookSeen:
    """A hook that stands on a group."""

    name: str
    settings: HookSettings


class HookState(StrEnum):
    """Whether the hook of an item is asked for, or on its way out."""

    WANTED = "wanted"
    RETIRING = "retiring"


@dataclass(frozen=True, kw_only=True, slots=True)
class Former:
    """A heartbeat timeout that stood before, and until when."""

    heartbeat_timeout: timedelta
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """The item of a hook that Usher put, or is about to put where `put_at` is absent.

    `before` is what stands there until a put is noted, so that a crash in between disowns nothing.
    `source` is a hooks file with this hook only: the policy and terms under which its actions begin.
    An action that began at `let_through_from` or later is let go at once.
    """

    group: str
    group_arn: str
    hook: str
    settings: HookSettings
    source: str
    before: HookSettings | None = None
    put_at: datetime | None = None  # when the last put was answered
    kept_at: datetime | None = None  # None: not stored yet
    version: int = 0  # counts the stored states
    former: tuple[Former, ...] = ()
    state: HookState = HookState.WANTED
    retiring_since: datetime | None = None
    let_through_from: datetime | None = None
    seen_at: datetime | None = None  # when it was last seen standing
    quiet_at: datetime | None = None  # when nobody waited in it, nor was on the way
    deleting_at: datetime | None = None  # when its deletion was announced
    missed: int = 0  # passes in a row in which its tags, or its group, were not found

    @property
    def key(self) -> Key:
        """What names the hook."""
        return self.group, self.hook

    @property
    def place(self) -> tuple[str, str, str]:
        """What names the item: a group made again under the same name is another one."""
        return self.group, self.hook, self.group_arn

    @property
    def own_hook(self) -> Hook:
        """The hook as the file had it. Raises ConfigurationRefused where this release cannot read it."""
        return parse_source(self.source)

    @property
    def selector(self) -> GroupSelector | None:
        """By what its group was chosen; None where this release cannot read it."""
        try:
            return self.own_hook.group
        except ConfigurationRefused:
            return None

    @property
    def is_retiring(self) -> bool:
        """Whether the hook is on its way out."""
        return self.state is HookState.RETIRING

    @property
    def is_noted(self) -> bool:
        """Whether the last put is known to have succeeded."""
        return self.put_at is not None and self.before is None

    def may_have_put(self, live: HookSettings) -> bool:
        """Whether a standing hook is as Usher put it, now or before."""
        mine = (self.settings, *([self.before] if self.before else []))
        return any(not settings.differences(live) for settings in mine)

    def is_being_deleted(self, now: datetime) -> bool:
        """Whether a delete that was announced may still be on its way."""
        return self.deleting_at is not None and now - self.deleting_at < NOT_TAKEN_BACK

    def noted(self, now: datetime) -> Enrolled:
        """The item once the put was answered at `now`."""
        former = self.formers(now)
        return replace(self, put_at=now, seen_at=now, before=None, former=former)

    def formers(self, now: datetime) -> tuple[Former, ...]:
        """The former timeouts that still matter, with the one that `before` had until now."""
        kept = [each for each in self.former if now - each.until < FORMER_KEPT]
        if self.before is not None and self.before.heartbeat_timeout != self.settings.heartbeat_timeout:
            kept.append(Former(heartbeat_timeout=self.before.heartbeat_timeout, until=now))
        newest: dict[timedelta, Former] = {each.heartbeat_timeout: each for each in kept}
        return tuple(sorted(newest.values(), key=lambda each: each.heartbeat_timeout)[:MOST_FORMER])

    def retired(self, now: datetime, let_through_from: datetime | None) -> Enrolled:
        """The item of a hook that is on its way out from `now` on."""
        return replace(
            self,
            state=HookState.RETIRING,
            retiring_since=now,
            let_through_from=let_through_from,
            quiet_at=None,
            deleting_at=None,
            missed=0,
        )

    def taken_back(self) -> Enrolled:
        """The item of a hook that is asked for again."""
        return replace(
            self,
            state=HookState.WANTED,
            retiring_since=None,
            let_through_from=None,
            quiet_at=None,
            deleting_at=None,
            missed=0,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FileInForce:
    """Which compiled hooks file counts, by its digest; what it says of own groups; whether Usher goes."""

    digest: str
    own_groups: tuple[str, ...] = ()
    is_closing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a pass found: every group, every item, and the hooks of the groups it looked into."""

    groups: Sequence[GroupSeen]
    hooks: Mapping[str, Sequence[HookSeen]]
    enrolled: Sequence[Enrolled]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A hook of the file, on one group."""

    hook: Hook
    settings: HookSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """Why a hook of the configuration cannot be put."""

    reason: str


Asked: TypeAlias = "Wish | Obstacle | None"  # None: the group's own template holds it


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the configuration asks for, and the targets that its hooks can notify."""

    hooks: Sequence[Hook]
    targets: Mapping[Channel, Target]
    own_groups: frozenset[str] = frozenset()

    @property
    def named_groups(self) -> frozenset[str]:
        """The groups that must be there: those that a hook names, and whose template does not hold it."""
        names = {str(hook.group.glob) for hook in self.hooks if hook.group.is_one_name}
        return frozenset(names) - self.own_groups

    def on(self, group: GroupSeen) -> dict[str, Asked]:
        """What is asked for on `group`, by the name of the hook."""
        found: dict[str, list[Hook]] = {}
        for hook in self.hooks:
            if hook.group.selects(group.name, group.tags):
                found.setdefault(hook.name, []).append(hook)
        return {name: self._asked(group, hooks) for name, hooks in found.items()}

    def _asked(self, group: GroupSeen, hooks: Sequence[Hook]) -> Asked:
        if len(hooks) > 1:
            return Obstacle(reason=f"{len(hooks)} hooks of the configuration have this name on this group")
        (hook,) = hooks
        if group.name in self.own_groups and hook.group.glob is not None:
            return None
        target = self.targets.get(hook.notify)
        if target is None:
            return Obstacle(reason=f"there is no target here to notify by {hook.notify}")
        return Wish(hook=hook, settings=settings_of(hook, target))

    def is_ours(self, live: HookSettings) -> bool:
        """Whether a hook notifies a target of this very deployment."""
        ours = {target.arn for target in self.targets.values() if target.arn is not None}
        return live.target_arn in ours

    def is_of(self, record: Enrolled, live: HookSettings) -> bool:
        """Whether what stands is the hook of an item: as Usher put it, or at least one that notifies Usher.

        Else someone else has put it in its place.
        """
        return record.may_have_put(live) or self.is_ours(live)

    def has_by_tags(self, record: Enrolled) -> bool:
        """Whether the hook of an item is in the file still, and chosen by the same tags."""
        chosen = record.selector
        return any(
            hook.group.glob is None
            and (hook.name, hook.transition, hook.group) == (record.hook, record.settings.transition, chosen)
            for hook in self.hooks
        )


def settings_of(hook: Hook, target: Target) -> HookSettings:
    """The settings with which a hook of the file is put."""
    return HookSettings(
        transition=hook.transition,
        heartbeat_timeout=hook.heartbeat_timeout,
        default_result=hook.default_result,
        target_arn=target.arn,
        role_arn=target.role_arn,
        metadata=hook.metadata,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Store an item. No call. `word` says what that means: retired, taken back, … or nothing of note."""

    record: Enrolled
    word: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """Put a hook. `record` is what to store before the call."""

    record: Enrolled
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Forget:
    """Drop an item whose hook is gone, or is not Usher's any more. No call."""

    record: Enrolled
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Something that a person must settle. Nothing is done."""

    group: str
    hook: str
    reason: str


Step: TypeAlias = Keep | Put | Forget | Conflict


# Whom to look into


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
        asked = {name: _settings(each) for name, each in wanted.on(group).items() if each is not None}
        here = records[group.arn]
        noted = {record.hook: record.settings for record in here if record.is_noted}
        if not group.is_ending and (asked or here):
            is_settled = asked == noted and len(noted) == len(here)
            (settled if is_settled else unsettled).append(group.name)
            if not asked.keys() <= {record.hook for record in here if record.put_at is not None}:
                lacking.add(group.name)
    first = sorted(share(unsettled, MOST_UNSETTLED, turn), key=lambda name: name not in lacking)
    return (*first, *share(settled, MOST_SETTLED, turn))


def _settings(asked: Wish | Obstacle) -> HookSettings | Obstacle:
    return asked.settings if isinstance(asked, Wish) else asked


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


def _current(groups: Iterable[GroupSeen], enrolled: Iterable[Enrolled]) -> dict[str, list[Enrolled]]:
    """The items of each live group, by its ARN."""
    found: dict[str, list[Enrolled]] = {group.arn: [] for group in groups}
    for record in sorted(enrolled, key=lambda record: record.key):
        if record.group_arn in found:
            found[record.group_arn].append(record)
    return found


# What the list of groups alone says of the items


def marks(
    wanted: Wanted, groups: Sequence[GroupSeen], enrolled: Iterable[Enrolled], now: datetime
) -> tuple[Keep | Forget, ...]:
    """What becomes of the items: asked for, on their way out, not ours any more. No hook is looked at."""
    by_arn = {group.arn: group for group in groups}
    names = {group.name for group in groups}
    steps: list[Keep | Forget] = []
    for record in sorted(enrolled, key=lambda record: record.place):
        group = by_arn.get(record.group_arn)
        step: Keep | Forget | None
        if group is None:
            step = _without_group(record, has_successor=record.group in names)
        else:
            step = None if group.is_ending else _marked(wanted, group, record, now)
            step = step or _renewed(record, now)
        steps += [step] if step else []
    return tuple(steps)


def _without_group(record: Enrolled, *, has_successor: bool) -> Keep | Forget:
    """A list may lag, and what is forgotten too soon would be nobody's."""
    if has_successor or record.missed + 1 >= PASSES:
        return Forget(record=record, reason="the group is gone")
    return _missed(record, "the group was not found")


def _missed(record: Enrolled, reason: str) -> Keep:
    return Keep(record=replace(record, missed=record.missed + 1), word="", reason=reason)


def _marked(wanted: Wanted, group: GroupSeen, record: Enrolled, now: datetime) -> Keep | Forget | None:
    on_group = wanted.on(group)
    asked = on_group.get(record.hook)
    is_own = record.hook in on_group and asked is None
    if is_own or _left_to_the_group(wanted, group, record, asked):
        return Forget(record=record, reason="the group's own template holds it now")
    if isinstance(asked, Obstacle):
        return None
    if asked is not None and asked.settings.transition is record.settings.transition:
        return _asked_for(record, asked, now)
    if record.is_retiring:
        return None
    if asked is None and record.missed + 1 < PASSES and wanted.has_by_tags(record):
        return _missed(record, "its tags do not select the group")
    reason = _WHY_RETIRED if asked is None else "the configuration has it for the other transition now"
    has_successor = any(isinstance(each, Wish) for each in _successors(record, on_group))
    retired = record.retired(now, None if has_successor else now + GRACE)
    return Keep(record=retired, word="retiring", reason=reason)


_WHY_RETIRED: Final = "the configuration does not select it any more"


def _left_to_the_group(wanted: Wanted, group: GroupSeen, record: Enrolled, asked: Asked) -> bool:
    """A group's own template may go on holding a hook that the file has no more."""
    chosen = record.selector
    is_by_tags = chosen is not None and chosen.glob is None
    return group.name in wanted.own_groups and asked is None and not is_by_tags


def _asked_for(record: Enrolled, wish: Wish, now: datetime) -> Keep | None:
    source = source_of(wish.hook)
    if record.is_retiring:
        if record.is_being_deleted(now):
            return None
        back = replace(record.taken_back(), source=source)
        return Keep(record=back, word="taken back", reason="the configuration selects it again")
    if record.source == source and not record.missed:
        return None
    return Keep(record=replace(record, source=source, missed=0), word="", reason="the file has changed")


def _renewed(record: Enrolled, now: datetime) -> Keep | None:
    """A hook may stand unchanged for years, and must not become a stranger's by TTL."""
    if record.kept_at is None or now - record.kept_at > _RENEWED_AFTER:
        return Keep(record=record, word="", reason="renewed")
    return None


def _successors(record: Enrolled, on_group: Mapping[str, Asked]) -> list[Asked]:
    """What is asked for on its group in place of a hook: all others of its transition."""
    return [
        asked
        for name, asked in on_group.items()
        if name != record.hook
        and isinstance(asked, Wish)
        and asked.settings.transition is record.settings.transition
    ]


# What is to be done on the groups whose hooks were described


def plan(wanted: Wanted, seen: Seen, now: datetime) -> tuple[Step, ...]:
    """What to do, in this order: what needs no call, new hooks, then changes."""
    records = _current(seen.groups, seen.enrolled)
    steps: list[Step] = []
    for group in sorted(seen.groups, key=lambda group: group.name):
        if group.name in seen.hooks and not group.is_ending:
            live = {hook.name: hook.settings for hook in seen.hooks[group.name]}
            steps += _on_group(wanted, group, live, records[group.arn], now)
    return tuple(sorted(steps, key=_rank))


def _rank(step: Step) -> int:
    if isinstance(step, Put):
        return 1 if step.record.put_at is None else 2
    return 0


def _on_group(
    wanted: Wanted,
    group: GroupSeen,
    live: Mapping[str, HookSettings],
    enrolled: Sequence[Enrolled],
    now: datetime,
) -> Iterator[Step]:
    records = {record.hook: record for record in enrolled}
    on_group = wanted.on(group)
    room = MOST_HOOKS_OF_A_GROUP - len(live)
    for name in sorted({*on_group, *records}):
        place = _Place(
            wanted=wanted,
            group=group,
            hook=name,
            live=live.get(name),
            record=records.get(name),
            now=now,
        )
        record = records.get(name)
        step = place.leaving(record) if record and record.is_retiring else place.asked(on_group.get(name))
        if isinstance(step, Put) and place.live is None:
            room -= 1
            if room < 0:
                step = place.conflict(f"the group has {MOST_HOOKS_OF_A_GROUP} hooks, which is AWS's limit")
        if step is not None:
            yield step


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """One name of a hook on one group: what stands there, and what the item says."""

    wanted: Wanted
    group: GroupSeen
    hook: str
    live: HookSettings | None
    record: Enrolled | None
    now: datetime

    def asked(self, asked: Asked) -> Step | None:
        """The step towards what the configuration asks for."""
        if isinstance(asked, Obstacle):
            return self.conflict(asked.reason)
        if asked is None or (self.record is not None and self.record.is_being_deleted(self.now)):
            return None
        if self.live is not None and not self._is_ours(self.live):
            return self._not_ours(asked, self.live)
        why = self._why_absent() if self.live is None else self._why_again(asked, self.live)
        return self._put(asked, why) if why else self._seen()

    def _not_ours(self, wish: Wish, live: HookSettings) -> Step | None:
        """One that notifies us is ours again. What someone else put is left alone.

        It is right as long as it is as the configuration asks.
        """
        differing = wish.settings.differences(live)
        if self.wanted.is_ours(live):
            if live.transition is not wish.settings.transition:
                return self.conflict("it stands for the other transition: remove it by hand")
            if differing:
                return self._put(wish, f"it notifies Usher, and differs in {', '.join(differing)}")
            record = replace(self._item(wish), put_at=self.now, seen_at=self.now, before=None)
            return Keep(record=record, word="ours again", reason="it notifies Usher")
        if not differing:
            return None
        return self.conflict(f"someone else put a hook of this name, which differs in {', '.join(differing)}")

    def _is_ours(self, live: HookSettings) -> bool:
        """A put that was only begun makes nothing ours but what looks like it."""
        record = self.record
        return record is not None and (record.put_at is not None or record.may_have_put(live))

    def _why_absent(self) -> str:
        if self.record is None:
            return "the configuration selects the group"
        return "its put was begun" if self.record.put_at is None else "someone else removed it"

    def _why_again(self, wish: Wish, live: HookSettings) -> str:
        """Why to put a hook that stands already; empty where all is well."""
        differing = ", ".join(wish.settings.differences(live))
        is_known = self.record is not None and self.record.settings == wish.settings
        if differing:
            return f"{'someone else' if is_known else 'the configuration'} changed {differing}"
        if is_known and self.record is not None and self.record.is_noted:
            return ""
        return "that it stands as it should was not noted"

    def _seen(self) -> Keep | None:
        record = self.record
        if record is None or (record.seen_at is not None and self.now - record.seen_at < _SEEN_AGAIN):
            return None
        return Keep(record=replace(record, seen_at=self.now), word="", reason="it stands")

    def leaving(self, record: Enrolled) -> Step | None:
        """The step for a hook that is on its way out; its deletion is the pass's own business."""
        if self.live is None:
            return Forget(record=record, reason="it is gone")
        if self.wanted.is_of(record, self.live):
            return None
        if record.put_at is None:
            return Forget(record=record, reason="its put was begun, and what stands there is someone else's")
        return self.conflict("on its way out, but someone else changed it: remove it by hand")

    def conflict(self, reason: str) -> Conflict:
        """Nothing to be done by Usher."""
        return Conflict(group=self.group.name, hook=self.hook, reason=reason)

    def _put(self, wish: Wish, reason: str) -> Put:
        return Put(record=self._item(wish), reason=reason)

    def _item(self, wish: Wish) -> Enrolled:
        """The item as it is before the put."""
        known = self.record or Enrolled(
            group=self.group.name,
            group_arn=self.group.arn,
            hook=self.hook,
            settings=wish.settings,
            source=source_of(wish.hook),
        )
        return replace(
            known.taken_back(),
            settings=wish.settings,
            source=source_of(wish.hook),
            before=self.live,
            former=known.formers(self.now),
        )


def let_through(
    wanted: Wanted,
    group: GroupSeen,
    live: Mapping[str, HookSettings],
    enrolled: Iterable[Enrolled],
    now: datetime,
) -> Iterator[Enrolled]:
    """The items of hooks on their way out in whose place everything stands by now.

    Where the group has no room for what is to come, it waits for nothing.
    """
    records = {record.hook: record for record in enrolled}
    for record in records.values():
        if not record.is_retiring or record.let_through_from is not None:
            continue
        wishes = [wish for wish in _successors(record, wanted.on(group)) if isinstance(wish, Wish)]
        names = [wish.hook.name for wish in wishes]
        stand = [name for name in names if _stands(record, live.get(name), records.get(name))]
        if len(stand) < len(names) and len(live) < MOST_HOOKS_OF_A_GROUP:
            continue
        answered = [records[name].put_at for name in stand if name in records]
        latest = max([record.retiring_since or now, *(at for at in answered if at is not None)])
        yield replace(record, let_through_from=latest + GRACE)


def departing(
    wanted: Wanted, group: GroupSeen, live: Mapping[str, HookSettings], enrolled: Iterable[Enrolled]
) -> list[Enrolled]:
    """The items whose hooks may be deleted as soon as nobody waits in them.

    One that is asked for again, while a delete may be on its way, is not.
    """
    on_group = wanted.on(group)
    return [
        record
        for record in enrolled
        if record.is_retiring
        and record.let_through_from is not None
        and not _is_asked_for(record, on_group.get(record.hook))
        and (settings := live.get(record.hook)) is not None
        and wanted.is_of(record, settings)
    ]


def _is_asked_for(record: Enrolled, asked: Asked) -> bool:
    return isinstance(asked, Wish) and asked.settings.transition is record.settings.transition


def _stands(leaving: Enrolled, live: HookSettings | None, record: Enrolled | None) -> bool:
    """Whether the hook in place of another stands; one of ours counts once its put is known to be done."""
    if live is None or live.transition is not leaving.settings.transition:
        return False
    return record is None or record.is_noted
