"""When a hook on its way out lets through what comes, and when it may be deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core.configuration.conflicts import MOST_HOOKS_OF_A_GROUP
from usher.core.hook_items import GRACE
from usher.core.wanted_hooks import Wish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from usher.core.hook_items import Enrolled, GroupSeen, HookSettings
    from usher.core.wanted_hooks import Asked, Wanted


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
        names = [wish.hook.name for wish in wanted.successors(record, group)]
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

    One that is asked for again, while a delete may be on its way, is not; nor one that the file has
    again by its tags, and that holds by it.
    """
    on_group = wanted.on(group)
    return [
        record
        for record in enrolled
        if record.is_retiring
        and record.let_through_from is not None
        and not _is_asked_for(record, on_group.get(record.hook))
        and not (record.is_out_of_file and wanted.has_by_tags(record))
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
