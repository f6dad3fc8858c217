"""What becomes of the items of hooks: asked for, on their way out, not ours any more.

The list of groups and the configuration alone say so; no hook is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.configuration import source_of
from usher.core.enrolment_steps import Forget, Keep
from usher.core.hook_items import GRACE
from usher.core.wanted_hooks import Obstacle, Wish

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from usher.core.hook_items import Enrolled, GroupSeen
    from usher.core.wanted_hooks import Asked, Wanted

PASSES: Final = 3  # in a row in which a tag or a group was not found, before that is believed
_RENEWED_AFTER: Final = timedelta(days=100)  # of the 400 for which an item is kept
_WHY_RETIRED: Final = "the hooks file no longer selects it"
_NO_TAGS: Final = "the tags of the group no longer match"


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
        return Forget(record=record, reason="the group's own template now contains it")
    if isinstance(asked, Obstacle):
        return None
    if asked is not None and asked.settings.transition is record.settings.transition:
        return _asked_for(record, asked, now)
    has_by_tags = wanted.has_by_tags(record)
    if record.is_retiring:
        found = replace(record, missed=0, is_out_of_file=record.is_out_of_file and not has_by_tags)
        return Keep(record=found, word="", reason=_NO_TAGS) if found != record else None
    if asked is None and record.missed + 1 < PASSES and has_by_tags:
        return _missed(record, _NO_TAGS)
    reason = _WHY_RETIRED if asked is None else "the hooks file now has it for the other transition"
    retired = record.retired(now, None if wanted.successors(record, group) else now + GRACE)
    retired = replace(retired, is_out_of_file=not has_by_tags)
    return Keep(record=retired, word="retiring", reason=reason)


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
        return Keep(record=back, word="restored", reason="the hooks file selects it again")
    if record.source == source and not record.missed:
        return None
    return Keep(record=replace(record, source=source, missed=0), word="", reason="the file has changed")


def _renewed(record: Enrolled, now: datetime) -> Keep | None:
    """A hook may stand unchanged for years, and must not become a stranger's by TTL."""
    if record.kept_at is None or now - record.kept_at > _RENEWED_AFTER:
        return Keep(record=record, word="", reason="renewed")
    return None
