"""The values that everything else speaks of: the lifecycle action, its signals, its timeline."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from usher.core import deadlines
from usher.core.frozen import frozen, replace
from usher.core.limits import Limits

if TYPE_CHECKING:
    from usher.core.finding import Finding
    from usher.core.policy import Policy


class Result(StrEnum):
    """LifecycleActionResult of CompleteLifecycleAction."""

    CONTINUE = "CONTINUE"
    ABANDON = "ABANDON"


class Transition(StrEnum):
    """What a hook holds: an instance on its way in, or on its way out."""

    LAUNCHING = "launching"
    TERMINATING = "terminating"


class Phase(StrEnum):
    """Where Usher stands with an action. `completing`: a result is decided and may have been sent."""

    OPEN = "open"
    COMPLETING = "completing"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a closed action ended."""

    COMPLETED = "completed"  # Usher sent the result
    ENDED_ELSEWHERE = "ended_elsewhere"  # someone else did, or AWS before the message came
    DEFAULTED = "defaulted"  # the wait ran out under Usher's eyes: promise 3 broken


class Status(StrEnum):
    """What a signal says of the work it names."""

    DONE = "done"
    FAILED = "failed"
    PROGRESS = "progress"


def require_aware(field: str, moment: datetime | None) -> None:
    """Refuse a datetime without a time zone: it would compare with others by accident only."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{field} must carry a time zone, got {moment.isoformat()}")


@frozen
class Signal:
    """A word from the workload or an operator, named by `event_id`, sent at `at` (whole seconds)."""

    event_id: str
    at: datetime
    name: str
    status: Status
    instance_id: str | None = None
    token: str | None = None
    message: str = ""

    def __post_init__(self) -> None:
        require_aware("at", self.at)
        if self.instance_id is None and self.token is None:
            raise ValueError("a signal names an instance_id or a token, got neither")


@frozen
class ActivityEnd:
    """An outcome event: Auto Scaling says that it ended one move of one instance."""

    activity_id: str
    group: str
    instance_id: str
    transition: Transition
    origin: str | None
    destination: str | None
    started_at: datetime | None  # of the scaling activity: the hook's wait begins seconds later
    ended_at: datetime
    detail: str  # e.g. "EC2 Instance Launch Successful"
    succeeded: bool = True
    is_event: bool = True  # else Usher's own reckoning, from a newer action or from the live state
    is_inferred: bool = False  # the live state does not show the wait, which proves nothing

    def __post_init__(self) -> None:
        require_aware("started_at", self.started_at)
        require_aware("ended_at", self.ended_at)


class Code(StrEnum):
    """What a line says that a program asks for: no part reads the sentence of another."""

    HELD_BY_LIMIT = "held_by_limit"
    HEARTBEAT_ACCEPTED = "heartbeat_accepted"
    RESULT_ACCEPTED = "result_accepted"


@frozen
class Entry:
    """One line of an action's timeline. Equal consecutive entries are one, counted."""

    number: int
    at: datetime
    event: str
    detail: str
    last_at: datetime
    count: int = 1
    code: str = ""  # a Code, or one that a newer release knows


@frozen
class HookTerms:
    """The settings of a hook under which an action began, and under which it is finished."""

    name: str
    group: str  # the action's own group, never a glob
    transition: Transition
    heartbeat_timeout: timedelta
    default_result: Result
    limits: Limits = Limits()
    limited_with: str = ""  # the groups of the hook as the hooks file has them, which share its limits


@frozen
class OperatorNote:
    """An operator's word on an action: who gave it (the caller's ARN), when, and why."""

    who: str
    at: datetime
    reason: str

    def __post_init__(self) -> None:
        require_aware("at", self.at)


MOST_LINES: Final = 2000  # of a timeline, before it leaves out what is said between the calls
MOST_DETAIL: Final = 1000  # characters of a line, or of a reason
MOST_RECENT: Final = 12  # lines that the record holds itself, so that most stores are one write
MOST_RECENT_LETTERS: Final = 4000
_CHATTER: Final = ("wait", "signal")

_VERSION_BITS: Final = 32

