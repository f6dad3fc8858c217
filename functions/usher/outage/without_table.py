"""Holds a wait from its wake-up alone, where the table does not answer: only by heartbeats (ADR 19)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import deadlines
from usher.core.frozen import frozen
from usher.core.held_wait import UNKNOWN_FOR, is_second
from usher.evaluation.wake_ups import WAKE_UP_HORIZON
from usher.outage.slow_table import Away, RequestDeadline
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, CutShort, GroupGone, NoAnswer, NotRecorded, TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher.core.held_wait import HeldWait
    from usher.core.pacing import Pace
    from usher.ports.autoscaling import Answer, Holds, HooksOf
    from usher.ports.queues import WakeUps
    from usher.ports.telemetry import Telemetry

_EARLY: Final = timedelta(seconds=1)  # so much before its time a beat goes out
_AT_RISK_ALONE: Final = timedelta(seconds=6)  # so near to the expiry a beat goes out, room or not
_ASKS_BEFORE: Final = timedelta(seconds=8)  # the expiry no question is begun, which may take six
_DESCRIBED_FOR: Final = timedelta(minutes=10)
_ASKED_AGAIN: Final = timedelta(seconds=30)  # where a group could not be described
_MOST_KEPT: Final = 20_000  # of each kind, in a container


@frozen
class _Sent:
    """A successor: of which chain, how many links came before it, and when it is to come."""

    chain: str
    links: int
    at: datetime


@dataclass(kw_only=True, slots=True)
class Memory:
    """What one container knows. It may be gone at any time: that costs a heartbeat too many."""

    pace: Pace
    away: Away = field(default_factory=Away)
    beaten: dict[tuple[str, ...], datetime] = field(default_factory=dict)  # by wait: last accepted here
    sent: dict[tuple[str, ...], _Sent] = field(default_factory=dict)  # by wait, and first or second
    described: dict[str, tuple[datetime, Mapping[str, timedelta]]] = field(default_factory=dict)  # by group
    slot: tuple[int, int] = (0, 0)  # the number of a slot, and how many calls were made in it

    def tidy(self) -> None:
        """Keep it small: what is forgotten costs a heartbeat too many."""
        for kept in (self.beaten, self.sent, self.described):
            if len(kept) > _MOST_KEPT:
                kept.clear()

    def has_room(self, now: datetime) -> bool:
        """Whether a call goes out in this slot; it is counted."""
        number, made = self.pace.slot(now), 0
        if number == self.slot[0]:
            made = self.slot[1]
        self.slot = (number, made + 1)
        return made < self.pace.room(now)


@frozen
class WithoutTable:
    """Everything that a heartbeat without the table touches. `hooks` None: what is configured stands."""

    holds: Holds
    hooks: HooksOf | None
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    memory: Memory
    limit: RequestDeadline = field(default_factory=RequestDeadline)  # of the evaluations of this container

    def hold(self, action_id: str, stamp: int, wait: HeldWait | None, why: Unavailable) -> bool:
        """Hold a wait whose evaluation failed, and send the successor of its wake-up.

        False where that is not for this wake-up to do: it is to come again. Raises Unavailable
        where the queue does not take the successor.
        """
        now = self.clock()
        is_missing = isinstance(why, NotRecorded)
        if isinstance(why, NoAnswer) or isinstance(why.__cause__, NoAnswer):
            self.memory.away.noted(now)
        if wait is None or (isinstance(why, CutShort) and not why.may_beat):
            return False
        if self._is_needless(wait, now):
            if wait.beats:
                self._send(action_id, stamp, replace(wait, is_over=True))
            return True
        # Without an answer nobody knows whether it is recorded by now.
        wait = replace(wait, missed_at=(wait.missed_at or now) if is_missing else None)
        if wait.missed_at is not None and now - wait.missed_at > UNKNOWN_FOR:
            return True  # its notice was not for us
        beaten_at = why.beaten_at if isinstance(why, CutShort) else None
        if beaten_at is not None:
            wait = wait.beaten(beaten_at)
        held = self._held(wait)
        what = f"{wait.instance_id} in {wait.hook} is held from its wake-up alone"
        self.telemetry.trouble(f"{what}, until {held.expires_at:%H:%M:%S} as far as is known", why)
        self._send(action_id, stamp, held)
        return True

    def _is_needless(self, wait: HeldWait, now: datetime) -> bool:
        """Whether this container has sent a successor of it, or one of another chain that is still to come.

        Each version of a record had wake-ups of its own, and all that were on their way found chains.
        First and second stay apart: either makes up for the other.
        """
        known = self.memory.sent.get(_place(wait))
        if known is None or not wait.needs_beats(now):
            return False
        return wait.links < known.links if wait.chain == known.chain else now < known.at

    def _send(self, action_id: str, stamp: int, wait: HeldWait) -> None:
        now = self.clock()
        at = wait.wake_at(now)
        if at is None:
            return
        successor = replace(wait, links=wait.links + 1)
        self.wake_ups.send(action_id, stamp, max(timedelta(0), min(at - now, WAKE_UP_HORIZON)), successor)
        if not wait.is_over:
            self.memory.sent[_place(wait)] = _Sent(chain=wait.chain, links=successor.links, at=at)
        self.memory.tidy()

    def _held(self, wait: HeldWait) -> HeldWait:
        now = self.clock()
        if not wait.needs_beats(now):
            return wait
        if wait.timeout_assumed and wait.expires_at - now > _ASKS_BEFORE:
            wait = self._as_it_stands(wait, now)
            now = self.clock()
        known = self.memory.beaten.get(_named(wait))
        if known is not None and (wait.beaten_at is None or wait.beaten_at < known):
            wait = wait.beaten(known, here=False)
        if now < wait.due_at - _EARLY:
            return wait
        if not self.memory.has_room(now) and wait.expires_at - now > _AT_RISK_ALONE:
            return wait.put_off(now + _a_moment(wait))
        return self._beaten(wait)

    def _beaten(self, wait: HeldWait) -> HeldWait:
        sent_at = self.clock()
        answer = self.holds.hold(wait)
        now = self.clock()
        if answer.kind is not AnswerKind.ACCEPTED:
            what = f"a heartbeat of {wait.instance_id} in {wait.hook} was not accepted"
            self.telemetry.trouble(what, Unavailable(f"{answer.kind}: {answer.text}"))
        else:
            self.telemetry.count("BeatsWithoutTable")
            self.memory.beaten[_named(wait)] = sent_at
            return wait.beaten(sent_at)
        return self._after_failure(wait, answer, now)

    def _after_failure(self, wait: HeldWait, answer: Answer, now: datetime) -> HeldWait:
        again_at = deadlines.next_try_at(now, wait.expires_at)
        if answer.kind is AnswerKind.BUSY:
            self.telemetry.count("Throttled")
            self.memory.pace = self.memory.pace.lowered(now)
        if answer.kind is AnswerKind.NO_ACTIVE_ACTION:
            may_be_young = wait.beaten_at is None and now < wait.expires_at
            return wait.put_off(again_at) if may_be_young else replace(wait, is_over=True)
        if answer.kind is AnswerKind.REFUSED:
            self.telemetry.count("Refused")
        return wait.put_off(again_at)

    def _as_it_stands(self, wait: HeldWait, now: datetime) -> HeldWait:
        """Under the timeout that stands on its group, which each container asks for itself."""
        if self.hooks is None:
            return wait.with_timeout(wait.timeout)
        known = self.memory.described.get(wait.group)
        if known is None or known[0] <= now:
            known = self.memory.described[wait.group] = self._described(self.hooks, wait.group, now)
        timeout = known[1].get(wait.hook)
        return wait if timeout is None else wait.with_timeout(timeout)

    def _described(
        self, hooks: HooksOf, group: str, now: datetime
    ) -> tuple[datetime, Mapping[str, timedelta]]:
        """Until when it counts, and the heartbeat timeouts by the name of the hook."""
        try:
            seen = hooks.hooks_of(group)
        except (TryLater, CallRefused, GroupGone) as error:
            self.telemetry.trouble(f"the hooks of {group} could not be described", error)
            return now + _ASKED_AGAIN, {}
        return now + _DESCRIBED_FOR, {hook.name: hook.settings.heartbeat_timeout for hook in seen}


def _named(wait: HeldWait) -> tuple[str, ...]:
    return (wait.group, wait.hook, wait.token or wait.instance_id)


def _place(wait: HeldWait) -> tuple[str, ...]:
    return (*_named(wait), "second" if is_second(wait.chain) else "first")


def _a_moment(wait: HeldWait) -> timedelta:
    """One to three seconds, others for other wake-ups: what is turned away together spreads."""
    drawn = zlib.crc32(f"{wait.chain} {wait.due_at}".encode()) / 2**32
    return timedelta(seconds=1 + 2 * drawn)
