"""What is kept of actions: records, evidence, findings, pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action, ActivityEnd, Entry, OperatorNote, Signal, Transition
    from usher.core.evidence import Kept
    from usher.core.finding import Findings
    from usher.core.hook_timeouts import Described
    from usher.core.live_waits import ForeignWait
    from usher.core.notifications import TestNotice
    from usher.core.wait_moves import WaitKind


@frozen
class Raw:
    """A notification as it came: what `usher export` writes out again."""

    received_at: datetime
    body: str


@frozen
class Evidence:
    """What was heard of an instance or a token, whether or not an action was known then."""

    signals: tuple[Signal, ...]
    activity_ends: tuple[ActivityEnd, ...]
    instance_ended_at: datetime | None = None  # EC2 said that it ended the instance
    stopped_at: datetime | None = None  # of EC2's newest word on the instance, if that is: stopped
    release: OperatorNote | None = None  # an operator's order: let the retained instance go
    paused: str | None = None  # who paused this hook, or all of them: evaluate as in observe mode


@frozen
class Due:
    """A row of the index by time of the next evaluation."""

    action_id: str
    evaluate_at: datetime  # or a moment before it: see usher.core.listing
    expires_at: datetime


@frozen
class OpenRow:
    """An open action as its row of the index has it: nothing of it is loaded."""

    action_id: str
    group: str
    hook: str
    instance_id: str
    expires_at: datetime
    wait: WaitKind | None  # None: this release cannot read it, so the record has to tell


@frozen
class ClosedRow:
    """A closed action as its row of the index has it: nothing of it is loaded."""

    action_id: str
    group: str
    hook: str
    transition: Transition | None  # None: one that only a newer release knows
    instance_id: str
    started_at: datetime
    closed_at: datetime
    outcome: str  # an Outcome, or what a newer release knows
    result: str | None  # the Result that Usher sent
    reason: str


class Records(Protocol):
    """The actions. Every store is whole or not at all, and durable when it returns."""

    def open(self, action: Action, raw: Raw | None) -> Action:
        """Store a new action; where its token or its id is known already, return the stored one instead.

        `raw` is absent where no notification came.
        """
        ...

    def load(self, action_id: str) -> Action | None:
        """The newest stored state."""
        ...

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """Store the state after `action.version - 1`, and its new timeline lines.

        Raises Moved where the stored version is another one, unless this very store was applied
        before. Stores nothing then.
        """
        ...

    def join(self, action: Action, raw: Raw) -> None:
        """Save a state in which an adopted action has got its token, and claim the token for it.

        Raises Moved as `save` does, and where the token is another action's; stores nothing then.
        """
        ...


MOST_OF_INSTANCE: Final = 60  # more than the 50 hooks of a group: no notice costs more for a long history


class ActionLookup(Protocol):
    """Ways to an action other than its id."""

    def of_token(self, token: str) -> Action | None:
        """The action of that token."""
        ...

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """The newest recorded actions of that instance, MOST_OF_INSTANCE of them, oldest first.

        One that cannot be read, since a newer release stored it, is left out.
        """
        ...

    def due(self, until: datetime) -> Iterable[Due]:
        """Every open action that is listed at `until` or before, once; order is not promised."""
        ...


@frozen
class Unasked:
    """A row of the index: an action whose turn of questions is left to the sweep."""

    action_id: str
    turn: int
    sweep_at: datetime


class FindingsKept(Protocol):
    """What was found of the conditions of an action: apart from its record, whose version it moves not."""

    def findings(self, action_id: str) -> Findings | None:
        """What is kept, as it is now. Of what a newer release stored at least the turn and its times."""
        ...

    def keep_findings(self, action: Action, findings: Findings) -> None:
        """Store the state after `findings.turn - 1`; before turn 1 there is none.

        Raises Moved where another turn is stored; stores nothing then.
        """
        ...

    def unasked(self, until: datetime) -> Iterable[Unasked]:
        """Every turn that is the sweep's business at `until` or before; order is not promised."""
        ...

    def put_off(self, action_id: str, turn: int, until: datetime) -> bool:
        """Make a turn the sweep's business at `until`; False where another turn stands."""
        ...


