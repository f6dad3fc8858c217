"""Sends heartbeats and results: what is decided is stored first, then sent, then the answer is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import closing
from usher.core.action import Code, Outcome, Phase
from usher.core.decide import retry_at
from usher.core.frozen import frozen, replace
from usher.evaluation.record_writer import BOTH
from usher.evaluation.wake_ups import is_backed
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CutShort, Denied, Moved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.decide import Complete, Heartbeat
    from usher.evaluation.call_budget import CallBudget
    from usher.evaluation.record_writer import RecordWriter
    from usher.ports.autoscaling import Answer, AutoScaling
    from usher.ports.telemetry import Telemetry

# Until then "No active" may mean: not visible yet (aws-facts 7.2).
VISIBILITY_GRACE: Final = timedelta(seconds=15)
_RETRY_DELAY: Final = timedelta(seconds=2)
_UNKNOWN_END: Final = timedelta(hours=1)  # how long it is asked how an action ended
_CALL_TAKES: Final = timedelta(seconds=15)  # at most, until its answer is stored: after that it is lost
_MOST_SENT: Final = 8  # of one action's results without an answer; the first of them tell the most
_HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
_COUNTED: Final = {
    AnswerKind.ACCEPTED: "Heartbeats",
    AnswerKind.BUSY: "Throttled",
    AnswerKind.REFUSED: "Refused",
}


def _unchanged(action: Action, _: datetime) -> Action:
    return action


@frozen
class Sender:
    """The calls of one evaluation."""

    writer: RecordWriter
    auto_scaling: AutoScaling
    call_budget: CallBudget
    telemetry: Telemetry
    clock: Callable[[], datetime]
    with_timeout: Callable[[Action, datetime], Action]  # under the heartbeat timeout that its hook has
    with_next_evaluation: Callable[[Action, datetime], Action]  # after an accepted heartbeat
    previous_booking: datetime | None  # the slot that the stored record has

    def store_booked(self, action: Action, now: datetime, *, wakes: int = BOTH) -> Action:
        """Store, with what is booked now in the place of what was booked.

        Of two evaluations that book for one action, the slower one gives back what it booked.
        """
        try:
            stored = self.writer.put(action, wakes=wakes)
        except Moved:
            self.call_budget.release_replaced(action.booked_at, now, kept=self.previous_booking)
            raise
        self.call_budget.release_replaced(self.previous_booking, now, kept=action.booked_at)
        return stored

    def _store_retry(self, action: Action, now: datetime) -> Action:
        """Store what is to be evaluated again only if this evaluation is cut off."""
        retry_at = action.evaluate_at or now
        wakes = 0 if is_backed(action, retry_at) else BOTH
        return self.store_booked(replace(action, wakes_as=None), now, wakes=wakes)

    def complete(self, action: Action, decision: Complete, now: datetime) -> None:
        """Store the result first, so that every retry sends the same one (promise 1).

        Where a wake-up is under way that comes once the retry is due, none is sent for it.
        A table that denies it has not stored it: nothing is decided, and the wait may be held.
        """
        if action.phase is Phase.OPEN:
            action = action.noted(now, "complete", f"{decision.result}: {decision.reason}")
        action = replace(
            action,
            phase=Phase.COMPLETING,
            result=decision.result,
            reason=decision.reason,
            evaluate_at=decision.evaluate_at,
            completes_sent=(*action.completes_sent, now)[:_MOST_SENT],
        )
        try:
            action = self._store_retry(action, now)
        except Denied:
            raise
        except Unavailable as away:
            raise CutShort(str(away), may_beat=False) from away
        self._send_result(action, decision, now)

    def _send_result(self, action: Action, decision: Complete, now: datetime) -> None:
        answer = self.auto_scaling.complete(action, decision.result)

        def settled(action: Action, now: datetime) -> Action:
            if answer.kind is AnswerKind.ACCEPTED:
                return closing.closed(action, Outcome.COMPLETED, action.reason, now, is_proven=True)
            if answer.kind is not AnswerKind.UNANSWERED:
                action = denied(action)
            return self._after_failure(action, answer, now)

        def denied(newer: Action, _: datetime | None = None) -> Action:
            """Whatever others noted meanwhile: this call was not applied. One of the same time may be."""
            others = list(newer.completes_sent)
            if now in others:
                others.remove(now)
            return replace(newer, completes_sent=tuple(others))

        of_others = {AnswerKind.ACCEPTED: settled, AnswerKind.UNANSWERED: _unchanged}.get(answer.kind, denied)
        self._settle(action, f"CompleteLifecycleAction {decision.result}", answer, settled, of_others)

    def heartbeat(self, action: Action, decision: Heartbeat, now: datetime) -> None:
        """Store only a retry before the call; the new expiry and the next evaluation after its answer.

        Where a wake-up is under way that comes once the retry is due, none is sent for it.
        """
        action = action.noted(now, "heartbeat", decision.reason, decision.code)
        action = self._store_retry(replace(action, evaluate_at=decision.evaluate_at), now)
        sent_at = self.clock()
        answer = self.auto_scaling.heartbeat(action)
        is_accepted = answer.kind is AnswerKind.ACCEPTED
        was_left = action.expires_at - sent_at

        def settled(action: Action, now: datetime) -> Action:
            if not is_accepted:
                return self._after_failure(action, answer, now)
            action = replace(
                action, heartbeats=action.heartbeats + 1, beaten_at=sent_at, activity_end=None, booked_at=None
            )
            return self.with_next_evaluation(action, now)

        try:
            self._settle(action, _HEARTBEAT, answer, settled, settled if is_accepted else _unchanged)
        except Unavailable as away:
            if isinstance(away, CutShort) and not is_accepted:
                raise
            why = away.__cause__ if isinstance(away, CutShort) else away
            raise CutShort(str(away), beaten_at=sent_at if is_accepted else None) from why
        if is_accepted and not action.timeout_assumed:
            self.telemetry.count("SecondsToExpiry", was_left.total_seconds())

    def _settle(
        self,
        action: Action,
        call: str,
        answer: Answer,
        settled: Callable[[Action, datetime], Action],
        of_others: Callable[[Action, datetime], Action],
    ) -> None:
        """Store what an answer changes: by `settled`, or by `of_others` where others went on meanwhile.

        An acceptance still says something of the record as it is then, and of a call that was denied it
        is known that it changed nothing; a new evaluation asks again, at once. Raises Unavailable;
        CutShort where it is known that a result is decided.
        """
        now = self.clock()
        is_accepted = answer.kind is AnswerKind.ACCEPTED
        if answer.kind is AnswerKind.BUSY:
            self.call_budget.back_off(now)
        sent = replace(action, booked_at=None)
        booked_at: datetime | None = None
        is_decided = False

        def change(newest: Action) -> Action:
            nonlocal booked_at, is_decided
            is_decided = newest.phase is not Phase.OPEN
            if newest is not sent and is_accepted:
                self.call_budget.release_replaced(booked_at, now)
            if not newest.is_open:
                return newest
            after = _answered(newest, call, answer, now)
            after = settled(after, now) if newest is sent else of_others(after, now)
            if newest is not sent and after.is_open:
                after = replace(after, evaluate_at=now)
            booked_at = after.booked_at
            return after

        try:
            after = self.writer.update(sent, change)
        except Moved:  # whoever stored last evaluates it again
            self.call_budget.release_replaced(booked_at, now)
            return
        except Unavailable as away:
            if is_decided:
                raise CutShort(str(away), may_beat=False) from away
            raise
        if after is not None:
            self._count(answer, after)

    def _count(self, answer: Answer, after: Action) -> None:
        """Counted when it is stored, so once."""
        if after.outcome is not None:
            self.telemetry.decided(after, "closed", f"{after.outcome}: {after.reason}")
        match after.outcome:
            case Outcome.COMPLETED:
                self.telemetry.count("Completed", dimensions={"Result": str(after.result)})
            case Outcome.DEFAULTED:
                self.telemetry.count("Defaulted")
            case Outcome.ENDED_ELSEWHERE:
                self.telemetry.count("EndedElsewhere")
                if after.reason == closing.KNOWN_TOO_LATE:
                    self.telemetry.count("KnownTooLate")
            case None if answer.kind in _COUNTED:
                self.telemetry.count(_COUNTED[answer.kind])
            case None:
                pass

    def _after_failure(self, action: Action, answer: Answer, now: datetime) -> Action:
        """The action after a call that was not accepted: tried again, or ended."""
        evaluate_at = retry_at(action, now)
        if answer.kind is AnswerKind.NO_ACTIVE_ACTION:
            known_at = max(action.completes_sent, default=now - _CALL_TAKES) + _CALL_TAKES
            if now < known_at:
                return replace(action, evaluate_at=known_at)
            if action.activity_end is not None or now - action.started_at > VISIBILITY_GRACE:
                return closing.ended(self.with_timeout(action, now), now)
            evaluate_at = now + _RETRY_DELAY
        asked_for = timedelta(0) if answer.kind is AnswerKind.REFUSED else _UNKNOWN_END
        if action.phase is Phase.COMPLETING and now >= _expired_at(action) + asked_for:
            return closing.ended(action, now, f", and {action.result} was not accepted: {answer.text}")
        if now >= action.ends_at + asked_for:
            return closing.ended(action, now)
        return replace(action, evaluate_at=evaluate_at)


def _expired_at(action: Action) -> datetime:
    """When a wait is surely over that gets no heartbeat any more: one may have been applied unanswered."""
    return action.expires_at + action.hook.heartbeat_timeout


def _answered(action: Action, call: str, answer: Answer, now: datetime) -> Action:
    text = f": {answer.text}" if answer.text else ""
    accepted = Code.HEARTBEAT_ACCEPTED if call == _HEARTBEAT else Code.RESULT_ACCEPTED
    code = accepted if answer.kind is AnswerKind.ACCEPTED else ""
    return action.noted(now, "answer", f"{call}: {answer.kind}{text}", code)
