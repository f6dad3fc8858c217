from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.conditions import FAILED, HOLDS, PENDING, UNKNOWN
from tests.factories import a_policy, a_signal, an_action, at
from usher.core import configuration
from usher.core.action import Status
from usher.core.conditions.combined import AnyOf, Not, Then
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.probe import Call, Found, Probe
from usher.core.conditions.signalled import Signalled
from usher.core.field import ConfigurationRefused
from usher.core.finding import ConditionStatus, Finding

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Reply
    from usher.core.conditions.verdict import Condition
    from usher.core.field import Field
    from usher.core.finding import Memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked(Probe):
    """A condition that says what the record says that was found."""

    label: str

    @classmethod
    def parse(cls, field: Field) -> Asked:
        return cls(label=str(field.value))

    @property
    def name(self) -> str:
        return f"asked {self.label}"

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        raise AssertionError(f"{action.id} {memory} {now}: nothing is asked here")

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        raise AssertionError(f"{action.id} {memory} {call} {reply} {now}: nothing is asked here")


A, B, C = Asked(label="a"), Asked(label="b"), Asked(label="c")


def found(label: str, status: ConditionStatus, again_s: float | None = 100) -> Finding:
    again_at = None if again_s is None else at(again_s)
    return Finding(
        condition=f"asked {label}",
        status=status,
        detail="as told",
        asked_at=at(0),
        ask_again_at=again_at,
        denials=2 if status is ConditionStatus.PENDING else 0,
    )


def with_findings(*findings: Finding) -> Action:
    return an_action(findings=findings)


def stands(condition: Condition, action: Action, now_s: float = 10) -> ConditionStatus:
    return condition.verdict(action, at(now_s)).status


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param((HOLDS, PENDING), HOLDS, id="one holds"),
        pytest.param((UNKNOWN, HOLDS), HOLDS, id="one holds, and one is unknown"),
        pytest.param((FAILED, HOLDS), HOLDS, id="one holds, and one failed"),
        pytest.param((FAILED, PENDING), PENDING, id="one may still hold"),
        pytest.param((FAILED, UNKNOWN), UNKNOWN, id="one may hold, for all that is known"),
        pytest.param((FAILED, FAILED), FAILED, id="all failed"),
    ],
)
def test_any_holds_where_one_does_and_fails_where_all_have(
    statuses: tuple[ConditionStatus, ConditionStatus], expected: ConditionStatus
) -> None:
    action = with_findings(found("a", statuses[0]), found("b", statuses[1]))

    assert stands(AnyOf(of=(A, B)), action) is expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [(HOLDS, PENDING), (PENDING, HOLDS), (FAILED, HOLDS), (UNKNOWN, UNKNOWN)],
)
def test_not_turns_what_is_known_and_leaves_the_unknown(
    inner: ConditionStatus, expected: ConditionStatus
) -> None:
    assert stands(Not(of=A), with_findings(found("a", inner))) is expected


def test_not_never_holds_on_an_answer_that_is_old() -> None:
    action = with_findings(found("a", PENDING, again_s=30))

    assert stands(Not(of=A), action, 299.9) is HOLDS
    assert stands(Not(of=A), action, 300) is UNKNOWN
    assert stands(Not(of=A), with_findings()) is UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"denials": 1}, id="one answer that it does not hold"),
        pytest.param({"denials": 0, "confirmed_once": True}, id="one answer that it holds"),
    ],
)
def test_not_never_holds_on_one_answer_alone(changes: dict[str, Any]) -> None:
    action = with_findings(replace(found("a", PENDING), **changes))

    assert stands(Not(of=A), action) is UNKNOWN


def test_what_was_found_counts_until_asked_again_and_at_most_five_minutes() -> None:
    """However long the queue of the questions is, two of one policy are fresh together."""
    action = with_findings(found("a", HOLDS, again_s=30))

    assert stands(A, action, 299.9) is HOLDS
    assert stands(A, action, 300) is UNKNOWN


def test_what_was_asked_before_the_first_sight_of_the_action_never_counts() -> None:
    action = replace(with_findings(found("a", HOLDS, again_s=None)), first_seen_at=at(1))

    assert stands(A, action) is UNKNOWN
    assert A.asks(action, at(10)) == (A,)


def test_a_failure_counts_however_old_it_is() -> None:
    assert stands(A, with_findings(found("a", FAILED, again_s=30)), 1e6) is FAILED


def test_what_held_for_good_holds_for_ever() -> None:
    assert stands(A, with_findings(found("a", HOLDS, again_s=None)), 1e6) is HOLDS


def test_any_asks_whatever_is_due_of_all_that_it_has() -> None:
    assert AnyOf(of=(A, B)).asks(with_findings(), at(0)) == (A, B)
    assert AnyOf(of=(A, B)).asks(with_findings(found("a", PENDING)), at(10)) == (B,)


