"""What is seen of groups and of the instances that wait in them, and which waits no record tells of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.frozen import frozen
from usher.core.policy import Move
from usher.core.wait_moves import moves_of, waits_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.open_waits import OpenWaits
    from usher.core.ownership import Terms
    from usher.core.policy import Hook, Policy
    from usher.core.wait_moves import WaitMove

SETTLED: Final = timedelta(seconds=15)  # state reads lag (aws-facts 9.6), and clocks differ
ON_ITS_WAY: Final = timedelta(seconds=60)  # so long a notification may take before it counts as lost
EVENT_TIMES_DIFFER: Final = timedelta(seconds=2)  # they are whole seconds
_LAUNCH_FAILED: Final = "in response to a launch failure"  # in a Cause (aws-facts 2.2)

ForeignWait: TypeAlias = "tuple[str, str, str]"  # instance, hook, and what names the wait


@frozen
class Member:
    """An instance of a group or its warm pool, as it is described."""

    instance_id: str
    state: str
    is_healthy: bool

    @property
    def is_retained(self) -> bool:
        """Whether a failed termination has kept it, outside of the capacity (aws-facts 2.7)."""
        return self.state.endswith(":Retained")


@frozen
class LiveGroup:
    """A group as it was described by a call that was sent at `seen_at`."""

    name: str
    tags: tuple[tuple[str, str], ...]
    members: Mapping[str, Member]  # by instance id
    has_pool: bool
    seen_at: datetime
    is_whole: bool  # False: it has a warm pool whose members are not among these
    arn: str = ""

    def with_pool(self, pool: Iterable[Member]) -> LiveGroup:
        """The group with the members of its warm pool."""
        warm = {member.instance_id: member for member in pool}
        return replace(self, members={**self.members, **warm}, is_whole=True)


@frozen
class Activity:
    """A scaling activity that goes on, of one instance."""

    id: str
    instance_id: str
    started_at: datetime
    description: str
    cause: str


@frozen
class UnrecordedWait:
    """An instance that waits, and a hook of the configuration that may hold it, without a record."""

    group: str
    member: Member
    seen_at: datetime
    activity: Activity | None = None
    terms: Terms

    @property
    def hook(self) -> Hook:
        """The hook that may hold it."""
        return self.terms.hook

    @property
    def foreign_wait(self) -> ForeignWait:
        """What names it, as long as it waits: by its activity, or where none is found by its state."""
        wait = self.activity.id if self.activity else self.member.state
        return self.member.instance_id, self.hook.name, wait

    @property
    def moves(self) -> tuple[WaitMove, ...]:
        """The moves that it may be in."""
        found = moves_of(self.member.state, self.activity.description if self.activity else "")
        return tuple(move for move in found if move.transition is self.hook.transition)

    @property
    def move(self) -> Move:
        """What is known of its move: a place where there is one only."""
        launch_failed = self.activity is not None and _LAUNCH_FAILED in self.activity.cause
        return Move(
            group=self.group,
            transition=self.hook.transition,
            origin=_only({move.origin for move in self.moves}),
            destination=_only({move.destination for move in self.moves}),
            after="launch_failed" if launch_failed else None,
            metadata=self.terms.metadata,
        )

    @property
    def policy(self) -> Policy:
        """The policy by which it is held."""
        return self.hook.policy_for(self.move)

    def is_young(self, now: datetime) -> bool:
        """Whether its notification may still be on its way."""
        return self.activity is not None and now - self.activity.started_at < ON_ITS_WAY

    def may_be_over(self, now: datetime) -> bool:
        """Whether it may be in another wait by now: no activity names this one, and it was seen long ago."""
        return self.activity is None and now - self.seen_at > SETTLED

    def is_of_this_wait(self, action: Action) -> bool:
        """Whether `action`, be it closed, is what the instance waits in, or waited in beside another hook."""
        if (action.hook.group, action.hook.name) != (self.group, self.hook.name):
            return False
        if self.activity is None:
            ended_late = action.closed_at is not None and action.closed_at > self.seen_at - SETTLED
            return (action.is_open or ended_late) and waits_in(action, self.member.state)
        if action.activity_id is not None:
            return action.activity_id == self.activity.id
        return action.started_at >= self.activity.started_at - EVENT_TIMES_DIFFER


def hooks_on(hooks: Iterable[Hook], group: LiveGroup) -> dict[str, Hook]:
    """The hooks of the configuration on `group`, by name; one that names it goes before one by tags."""
    fitting = [hook for hook in hooks if hook.group.selects(group.name, group.tags)]
    return {hook.name: hook for hook in sorted(fitting, key=lambda hook: hook.group.glob is not None)}


def unrecorded(
    group: LiveGroup, ours: Iterable[Terms], open_waits: OpenWaits | None = None
) -> list[UnrecordedWait]:
    """What waits in `group`, by hook, and has no open record; without `open_waits` there are none."""
    return [
        UnrecordedWait(group=group.name, member=member, terms=terms, seen_at=group.seen_at)
        for member in group.members.values()
        for terms in ours
        if any(move.transition is terms.hook.transition for move in moves_of(member.state))
        and not (open_waits and open_waits.are_held(group.name, terms.hook.name, member))
    ]


def _only(places: set[str]) -> str | None:
    """The place, where there is one only."""
    return next(iter(places)) if len(places) == 1 else None