_MOMENTS: Final = (
    "started_at",
    "first_seen_at",
    "evaluate_at",
    "closed_at",
    "beaten_at",
    "signals_since",
    "progress_at",
    "booked_at",
    "instance_ended_at",
    "stopped_at",
    "extended_to",
    "limit_at",
    "began_at",
    "backup_at",
)
_moments_of: Final = attrgetter(*_MOMENTS)
_detail_of: Final = attrgetter("detail")


@frozen
class Action:
    """One lifecycle action: one instance, one hook, one transition; and what Usher knows of it.

    `version` counts the stored states. `evaluation_id` names the evaluation that stored the present one, so
    that a store whose answer was lost knows its own success.
    """

    id: str
    token: str | None  # None: adopted, known by instance and hook alone
    instance_id: str
    hook: HookTerms
    policy: Policy
    origin: str | None
    destination: str | None
    started_at: datetime
    first_seen_at: datetime
    evaluate_at: datetime | None  # None: closed, nothing is due
    version: int = 1
    evaluation_id: str = ""
    phase: Phase = Phase.OPEN
    result: Result | None = None
    outcome: Outcome | None = None
    reason: str = ""
    closed_at: datetime | None = None
    heartbeats: int = 0
    beaten_at: datetime | None = None  # just before the last accepted heartbeat was sent
    completes_sent: tuple[datetime, ...] = ()  # of our Completes those that nothing proves to have failed
    received_by: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()  # the last of each name that counted for this action
    signals_since: datetime | None = None  # those by instance; None: a minute before the start
    progress_at: datetime | None = None  # the last signal that counted, whatever it said
    activity_end: ActivityEnd | None = None  # the newest outcome event that fits
    findings: tuple[
        Finding, ...
    ] = ()  # what was last found, by condition: kept apart, filled in by an evaluation
    booked_at: datetime | None = None  # the slot that is booked for its next Auto Scaling call
    instance_ended_at: datetime | None = None  # EC2 has ended the instance: there is nothing to hold
    stopped_at: datetime | None = None  # EC2's newest word when last asked, if that was: stopped
    # An operator's hold: no result before `operator_result_by`, or the last moment.
    operator_hold: OperatorNote | None = None
    extended_to: datetime | None = None  # an operator's, in place of the policy's give_up_after
    operator_result_by: OperatorNote | None = None  # an operator's `complete`; see operator_result
    operator_result: Result | None = None
    activity_id: str | None = None  # of the scaling activity, where it was adopted
    paused_by: str | None = None  # who had it paused when last asked, unless that ended in time
    is_proven: bool = False  # Auto Scaling itself accepted our result: there is no doubt that it is over
    decided: tuple[Result, str] | None = None  # what it was closed without having sent for sure, and why
    if_launch_failed: Policy | None = None  # the policy of a termination after a launch that failed
    limit_at: datetime | None = None  # the global timeout, where it does not follow from the start
    timeout_assumed: bool = False  # nobody has seen yet with what timeout its hook stands
    let_through: bool = False  # it began in a hook on its way out, after what replaces that stood
    wakes_as: int | None = None  # the stamp whose wake-ups count for this state, which sent none of its own
    backup_at: datetime | None = None  # when the last wake-up comes that was sent to make up for a crash
    heartbeats_told: tuple[tuple[str, int], ...] = ()  # by chain without the table: the heartbeats known here
    metadata: str | None = None  # the hook's NotificationMetadata, as it began
    began_at: datetime | None = None  # its `until`, where its hook lets only some begin `at_once`
    behind: tuple[str, ...] = ()  # the instances that it lets go first: filled in by an evaluation
    last_entry: Entry | None = None
    recent: tuple[Entry, ...] = ()  # its last lines: those that the record holds, and new ones

    def __post_init__(self) -> None:
        for field, moment in zip(_MOMENTS, _moments_of(self), strict=True):
            if moment is not None and moment.tzinfo is None:
                require_aware(field, moment)
        for sent_at in self.completes_sent:
            require_aware("completes_sent", sent_at)
        if (self.phase is Phase.CLOSED) != (self.evaluate_at is None):
            raise ValueError(
                f"evaluate_at is absent exactly when closed, got {self.phase} and {self.evaluate_at}"
            )
        if self.phase is Phase.COMPLETING and self.result is None:
            raise ValueError("result must be set while completing, got None")

    @property
    def ends_at(self) -> datetime:
        """When the global timeout ends the wait, whatever heartbeats were sent."""
        return self.limit_at or self.started_at + deadlines.global_timeout(self.hook.heartbeat_timeout)

    @property
    def expires_at(self) -> datetime:
        """When the default result falls, unless a heartbeat is accepted before.

        A heartbeat restarts the period, it does not add to it (aws-facts 2.1).
        """
        since = self.started_at if self.beaten_at is None else self.beaten_at
        return min(since + self.hook.heartbeat_timeout, self.ends_at)

    @property
    def heartbeat_by(self) -> datetime:
        """What its heartbeats keep to: the expiry, or, until it is known, that of the shortest timeout."""
        if not self.timeout_assumed:
            return self.expires_at
        since = self.started_at if self.beaten_at is None else self.beaten_at
        return min(since + deadlines.SHORTEST_HEARTBEAT_TIMEOUT, self.expires_at)

    @property
    def give_up_at(self) -> datetime:
        """When the policy's patience ends, or what an operator made of it; always before `ends_at`."""
        timeout, patience = self.hook.heartbeat_timeout, self.policy.give_up_after
        if self.extended_to is not None:
            return min(self.extended_to, self.decide_by)
        if self.awaits_turn or (self.limit_at is not None and patience is None):
            return self.decide_by
        return min(self.patient_from + deadlines.patience(timeout, patience), self.decide_by)

    @property
    def awaits_turn(self) -> bool:
        """Whether it may not begin its `until` yet, because of the `at_once` of its hook."""
        return self.hook.limits.at_once is not None and self.policy.takes_turns and self.began_at is None

    @property
    def patient_from(self) -> datetime:
        """From when the patience of its policy counts: the begin of its `until`."""
        return self.began_at or self.started_at

    @property
    def decide_by(self) -> datetime:
        """The last moment at which Usher, and not the global timeout, ends the wait."""
        return self.ends_at - deadlines.usual_margin(self.hook.heartbeat_timeout)

    @property
    def stamp(self) -> int:
        """Names this very state: the version, and in the bits above it the evaluation that stored it.

        Of several evaluations at one version only one stores the next. What the others asked for in its
        name must not count, or each of them would find followers of its own.
        """
        return zlib.crc32(self.evaluation_id.encode()) << _VERSION_BITS | self.version

    def stands_at(self, stamp: int) -> bool:
        """Whether this is the state that `stamp` names, or, where it names no evaluation, the version."""
        return stamp in (self.stamp, self.version, self.wakes_as)

    @property
    def is_open(self) -> bool:
        """Whether the action still waits for Usher."""
        return self.phase is not Phase.CLOSED

    def noted(self, at: datetime, event: str, detail: str, code: str = "") -> Action:
        """The action with one more line in its timeline; a repetition counts on the last line.

        Two days of answers that change each time would be more than anyone reads: after
        MOST_LINES only what is called and decided is noted.
        """
        detail = shortened(detail)
        last = self.last_entry
        if last is not None and last.number >= MOST_LINES and event in _CHATTER:
            return self
        if last is not None and (last.event, last.detail) == (event, detail):
            entry = replace(last, last_at=at, count=last.count + 1, code=code)
        else:
            number = last.number + 1 if last else 1
            entry = Entry(number=number, at=at, event=event, detail=detail, last_at=at, code=code)
        kept = tuple(line for line in self.recent if line.number != entry.number)
        return replace(self, last_entry=entry, recent=(*kept, entry))

    @property
    def has_full_lines(self) -> bool:
        """Whether its last lines are more than a record holds: stored, they become items of their own."""
        letters = sum(map(len, map(_detail_of, self.recent)))
        return len(self.recent) > MOST_RECENT or letters > MOST_RECENT_LETTERS

    @property
    def as_stored(self) -> Action:
        """The action as it is read once it is stored."""
        return replace(self, recent=()) if self.has_full_lines else self


def shortened(text: str) -> str:
    """`text` with at most MOST_DETAIL characters."""
    return text if len(text) <= MOST_DETAIL else f"{text[: MOST_DETAIL - 1]}…"
