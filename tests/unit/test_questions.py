"""Which questions are due, when the next one is, and how the chain of their turns begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_finding, a_policy, an_action, at
from tests.questions import QuestionList, with_finding
from usher.core import questions
from usher.core.action import OperatorNote, Phase, Result
from usher.core.finding import Finding, Findings
from usher.evaluation.question_chain import QUESTION_OVERDUE_AFTER, Chains
from usher.ports.records import Unasked
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from usher.core.action import Action

DRAINED = a_policy([{"ecs": "drained"}])
CONDITION = "ecs drained"
MINUTE = timedelta(minutes=1)


def found(*, ask_again_s: float | None) -> Finding:
    again_at = None if ask_again_s is None else at(ask_again_s)
    return a_finding(condition=CONDITION, asked_at=at(0), ask_again_at=again_at, memory={})


def asked(ask_again_s: float | None = 30, **changes: Any) -> Action:
    return with_finding(an_action(policy=DRAINED, **changes), found(ask_again_s=ask_again_s))


def test_a_condition_is_due_when_its_time_has_come_and_until_then_that_is_the_next_turn() -> None:
    (probe,) = DRAINED.until
    assert [each.name for each in questions.due(asked(), at(30))] == [CONDITION] == [probe.name]  # type: ignore[attr-defined]
    assert (questions.due(asked(), at(29)), questions.next_at(asked(), at(29))) == ((), at(30))


def test_what_is_known_for_good_is_not_asked_again() -> None:
    assert questions.next_at(asked(ask_again_s=None), at(30)) is None


def test_while_a_stopped_instance_cannot_be_let_go_its_questions_come_a_minute_later() -> None:
    """No answer changes anything then; but it may run again, and nobody else would ask."""
    stopped = asked(stopped_at=at(25))
    assert questions.due(stopped, at(30)) == ()
    assert questions.next_at(stopped, at(30)) == at(30) + MINUTE


@pytest.mark.parametrize(
    "told",
    [
        {"operator_hold": OperatorNote(who="ada", at=at(0), reason="the disk is full")},
        {"let_through": True},
        {"instance_ended_at": at(20)},
        {"phase": Phase.COMPLETING, "result": Result.CONTINUE},
    ],
    ids=["held", "let through", "ended", "completing"],
)
def test_where_no_answer_can_change_anything_any_more_nothing_is_asked(told: dict[str, Any]) -> None:
    action = asked(**told)
    assert (questions.due(action, at(30)), questions.next_at(action, at(30))) == ((), None)


# How an evaluation begins the chain


def a_chain() -> tuple[Chains, MemoryStore, QuestionList]:
    store, queue = MemoryStore(lambda: at(30)), QuestionList()
    return Chains(kept=store, queue=queue, telemetry=Recorder(), clock=lambda: at(30)), store, queue


def test_a_chain_that_ended_is_begun_again_where_something_is_due() -> None:
    """As after a pause or a hold: its last turn stored that nothing is to be asked."""
    chains, store, queue = a_chain()
    action = asked()
    ended = Findings(turn=1, found=action.findings, ask_at=None)
    store.keep_findings(action, ended)

    chains.begin(action, ended)

    assert queue.sent == [(action.id, 2, timedelta(0))]
    begun = replace(ended, turn=2, ask_at=at(30), sweep_at=at(30) + QUESTION_OVERDUE_AFTER)
    assert store.findings(action.id) == begun


@pytest.mark.parametrize(
    ("ask_again_s", "ask_at_s", "sent_in_s"),
    [
        pytest.param(50, None, [20], id="it ended: it goes on when its next question is due"),
        pytest.param(None, None, [], id="it ended, and nothing is to be asked again"),
        pytest.param(20, 20, [], id="its turn is on its way, and due"),
        pytest.param(50, 50, [], id="its turn is on its way, ahead, and nothing is due"),
    ],
)
def test_a_turn_is_sent_where_none_is_on_its_way_and_something_is_to_be_asked(
    ask_again_s: float | None, ask_at_s: float | None, sent_in_s: list[float]
) -> None:
    chains, store, queue = a_chain()
    action = asked(ask_again_s=ask_again_s)
    kept = Findings(turn=1, found=action.findings, ask_at=None if ask_at_s is None else at(ask_at_s))
    store.keep_findings(action, kept)

    chains.begin(action, kept)

    assert queue.sent == [(action.id, 2, timedelta(seconds=span)) for span in sent_in_s]
    assert (store.findings(action.id) == kept) == (not sent_in_s)


# What the sweep finds that was not asked


@pytest.mark.parametrize(
    ("due_ago", "overdue"),
    [
        pytest.param(-timedelta(minutes=4), 0, id="too far ahead for its message"),
        pytest.param(QUESTION_OVERDUE_AFTER, 0, id="lost once"),
        pytest.param(2 * QUESTION_OVERDUE_AFTER, 1, id="sent anew and not asked either"),
    ],
)
def test_a_question_is_overdue_where_it_was_sent_anew_and_nobody_asked_it(
    due_ago: timedelta, overdue: int
) -> None:
    chains, store, queue = a_chain()
    action = asked()
    store.keep_findings(action, Findings(turn=1, ask_at=at(30) - due_ago, sweep_at=at(30)))

    chains.repair(Unasked(action_id=action.id, turn=1, sweep_at=at(30)))

    assert queue.sent == [(action.id, 1, max(-due_ago, timedelta(0)))]
    assert isinstance(chains.telemetry, Recorder)
    assert chains.telemetry.counts["OverdueQuestions"] == overdue


def test_a_question_whose_turn_was_taken_meanwhile_is_not_overdue() -> None:
    chains, store, queue = a_chain()
    action = asked()
    store.keep_findings(action, Findings(turn=1, ask_at=at(-1000), sweep_at=at(30)))

    chains.repair(Unasked(action_id=action.id, turn=0, sweep_at=at(30)))

    assert isinstance(chains.telemetry, Recorder)
    assert (queue.sent, chains.telemetry.counts["OverdueQuestions"]) == ([], 0)
