"""The function `questions` in a test: what was sent to it, and its turns, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from usher.evaluation.call_budget import CallBudget
from usher.ports.records import ReconcileStore
from usher.questions.probing import Prober
from usher_simulator.fakes.memory_budget import MemoryAnswers, MemoryBudget
from usher_simulator.fakes.parts import asking_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from usher.core.action import Action
    from usher.core.finding import Finding
    from usher.evaluation.evaluator import Evaluator
    from usher.ports.conditions import Calls
    from usher.ports.records import Store
    from usher.questions.asking import Asking


@dataclass
class QuestionList:
    """Implements usher.ports.queues.Questions: keeps what is sent."""

    sent: list[tuple[str, int, timedelta]] = field(default_factory=list)

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        self.sent.append((action_id, turn, delay))


def free_turns(calls_per_second: float = 1000) -> CallBudget:
    """A budget that nobody else draws on."""
    return CallBudget(budget=MemoryBudget(calls_per_second), telemetry=Recorder())


def asking_by(evaluator: Evaluator, calls: Calls) -> Asking:
    """The function beside `evaluator`, on the same table and queues."""
    probing = Prober(
        calls=calls, answers=MemoryAnswers(), call_budget=evaluator.call_budget, clock=evaluator.clock
    )
    return asking_of(evaluator, probing)


def ask_due(store: Store, asking: Asking, now: datetime) -> None:
    """Take the turns of all actions that are due, whoever sent what."""
    for _ in range(20):
        due = [
            (row.action_id, findings.turn)
            for row in cast(ReconcileStore, store).open_rows()
            if (findings := store.findings(row.action_id)) is not None
            and findings.ask_at is not None
            and findings.ask_at <= now
        ]
        if not due:
            return
        for action_id, turn in due:
            asking.ask(action_id, turn)
    raise AssertionError("questions are asked again and again at the same time")


def with_finding(action: Action, finding: Finding) -> Action:
    """The action as an evaluation has it that knows this of one condition."""
    others = tuple(other for other in action.findings if other.condition != finding.condition)
    return replace(action, findings=(*others, finding))


def found_of(store: Store, action_id: str = "action-1") -> tuple[Finding, ...]:
    """What was found of an action's conditions."""
    findings = store.findings(action_id)
    return findings.found if findings is not None else ()
