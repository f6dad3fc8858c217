"""Bugs of evaluations and intake, of the record and of wake-ups."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher.aws import autoscaling
from usher.core import closing, deadlines, decide, evidence, messages
from usher.core.action import Action, Outcome, Phase, Result
from usher.core.conditions.signalled import Signalled
from usher.core.finding import ConditionStatus
from usher.core.notifications import LifecycleNotice, NotUnderstood
from usher.core.policy import Configuration
from usher.evaluation import evaluator, wake_ups
from usher.evaluation.evaluator import Evaluator
from usher.evaluation.sender import Sender
from usher.evaluation.turns import Turns
from usher.intake.intake import Intake
from usher.outage.without_table import WithoutTable
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import Unavailable
from usher_simulator.trials import deployment
from usher_simulator.trials.judge.explained import Explained
from usher_simulator.trials.judge.in_time import InTime
from usher_simulator.trials.judge.level_not_edge import LevelNotEdge
from usher_simulator.trials.judge.never_by_default import NeverByDefault
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.nothing_lost import NothingLost
from usher_simulator.trials.judge.one_result import OneResult
from usher_simulator.trials.judge.only_ours import OnlyOurs
from usher_simulator.trials.judge.true_ends import TrueEnds

if TYPE_CHECKING:
    from usher.core.conditions.verdict import Verdict
    from usher.core.held_wait import HeldWait
    from usher.evaluation.record_writer import RecordWriter


def _acknowledged_unstored(take: Any) -> Any:
    def taken(self: Intake, body: str, channel: str, **named: Any) -> None:
        with suppress(Unavailable):
            take(self, body, channel, **named)

    return taken


def _dropped_unread(take: Any) -> Any:
    def taken(self: Intake, body: str, channel: str, **named: Any) -> None:
        with suppress(NotUnderstood):
            messages.read(body, channel)
            take(self, body, channel, **named)

    return taken


def _sent_before_stored(complete: Any) -> Any:
    def completed(self: Sender, action: Action, decision: decide.Complete, *rest: Any) -> None:
        self.auto_scaling.complete(action, decision.result)
        complete(self, action, decision, *rest)

    return completed


def _beats_once_more(complete: Any) -> Any:
    def completed(self: Sender, action: Action, *rest: Any) -> None:
        complete(self, action, *rest)
        self.auto_scaling.heartbeat(action)

    return completed


def _forgets_its_result(after_failure: Any) -> Any:
    def failed(self: Sender, action: Action, *rest: Any) -> Action:
        after: Action = after_failure(self, action, *rest)
        return replace(after, phase=Phase.OPEN, result=None) if after.phase is Phase.COMPLETING else after

    return failed


def _counted_from_the_wrong_time(_: Any) -> Any:
    def expires_at(self: Action) -> Any:
        return min(self.started_at + (self.heartbeats + 1) * self.hook.heartbeat_timeout, self.ends_at)

    return property(expires_at)


def _success(error_answer: Any) -> Any:
    def answer(error: Any) -> Any:
        said = error_answer(error)
        is_gone = said.kind is AnswerKind.NO_ACTIVE_ACTION
        return replace(said, kind=AnswerKind.ACCEPTED) if is_gone else said

    return answer


def _in_small_letters(read: Any) -> Any:
    def lowered(*given: Any) -> Any:
        notice = read(*given)
        return replace(notice, token=notice.token.lower()) if isinstance(notice, LifecycleNotice) else notice

    return lowered


def _swapped(ending: Any) -> Any:
    def swapped(action: Action, *rest: Any) -> Any:
        policy = replace(
            action.policy, on_failure=action.policy.on_success, on_success=action.policy.on_failure
        )
        return ending(replace(action, policy=policy), *rest)

    return swapped


def _failed_is_done(verdict: Any) -> Any:
    def said(self: Signalled, *rest: Any) -> Verdict:
        found: Verdict = verdict(self, *rest)
        return (
            replace(found, status=ConditionStatus.HOLDS) if found.status is ConditionStatus.FAILED else found
        )

    return said


def _renamed(noted: Any) -> Any:
    def silent(self: Action, at: Any, event: str, detail: str, code: str = "") -> Action:
        told: Action = self if event == "answer" else noted(self, at, event, detail, code)
        return told

    return silent


def _any_hook(_: Any) -> Any:
    def hook(self: Configuration, name: str, group: str, transition: Any) -> Any:
        del name, group
        return next((hook for hook in self.hooks if hook.transition is transition), None)

    return hook


def _new_terms(writer: Any) -> Any:
    """Whatever intake stores of an action puts it under the newest policy."""

    def renewing(self: Intake) -> Any:
        own: RecordWriter = writer.fget(self)

        def note(action: Action, how: Any, save: Any = None, **more: Any) -> None:
            hook = self.configuration.hook(action.hook.name, action.hook.group, action.hook.transition)
            policy = hook.rules[-1].use if hook else action.policy
            own.note(action, lambda newest: replace(how(newest), policy=policy), save, **more)

        return SimpleNamespace(open=own.open, update=own.update, new_id=own.new_id, note=note)

    return property(renewing)


def _whatever_the_version(evaluate: Any) -> Any:
    def evaluated(self: Evaluator, action_id: str, version: int | None = None, wait: Any = None) -> None:
        action = self.store.load(action_id)
        evaluate(
            self, action_id, action.version if action is not None and version is not None else None, wait
        )

    return evaluated


def _never_satisfied(evaluate: Any) -> Any:
    def evaluated(self: Evaluator, action_id: str, version: int | None = None, wait: Any = None) -> None:
        evaluate(self, action_id, version, wait)
        if wait is not None:
            raise Unavailable("it says")

    return evaluated


def _whatever_is_decided(held_wait: Any) -> Any:
    return lambda action, number: held_wait(replace(action, phase=Phase.OPEN), number)


def _completed_alone(beaten: Any) -> Any:
    def ended(self: WithoutTable, wait: HeldWait) -> HeldWait:
        hook = SimpleNamespace(group=wait.group, name=wait.hook)
        named = SimpleNamespace(hook=hook, token=wait.token, instance_id=wait.instance_id)
        self.holds.complete(named, Result.CONTINUE)  # type: ignore[attr-defined] # it has that too
        after: HeldWait = beaten(self, wait)
        return after

    return ended


def _later(after_failure: Any) -> Any:
    def failed(self: Sender, action: Action, answer: Any, now: Any) -> Action:
        after: Action = after_failure(self, action, answer, now)
        busy = answer.kind is AnswerKind.BUSY and after.is_open
        return replace(after, evaluate_at=now + timedelta(hours=1)) if busy else after

    return failed


def _closed_when_busy(after_failure: Any) -> Any:
    def failed(self: Sender, action: Action, answer: Any, now: Any) -> Action:
        if answer.kind is AnswerKind.BUSY:
            return closing.closed(action, Outcome.ENDED_ELSEWHERE, "busy", now)
        after: Action = after_failure(self, action, answer, now)
        return after

    return failed


def _closed_when_beaten(settle: Any) -> Any:
    def settles(self: Sender, action: Action, call: str, answer: Any, settled: Any, *rest: Any) -> None:
        def then(newer: Action, now: Any) -> Action:
            after: Action = settled(newer, now)
            is_beaten = call.startswith("Record") and answer.kind is AnswerKind.ACCEPTED
            if is_beaten and after.is_open:
                return closing.closed(after, Outcome.ENDED_ELSEWHERE, "beaten", now)
            return after

        settle(self, action, call, answer, then, *rest)

    return settles


def _never_defaulted(ended: Any) -> Any:
    def told(action: Action, now: Any, *why: Any) -> Action:
        after: Action = ended(action, now, *why)
        is_default = after.outcome is Outcome.DEFAULTED
        return replace(after, outcome=Outcome.ENDED_ELSEWHERE) if is_default else after

    return told


def _everybody_begins(_: object) -> object:
    return lambda _, action, now: replace(action, began_at=now)


BUGS: Final = (
    Bug(
        name="acknowledges what could not be stored",
        place=Intake, attribute="take", made=_acknowledged_unstored, found_by=NothingLost,
    ),
    Bug(
        name="drops what it does not understand",
        place=Intake, attribute="take", made=_dropped_unread, found_by=NothingLost,
    ),
    Bug(
        name="compares tokens without regard to case",
        place=messages, attribute="read", made=_in_small_letters, found_by=NothingLost,
    ),
    Bug(
        name="completes before the result is stored",
        place=Sender, attribute="complete", made=_sent_before_stored, found_by=OneResult,
    ),
    Bug(
        name="sends a heartbeat after the result",
        place=Sender, attribute="complete", made=_beats_once_more, found_by=OneResult,
    ),
    Bug(
        name="forgets its result when the call fails",
        place=Sender, attribute="_after_failure", made=_forgets_its_result, found_by=OneResult,
    ),
    Bug(
        name="takes success for failure, and failure for success",
        place=decide, attribute="_ending", made=_swapped, found_by=NeverEarly,
    ),
    Bug(
        name="takes a failed signal for a done one",
        place=Signalled, attribute="verdict", made=_failed_is_done, found_by=NeverEarly,
    ),
    Bug(
        name="gives up after half of its patience",
        place=deadlines, attribute="patience",
        made=lambda patience: lambda *given: patience(*given) / 2, found_by=NeverEarly,
    ),
    Bug(
        name="at_once: counts nothing",
        place=Turns, attribute="asked", made=_everybody_begins, found_by=NeverEarly,
    ),
    Bug(
        name="adds heartbeats up instead of restarting the period",
        place=Action, attribute="expires_at", made=_counted_from_the_wrong_time,
        found_by=NeverByDefault,
    ),
    Bug(
        name="drops a due evaluation on a throttle",
        place=Sender, attribute="_after_failure", made=_later, found_by=NeverByDefault,
    ),
    Bug(
        name="sends no wake-ups",
        place=wake_ups, attribute="wake_up_times", made=lambda _: lambda *_: [],
        found_by=NeverByDefault,
    ),
    Bug(
        name="runs wake where Lambda ends loops",
        place=deployment, attribute="WAKE", made=partial(replace, feeds_itself=False),
        found_by=NeverByDefault,
    ),
    Bug(
        name="takes every hook for its own",
        place=Configuration, attribute="hook", made=_any_hook, found_by=OnlyOurs,
    ),
    Bug(
        name="puts open actions under a new configuration",
        place=Intake, attribute="writer", made=_new_terms, found_by=OnlyOurs,
    ),
    Bug(
        name="calls in observe mode",
        place=evaluator,
        attribute="Mode",
        made=lambda mode: SimpleNamespace(ENFORCE=mode.ENFORCE, OBSERVE=None),
        found_by=OnlyOurs,
    ),
    Bug(
        name="evaluates whatever the version of its wake-up",
        place=Evaluator, attribute="evaluate", made=_whatever_the_version, found_by=LevelNotEdge,
    ),
    Bug(
        name="leaves a signal to the next heartbeat",
        place=evidence, attribute="needs_evaluation", made=lambda _: lambda *_: False, found_by=InTime,
    ),
    Bug(
        name="goes on from wake-up to wake-up beside the table",
        place=Evaluator, attribute="evaluate", made=_never_satisfied, found_by=LevelNotEdge,
    ),
    Bug(
        name="sends a result without the table",
        place=WithoutTable, attribute="_beaten", made=_completed_alone, found_by=OneResult,
    ),
    Bug(
        name="beats without the table what is decided",
        place=wake_ups, attribute="held_wait", made=_whatever_is_decided, found_by=OneResult,
    ),
    Bug(
        name="takes 'no active action' for an acceptance",
        place=autoscaling, attribute="error_answer", made=_success, found_by=TrueEnds,
    ),
    Bug(
        name="closes the record on a throttle",
        place=Sender, attribute="_after_failure", made=_closed_when_busy, found_by=TrueEnds,
    ),
    Bug(
        name="closes every record after its first heartbeat",
        place=Sender, attribute="_settle", made=_closed_when_beaten, found_by=TrueEnds,
    ),
    Bug(
        name="tells a default as ended elsewhere",
        place=closing, attribute="ended", made=_never_defaulted, found_by=TrueEnds,
    ),
    Bug(
        name="does not note the answers",
        place=Action, attribute="noted", made=_renamed, found_by=Explained,
    ),
)  # fmt: skip
