"""Sweep, which runs each minute: what no event and no wake-up brought is evaluated here.

Questions are only sent on their way: the function `questions` asks them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from usher.core.field import ConfigurationRefused
from usher.core.frozen import frozen
from usher.core.listing import LISTED_BEFORE
from usher.core.queue_messages import NOT_READ
from usher.core.round_robin import share
from usher.evaluation.wake_ups import BETWEEN_SWEEPS, LEAST_OWN_MARGIN, WakeUpScheduler
from usher.invocation import has_time
from usher.ports.errors import Unavailable
from usher.ports.queues import WHEN_DUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.evaluation.call_budget import CallBudget
    from usher.evaluation.question_chain import Chains
    from usher.invocation import Context, Event, Pass, Work
    from usher.outage.live_holds import LiveHolds
    from usher.ports.queues import WakeUps
    from usher.ports.records import Due, Unasked
    from usher.ports.telemetry import Telemetry

SWEEP_LOOKAHEAD: Final = timedelta(seconds=240)  # holds two sweeps, so that one that is cut off costs nothing
# What is due has its wake-up on the way; what is due for so long has not.
OVERDUE_AFTER: Final = timedelta(seconds=60)
_WOKEN_WITHIN: Final = timedelta(seconds=20)  # of its time an evaluation begins, by one of two wake-ups
_WOKEN_SOON: Final = timedelta(seconds=5)  # mostly: enough of a doubt where no other wake-up has come
_PUT_OFF: Final = timedelta(seconds=10)  # by the budget: so long a sweep waits for a slot
_CLOCKS_DIFFER: Final = timedelta(seconds=1)  # of two functions; a margin of more than a minute has room
_NOBODY_WAKES: Final = timedelta(minutes=10)  # the sweep evaluates itself; an unreadable record stays due


class SweepFailed(Exception):  # noqa: N818 - it reads as what happened
    """Some of a sweep's work failed; the rest was done. Lambda counts this as an error."""


class SweepStore(Protocol):
    """What a sweep reads. See usher.ports.records."""

    def due(self, until: datetime) -> Iterable[Due]:
        """See ActionLookup."""
        ...

    def unasked(self, until: datetime) -> Iterable[Unasked]:
        """See FindingsKept."""
        ...

    def load(self, action_id: str) -> Action | None:
        """See Records."""
        ...

    def pauses(self) -> Mapping[str, str]:
        """See Pauses."""
        ...


