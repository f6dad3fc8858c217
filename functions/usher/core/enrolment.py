"""Which hooks to put, change and take back: every hook of the file, on every group that it selects.

What is whose stands in an item for each hook and group, which is stored before the hook is put. Only
what an item names is ever changed or deleted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.configuration import source_of
from usher.core.configuration.conflicts import MOST_HOOKS_OF_A_GROUP
from usher.core.enrolment_steps import Conflict, Forget, Keep, Put
from usher.core.frozen import frozen
from usher.core.hook_items import Enrolled, items_by_arn
from usher.core.round_robin import share
from usher.core.wanted_hooks import Obstacle, Wish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.enrolment_steps import Step
    from usher.core.hook_items import GroupSeen, HookSeen, HookSettings
    from usher.core.wanted_hooks import Asked, Wanted

# Each group that is looked into costs a call, out of what heartbeats need too (aws-facts 5).
MOST_UNSETTLED: Final = 20  # where something is to be put, changed, removed or complained of
MOST_SETTLED: Final = 10  # where all was well when last seen: the others have their turn later

_SEEN_AGAIN: Final = timedelta(hours=6)


@frozen
class Seen:
    """What a pass found: every group, every item, and the hooks of the groups it looked into."""

    groups: Sequence[GroupSeen]
    hooks: Mapping[str, Sequence[HookSeen]]
    enrolled: Sequence[Enrolled]


def to_look_into(
    wanted: Wanted, groups: Iterable[GroupSeen], enrolled: Iterable[Enrolled], turn: int
) -> tuple[str, ...]:
    """The groups whose hooks a pass should describe, those that lack a hook first.

    `turn` counts the passes, so that each has its turn, and none is always the last one.
    """
    records = items_by_arn(groups, enrolled)
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


def plan(wanted: Wanted, seen: Seen, now: datetime) -> tuple[Step, ...]:
    """What to do, in this order: what needs no call, new hooks, then changes."""
    records = items_by_arn(seen.groups, seen.enrolled)
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


@frozen
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
                return self.conflict(
                    "it exists for the other transition: delete it by hand once nothing waits in it"
                )
            if differing:
                return self._put(wish, f"it notifies Usher but differs in {', '.join(differing)}")
            record = replace(self._item(wish), put_at=self.now, seen_at=self.now, before=None)
            return Keep(record=record, word="reclaimed", reason="it notifies Usher")
        if not differing:
            return None
        return self.conflict(f"someone else put a hook of this name, which differs in {', '.join(differing)}")

    def _is_ours(self, live: HookSettings) -> bool:
        """A put that was only begun makes nothing ours but what looks like it."""
        record = self.record
        return record is not None and (record.put_at is not None or record.may_have_put(live))

    def _why_absent(self) -> str:
        if self.record is None:
            return "the hooks file selects the group"
        return "an earlier put was not finished" if self.record.put_at is None else "someone else removed it"

    def _why_again(self, wish: Wish, live: HookSettings) -> str:
        """Why to put a hook that stands already; empty where all is well."""
        differing = ", ".join(wish.settings.differences(live))
        is_known = self.record is not None and self.record.settings == wish.settings
        if differing:
            return f"{'someone else' if is_known else 'the hooks file'} changed {differing}"
        if is_known and self.record is not None and self.record.is_noted:
            return ""
        return "an earlier put was not recorded"

    def _seen(self) -> Keep | None:
        record = self.record
        if record is None or (record.seen_at is not None and self.now - record.seen_at < _SEEN_AGAIN):
            return None
        return Keep(record=replace(record, seen_at=self.now), word="", reason="it stands")

    def leaving(self, record: Enrolled) -> Step | None:
        """The step for a hook that is on its way out; its deletion is the pass's own business."""
        if self.live is None:
            return Forget(record=record, reason="it no longer exists")
        if self.wanted.is_of(record, self.live):
            return None
        if record.put_at is None:
            return Forget(
                record=record, reason="an earlier put was not finished, and the hook there is someone else's"
            )
        return self.conflict(
            "retiring, but someone else changed it: delete it by hand once nothing waits in it"
        )

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
