"""Takes a hook that is on its way out off its group, once nobody waits in it.

Deleting a launch hook abandons what waits in it (aws-facts 1.1). So nobody may wait, or be on the way
to it, in two reads with some time between them, and the delete follows the second one at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher.core import wait_moves
from usher.core.frozen import frozen
from usher.ports.errors import GroupGone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.hook_items import Enrolled
    from usher.ports.autoscaling import HookCalls, LiveMembers
    from usher.ports.hooks import Enrolments
    from usher.ports.records import OpenActions

    NextSlot = Callable[[], datetime]

APART: Final = timedelta(seconds=15)  # of the two reads: state reads lag (aws-facts 9.6)
SENT_WITHIN: Final = timedelta(seconds=3)  # of the second read, or not at all
_CALLS: Final = 3  # the group, its warm pool, the delete


class Retirement(StrEnum):
    """What came of a step."""

    BUSY = "busy"  # somebody waits, or is on the way
    QUIET = "quiet"  # nobody does; it is read once more
    LATE = "late"  # too long ago by now: the delete was not sent
    DELETED = "deleted"


@frozen
class Departure:
    """Everything that a step touches."""

    hooks: HookCalls
    live: LiveMembers
    items: Enrolments
    open_actions: OpenActions
    clock: Callable[[], datetime]

    def step(self, record: Enrolled, next_slot: NextSlot) -> Retirement:
        """The first read, or the second with the delete.

        Raises what the calls on hooks and items raise, and what `next_slot` does.
        """
        if record.quiet_at is None:
            return self._first_read(record, next_slot)
        if self.clock() - record.quiet_at < APART:
            return Retirement.QUIET
        return self._delete(record, next_slot)

    def _first_read(self, record: Enrolled, next_slot: NextSlot) -> Retirement:
        if self._is_in_use(record) or waiting(self.live, record, next_slot):
            return Retirement.BUSY
        self.items.keep(replace(record, quiet_at=self.clock()))
        return Retirement.QUIET

    def _delete(self, record: Enrolled, next_slot: NextSlot) -> Retirement:
        """The slots of its calls are booked, and the delete is announced, before the second read."""
        if self._is_in_use(record):
            self.items.keep(replace(record, quiet_at=None))
            return Retirement.BUSY
        booked = [next_slot() for _ in range(_CALLS)]

        def next_page_slot() -> datetime:
            """A further page of a warm pool takes a slot of its own."""
            return next_slot() if not booked else max(booked.pop(), self.clock())

        announced = self.items.keep(replace(record, deleting_at=self.clock()))
        read_at = self.clock()
        # A file that has the hook again may hold in it until the delete is announced.
        is_busy = self._is_in_use(record) or waiting(self.live, record, next_page_slot) > 0
        is_late = self.clock() - read_at > SENT_WITHIN
        if is_busy or is_late:
            self.items.keep(replace(announced, deleting_at=None, quiet_at=None))
            return Retirement.BUSY if is_busy else Retirement.LATE
        self.hooks.delete_hook(announced)
        self.items.forget(announced)
        return Retirement.DELETED

    def _is_in_use(self, record: Enrolled) -> bool:
        """A notice may be quicker than the live state."""
        return record.key in self.open_actions.hooks_in_use()


def waiting(live: LiveMembers, record: Enrolled, next_slot: NextSlot) -> int:
    """How many of a hook's transition wait in its group and warm pool, or are on their way to.

    Raises GroupGone, and what LiveMembers raises.
    """
    for group in live.live_groups([record.group], next_slot):
        if group.arn == record.group_arn:
            members = list(group.members.values())
            if group.has_pool:
                members += live.pool(group.name, next_slot)
            return sum(wait_moves.may_wait(member.state, record.settings.transition) for member in members)
    raise GroupGone(f"group {record.group} no longer exists")