def test_then_asks_nothing_of_a_stage_before_the_one_before_it_holds() -> None:
    both = Then(stages=(A, B))

    assert both.asks(with_findings(), at(0)) == (A,)
    assert both.asks(with_findings(found("a", PENDING, again_s=5)), at(10)) == (A,)
    assert both.asks(with_findings(found("a", PENDING)), at(10)) == ()
    assert both.asks(with_findings(found("a", HOLDS)), at(10)) == (B,)


def test_then_asks_nothing_once_all_its_stages_hold() -> None:
    both = Then(stages=(A, B))
    assert both.asks(with_findings(found("a", HOLDS), found("b", HOLDS)), at(10)) == ()


def test_not_asks_what_it_turns() -> None:
    assert Not(of=A).asks(with_findings(), at(10)) == (A,)
    assert Not(of=A).asks(with_findings(found("a", PENDING)), at(10)) == ()


def test_a_stage_that_held_has_done_so_for_good_once_the_next_was_asked() -> None:
    action = with_findings(found("a", HOLDS, again_s=5), found("b", PENDING, again_s=5))
    three = Then(stages=(A, B, C))

    assert three.asks(action, at(10)) == (B,)
    assert stands(three, with_findings(found("a", PENDING), found("b", HOLDS), found("c", HOLDS))) is HOLDS


def test_then_fails_with_its_stage_and_waits_with_its_stage() -> None:
    both = Then(stages=(A, B))

    assert stands(both, with_findings(found("a", FAILED, again_s=None))) is FAILED
    assert stands(both, with_findings(found("a", HOLDS), found("b", PENDING))) is PENDING
    assert stands(both, with_findings(found("a", HOLDS))) is UNKNOWN


def test_a_signal_that_stands_inside_a_combination_is_listened_to() -> None:
    policy = a_policy([{"any": [{"signal": "done"}, {"elapsed": "10m"}]}])
    action = an_action(policy=policy, signals=(a_signal(name="done", status=Status.DONE),))

    assert policy.leaves == (Signalled(name="done"), Elapsed(after=timedelta(minutes=10)))
    assert stands(policy.until[0], action) is HOLDS


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param({"not": {"signal": "x"}}, Not(of=Signalled(name="x")), id="not"),
        pytest.param(
            {"signal": "x", "then": {"elapsed": "90s"}},
            Then(stages=(Signalled(name="x"), Elapsed(after=timedelta(seconds=90)))),
            id="then one",
        ),
        pytest.param(
            {"signal": "x", "then": [{"signal": "y"}, {"signal": "z"}]},
            Then(stages=(Signalled(name="x"), Signalled(name="y"), Signalled(name="z"))),
            id="then several",
        ),
    ],
)
def test_combinations_are_written_so(condition: dict[str, object], expected: Condition) -> None:
    assert a_policy([condition]).until == (expected,)


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        pytest.param({"any": []}, "until[0].any: must have at least one condition", id="any of nothing"),
        pytest.param(
            {"any": [{"any": [{"signal": "x"}]}]}, "until[0].any[0].any: is not a known", id="nested"
        ),
        pytest.param({"not": {"not": {"signal": "x"}}}, "until[0].not.not: is not a known key", id="not not"),
        pytest.param(
            {"then": {"signal": "x"}}, "until[0]: must be a mapping with exactly one", id="only then"
        ),
        pytest.param({"signal": "x", "then": []}, "until[0].then: must have at least one", id="then nothing"),
        pytest.param(
            {"not": {"command": {"document": "drain"}}},
            "until[0].not: must not be a condition that starts something",
            id="not of what starts something",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(condition: object, complaint: str) -> None:
    data = {"version": 1, "policies": {"p": {"until": [condition]}}, "hooks": []}

    with pytest.raises(ConfigurationRefused) as refused:
        configuration.parse(data)

    assert str(refused.value).startswith(f"policies.p.{complaint}")


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"ecs": "drained"}, "ecs drained (in no cluster"),
        ({"targets": {"groups": ["web"], "state": "drained"}}, "targets drained in web"),
    ],
)
def test_drained_is_refused_on_a_launching_hook(condition: object, told: str) -> None:
    data = {
        "version": 1,
        "policies": {"p": {"until": [{"any": [condition]}]}},
        "hooks": [{"name": "h", "group": "g", "transition": "launching", "policy": "p"}],
    }

    with pytest.raises(
        ConfigurationRefused, match=re.escape(f"hooks[0].policy: uses p, which waits for `{told}")
    ):
        configuration.parse(data)
    configuration.parse(data | {"hooks": [data["hooks"][0] | {"transition": "terminating"}]})  # type: ignore[index]
