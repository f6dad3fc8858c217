"""What a wake-up carries of a wait: enough for a heartbeat where the table does not answer (ADR 19)."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.core import deadlines
from usher.core.action import Phase
from usher.core.decide import beat_due
from usher.core.frozen import frozen
from usher.core.policy import Mode, Move

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.notifications import LifecycleNotice
    from usher.core.policy import Configuration

NEWS_AGAIN: Final = timedelta(minutes=10)  # what was beaten is carried on, until the table hears of it
NEWS_COUNTS: Final = timedelta(hours=6)  # and no longer, after the wait is over
UNKNOWN_FOR: Final = timedelta(minutes=30)  # so long a notice may not be recorded, though the table is read
_MOST_CHAINS: Final = 20  # that a record remembers
_LEAST_LEAD: Final = timedelta(seconds=1)


@frozen
class HeldWait:
    """A wait as a wake-up describes it: an open one, in which no result was decided.

    `chain` names the wake-up and all its successors. `beats` counts the heartbeats that were
    accepted in it without the table, the first of them at `first_at`.
    """

    group: str
    hook: str
    instance_id: str
    token: str | None
    timeout: timedelta
    timeout_assumed: bool  # nobody has seen yet with what timeout the hook stands: 30 s count
    due_at: datetime  # of its next heartbeat
    lead: timedelta  # how long before the expiry a heartbeat is due, unless a try failed
    expires_at: datetime
    ends_at: datetime
    chain: str
    beaten_at: datetime | None = None  # just before the last accepted heartbeat was sent, whoever sent it
    links: int = 0  # how many successors the chain has had
    beats: int = 0
    first_at: datetime | None = None
    is_over: bool = False  # Auto Scaling knows no such action any more: what is left is to tell of it
    is_recorded: bool = True
    missed_at: datetime | None = None  # when the table was first found to have no record of it

    @property
    def period(self) -> timedelta:
        """How long the wait lives after a heartbeat, as far as is known."""
        return deadlines.SHORTEST_HEARTBEAT_TIMEOUT if self.timeout_assumed else self.timeout

    def needs_beats(self, now: datetime) -> bool:
        """Whether a heartbeat can still extend it."""
        return not self.is_over and now < self.ends_at and self.expires_at < self.ends_at

    def wake_at(self, now: datetime) -> datetime | None:
        """When its next wake-up is due; None: there is nothing to hold, and nothing to tell."""
        if self.needs_beats(now):
            return self.due_at
        return now + NEWS_AGAIN if self.beats and now < self.ends_at + NEWS_COUNTS else None

    def beaten(self, at: datetime, *, here: bool = True) -> HeldWait:
        """After a heartbeat that was sent at `at` and accepted; `here`: it is to be told by this chain.

        The next one keeps its distance to the expiry, so that what was spread stays spread.
        """
        expires_at = min(at + self.period, self.ends_at)
        due_at = expires_at - min(max(self.lead, _LEAST_LEAD), self.period / 2)
        moved = replace(self, beaten_at=at, expires_at=expires_at, due_at=due_at)
        return replace(moved, beats=self.beats + 1, first_at=self.first_at or at) if here else moved

    def put_off(self, until: datetime) -> HeldWait:
        """To be tried again then."""
        return replace(self, due_at=until)

    def with_timeout(self, timeout: timedelta) -> HeldWait:
        """Under the timeout that stands on its group; the smaller one counts."""
        known = replace(self, timeout=min(timeout, self.timeout), timeout_assumed=False)
        expires_at = min(self.expires_at - self.period + known.period, self.ends_at)
        lead = deadlines.usual_margin(known.period) / (2 if is_second(self.chain) else 1)
        return replace(known, expires_at=expires_at, due_at=expires_at - lead, lead=lead)


def is_second(chain: str) -> bool:
    """Whether it is the one that beats closer to the expiry."""
    return chain.endswith("/2")


def held_wait(action: Action, number: int) -> HeldWait | None:
    """What the first or second wake-up of `action` carries; None: nothing is to be held by it."""
    due = beat_due(action)
    is_held = action.phase is Phase.OPEN and action.paused_by is None and action.policy.mode is Mode.ENFORCE
    if due is None or not is_held:
        return None
    expires_at = action.heartbeat_by
    if number > 1:
        due += max(timedelta(0), expires_at - due) / 2
    return HeldWait(
        group=action.hook.group,
        hook=action.hook.name,
        instance_id=action.instance_id,
        token=action.token,
        timeout=action.hook.heartbeat_timeout,
        timeout_assumed=action.timeout_assumed,
        due_at=due,
        lead=expires_at - due,
        expires_at=expires_at,
        ends_at=action.ends_at,
        chain=f"{action.stamp:x}/{number}",
        beaten_at=action.beaten_at,
    )


def first_waits(configuration: Configuration, notice: LifecycleNotice, now: datetime) -> list[HeldWait]:
    """What holds a notice that cannot be recorded, of a hook that the file names; two, as for a record.

    With what timeout its hook stands is not known. Of many that begin together the first heartbeats
    are spread over the time that 30 seconds leave. Tags are not known here: such a hook is ours
    where it notifies us. A copy on the bus is left out: the hook's own notice comes too, and hooks
    that notify by the bus alone are long enough for the sweep.
    """
    hook = configuration.hook(notice.hook, notice.group, notice.transition)
    if hook is None or notice.channel == "eventbridge":
        return []
    move = Move(
        group=notice.group,
        transition=notice.transition,
        origin=notice.origin,
        destination=notice.destination,
        metadata=notice.metadata,
    )
    if hook.policy_for(move).mode is not Mode.ENFORCE:
        return []
    started_at = min(notice.at, now)
    expires_at = started_at + deadlines.SHORTEST_HEARTBEAT_TIMEOUT
    lead = deadlines.usual_margin(deadlines.SHORTEST_HEARTBEAT_TIMEOUT)
    drawn = zlib.crc32(notice.token.encode()) / 2**32
    room = max(timedelta(0), expires_at - lead - now)
    wait = HeldWait(
        group=notice.group,
        hook=notice.hook,
        instance_id=notice.instance_id,
        token=notice.token,
        timeout=hook.heartbeat_timeout,
        timeout_assumed=True,
        due_at=now + room * drawn,
        lead=lead,
        expires_at=expires_at,
        ends_at=started_at + deadlines.global_timeout(hook.heartbeat_timeout),
        chain=f"{notice.token}/1",
        is_recorded=False,
    )
    second_at = max(now, expires_at - lead / 2)
    return [wait, replace(wait, due_at=second_at, lead=lead / 2, chain=f"{notice.token}/2")]


def is_of(wait: HeldWait, action: Action) -> bool:
    """Whether `action` is the record of a wait that is named by instance and hook alone."""
    if (action.instance_id, action.hook.group, action.hook.name) != (wait.instance_id, wait.group, wait.hook):
        return False
    at = wait.beaten_at
    has_begun = at is None or action.started_at <= at
    return has_begun and (action.closed_at is None or at is None or action.closed_at >= at)


def with_heartbeats(action: Action, wait: HeldWait, now: datetime) -> Action:
    """The record with what was beaten without the table; the same one where it knows all of it."""
    at = wait.beaten_at
    if at is None:
        return action
    known = dict(action.heartbeats_told)
    fresh = wait.beats - known.get(wait.chain, 0)
    is_newer = action.beaten_at is None or action.beaten_at < at
    is_unsettled = is_newer and not wait.beats and action.is_open  # a store failed after the call
    if fresh <= 0 and not is_unsettled:
        return action
    first = wait.first_at or at
    if wait.beats:
        many = f"{fresh} heartbeat{'s' if fresh > 1 else ''} from {_written(first)} to {_written(at)}"
        action = action.noted(now, "held", f"{many}, without the table")
    else:
        # Whoever sent it counts it, unless that one was cut off.
        action = action.noted(now, "held", f"a heartbeat was accepted at {_written(at)}, and not recorded")
    chains = {**known, wait.chain: wait.beats} if fresh > 0 else known
    return replace(
        action,
        heartbeats=action.heartbeats + fresh,
        beaten_at=at if is_newer else action.beaten_at,
        heartbeats_told=tuple(chains.items())[-_MOST_CHAINS:],
        booked_at=None if is_newer or not action.is_open else action.booked_at,
    )


def _written(moment: datetime) -> str:
    return moment.strftime("%H:%M:%SZ")
