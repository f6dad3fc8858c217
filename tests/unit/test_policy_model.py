"""The model of the policies: what the words of a hooks file let go of, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import at
from usher_simulator.trials.policy_model import (
    Case,
    PossibleStatus,
    Said,
    decides_by,
    permitted,
    possible,
    signals_in,
)

if TYPE_CHECKING:
    from datetime import datetime


class Told:
    """The policy model's Answers: of each condition these standings are possible, at any time."""

    def __init__(self, *stands: PossibleStatus, held: bool = False) -> None:
        self._stands = frozenset(stands)
        self._held = held

    def at(self, condition: Any, now: datetime) -> frozenset[PossibleStatus]:
        del condition, now
        return self._stands

    def held(self, condition: Any, now: datetime) -> bool:
        del condition, now
        return self._held


def a_case(*until: Any, **changes: Any) -> Case:
    """A termination that began at second 0 in a hook of ten minutes."""
    policy = {"until": list(until)} | changes.pop("policy", {})
    told: dict[str, Any] = {
        "policy": policy,
        "transition": "terminating",
        "default_result": "ABANDON",
        "started_at": at(0),
        "timeouts": frozenset({timedelta(minutes=10)}),
    }
    return Case(**(told | changes))


def said(name: str, seconds: float, status: str = "done") -> Said:
    return Said(event_id=f"{name}-{seconds}-{status}", name=name, status=status, at=at(seconds))


A_THEN_B = {"signal": "a", "then": {"signal": "b"}}
FUNCTION = {"function": "smoke-test"}
UNSURE = Told(PossibleStatus.UNKNOWN, PossibleStatus.HOLDS)


@pytest.mark.parametrize(
    ("case", "results"),
    [
        pytest.param(a_case(), {"CONTINUE"}, id="nothing to wait for"),
        pytest.param(a_case({"signal": "a"}), set(), id="not said"),
        pytest.param(a_case({"signal": "a"}, signals=[said("a", 1)]), {"CONTINUE"}, id="said"),
        pytest.param(a_case({"signal": "a"}, signals=[said("a", 1, "failed")]), {"ABANDON"}, id="failed"),
        pytest.param(a_case({"signal": "a"}, signals=[said("a", 1, "progress")]), set(), id="goes on"),
        pytest.param(a_case(A_THEN_B, signals=[said("a", 1)]), set(), id="the first of two in turn"),
        pytest.param(a_case(A_THEN_B, signals=[said("b", 1)]), set(), id="the second before its turn"),
        pytest.param(a_case(A_THEN_B, signals=[said("b", 1), said("a", 2)]), {"CONTINUE"}, id="both in turn"),
        pytest.param(a_case({"any": [{"signal": "a"}, {"elapsed": "4s"}]}), {"CONTINUE"}, id="any of them"),
        pytest.param(a_case({"not": {"signal": "a"}}), {"CONTINUE"}, id="not said, turned round"),
        pytest.param(a_case(FUNCTION), set(), id="not asked"),
        pytest.param(a_case({"not": FUNCTION}), set(), id="not asked, turned round"),
        pytest.param(a_case(FUNCTION, answers=UNSURE), {"CONTINUE"}, id="it may have been answered"),
        pytest.param(a_case(is_held=True), set(), id="held by an operator"),
        pytest.param(
            a_case({"signal": "a"}, operator_result_by="CONTINUE", is_held=True), {"CONTINUE"}, id="ordered"
        ),
        pytest.param(a_case({"signal": "a"}, has_ended=True), {"CONTINUE"}, id="ended by EC2"),
        pytest.param(a_case({"signal": "a"}, may_be_stopped=True), {"CONTINUE"}, id="stopped"),
        pytest.param(
            a_case({"signal": "a"}, may_be_stopped=True, policy={"when_stopped": "wait"}),
            set(),
            id="stopped, and that is no end",
        ),
        pytest.param(a_case({"signal": "a"}, may_be_let_through=True), {"CONTINUE"}, id="its hook is going"),
        pytest.param(a_case({"signal": "a"}, policy={"stalled_after": "4s"}), {"ABANDON"}, id="stalled"),
        pytest.param(
            a_case({"elapsed": "4s"}, policy={"give_up_after": "4s"}, unsure_later=timedelta(seconds=2)),
            {"CONTINUE", "ABANDON"},
            id="its time is up, or not yet, by when it was heard of",
        ),
        pytest.param(
            a_case({"signal": "a"}, policy={"stalled_after": "4s"}, signals=[said("b", 2, "progress")]),
            set(),
            id="a word of progress",
        ),
        pytest.param(
            a_case({"signal": "a"}, policy={"give_up_after": "4s", "on_give_up": "CONTINUE"}),
            {"CONTINUE"},
            id="given up",
        ),
        pytest.param(
            a_case({"signal": "a"}, policy={"give_up_after": "4s"}, extended_to=at(9)), set(), id="extended"
        ),
    ],
)
def test_what_may_be_decided_five_seconds_after_the_start(case: Case, results: set[str]) -> None:
    assert permitted(case, at(5)) == results


def test_the_global_timeout_of_an_adopted_wait_alone_may_have_begun_with_its_activity() -> None:
    """Its targets drained for twelve minutes before its hook began: seed 5890."""
    case = a_case({"elapsed": "20s"}, timeouts=frozenset({timedelta(seconds=30)}))
    limit = timedelta(seconds=3000 - 10)
    earlier = replace(case, limit_unsure=timedelta(minutes=12))

    assert (decides_by(case), decides_by(earlier)) == (at(0) + limit, at(-720) + limit)
    assert permitted(earlier, at(15)) == set()


def test_one_that_held_in_its_turn_need_not_hold_any_more() -> None:
    case = a_case(answers=Told(PossibleStatus.PENDING, held=True), signals=[said("b", 1)])
    assert PossibleStatus.HOLDS in possible({**FUNCTION, "then": {"signal": "b"}}, case, at(5))


LAST = 100 * 600 - 50  # of a hook of ten minutes: the global timeout less the margin


def test_before_the_global_timeout_usher_decides_whatever_an_operator_holds() -> None:
    case = a_case({"signal": "a"}, is_held=True)
    assert permitted(case, at(LAST - 1)) == set()
    assert permitted(case, at(LAST)) == {"ABANDON"}


def test_signals_are_found_inside_of_combinations() -> None:
    until: list[dict[str, Any]] = [A_THEN_B, {"any": [{"signal": "c"}, FUNCTION]}, {"not": {"signal": "d"}}]
    assert signals_in(until) == {"a", "b", "c", "d"}