@frozen
class Sweep:
    """Everything that a sweep touches.

    `work` is `map`, or what begins its calls in the same order and makes several at once: one
    call after the other would spend a fraction of the budget only.
    """

    evaluate: Callable[[str], None]  # one action, by its id
    store: SweepStore
    wake_ups: WakeUps
    chains: Chains
    call_budget: CallBudget
    telemetry: Telemetry
    clock: Callable[[], datetime]
    work: Work = map
    passes: Sequence[Pass] = ()
    live_holds: LiveHolds | None = None

    @property
    def scheduler(self) -> WakeUpScheduler:
        """What sends wake-ups."""
        return WakeUpScheduler(queue=self.wake_ups, telemetry=self.telemetry, clock=self.clock)

    def handle(self, event: object, context: Context | None = None) -> Event:
        """Evaluate what is overdue, nearest expiry first; send wake-ups for what is near.

        What has expired comes last: nothing can be saved there any more, only written down. Then, in
        every second minute and as far as the time goes, the passes, another one first each time.
        An event `{"passes": true}` asks for them in any minute. Where what is due cannot be read, all
        of the run goes to what waits in the live state, and it fails. Where wake-ups do not work, what waits
        is held in the same way: an evaluation that falls between two sweeps would come too late.
        Raises SweepFailed.
        """
        now = self.clock()
        has_passes = now.minute % 2 == 0 or (isinstance(event, dict) and event.get("passes") is True)
        try:
            rows = self.store.due(now + SWEEP_LOOKAHEAD)
            stored = self.work(partial(self._as_stored, now=now), rows)
            due = sorted(stored, key=lambda row: (row.expires_at, row.action_id))
        except Exception as why:
            self.telemetry.trouble("the due evaluations could not be read", why)
            if self.live_holds is not None:
                self.live_holds.run(lambda: has_time(context))
            raise
        overdue = [row for row in due if row.evaluate_at <= now]
        expired = [row for row in overdue if row.expires_at <= now]
        self.telemetry.count("OverdueLooks", sum(row.evaluate_at < now - OVERDUE_AFTER for row in overdue))
        alive = [row for row in overdue if row.expires_at > now]
        rescued, failures = self._evaluate_all(alive, self.work, context)
        self._wake_near([row for row in due if row.evaluate_at > now], context)
        if self.live_holds is not None:
            failures += self._hold_without_wake_ups(due, self.live_holds, now, context)
        failures += self._repair_chains(context)
        closed, more_failures = self._evaluate_all(expired, self.work, context)
        evaluated, failures = rescued + closed, failures + more_failures
        if has_passes:
            for each in share(self.passes, len(self.passes), now.hour + now.minute // 2):
                failures += self._run(each, context)
        if failures:
            raise SweepFailed(f"{'; '.join(failures)}; the log says why")
        return {"near": len(due) - len(overdue), "overdue": len(overdue), "evaluated": evaluated}

    def _hold_without_wake_ups(
        self, due: Sequence[Due], live_holds: LiveHolds, now: datetime, context: Context | None
    ) -> list[str]:
        """`now` is when the sweep began: what it has evaluated since was in time."""
        expected = {action_id: at for action_id, at in live_holds.coming.items() if at <= now}
        some_come = _wake_ups_come(due, expected, now)
        none_came = bool(expected) and not some_come
        if self._wake_ups_fail(due, now, _WOKEN_SOON if none_came else _WOKEN_WITHIN):
            live_holds.wake_ups_fail.noted(now)
        elif some_come:
            live_holds.wake_ups_fail.lifted()
        live_holds.coming.clear()
        live_holds.coming.update({row.action_id: row.evaluate_at for row in due if row.evaluate_at > now})
        failures: list[str] = []
        in_time = partial(has_time, context)
        if live_holds.wake_ups_fail.is_on(now):
            pressing = [row for row in due if row.evaluate_at <= now < row.expires_at <= now + BETWEEN_SWEEPS]
            again = self._put_off(pressing, live_holds.wait, in_time)
            _, failures = self._evaluate_all(again, map, context)
            slot = partial(self.call_budget.wait_for_slot, self.clock, live_holds.wait, in_time)
            live_holds.run(in_time, self.store.pauses(), slot)
        live_holds.catch_up(in_time)
        return failures

    def _put_off(
        self, rows: Iterable[Due], wait: Callable[[float], object], has_time: Callable[[], bool]
    ) -> Iterator[Due]:
        """Of what was evaluated, each whose call the budget put off by ten seconds at most, in its slot.

        Else that is for a wake-up to do; and the next sweep may come after the expiry.
        """
        until = self.clock() + _PUT_OFF
        again = [(self._evaluated_at(row), row) for row in rows if has_time()]
        in_time = [(at, row) for at, row in again if at < row.expires_at]
        for at, row in sorted(in_time, key=lambda each: each[0]):
            early = at - self.clock()
            if at > until or not has_time():
                return
            if early > timedelta(0):
                wait(early.total_seconds())
            yield row

    def _as_stored(self, row: Due, now: datetime) -> Due:
        """The row with the time of its record, if that may be later: what has stood for a minute is due."""
        if now - LISTED_BEFORE <= row.evaluate_at < now - _WOKEN_SOON:
            with suppress(Unavailable, ConfigurationRefused, *NOT_READ):
                action = self.store.load(row.action_id)
                return replace(
                    row, evaluate_at=max(row.evaluate_at, (action and action.evaluate_at) or row.evaluate_at)
                )
        return row

    def _evaluated_at(self, row: Due) -> datetime:
        """When it is due by now; not before its expiry where that cannot be read: its evaluation told so."""
        with suppress(Unavailable, ConfigurationRefused, *NOT_READ):
            action = self.store.load(row.action_id)
            return (action and action.evaluate_at) or row.expires_at
        return row.expires_at

    def _wake_ups_fail(self, due: Sequence[Due], now: datetime, within: timedelta) -> bool:
        """Whether something is overdue that has wake-ups of its own, or the queue does not take one.

        A copy of a wake-up that is on its way tells; the second of the two finds nothing due.
        """
        if any(now - _NOBODY_WAKES < row.evaluate_at < now - within for row in due):
            return True
        row = next(
            (row for row in due if now < row.evaluate_at and row.expires_at <= now + BETWEEN_SWEEPS), None
        )
        try:
            if row is not None:
                self.wake_ups.send(row.action_id, WHEN_DUE, row.evaluate_at - now)
        except Unavailable as error:
            self.telemetry.trouble("the queue accepts no wake-ups", error)
            return True
        return False

    def _wake_near(self, rows: Iterable[Due], context: Context | None) -> None:
        """Wake-ups for what was stored too far ahead to get its own; the others have theirs.

        Thousands may be near, so time passes meanwhile, and a wake-up that comes late misses the
        slot that is booked. One that comes early by the clock of `wake` finds nothing due, and counts not.
        """

        def wake(row: Due) -> None:
            if row.expires_at - row.evaluate_at > LEAST_OWN_MARGIN and has_time(context):
                delay = max(timedelta(0), row.evaluate_at + _CLOCKS_DIFFER - self.clock())
                self.scheduler.send(row.action_id, WHEN_DUE, delay)

        list(self.work(wake, rows))

    def _evaluate_all(
        self, rows: Iterable[Due], work: Work, context: Context | None
    ) -> tuple[int, list[str]]:
        """Evaluate each. One that fails must not keep the others from their turn."""

        def evaluated(row: Due) -> bool | None:
            if not has_time(context):
                return None
            try:
                self.evaluate(row.action_id)
            except Exception as error:  # noqa: BLE001 - the edge: told, and raised when all had their turn
                self.telemetry.trouble(f"the evaluation of action {row.action_id} failed", error)
                self.telemetry.count("FailedLooks")
                return False
            return True

        done = [each for each in work(evaluated, rows) if each is not None]
        failed = done.count(False)
        return len(done) - failed, [f"{failed} of {len(done)} evaluations failed"] if failed else []

    def _repair_chains(self, context: Context | None) -> list[str]:
        """Have the questions asked whose message was lost or could not be sent. Nothing is asked here."""
        rows = sorted(self.store.unasked(self.clock()), key=lambda row: (row.sweep_at, row.action_id))

        def repair(row: Unasked) -> bool:
            try:
                if has_time(context):
                    self.chains.repair(row)
            except Exception as error:  # noqa: BLE001 - the edge: told, and raised when all had their turn
                self.telemetry.trouble(f"the questions of action {row.action_id} could not be sent", error)
                return False
            return True

        failed = list(self.work(repair, rows)).count(False)
        return [f"{failed} of {len(rows)} questions could not be sent"] if failed else []

    def _run(self, each: Pass, context: Context | None) -> list[str]:
        if not has_time(context):
            self.telemetry.count("PassesPutOff")
            return []
        try:
            each.run(lambda: has_time(context))
        except Exception as error:  # noqa: BLE001 - the edge: told, and raised at the end of the sweep
            self.telemetry.trouble(f"the {each.name} pass failed", error)
            return [f"the {each.name} pass failed"]
        return []


def _wake_ups_come(due: Iterable[Due], expected: Iterable[str], now: datetime) -> bool:
    """Whether something was evaluated since the sweep before that only a wake-up could bring in time.

    A sweep can miss a margin of less than two minutes, so where little is due nothing may be overdue
    for long though wake-ups fail. A notice that came may make something due: it is not evaluated then.
    """
    left = {row.action_id for row in due if row.evaluate_at <= now}
    return any(action_id not in left for action_id in expected)
