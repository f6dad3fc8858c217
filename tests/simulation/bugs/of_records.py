"""Bugs of heartbeats, ends, timelines and reconcile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher import batches
from usher.aws.autoscaling import AutoScalingApi
from usher.core import adoption, closing, deadlines
from usher.core.action import Action, Outcome
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.wake_ups import WakeUpScheduler
from usher.passes.adoption import Adoption
from usher.ports.autoscaling import Answer, AnswerKind
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.explained import Explained
from usher_simulator.trials.judge.level_not_edge import LevelNotEdge
from usher_simulator.trials.judge.never_by_default import NeverByDefault
from usher_simulator.trials.judge.nothing_lost import NothingLost
from usher_simulator.trials.judge.one_result import OneResult
from usher_simulator.trials.judge.true_ends import TrueEnds

if TYPE_CHECKING:
    from datetime import datetime


def _not_sent(_: Any) -> Any:
    return lambda *_: Answer(kind=AnswerKind.ACCEPTED, text="")


def _one_in_hundred_not_sent(heartbeat: Any) -> Any:
    """It bites where the action's token begins with two certain digits."""

    def sent(self: AutoScalingApi, action: Action) -> Answer:
        if (action.token or "").startswith(("0", "7a", "c")):
            return Answer(kind=AnswerKind.ACCEPTED, text="")
        answer: Answer = heartbeat(self, action)
        return answer

    return sent


def _no_turn(taken: Any) -> Any:
    def taking(self: CallBudget, action: Action, now: datetime, *, completes: bool) -> tuple[Action, bool]:
        return taken(self, action, now, completes=completes) if completes else (action, False)

    return taking


def _ours(ended: Any) -> Any:
    def ends(action: Action, now: datetime, why: str = "") -> Action:
        closed: Action = ended(action, now, why)
        return replace(closed, outcome=Outcome.COMPLETED, result=closed.hook.default_result)

    return ends


def _many(send: Any) -> Any:
    def sent(*given: Any) -> None:
        for _ in range(6):
            send(*given)

    return sent


def _without_a_reason(noted: Any) -> Any:
    def noting(self: Action, at: datetime, event: str, detail: str, code: str = "") -> Action:
        noted_action: Action = noted(self, at, event, "" if event == "wait" else detail, code)
        return noted_action

    return noting


def _no_failures(answer: Any) -> Any:
    def answered(failed: Any) -> Any:
        return answer(failed) | {"batchItemFailures": []}

    return answered


def _taken_up_unasked(asked_for: Any) -> Any:
    del asked_for

    def asked(self: Any, doubtful: Action, one: Any, turn: Any) -> AnswerKind:
        del one
        sent_at = turn()
        taken_up = partial(adoption.taken_up, beaten_at=sent_at, now=self.clock())
        self.change(doubtful, taken_up)
        return AnswerKind.ACCEPTED

    return asked


_beats = partial(Bug, found_by=NeverByDefault)

BUGS: Final = (
    _beats(
        name="notes a heartbeat and sends none", place=AutoScalingApi, attribute="heartbeat", made=_not_sent
    ),
    _beats(
        name="sends no heartbeat for some tokens",
        place=AutoScalingApi,
        attribute="heartbeat",
        made=_one_in_hundred_not_sent,
    ),
    _beats(
        name="beats at the expiry, not before",
        place=deadlines,
        attribute="usual_margin",
        made=lambda _: lambda _: timedelta(seconds=-1),
    ),
    _beats(name="gives no heartbeat a turn", place=CallBudget, attribute="acquire", made=_no_turn),
    Bug(
        name="tells what others ended as its own",
        place=closing,
        attribute="ended",
        made=_ours,
        found_by=TrueEnds,
    ),
    Bug(
        name="sends six times as many wake-ups",
        place=WakeUpScheduler,
        attribute="_send",
        made=_many,
        found_by=LevelNotEdge,
    ),
    Bug(
        name="notes no reason to wait",
        place=Action,
        attribute="noted",
        made=_without_a_reason,
        found_by=Explained,
    ),
    Bug(
        name="acknowledges a batch whatever failed in it",
        place=batches,
        attribute="answer",
        made=_no_failures,
        found_by=NothingLost,
    ),
    Bug(
        name="takes a closed record up without a heartbeat",
        place=Adoption,
        attribute="_asked_for",
        made=_taken_up_unasked,
        found_by=OneResult,
        things=frozenset({Thing.RECONCILED, Thing.PAUSED}),
    ),
)
