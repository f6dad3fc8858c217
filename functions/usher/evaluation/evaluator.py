"""One evaluation of one action: load, observe, decide, store, call, and when to evaluate next."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from usher.core import choice, closing, evidence, questions
from usher.core.action import Phase
from usher.core.decide import Complete, Heartbeat, Wait, asks_for_turn, decide
from usher.core.frozen import frozen, replace
from usher.core.policy import Mode
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.observe import as_if_done
from usher.evaluation.question_chain import Chains, tell_unreadable
from usher.evaluation.record_writer import EvaluationWriter
from usher.evaluation.result_quota import ResultQuota
from usher.evaluation.sender import Sender
from usher.evaluation.stale_waits import in_same_wait
from usher.evaluation.turns import Turns
from usher.evaluation.unrecorded_heartbeats import learned, record_of
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.ports.errors import CutShort, Moved, Unavailable
from usher.ports.queues import WHATEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.decide import Decision
    from usher.core.finding import Findings
    from usher.core.held_wait import HeldWait
    from usher.evaluation.hook_timeouts import HookTimeouts
    from usher.ports.autoscaling import AutoScaling
    from usher.ports.budget import Budget, PlacesKept, ResultLimits
    from usher.ports.queues import Questions, WakeUps
    from usher.ports.records import Evidence, Store
    from usher.ports.telemetry import Telemetry

TRIES: Final = 4
_RETRY_DELAY: Final = timedelta(seconds=2)
_PAUSED: Final = timedelta(seconds=60)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


@frozen
class Evaluator:
    """Everything that an evaluation touches. `new_id` names each, in the order of the calls."""

    store: Store
    auto_scaling: AutoScaling
    budget: Budget
    limits: ResultLimits
    places: PlacesKept
    questions: Questions
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    hook_timeouts: HookTimeouts | None = None  # None: what is configured counts, as in a replay

    @cached_property
    def call_budget(self) -> CallBudget:
        """The budget of calls, as an evaluation uses it."""
        return CallBudget(budget=self.budget, telemetry=self.telemetry)

    @cached_property
    def chains(self) -> Chains:
        """What has questions asked."""
        return Chains(kept=self.store, queue=self.questions, telemetry=self.telemetry, clock=self.clock)

    @cached_property
    def scheduler(self) -> WakeUpScheduler:
        """What sends wake-ups."""
        return WakeUpScheduler(queue=self.wake_ups, telemetry=self.telemetry, clock=self.clock)

    @cached_property
    def writer(self) -> EvaluationWriter:
        """What stores records."""
        return EvaluationWriter(
            store=self.store,
            wake_ups=self.scheduler,
            new_id=self.new_id,
            call_budget=self.call_budget,
            turns=self.turns,
        )

    @cached_property
    def turns(self) -> Turns:
        """Who may begin what its policy waits for."""
        return Turns(store=self.store, kept=self.places, wake_ups=self.scheduler)

    def evaluate(self, action_id: str, stamp: int | None = None, wait: HeldWait | None = None) -> None:
        """Evaluate one action; do nothing where that is not needed any more.

        With a `wait` (from a wake-up) the record first learns what heartbeats were sent without the table.
        Raises Unavailable; CutShort after a call or a decision, or where it is observed or paused;
        NotRecorded where nothing is known of the wait of a notice that could not be recorded.

        With a `stamp` (from a wake-up): only while the record stands at it, or its evaluation is due; with
        WHATEVER (an answer was found): in any case, while no result is decided. Without (from the sweep):
        only where it is due. Where another evaluation was faster, its record counts: likewise for that.
        """
        decided, may_beat = False, True  # what is decided stays so, whatever a later try can read
        for _ in range(TRIES):
            now = self.clock()
            try:
                action = self.store.load(action_id)
                if action is None and wait is not None and (wait.links or not wait.is_recorded):
                    action, stamp = record_of(wait, self.store), None
                if action is None:
                    return
                decided = decided or action.phase is not Phase.OPEN
                may_beat = not decided and action.policy.mode is Mode.ENFORCE
                after = action if wait is None else learned(action, wait, self.writer, now)
                if after is None:
                    continue
                stamp = stamp if after is action else None
                if _is_asked_for(after, stamp, now):
                    self._evaluate(after, now)
                else:
                    self.scheduler.send_again(after, wait, now)
            except Moved:
                stamp = stamp if stamp == WHATEVER else None
            except Unavailable as away:
                if may_beat or isinstance(away, CutShort):
                    raise
                raise CutShort(str(away), may_beat=False) from away
            else:
                return

    def _evaluate(self, stored: Action, now: datetime) -> None:
        heard = self.store.evidence(stored)
        action = observed(stored, heard, now)
        if heard.paused is not None and action.policy.mode is not Mode.OBSERVE:
            _pause(self.writer, action, heard.paused, now)
            return
        asks = questions.are_in(action.policy)
        findings = self._findings_of(action) if asks else None
        action = replace(action, findings=findings.found if findings else ())
        action = self._with_timeout(action, now)
        if now < action.expires_at:
            action = replace(action, paused_by=None)  # the pause ended in time
        chosen = evidence.after_launch(choice.made(action, now), heard.activity_ends, now)
        if chosen.policy is not action.policy:
            self._choose_again(chosen, findings, now)
            return
        if asks_for_turn(chosen, now):
            chosen = self.turns.asked(chosen, now)
            if chosen.began_at is not None:  # stored before anything is asked or started
                self.writer.put(replace(chosen, evaluate_at=now))
                return
        sender = self._sender(chosen.booked_at)
        action, decision = self._decided(chosen, now)
        same = in_same_wait(self.auto_scaling, action, decision, now)
        if same is None:
            self.writer.put(closing.superseded(action, action.id, now, now))
            return
        action, decision = same
        decision = ResultQuota(limits=self.limits, telemetry=self.telemetry).within(action, decision, now)
        _tell(self.telemetry, action, decision)
        # Before the store: a crash after it would leave nobody to ask.
        if asks and isinstance(decision, Wait) and not self.chains.begin(action, findings):
            decision = replace(decision, evaluate_at=min(decision.evaluate_at, now + _MINUTE))
        if action.policy.mode is Mode.OBSERVE:
            # A policy that enforces, chosen before, may have booked a slot.
            self.call_budget.release_replaced(action.booked_at, now)
            self.writer.put(as_if_done(replace(action, booked_at=None), decision, now))
        else:
            self._do(sender, action, decision, now)
        # After the call, which a slow queue must not keep waiting.
        if asks and isinstance(decision, Heartbeat) and not self.chains.begin(action, findings):
            self.scheduler.send(action.id, WHATEVER, _MINUTE)

    def _findings_of(self, action: Action) -> Findings | None:
        if (findings := self.store.findings(action.id)) and not findings.is_readable:
            tell_unreadable(self.telemetry, action.id)
        return findings

    def _with_timeout(self, action: Action, now: datetime) -> Action:
        """The action under the heartbeat timeout that is on its group, as far as that is known."""
        if not action.timeout_assumed:
            return action
        if self.hook_timeouts is None:
            return replace(action, timeout_assumed=False)
        try:
            is_done = isinstance(decide(action, now), Complete)
            return self.hook_timeouts.with_timeout(action, now, is_done=is_done)
        except Unavailable as error:
            self.telemetry.trouble(f"the hooks of {action.hook.group} could not be read", error)
            return action

    def _decided(self, action: Action, now: datetime) -> tuple[Action, Decision]:
        """The decision. One to wait comes with a slot for the next heartbeat."""
        decision = decide(action, now)
        if not isinstance(decision, Wait):
            return action, decision
        action = self.call_budget.reserve_heartbeat(action, now)
        return action, decide(action, now)

    def _sender(self, previous_booking: datetime | None) -> Sender:
        return Sender(
            writer=self.writer,
            auto_scaling=self.auto_scaling,
            call_budget=self.call_budget,
            telemetry=self.telemetry,
            clock=self.clock,
            with_timeout=self._with_timeout,
            with_next_evaluation=self._with_next_evaluation,
            previous_booking=previous_booking,
        )

    def _do(self, sender: Sender, action: Action, decision: Decision, now: datetime) -> None:
        if isinstance(decision, Wait):
            action = action.noted(now, "wait", decision.reason, decision.code)
            sender.store_booked(replace(action, evaluate_at=decision.evaluate_at), now)
            return
        action, goes = self.call_budget.acquire(action, now, completes=isinstance(decision, Complete))
        if not goes:
            sender.store_booked(replace(action, evaluate_at=_slot_comes_at(action, decision, now)), now)
        elif isinstance(decision, Complete):
            sender.complete(action, decision, now)
        else:
            sender.heartbeat(action, decision, now)

    def _choose_again(self, action: Action, findings: Findings | None, now: datetime) -> None:
        """Store another policy, to be evaluated at once. What was to be asked for the one before is void."""
        if findings is not None:
            void = replace(findings, turn=findings.turn + 1, ask_at=None, sweep_at=None)
            self.store.keep_findings(action, void)
        self.writer.put(replace(action, evaluate_at=now))

    def _with_next_evaluation(self, action: Action, now: datetime) -> Action:
        """After an accepted heartbeat: at once where it is not to wait."""
        action, decision = self._decided(action, now)
        return replace(action, evaluate_at=decision.evaluate_at if isinstance(decision, Wait) else now)


def _tell(telemetry: Telemetry, action: Action, decision: Decision) -> None:
    name = type(decision).__name__.lower()
    telemetry.decided(replace(action, evaluate_at=decision.evaluate_at), name, decision.reason)


def _pause(writer: EvaluationWriter, action: Action, by: str, now: datetime) -> None:
    try:
        writer.put(_paused(action, by, now))
    except Unavailable as away:
        raise CutShort(str(away), may_beat=False) from away


def _paused(action: Action, by: str, now: datetime) -> Action:
    """Call nothing, and close nothing: whoever sends heartbeats meanwhile, the wait may go on.

    The evaluations go on too, so that after a resume there is time left, and Auto Scaling is asked.
    """
    left = action.heartbeat_by - now
    if left > timedelta(0):
        again_in = min(_PAUSED, max(_RETRY_DELAY, left / 2))
    else:
        again_in = _PAUSED if now < action.ends_at else _HOUR
    return replace(action.noted(now, "paused", by), paused_by=by, evaluate_at=now + again_in)


def observed(action: Action, heard: Evidence, now: datetime) -> Action:
    """The action with what was heard of it."""
    signals = [signal for signal in heard.signals if evidence.fits(signal, action)]
    action = evidence.with_signals(action, signals, now)
    action = evidence.with_move_ends(action, heard.activity_ends, now)
    action = evidence.with_instance_end(action, heard.instance_ended_at, now)
    action = evidence.with_release(action, heard.release, now)
    return evidence.with_stop(action, heard.stopped_at, now)


def _slot_comes_at(action: Action, decision: Complete | Heartbeat, now: datetime) -> datetime:
    """When to try again what has no slot now.

    A heartbeat goes in the slot that is booked for it. A result does not wait for that one, which may
    be an hour away where nobody could say whether there was room; nor does one that only asks whether
    the wait goes on, since no condition is judged before that is known.
    """
    if action.booked_at is None or action.booked_at <= now:
        return decision.evaluate_at
    if isinstance(decision, Complete) or action.activity_end is not None:
        return min(action.booked_at, decision.evaluate_at)
    return action.booked_at


def _is_asked_for(action: Action, stamp: int | None, now: datetime) -> bool:
    if action.evaluate_at is None:
        return False
    if stamp is None:
        return action.evaluate_at <= now
    if stamp == WHATEVER:
        return action.phase is Phase.OPEN
    return action.stands_at(stamp) or action.evaluate_at <= now
