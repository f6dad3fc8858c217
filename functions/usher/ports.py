"""What the looks, the intake and the enrolment need of the world, in their own words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from usher.core.action import Action, ActivityEnd, Entry, Result, Signal
    from usher.core.conditions.probe import Call, Found, Later, Probe, Reply
    from usher.core.enrolment import Enrolled, FileInForce, GroupSeen, HookSeen
    from usher.core.evidence import Kept
    from usher.core.finding import Findings, Memory
    from usher.core.held_wait import HeldWait
    from usher.core.hook_timeouts import Described
    from usher.core.notifications import TestNotice
    from usher.core.reconcile import Activity, ForeignWait, LiveGroup, Member


class Moved(Exception):  # noqa: N818 - it reads as what happened
    """Someone else stored a newer state of the action: load it, and look again."""


class NotInForce(Exception):  # noqa: N818 - it reads as what happened
    """Another hooks file counts by now, or Usher goes: change no item, and call nothing."""


class Unavailable(Exception):  # noqa: N818 - it reads as what happened
    """A store or queue did not do what it was asked, and may later: ask for redelivery."""


class NoAnswer(Unavailable):
    """The table did not answer at all: another call would only wait as long."""


class Denied(Unavailable):
    """The table says no (a right, a key, credentials, no such table), until someone changes something."""


class CutShort(Unavailable):
    """The table went away in the middle of a look, which had got so far."""

    def __init__(self, text: str, *, beaten_at: datetime | None = None, decided: bool = False) -> None:
        super().__init__(text)
        self.beaten_at = beaten_at  # a heartbeat was sent then, and accepted
        self.decided = decided  # a result, which may be stored


class NotRecorded(Unavailable):
    """The table answers, and knows nothing yet of a wait that a wake-up was sent for."""


def is_denied(error: BaseException | None) -> bool:
    """Whether `error` is, or is of, what the table said no to."""
    return isinstance(error, Denied) or (error is not None and isinstance(error.__cause__, Denied))


class TryLater(Exception):  # noqa: N818 - it reads as what happened
    """Auto Scaling is busy or was not reached: leave it alone until the next run."""


class Throttled(TryLater):
    """Auto Scaling turned the call away: there were too many."""


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
    activity_ends: tuple[ActivityEnd, ...]
    instance_ended_at: datetime | None = None  # EC2 said that it ended the instance
    stopped_at: datetime | None = None  # of EC2's newest word on the instance, if that is: stopped
    paused: str | None = None  # who paused this hook, or all of them: look as in observe mode


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A row of the index by time of the next look."""

    action_id: str
    version: int
    look_at: datetime
    expires_at: datetime


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
        """Every open action whose next look is at `until` or before, once; order is not promised."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
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
        """Keep a signal for four days, in the place of an older one (hearing.order).

        Of one name and one addressee, token or instance, two are kept: what was done or failed last,
        and the last progress. One with both counts for its token, and by its instance for an action
        whose token is not known. Beyond hearing.MOST_NAMES of one addressee it is refused.
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
    """What a look asks of Auto Scaling."""

    def ongoing(self, action: Action) -> Activity | None:
        """The scaling activity of the action's instance that goes on, as far as it is found.

        May raise TryLater and CallRefused.
        """
        ...


WHATEVER: Final = 0  # in place of a version: look at an open action whatever it stands at, due or not


class WakeUps(Protocol):
    """Delayed hints to look at an action."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """Ask for a look after `delay` (to 900 s), void once the record has left `version`.

        That is a version, or the stamp of a state (Action.stands_at), or WHATEVER. By `wait` it can be
        held where the table does not answer then.

        Raises Unavailable where the queue does not take it.
        """
        ...


class Questions(Protocol):
    """Delayed requests to ask what the conditions of an action want to know."""

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """Ask after `delay` (to 900 s), unless another turn stands by then.

        Raises Unavailable where the queue does not take it.
        """
        ...


class DeadLetters(Protocol):
    """Where messages go that cannot be understood."""

    def put(self, body: str, reason: str) -> None:
        """Keep `body` with its `reason`. Raises Unavailable where the queue does not take it."""
        ...


class Budget(Protocol):
    """The calls that Auto Scaling accepts of this account, second by second, over all functions.

    All moments are rounded down to the seconds that are booked.
    """

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """Book one call in the latest second with room from `best` back to `first`.

        Where there is none, in the earliest one after `best`, up to `last`. None: all are full.
        The second is returned by its beginning.
        """
        ...

    def give_back(self, booked: datetime) -> None:
        """Give back a booked second whose call is not made."""
        ...

    def throttled(self, now: datetime) -> None:
        """Auto Scaling turned a call away: book less for a while."""
        ...


class ResultLimits(Protocol):
    """How many results the hooks with `limits` sent lately."""

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """Count the result of an action on `limit`, at most `most` in any `within`; once per action.

        One that asks again counts from then. None: it may be sent. Else when the next one may be.
        """
        ...


class Probing(Protocol):
    """Asks AWS what a condition wants to know."""

    def probe(
        self,
        probe: Probe,
        action: Action,
        memory: Memory,
        until: datetime,
        before_start: Callable[[Memory], None],
    ) -> Found | Later:
        """What is found of `probe` for `action`; or when to ask, where it cannot be asked yet.

        No call begins that could last beyond `until`.

        `before_start` makes the memory durable that a call needs which changes something.
        """
        ...


class Calls(Protocol):
    """Calls on AWS services other than Auto Scaling."""

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        """Make one attempt, for `members` where a shared call takes a list. Never raises for AWS errors."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedAnswer:
    """An answer that serves many actions: what it says of each member, and when it was taken."""

    taken_at: datetime  # just before the call was sent
    members: Mapping[str, Any]
    refusal: tuple[str, str] | None = None  # code and text, where AWS said no to all of them


