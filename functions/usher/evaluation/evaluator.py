"""The look: one evaluation of one action. Load, observe, decide, store, effect, next look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

from usher.core import closing, evidence, questions
from usher.core.action import Outcome, Phase, Result, Transition
from usher.core.decide import Complete, Heartbeat, Wait, decide, given_up, has_no_instance, hold, retry_at
from usher.core.held_wait import is_of, told
from usher.core.policy import Mode
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.wake_ups import send, store_and_schedule
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, CutShort, Denied, Moved, NotRecorded, TryLater, Unavailable
from usher.ports.queues import WHATEVER
from usher.questions.chain import Chains, tell_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.decide import Decision
    from usher.core.finding import Findings
    from usher.core.held_wait import HeldWait
    from usher.evaluation.hook_timeouts import HookTimeouts
    from usher.ports.autoscaling import Answer, AutoScaling
    from usher.ports.budget import Budget, ResultLimits
    from usher.ports.queues import Questions, WakeUps
    from usher.ports.records import Evidence, Store
    from usher.ports.telemetry import Telemetry

TRIES: Final = 4
VISIBILITY_GRACE: Final = timedelta(
    seconds=15
)  # until then "No active" may mean: not visible yet (aws-facts 7.2)
_SOON: Final = timedelta(seconds=2)
_UNKNOWN_PATIENCE: Final = timedelta(hours=1)  # how long it is asked how an action ended
_CALL_TAKES: Final = timedelta(seconds=15)  # at most, until its answer is stored: after that it is lost
_MOST_SENT: Final = 8  # of one action's results without an answer; the first of them tell the most
_PAUSED: Final = timedelta(seconds=60)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_COUNTED: Final = {
    AnswerKind.ACCEPTED: "Heartbeats",
    AnswerKind.BUSY: "Throttled",
    AnswerKind.REFUSED: "Refused",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluator:
    """Everything that a look touches. `look_id` names each look, in the order of the calls."""

    store: Store
    auto_scaling: AutoScaling
    budget: Budget
    limits: ResultLimits
    questions: Questions
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    hook_timeouts: HookTimeouts | None = None  # None: what is configured stands, as in a replay

    @property
    def turns(self) -> CallBudget:
        """The budget, as a look uses it."""
        return CallBudget(budget=self.budget, telemetry=self.telemetry)

    @property
    def chains(self) -> Chains:
        """What has questions asked."""
        return Chains(kept=self.store, queue=self.questions, telemetry=self.telemetry, clock=self.clock)

    def look(self, action_id: str, version: int | None = None, wait: HeldWait | None = None) -> None:
        """Look at one action; do nothing where that is not needed any more.

        With a `wait` (from a wake-up) the record first learns what was beaten without the table.
        Raises Unavailable; CutShort after a call or a decision; NotRecorded where nothing is known of
        the wait of a notice that could not be recorded.

        With a `version` (from a wake-up): only while the record stands at it; with WHATEVER (an answer
        was found): in any case, while no result is decided. Without (from the sweep): only where its
        look is due. Where another look was faster, its record counts: look
        again, unless it says that nothing is due.
        """
        decided = False  # and stays so, whatever a later try can read
        for _ in range(TRIES):
            now = self.clock()
            try:
                action = self.store.load(action_id)
                if action is None and wait is not None and (wait.links or not wait.is_recorded):
                    action, version = self._of_wait(wait), None
                if action is None:
                    return
                decided = decided or action.phase is not Phase.OPEN
                after = self._learned(action, wait, now)
                if after is None:
                    continue
                version = version if after is action else None
                if _is_asked_for(after, version, now):
                    self._look_at(after, now)
            except Moved:
                version = version if version == WHATEVER else None
            except Unavailable as away:
                if not decided:
                    raise
                raise CutShort(str(away), decided=True) from away
            else:
                return

    def _learned(self, action: Action, wait: HeldWait | None, now: datetime) -> Action | None:
        """The record, which knows now what was beaten without the table; None: another one is stored."""
        after = action if wait is None else told(action, wait, now)
        if after is action:
            return action
        if after.is_open:
            after = replace(after, look_at=now)  # the outage may have kept it from more than this
        try:
            return self._store(after, now)
        except Moved:
            return None

    def _of_wait(self, wait: HeldWait) -> Action | None:
        """The record of a wait that is not named by the record's id. Raises NotRecorded."""
        if wait.token is not None:
            action = self.store.of_token(wait.token)
        else:
            of_instance = self.store.of_instance(wait.instance_id)
            action = next((one for one in reversed(list(of_instance)) if is_of(wait, one)), None)
        if action is None and not wait.is_over:
            raise NotRecorded(f"the wait of {wait.instance_id} in {wait.hook} is not recorded yet")
        return action

    def _look_at(self, action: Action, now: datetime) -> None:
        heard = self.store.evidence(action)
        action = observed(action, heard, now)
        if heard.paused is not None and action.policy.mode is not Mode.OBSERVE:
            self._pause(action, heard.paused, now)
            return
        action = self._with_timeout(action, now)
        if now < action.expires_at:
            action = replace(action, paused_by=None)  # the pause ended in time
        asks = questions.are_in(action.policy)
        findings = self._findings_of(action) if asks else None
        action = replace(action, findings=findings.found if findings else ())
        chosen = evidence.after_launch(action, heard.activity_ends, now)
        if chosen.policy is not action.policy:
            self._choose_again(chosen, findings, now)
            return
        action = chosen
        held = action.booked_at
        action, decision = self._decided(action, now)
        same = self._same_wait(action, decision, now)
        if same is None:
            self._store(closing.superseded(action, action.id, now, now), now)
            return
        action, decision = same
        decision = self._within_limits(action, decision, now)
        self._tell(action, decision)
        # Before the store: a crash after it would leave nobody to ask.
        if asks and isinstance(decision, Wait) and not self.chains.begin(action, findings):
            decision = replace(decision, next_look_at=min(decision.next_look_at, now + _MINUTE))
        if action.policy.mode is Mode.OBSERVE:
            self._observe(action, decision, now)
        else:
            self._do(action, decision, now, held)
        # After the call, which a slow queue must not keep waiting.
        if asks and isinstance(decision, Heartbeat) and not self.chains.begin(action, findings):
            send(self.wake_ups, self.telemetry, action.id, WHATEVER, _MINUTE)

    def _findings_of(self, action: Action) -> Findings | None:
        findings = self.store.findings(action.id)
        if findings is not None and not findings.is_readable:
            tell_unreadable(self.telemetry, action.id)
        return findings

    def _with_timeout(self, action: Action, now: datetime) -> Action:
        """The action under the heartbeat timeout that stands on its group, as far as that is known."""
        if not action.timeout_assumed:
            return action
        if self.hook_timeouts is None:
            return replace(action, timeout_assumed=False)
        try:
            return self.hook_timeouts.told(action, now)
        except Unavailable as error:
            self.telemetry.trouble(f"what stands on {action.hook.group} was not read", error)
            return action

    def _decided(self, action: Action, now: datetime) -> tuple[Action, Decision]:
        """The decision. One to wait comes with a second for the next heartbeat."""
        decision = decide(action, now)
        if not isinstance(decision, Wait):
            return action, decision
        action = self.turns.reserve_heartbeat(action, now)
        return action, decide(action, now)

    def _do(
        self,
        action: Action,
        decision: Decision,
        now: datetime,
        held: datetime | None,
    ) -> None:
        match decision:
            case Wait():
                action = action.noted(now, "wait", decision.reason)
                self._store_turn(replace(action, look_at=decision.next_look_at), held, now)
                return
            case Complete() | Heartbeat():
                action, goes = self.turns.acquire(action, now, completes=isinstance(decision, Complete))
            case _:
                assert_never(decision)
        if not goes:
            self._store_turn(replace(action, look_at=_turn_comes_at(action, decision, now)), held, now)
        elif isinstance(decision, Complete):
            self._complete(action, decision, now, held)
        else:
            self._heartbeat(action, decision, now, held)

    def _store_turn(self, action: Action, held: datetime | None, now: datetime) -> Action:
        """Store, with what is booked now in the place of what was `held`.

        Of two looks that book for one action, the slower one gives back what it booked.
        """
        try:
            stored = self._store(action, now)
        except Moved:
            self.turns.release_replaced(action.booked_at, now, kept=held)
            raise
        self.turns.release_replaced(held, now, kept=action.booked_at)
        return stored

    def _choose_again(self, action: Action, findings: Findings | None, now: datetime) -> None:
        """Store another policy, for a look at once. What was about to be asked for the one before is void."""
        if findings is not None:
            void = replace(findings, turn=findings.turn + 1, ask_at=None, sweep_at=None)
            self.store.keep_findings(action, void)
        self._store(replace(action, look_at=now), now)

    def _same_wait(self, action: Action, decision: Decision, now: datetime) -> tuple[Action, Decision] | None:
        """What goes by instance could reach a later wait, so the activity of this one has to be known.

        None: the instance is in a later one, and this wait is over. Where nobody can say, no result
        is sent: the instance is held.
        """
        by_instance = action.token is None and action.activity_id is None
        asks = isinstance(decision, Heartbeat) and action.activity_end is not None
        if not by_instance or action.policy.mode is Mode.OBSERVE or isinstance(decision, Wait):
            return action, decision
        if not asks and isinstance(decision, Heartbeat):
            return action, decision
        try:
            activity, why = self.auto_scaling.ongoing(action), "no scaling activity of its is found"
        except (TryLater, CallRefused) as error:
            activity, why = None, str(error)
        if activity is not None and activity.started_at > action.first_seen_at:
            return None
        if activity is not None:
            action = action.noted(now, "activity", f"{activity.id}: {activity.description}")
            return replace(action, activity_id=activity.id), decision
        if isinstance(decision, Heartbeat):
            return action, decision
        reason = f"held, since nobody can say that it is still the same wait ({why}): {decision.reason}"
        return action, hold(action, reason, now, again_at=now + _MINUTE)

    def _within_limits(self, action: Action, decision: Decision, now: datetime) -> Decision:
        """The decision, or to hold on where the hook has sent as many results as it may."""
        limits, enforced = action.hook.limits, action.policy.mode is Mode.ENFORCE
        if not isinstance(decision, Complete) or not enforced:
            return decision
        is_told = action.operator_result_by is not None or action.let_through
        if action.phase is not Phase.OPEN or is_told or has_no_instance(action, now):
            return decision
        of_hook = f"{action.hook.name} of {action.hook.limited_with or action.hook.group}"
        abandons = limits.abandon_per_hour if decision.result is Result.ABANDON else None
        asked = (
            (abandons, _HOUR, "ABANDON per hour"),
            (limits.complete_per_minute, _MINUTE, "results per minute"),
        )
        for most, within, what in asked:
            if most is None:
                continue
            again_at = self._granted(f"{of_hook}: {what}", action, most, within, now)
            if again_at is not None:
                reason = f"held by the limit of {most} {what}; wants {decision.result}: {decision.reason}"
                return self._held_by_limit(action, decision, reason, again_at, now)
        return decision

    def _granted(
        self, limit: str, action: Action, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """When to ask again; None: granted. What cannot be counted waits: that is no reason to fail."""
        try:
            return self.limits.grant(limit, action.id, most, within, now)
        except Unavailable as error:
            self.telemetry.trouble(f"nobody counted a result of {limit}", error)
            return now + _SOON

    def _held_by_limit(
        self, action: Action, decision: Complete, reason: str, again_at: datetime, now: datetime
    ) -> Decision:
        """At the last moment what the policy says for giving up is sent, whatever the limit."""
        if now >= action.decide_by:
            result, _ = given_up(action)
            return Complete(result=result, reason=reason, next_look_at=decision.next_look_at)
        self.telemetry.count("HeldByLimit")
        return hold(action, reason, now, again_at=again_at)

    def _pause(self, action: Action, by: str, now: datetime) -> None:
        """Call nothing, and close nothing: whoever sends heartbeats meanwhile, the wait may go on.

        The looks go on too, so that after a resume there is time left, and Auto Scaling is asked.
        """
        action = replace(action.noted(now, "paused", by), paused_by=by)
        left = action.heartbeat_by - now
        if left > timedelta(0):
            again_in = min(_PAUSED, max(_SOON, left / 2))
        else:
            again_in = _PAUSED if now < action.ends_at else _HOUR
        self._store(replace(action, look_at=now + again_in), now)

    def _tell(self, action: Action, decision: Decision) -> None:
        name = type(decision).__name__.lower()
        self.telemetry.decided(replace(action, look_at=decision.next_look_at), name, decision.reason)

    def _store(self, action: Action, now: datetime) -> Action:
        """Store the next version of `action`, with its wake-ups; return it as it is stored."""
        action = replace(action, version=action.version + 1, look_id=self.new_id())
        self._tell_of_failed_launch(action)

        def save() -> None:
            self.store.save(action)

        store_and_schedule(action, self.clock, save, self.wake_ups, self.telemetry)
        if not action.is_open:
            self.turns.release(action, now)
        return replace(action, unsaved=())

    def _tell_of_failed_launch(self, action: Action) -> None:
        """Of one that falls to ABANDON by default the termination may have begun, and be recorded, before."""
        by_default = action.outcome is Outcome.DEFAULTED and action.hook.default_result is Result.ABANDON
        if not by_default or action.hook.transition is not Transition.LAUNCHING:
            return
        self.store.keep_move_end(closing.launch_failed(action))
        for other in self.store.of_instance(action.instance_id):
            if other.is_open and other.if_launch_failed is not None:
                send(self.wake_ups, self.telemetry, other.id, other.stamp, timedelta(0))

    def _complete(
        self,
        action: Action,
        decision: Complete,
        now: datetime,
        held: datetime | None,
    ) -> None:
        """Store the result first, so that every retry sends the same one (promise 1).

        A table that denies it has not stored it: nothing is decided, and the wait may be held.
        """
        if action.phase is Phase.OPEN:
            action = action.noted(now, "complete", f"{decision.result}: {decision.reason}")
        action = replace(
            action,
            phase=Phase.COMPLETING,
            result=decision.result,
            reason=decision.reason,
            look_at=decision.next_look_at,
            completes_sent=(*action.completes_sent, now)[:_MOST_SENT],
        )
        try:
            action = self._store_turn(action, held, now)
        except Denied:
            raise
        except Unavailable as away:
            raise CutShort(str(away), decided=True) from away
        try:
            self._completed(action, decision, now)
        except Unavailable as away:
            raise CutShort(str(away), decided=True) from away

    def _completed(self, action: Action, decision: Complete, now: datetime) -> None:
        answer = self.auto_scaling.complete(action, decision.result)

        def settled(action: Action, now: datetime) -> Action:
            if answer.kind is AnswerKind.ACCEPTED:
                return closing.closed(action, Outcome.COMPLETED, action.reason, now, is_proven=True)
            if answer.kind is not AnswerKind.UNANSWERED:
                action = denied(action)
            return self._after_failure(action, answer, now)

        def denied(newer: Action) -> Action:
            """Whatever others noted meanwhile: this call was not applied."""
            others = tuple(sent_at for sent_at in newer.completes_sent if sent_at != now)
            return replace(newer, completes_sent=others)

        self._settle(action, f"CompleteLifecycleAction {decision.result}", answer, settled, denied)

    def _heartbeat(
        self,
        action: Action,
        decision: Heartbeat,
        now: datetime,
        held: datetime | None,
    ) -> None:
        """Store only a retry before the call; the new expiry and the next look after its answer."""
        action = action.noted(now, "heartbeat", decision.reason)
        action = self._store_turn(replace(action, look_at=decision.next_look_at), held, now)
        sent_at = self.clock()
        answer = self.auto_scaling.heartbeat(action)
        was_left = action.expires_at - sent_at

        def settled(action: Action, now: datetime) -> Action:
            if answer.kind is not AnswerKind.ACCEPTED:
                return self._after_failure(action, answer, now)
            action = replace(
                action, heartbeats=action.heartbeats + 1, beaten_at=sent_at, activity_end=None, booked_at=None
            )
            action, decision = self._decided(action, now)
            return replace(action, look_at=decision.next_look_at if isinstance(decision, Wait) else now)

        try:
            self._settle(action, "RecordLifecycleActionHeartbeat", answer, settled)
        except Unavailable as away:
            beaten_at = sent_at if answer.kind is AnswerKind.ACCEPTED else None
            raise CutShort(str(away), beaten_at=beaten_at) from away
        if answer.kind is AnswerKind.ACCEPTED and not action.timeout_assumed:
            self.telemetry.count("SecondsToExpiry", was_left.total_seconds())

    def _settle(
        self,
        action: Action,
        call: str,
        answer: Answer,
        settled: Callable[[Action, datetime], Action],
        denied: Callable[[Action], Action] = lambda newer: newer,
    ) -> None:
        """Store what an answer changes, on top of what others stored during the call.

        Where others went on meanwhile, an acceptance still says something of the record as it is
        then, and of a call that was denied it is known that it changed nothing; a new look asks
        again, at once.
        """
        now = self.clock()
        if answer.kind is AnswerKind.BUSY:
            self.turns.back_off(now)
        action = replace(action, booked_at=None)
        after = settled(_answered(action, call, answer, now), now)
        for _ in range(TRIES):
            try:
                self._store(after, now)
            except Moved:
                if answer.kind is AnswerKind.ACCEPTED:
                    self.turns.release_replaced(after.booked_at, now)
                newer = self.store.load(action.id)
                if newer is None or not newer.is_open:
                    return
                after = _answered(newer, call, answer, now)
                if answer.kind is AnswerKind.ACCEPTED:
                    after = settled(after, now)
                elif answer.kind is not AnswerKind.UNANSWERED:
                    after = denied(after)
                after = replace(after, look_at=now) if after.is_open else after
            else:
                self._count(answer, after)
                return

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
            case None if answer.kind in _COUNTED:
                self.telemetry.count(_COUNTED[answer.kind])
            case None:
                pass

    def _after_failure(self, action: Action, answer: Answer, now: datetime) -> Action:
        """The action after a call that was not accepted: tried again, or ended."""
        look_at = retry_at(action, now)
        if answer.kind is AnswerKind.NO_ACTIVE_ACTION:
            known_at = max(action.completes_sent, default=now - _CALL_TAKES) + _CALL_TAKES
            if now < known_at:
                return replace(action, look_at=known_at)
            if action.activity_end is not None or now - action.started_at > VISIBILITY_GRACE:
                return closing.ended(self._with_timeout(action, now), now)
            look_at = now + _SOON
        patience = timedelta(0) if answer.kind is AnswerKind.REFUSED else _UNKNOWN_PATIENCE
        if action.phase is Phase.COMPLETING and now >= _expired_at(action) + patience:
            return closing.ended(action, now, f", and {action.result} was not accepted: {answer.text}")
        if now >= action.ends_at + patience:
            return closing.ended(action, now)
        return replace(action, look_at=look_at)

    def _observe(self, action: Action, decision: Decision, now: datetime) -> None:
        """Record what would be done, and go on as if it had been."""
        if isinstance(decision, Complete):
            self._store(_observed(action, decision, now), now)
            return
        if action.activity_end is not None:
            reason = f"observe mode: would have waited; {action.activity_end.detail}"
            self._store(closing.closed(action, Outcome.ENDED_ELSEWHERE, reason, now), now)
            return
        name = "heartbeat" if isinstance(decision, Heartbeat) else "wait"
        self.turns.release_replaced(
            action.booked_at, now
        )  # a policy that enforces, chosen before, may have booked it
        action = replace(action.noted(now, name, f"observe mode: {decision.reason}"), booked_at=None)
        if isinstance(decision, Heartbeat):
            action = replace(action, beaten_at=now)
            self._store(replace(action, look_at=_next_look(action, now)), now)
        else:
            self._store(replace(action, look_at=decision.next_look_at), now)


def observed(action: Action, heard: Evidence, now: datetime) -> Action:
    """The action with what was heard of it."""
    signals = [signal for signal in heard.signals if evidence.fits(signal, action)]
    action = evidence.with_signals(action, signals, now)
    action = evidence.with_move_ends(action, heard.activity_ends, now)
    action = evidence.with_instance_end(action, heard.instance_ended_at, now)
    return evidence.with_stop(action, heard.stopped_at, now)


def _turn_comes_at(action: Action, decision: Complete | Heartbeat, now: datetime) -> datetime:
    """When to try again what has no turn now.

    A heartbeat goes in the second that is booked for it. A result does not wait for that one, which may
    be an hour away where nobody could say whether there was room; nor does one that only asks whether
    the wait goes on, since no condition is looked at before that is known.
    """
    if action.booked_at is None or action.booked_at <= now:
        return decision.next_look_at
    if isinstance(decision, Complete) or action.activity_end is not None:
        return min(action.booked_at, decision.next_look_at)
    return action.booked_at


def _is_asked_for(action: Action, version: int | None, now: datetime) -> bool:
    if action.look_at is None:
        return False
    if version is None:
        return action.look_at <= now
    return action.phase is Phase.OPEN if version == WHATEVER else action.stands_at(version)


def _expired_at(action: Action) -> datetime:
    """When a wait is surely over that gets no heartbeat any more: one may have been applied unanswered."""
    return action.expires_at + action.hook.heartbeat_timeout


def _observed(action: Action, decision: Complete, now: datetime) -> Action:
    reason = f"observe mode: would have sent {decision.result}: {decision.reason}"
    action = action.noted(now, "complete", reason)
    return closing.closed(action, Outcome.ENDED_ELSEWHERE, reason, now)


def _answered(action: Action, call: str, answer: Answer, now: datetime) -> Action:
    said = f": {answer.text}" if answer.text else ""
    return action.noted(now, "answer", f"{call}: {answer.kind}{said}")


def _next_look(action: Action, now: datetime) -> datetime:
    """When the decision after an accepted heartbeat is due: at once where it is not to wait."""
    decision = decide(action, now)
    return decision.next_look_at if isinstance(decision, Wait) else now