class EvidenceStore(Protocol):
    """What is kept whether or not it belongs to an action that is known yet."""

    def keep_signal(self, signal: Signal) -> Kept:
        """Keep a signal for four days, in the place of an older one (evidence.order).

        Of one name and one addressee, token or instance, two are kept: what was done or failed last,
        and the last progress. One with both counts for its token, and by its instance for an action
        whose token is not known. Beyond evidence.MOST_NAMES of one addressee it is refused.
        """
        ...

    def keep_move_end(self, activity_end: ActivityEnd) -> None:
        """Keep an outcome event for an hour. Keeping it twice is keeping it once."""
        ...

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """Keep that EC2 ended an instance, for four days: an action of it may begin later."""
        ...

    def keep_instance_state(self, instance_id: str, at: datetime, *, is_stopped: bool) -> None:
        """Keep EC2's newest word on whether an instance is stopped; nothing of one never known as such."""
        ...

    def keep_release(self, instance_id: str, order: OperatorNote) -> None:
        """Keep an operator's order for four days: its next termination continues. The newest one counts."""
        ...

    def keep_test(self, test: TestNotice) -> None:
        """Keep a test message as evidence that its group reaches us."""
        ...

    def keep_heard(self, group: str, now: datetime) -> None:
        """Keep that a lifecycle message of `group` came, as evidence in one place; at most once a day."""
        ...

    def evidence(self, action: Action) -> Evidence:
        """The signals and outcome events of the action's instance and token.

        And whether EC2 ended the instance, and whether an operator paused the action's hook.
        """
        ...


ALL_HOOKS: Final = "*"


class Pauses(Protocol):
    """What operators paused, by hook; ALL_HOOKS is all of them."""

    def pause(self, hook: str, by: str) -> None:
        """Call nothing for a hook, until `resume`; `by` says who wants that, and why."""
        ...

    def resume(self, hook: str) -> None:
        """End a pause. It is no error where there is none."""
        ...

    def pauses(self) -> Mapping[str, str]:
        """Who paused what."""
        ...


class Store(Records, ActionLookup, FindingsKept, EvidenceStore, Pauses, Protocol):
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

    def reaches_us(self, group: str) -> bool:
        """Whether any evidence is kept that messages of `group` come: the last is 400 days old at most."""
        ...


class OpenActions(Protocol):
    """The open actions, as the index has them: what was stored a moment ago may be missing, or old."""

    def open_rows(self) -> Iterable[OpenRow]:
        """Every open action, read page by page as it is taken; order is not promised.

        One that moves in the index meanwhile may be told twice.
        """
        ...

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """How many open actions wait in each hook, by group and hook; also those that cannot be read."""
        ...


class ClosedActions(Protocol):
    """The closed actions, as the index has them."""

    def closed(self, since: datetime, until: datetime, page_size: int) -> Iterator[Sequence[ClosedRow]]:
        """What was closed from `since` to before `until`, the newest first, `page_size` at once.

        Each page is read when it is taken, so that a few cost little of very many. Left out is what
        a release closed that had no such index.
        """
        ...


class DescribedHooks(Protocol):
    """What DescribeLifecycleHooks showed of each group, for all functions."""

    def described(self, group: str) -> Described | None:
        """What was described last."""
        ...

    def keep_described(self, group: str, described: Described) -> None:
        """Keep it, unless something newer is kept."""
        ...

    def claim_describe(self, group: str, now: datetime) -> bool:
        """Whether the caller is the one to describe the group now: nobody else was in the last seconds."""
        ...


class ForeignWaits(Protocol):
    """The waits, by group, in which a hook is known to hold no action of ours."""

    def foreign_waits(self) -> Mapping[str, Collection[ForeignWait]]:
        """All that is kept."""
        ...

    def keep_foreign_waits(self, group: str, foreign_waits: Collection[ForeignWait]) -> None:
        """Keep these for a group, and no others of it."""
        ...


class RetainedInstances(Protocol):
    """The instances that a failed termination retains, by group, and when each was first seen."""

    def retained(self, group: str) -> Mapping[str, datetime] | None:
        """What is kept of a group; None where a newer release kept it, and this one cannot read it."""
        ...

    def keep_retained(self, group: str, first_seen: Mapping[str, datetime]) -> None:
        """Keep these, and no others of it; what is new in them is announced."""
        ...


class ReconcileStore(
    Store, OpenActions, ClosedActions, ForeignWaits, DescribedHooks, RetainedInstances, Protocol
):
    """What a reconcile pass keeps and reads."""

    def is_readable(self, instance_id: str) -> bool:
        """Whether all records that `of_instance` would tell of can be read."""
        ...

    def open_of(self, action_ids: Iterable[str]) -> Iterable[Action]:
        """Those of these actions that are open now, each once, read a hundred at once as they are taken.

        One of a newer release, which this one cannot read, is left out: its own evaluations tell of it.
        """
        ...
