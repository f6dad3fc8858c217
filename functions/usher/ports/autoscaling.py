"""What Usher asks of Auto Scaling and EC2."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action, Result
    from usher.core.held_wait import HeldWait
    from usher.core.hook_items import Enrolled, GroupSeen, HookSeen
    from usher.core.live_waits import Activity, LiveGroup, Member


class AnswerKind(StrEnum):
    """What Auto Scaling's answer to a call means for what comes next."""

    ACCEPTED = "accepted"
    NO_ACTIVE_ACTION = "no active action"  # ended, or not visible yet
    BUSY = "busy"  # throttled or contended: try again soon
    UNREACHED = "unreached"  # the call never got there: try again soon
    REFUSED = "refused"  # misconfigured: try again slowly
    UNANSWERED = "unanswered"  # applied or not, nobody knows


@frozen
class Answer:
    """An answer of Auto Scaling, with its own words."""

    kind: AnswerKind
    text: str


class ActionCalls(Protocol):
    """The calls on lifecycle actions. Each is one attempt, and never raises for what AWS says."""

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        ...

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        ...


class Holds(Protocol):
    """The heartbeat for a wait that is known from a wake-up, or from the live state, alone."""

    def hold(self, wait: HeldWait) -> Answer:
        """RecordLifecycleActionHeartbeat, by its token, or where it has none by its instance."""
        ...


class AutoScaling(ActionCalls, Protocol):
    """What an evaluation asks of Auto Scaling."""

    def ongoing(self, action: Action) -> Activity | None:
        """The scaling activity of the action's instance that goes on, as far as it is found.

        May raise TryLater and CallRefused.
        """
        ...


class LiveGroups(Protocol):
    """The groups and hooks as they are now. Both may raise TryLater and CallRefused."""

    def groups(self, next_slot: Callable[[], object] = lambda: None) -> Sequence[GroupSeen]:
        """Every group of the account and region. Before each call `next_slot` is taken."""
        ...

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        """The hooks on one group. Raises GroupGone."""
        ...


class HookCalls(Protocol):
    """The calls on hooks. Both may raise TryLater, CallRefused and GroupGone."""

    def put_hook(self, record: Enrolled) -> None:
        """PutLifecycleHook, with the settings of the record."""
        ...

    def delete_hook(self, record: Enrolled) -> None:
        """DeleteLifecycleHook. One that is gone is deleted."""
        ...


class Groups(LiveGroups, HookCalls, Protocol):
    """What an enrolment pass asks of Auto Scaling."""


class LiveMembers(Protocol):
    """The instances of groups, in pages.

    Before each call `next_slot` is taken: it tells the time, or raises to end all of it. The calls may
    raise TryLater and CallRefused.
    """

    def live_groups(
        self, names: Collection[str] | None, next_slot: Callable[[], datetime]
    ) -> Iterable[LiveGroup]:
        """The groups of these names that there are; None: every group of the account and region."""
        ...

    def pool(self, group: str, next_slot: Callable[[], datetime]) -> Sequence[Member]:
        """The instances of a group's warm pool, which are not among the group's. Raises GroupGone."""
        ...


class Activities(Protocol):
    """The scaling activities. The calls may raise TryLater and CallRefused."""

    def ongoing(
        self, group: str, instances: Collection[str], next_slot: Callable[[], datetime]
    ) -> Mapping[str, Activity]:
        """The newest activity that goes on of each of these instances, as far as it is found.

        `next_slot` as in LiveMembers. Raises GroupGone.
        """
        ...

    def has_ended(self, activity_id: str) -> bool:
        """Whether that activity is over, or is not known any more."""
        ...


class HooksOf(Protocol):
    """The hooks of one group, as LiveGroups has them."""

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        """See LiveGroups."""
        ...


class LiveWaits(LiveMembers, Activities, HooksOf, Protocol):
    """What a reconcile pass asks of Auto Scaling."""


class InstanceStates(Protocol):
    """What EC2 says of instances. May raise TryLater and CallRefused."""

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """The state of each, e.g. `shutting-down`; one that EC2 does not know is left out."""
        ...
