"""The look: one evaluation of one action. Load, observe, decide, store, effect, next look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

from usher.core import deadlines, hearing
from usher.core.decide import Complete, Heartbeat, Wait, decide
from usher.core.model import Outcome, Phase
from usher.core.policy import Mode
from usher.ports import AnswerKind, Moved
from usher.waking import stored_with_wake_ups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.deadlines import Load
    from usher.core.decide import Decision
    from usher.core.model import Action, Signal
    from usher.ports import Answer, AutoScaling, Store, Telemetry, WakeUps

TRIES: Final = 4
YOUNG: Final = timedelta(seconds=60)  # until then "No active" may mean: not visible yet
_SOON: Final = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """Everything that a look touches. `look_id` names each look, in the order of the calls."""

    store: Store
    auto_scaling: AutoScaling
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def look(self, action_id: str, load: Load, version: int | None = None) -> None:
        """Look at one action; do nothing where that is not needed any more.

        With a `version` (from a wake-up): only while the record stands at it. Without (from the
        sweep): only where its look is due. Where another look was faster, its record counts: look
        again, unless it says that nothing is due.
        """
        for _ in range(TRIES):
            action = self.store.load(action_id)
            if action is None or action.look_at is None:
                return
            now = self.clock()
            if action.version != version if version is not None else action.look_at > now:
                return
            try:
                self._look_at(action, load, now)
            except Moved:
                version = None
            else:
                return

    def _look_at(self, action: Action, load: Load, now: datetime) -> None:
        heard = self.store.evidence(action)
        spent = [signal for signal in heard.signals if hearing.fits(signal, action, now)]
        action = hearing.with_signals(action, spent, now)
        action = hearing.with_move_ends(action, heard.move_ends, now)
        decision = decide(action, load, now)
        self._tell(action, decision)
        observed = action.policy.mode is Mode.OBSERVE
        match decision:
            case Complete() if observed:
                self._store(_observed(action, decision, now), now, spent)
            case Heartbeat() | Wait() if observed:
                self._observe(action, decision, load, now, spent)
            case Complete():
                self._complete(action, decision, now, spent)
            case Heartbeat():
                self._heartbeat(action, decision, load, now, spent)
            case Wait():
                action = action.noted(now, "wait", decision.reason)
                self._store(replace(action, look_at=decision.look_again_at), now, spent)
            case _:
                assert_never(decision)

    def _tell(self, action: Action, decision: Decision) -> None:
        name = type(decision).__name__.lower()
        self.telemetry.decided(replace(action, look_at=decision.look_again_at), name, decision.reason)

    def _store(self, action: Action, now: datetime, spent: Sequence[Signal] = ()) -> Action:
        """Store the next version of `action`, with its wake-ups; return it as it is stored."""
        action = replace(action, version=action.version + 1, look_id=self.new_id())

        def save() -> None:
            self.store.save(action, spent=spent)

        stored_with_wake_ups(action, now, save, self.wake_ups, self.telemetry)
        return replace(action, unsaved=())

    def _complete(self, action: Action, decision: Complete, now: datetime, spent: Sequence[Signal]) -> None:
        """Store the result first, so that every retry sends the same one (promise 1)."""
        maybe_sent_at = action.complete_sent_at
        if action.phase is Phase.OPEN:
            action = action.noted(now, "complete", f"{decision.result}: {decision.reason}")
        action = replace(
            action,
            phase=Phase.COMPLETING,
            result=decision.result,
            reason=decision.reason,
            look_at=decision.look_again_at,
            complete_sent_at=maybe_sent_at or now,
        )
        action = self._store(action, now, spent)
        answer = self.auto_scaling.complete(action, decision.result)
        if answer.kind is AnswerKind.ACCEPTED:
            self.telemetry.count("Completed", dimensions={"Result": decision.result})

        def settled(action: Action, now: datetime) -> Action:
            action = _answered(action, f"CompleteLifecycleAction {decision.result}", answer, now)
            if answer.kind is AnswerKind.ACCEPTED:
                return _closed(action, Outcome.COMPLETED, action.reason, now)
            if answer.kind is AnswerKind.NO_ACTIVE_ACTION and _was_ours(action, maybe_sent_at):
                reason = f"{action.reason} (by an earlier call of ours, whose answer was lost)"
                return _closed(action, Outcome.COMPLETED, reason, now)
            if answer.kind is not AnswerKind.UNANSWERED:
                action = replace(action, complete_sent_at=maybe_sent_at)
            return self._after_failure(action, answer, now)

        self._settle(action, settled)

    def _heartbeat(
        self, action: Action, decision: Heartbeat, load: Load, now: datetime, spent: Sequence[Signal]
    ) -> None:
        """Store only a retry before the call; the new expiry and the next look after its answer."""
        action = action.noted(now, "heartbeat", decision.reason)
        action = self._store(replace(action, look_at=decision.look_again_at), now, spent)
        sent_at = self.clock()
        answer = self.auto_scaling.heartbeat(action)
        if answer.kind is AnswerKind.ACCEPTED:
            self.telemetry.count("Heartbeats")
            self.telemetry.count("SecondsToExpiry", (action.expires_at - sent_at).total_seconds())

        def settled(action: Action, now: datetime) -> Action:
            action = _answered(action, "RecordLifecycleActionHeartbeat", answer, now)
            if answer.kind is not AnswerKind.ACCEPTED:
                return self._after_failure(action, answer, now)
            action = replace(action, heartbeats=action.heartbeats + 1, beaten_at=sent_at, move_end=None)
            return replace(action, look_at=_next_look(action, load, now))

        self._settle(action, settled)

    def _settle(self, action: Action, settled: Callable[[Action, datetime], Action]) -> None:
        """Store what an answer changes, on top of what others stored during the call.

        What they stored may ask for a look, so then the next look is at once.
        """
        now = self.clock()
        after = settled(action, now)
        for _ in range(TRIES):
            try:
                self._store(after, now)
            except Moved:
                newer = self.store.load(action.id)
                if newer is None or not newer.is_open:
                    return
                after = settled(newer, now)
                after = replace(after, look_at=now) if after.is_open else after
            else:
                return

    def _after_failure(self, action: Action, answer: Answer, now: datetime) -> Action:
        """The action after a call that was not accepted: tried again, or ended."""
        look_at = deadlines.retry_at(now, action.expires_at)
        match answer.kind:
            case AnswerKind.NO_ACTIVE_ACTION if self._may_be_invisible_yet(action, now):
                look_at = now + _SOON
            case AnswerKind.NO_ACTIVE_ACTION:
                return self._ended(action, now)
            case AnswerKind.BUSY:
                self.telemetry.count("Throttled")
            case AnswerKind.REFUSED:
                self.telemetry.count("Refused")
            case AnswerKind.UNREACHED | AnswerKind.UNANSWERED | AnswerKind.ACCEPTED:
                pass
        return self._ended(action, now) if now >= action.ends_at else replace(action, look_at=look_at)

    def _may_be_invisible_yet(self, action: Action, now: datetime) -> bool:
        """Within seconds of its start an action may not be visible yet; the live state tells."""
        if action.move_end is not None or now - action.started_at > YOUNG:
            return False
        return self.auto_scaling.waits(action.instance_id) is not False

    def _ended(self, action: Action, now: datetime) -> Action:
        """The action closed without a result of ours: by someone else, or by AWS."""
        first_expiry = action.started_at + action.hook.heartbeat_timeout
        end = action.move_end
        if end is not None:
            reason = f"ended elsewhere: {end.detail}"
        elif action.first_seen_at >= first_expiry:
            reason = "ended before it was known here: its heartbeat timeout had run out"
        elif now < action.expires_at:
            reason = "ended elsewhere before its time was up"
        else:
            self.telemetry.count("Defaulted")
            reason = f"fell to the default result {action.hook.default_result}: its time ran out"
            return _closed(action, Outcome.DEFAULTED, reason, now)
        self.telemetry.count("EndedElsewhere")
        return _closed(action, Outcome.ENDED_ELSEWHERE, reason, now)

    def _observe(
        self, action: Action, decision: Heartbeat | Wait, load: Load, now: datetime, spent: Sequence[Signal]
    ) -> None:
        """Record what would be done, and go on as if it had been."""
        if action.move_end is not None:
            reason = f"observe mode: would have waited; {action.move_end.detail}"
            self._store(_closed(action, Outcome.ENDED_ELSEWHERE, reason, now), now, spent)
            return
        name = "heartbeat" if isinstance(decision, Heartbeat) else "wait"
        action = action.noted(now, name, f"observe mode: {decision.reason}")
        if isinstance(decision, Heartbeat):
            action = replace(action, beaten_at=now)
            self._store(replace(action, look_at=_next_look(action, load, now)), now, spent)
        else:
            self._store(replace(action, look_at=decision.look_again_at), now, spent)


def _was_ours(action: Action, maybe_sent_at: datetime | None) -> bool:
    """Whether an earlier Complete of ours, sent in time and never denied, explains "No active"."""
    return maybe_sent_at is not None and maybe_sent_at < action.expires_at


def _observed(action: Action, decision: Complete, now: datetime) -> Action:
    reason = f"observe mode: would have sent {decision.result}: {decision.reason}"
    action = action.noted(now, "complete", reason)
    return _closed(action, Outcome.ENDED_ELSEWHERE, reason, now)


def _answered(action: Action, call: str, answer: Answer, now: datetime) -> Action:
    said = f": {answer.text}" if answer.text else ""
    return action.noted(now, "answer", f"{call}: {answer.kind}{said}")


def _closed(action: Action, outcome: Outcome, reason: str, now: datetime) -> Action:
    """The action at its end. It keeps a result only where Usher sent it."""
    action = action.noted(now, "closed", f"{outcome}: {reason}")
    return replace(
        action,
        phase=Phase.CLOSED,
        outcome=outcome,
        reason=reason,
        result=action.result if outcome is Outcome.COMPLETED else None,
        look_at=None,
        closed_at=now,
    )


def _next_look(action: Action, load: Load, now: datetime) -> datetime:
    """When the decision after an accepted heartbeat is due: at once where it is not to wait."""
    decision = decide(action, load, now)
    return decision.look_again_at if isinstance(decision, Wait) else now