class SharedAnswers(Protocol):
    """The answers that actions share, whoever asks."""

    def newest(self, question: str) -> SharedAnswer | None:
        """The newest answer to `question`."""
        ...

    def enlist(self, question: str, member: str, now: datetime) -> None:
        """Let the next call be made for `member` too, for some minutes from `now`."""
        ...

    def enlisted(self, question: str, now: datetime) -> Sequence[str]:
        """All members that the next call is to be made for, sorted."""
        ...

    def lease(self, question: str, now: datetime, every: timedelta) -> bool:
        """Whether the caller is the one to ask now: nobody else was in the last `every`."""
        ...

    def keep(self, question: str, answer: SharedAnswer) -> None:
        """Keep a newer answer. One that is too large is not kept (Unavailable)."""
        ...


class Telemetry(Protocol):
    """What the operators see: one log event per notice and per decision, and counts."""

    def message_handled(self, kind: str, reason: str) -> None:
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

    def groups(self, turn: Callable[[], object] = lambda: None) -> Sequence[GroupSeen]:
        """Every group of the account and region. Before each call `turn` is taken."""
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


class HookItems(Protocol):
    """The items of hooks, as the intake asks for them."""

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """Those of one hook of one name of a group, as they are now; of earlier groups of it, too."""
        ...


class AllHookItems(HookItems, Protocol):
    """The items of hooks, as the passes ask for them."""

    def enrolled(self) -> Sequence[Enrolled]:
        """All of them; the order is not promised."""
        ...


class Enrolments(AllHookItems, Protocol):
    """The items of the hooks that Usher put, one for each hook and group."""

    def keep(self, record: Enrolled) -> Enrolled:
        """Store the state after `record.version`, for 400 days from now; return it as stored.

        Raises Moved where the stored version is another one, and NotInForce where the writer's
        hooks file is not the one that counts; stores nothing then.
        """
        ...

    def forget(self, record: Enrolled) -> None:
        """Drop the item. Raises as `keep` does."""
        ...


class HooksFile(Protocol):
    """Which compiled hooks file counts."""

    def in_force(self) -> FileInForce | None:
        """The one that counts, as it is now; None: none was ever put in force."""
        ...

    def put_in_force(self, file: FileInForce) -> None:
        """Let this one count from now on."""
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


class EnrolmentRecords(Enrolments, HooksFile, Allowance, Protocol):
    """What an enrolment pass keeps."""


class OpenActions(Protocol):
    """The open actions, as the Store has them."""

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """How many open actions wait in each hook, by group and hook; also those that cannot be read."""
        ...


class LiveMembers(Protocol):
    """The instances of groups, in pages.

    Before each call `turn` is taken: it tells the time, or raises to end all of it. The calls may
    raise TryLater and CallRefused.
    """

    def live_groups(self, names: Collection[str] | None, turn: Callable[[], datetime]) -> Iterable[LiveGroup]:
        """The groups of these names that there are; None: every group of the account and region."""
        ...

    def pool(self, group: str, turn: Callable[[], datetime]) -> Sequence[Member]:
        """The instances of a group's warm pool, which are not among the group's. Raises GroupGone."""
        ...


class Activities(Protocol):
    """The scaling activities. The calls may raise TryLater and CallRefused."""

    def ongoing(
        self, group: str, instances: Collection[str], turn: Callable[[], datetime]
    ) -> Mapping[str, Activity]:
        """The newest activity that goes on of each of these instances, as far as it is found.

        `turn` as in LiveMembers. Raises GroupGone.
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


class LiveWaits(LiveMembers, Activities, HooksOf, Protocol):
    """What a reconcile pass asks of Auto Scaling."""


class InstanceStates(Protocol):
    """What EC2 says of instances. May raise TryLater and CallRefused."""

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """The state of each, e.g. `shutting-down`; one that EC2 does not know is left out."""
        ...


class ForeignWaits(Protocol):
    """The waits, by group, in which a hook is known to hold no action of ours."""

    def foreign_waits(self) -> Mapping[str, Collection[ForeignWait]]:
        """All that is kept."""
        ...

    def keep_foreign_waits(self, group: str, foreign_waits: Collection[ForeignWait]) -> None:
        """Keep these for a group, and no others of it."""
        ...


class ReconcileStore(Store, OpenActions, ForeignWaits, DescribedHooks, Protocol):
    """What a reconcile pass keeps and reads."""

    def is_readable(self, instance_id: str) -> bool:
        """Whether all records that `of_instance` would tell of can be read."""
        ...

    def all_open(self) -> Iterable[Action]:
        """Every open action; one that was stored a moment ago may be missing.

        One of a newer release, which this one cannot read, is left out: its own looks tell of it.
        """
        ...
