"""A scene for evaluations: an action on record, Auto Scaling that answers as told, and the evaluator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.factories import a_policy, an_action, at, hook_terms
from tests.questions import QuestionList
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import Unavailable
from usher.ports.records import Raw
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action, Result
    from usher.core.held_wait import HeldWait
    from usher.core.live_waits import Activity


ACCEPTED = Answer(kind=AnswerKind.ACCEPTED, text="")
GONE = Answer(kind=AnswerKind.NO_ACTIVE_ACTION, text="ValidationError: No active Lifecycle Action found")
BUSY = Answer(kind=AnswerKind.BUSY, text="Throttling: Rate exceeded")
REFUSED = Answer(kind=AnswerKind.REFUSED, text="AccessDenied")
UNREACHED = Answer(kind=AnswerKind.UNREACHED, text="ConnectTimeoutError")
UNANSWERED = Answer(kind=AnswerKind.UNANSWERED, text="ReadTimeoutError")
AT_ONCE = a_policy([])


class Scene(OneByOne):
    """A store, an Auto Scaling that answers as told, a wake-up queue, and a log of every effect."""

    def __init__(self, action: Action, *answers: Answer, now_s: float = 0) -> None:
        self.now = at(now_s)
        self.effects: list[str] = []
        self.during_call: Callable[[], None] = lambda: None
        self._answers = list(answers)
        self.activity: Activity | None = None
        self.store = LoggingStore(self)
        self.recorder = Recorder()
        self.queue_is_down = False
        self.budget = MemoryBudget(10)
        self.store.open(action, Raw(received_at=at(0), body="{}"))
        self.effects.clear()
        self.questions = QuestionList()
        self.evaluator = evaluator_of(
            store=self.store,
            auto_scaling=self,
            budget=self.budget,
            questions=self.questions,
            wake_ups=self,
            telemetry=self.recorder,
            clock=lambda: self.now,
        )

    def evaluate(self, version: int | None = None, wait: HeldWait | None = None) -> Action:
        self.evaluator.evaluate("action-1", version, wait)
        return self.action

    @property
    def action(self) -> Action:
        action = self.store.load("action-1")
        assert action is not None
        return action

    def heartbeat(self, action: Action) -> Answer:
        return self._call("heartbeat", action)

    def complete(self, action: Action, result: Result) -> Answer:
        return self._call(f"complete {result}", action)

    def _call(self, call: str, action: Action) -> Answer:
        assert action.id == "action-1"
        self.effects.append(call)
        self.during_call()
        return self._answers.pop(0)

    def ongoing(self, action: Action) -> Activity | None:
        assert action.id == "action-1"
        self.effects.append("describe activities")
        return self.activity

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        assert action_id == "action-1"
        if self.queue_is_down:
            raise Unavailable("queue")
        stood_for = version % 2**32  # above that it names the evaluation
        self.effects.append(f"wake v{stood_for} in {delay.total_seconds():g}s")


class LoggingStore(MemoryStore):
    def __init__(self, scene: Scene) -> None:
        super().__init__(lambda: scene.now)
        self._scene = scene

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        super().save(action, raw=raw)
        self._scene.effects.append(f"store v{action.version} {action.phase}")


def short(**changes: object) -> Action:
    return an_action(hook=hook_terms(heartbeat_timeout=timedelta(seconds=30)), **changes)


def nudge(scene: Scene, evaluate_at: datetime) -> None:
    """What intake does when a signal comes."""
    newest = scene.action
    scene.store.save(
        replace(newest, version=newest.version + 1, evaluation_id="intake", evaluate_at=evaluate_at)
    )
