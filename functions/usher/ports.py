"""What the looks, the intake and the enrolment need of the world, in their own words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher.core.enrolment import Enrolled, GroupSeen, HookSeen
    from usher.core.model import Action, Entry, MoveEnd, Result, Signal
    from usher.core.notices import TestNotice


class Moved(Exception):  # noqa: N818 - it reads as what happened
    """Someone else stored a newer state of the action: load it, and look again."""


class Unavailable(Exception):  # noqa: N818 - it reads as what happened
    """A store or queue did not do what it was asked, and may later: ask for redelivery."""


class TryLater(Exception):  # noqa: N818 - it reads as what happened
    """Auto Scaling is busy or was not reached: leave it alone until the next run."""


class CallRefused(Exception):  # noqa: N818 - it reads as what happened
    """Auto Scaling says no, and will say so again until someone changes something."""


class GroupGone(Exception):  # noqa: N818 - it reads as what happened
    """The group was deleted meanwhile."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """A notification as it came: what `usher export` writes out again."""

    received_at: datetime
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What was heard of an instance or a token, whether or not an action was known then."""

    signals: tuple[Signal, ...]
    move_ends: tuple[MoveEnd, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A row of the index by time of the next look."""

    action_id: str
    version: int
    look_at: datetime
    expires_at: datetime


class Records(Protocol):
    """The actions. Every store is whole or not at all, and durable when it returns."""

    def open(self, action: Action, raw: Raw) -> Action:
        """Store a new action; where its token is known already, return the stored one instead."""
        ...

    def load(self, action_id: str) -> Action | None:
        """The newest stored state."""
        ...

    def save(self, action: Action, *, spent: Sequence[Signal] = (), raw: Raw | None = None) -> None:
        """Store the state after `action.version - 1`, its new timeline lines, and what it spends.

        Raises Moved where the stored version is another one, unless this very store was applied
        before; and where a signal was spent by another action meanwhile. Stores nothing then.
        """
        ...


class Finding(Protocol):
    """Ways to an action other than its id."""

    def of_token(self, token: str) -> Action | None:
        """The action of that token."""
        ...

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """All recorded actions of that instance, oldest first."""
        ...

    def due(self, until: datetime) -> Iterable[Due]:
        """Every open action whose next look is at `until` or before; order is not promised."""
        ...

    def open_actions(self) -> int:
        """How many actions are not closed."""
        ...


class Hearsay(Protocol):
    """What is kept whether or not it belongs to an action that is known yet."""

    def keep_signal(self, signal: Signal) -> None:
        """Keep a signal for an hour. Keeping it twice is keeping it once."""
        ...

    def keep_move_end(self, move_end: MoveEnd) -> None:
        """Keep an outcome event for an hour. Keeping it twice is keeping it once."""
        ...

    def keep_test(self, test: TestNotice) -> None:
        """Keep a test message as evidence that its group reaches us."""
        ...

    def evidence(self, action: Action) -> Evidence:
        """The signals and outcome events of the action's instance and token.

        Signals that any action spent are left out: what they said stands in its record.
        """
        ...


class Store(Records, Finding, Hearsay, Protocol):
    """The whole table."""

    def timeline(self, action_id: str) -> Sequence[Entry]:
        """The lines of the action's timeline, oldest first."""
        ...

    def raws(self, action_id: str) -> Sequence[Raw]:
        """The notifications of the action as they came, oldest first; equal bodies once."""
        ...

    def tests(self, group: str) -> Sequence[TestNotice]:
        """The test messages kept of `group`, oldest first."""
        ...


class AnswerKind(StrEnum):
    """What Auto Scaling's answer to a call means for what comes next."""

    ACCEPTED = "accepted"
    NO_ACTIVE_ACTION = "no active action"  # ended, or not visible yet
    BUSY = "busy"  # throttled or contended: try again soon
    UNREACHED = "unreached"  # the call never got there: try again soon
    REFUSED = "refused"  # misconfigured: try again slowly
    UNANSWERED = "unanswered"  # applied or not, nobody knows


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer of Auto Scaling, with its own words."""

    kind: AnswerKind
    text: str


class AutoScaling(Protocol):
    """The calls on lifecycle actions. Each is one attempt, and never raises for what AWS says."""

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        ...

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        ...

    def waits(self, instance_id: str) -> bool | None:
        """Whether the instance is in a wait state now; None where nobody can say."""
        ...


class WakeUps(Protocol):
    """Delayed hints to look at an action."""

    def send(self, action_id: str, version: int, delay: timedelta) -> None:
        """Ask for a look after `delay` (to 900 s), void once the record has left `version`.

        Raises Unavailable where the queue does not take it.
        """
        ...


class DeadLetters(Protocol):
    """Where messages go that cannot be understood."""

    def put(self, body: str, reason: str) -> None:
        """Keep `body` with its `reason`. Raises Unavailable where the queue does not take it."""
        ...


class Telemetry(Protocol):
    """What the operators see: one log event per notice and per decision, and counts."""

    def took_in(self, kind: str, reason: str) -> None:
        """A message was understood as `kind` (lifecycle, duplicate, test, …, rejected)."""
        ...

    def decided(self, action: Action, decision: str, reason: str) -> None:
        """A look came to `decision`."""
        ...

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:
        """Add to a metric of the design's list."""
        ...

    def trouble(self, what: str, error: Exception) -> None:
        """Something failed that Usher will make up for."""
        ...


class EnrolmentTelemetry(Telemetry, Protocol):
    """What the operators see of the enrolment, too."""

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """A pass took a step (put, removed, forgot, conflict, …) for a hook on a group."""
        ...


class LiveGroups(Protocol):
    """The groups and hooks as they are now. Both may raise TryLater and CallRefused."""

    def groups(self) -> Sequence[GroupSeen]:
        """Every group of the account and region."""
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


class Enrolments(Protocol):
    """The records of the hooks that Usher put."""

    def enrolled(self) -> Sequence[Enrolled]:
        """All of them; the order is not promised."""
        ...

    def keep(self, record: Enrolled) -> Enrolled:
        """Store the state after `record.version`, for 400 days from now; return it as stored.

        Raises Moved where the stored version is another one, and stores nothing then.
        """
        ...

    def forget(self, record: Enrolled) -> None:
        """Drop the record. Raises Moved where the stored version is another one."""
        ...


class Allowance(Protocol):
    """How many hooks may still be put and removed in the hour (UTC) of a moment, over all runs."""

    def left(self, moment: datetime) -> int:
        """How many are left."""
        ...

    def take(self, moment: datetime) -> bool:
        """Take one, before the call that it is for; False where none is left."""
        ...

    def give_back(self, moment: datetime) -> None:
        """Give one back, whose call was refused and so changed nothing."""
        ...


class EnrolmentRecords(Enrolments, Allowance, Protocol):
    """What an enrolment pass keeps."""


class OpenActions(Protocol):
    """The open actions, as the Store has them."""

    def due(self, until: datetime) -> Iterable[Due]:
        """See Finding."""
        ...

    def load(self, action_id: str) -> Action | None:
        """See Records."""
        ...
