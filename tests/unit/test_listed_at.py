"""When an action stands in the index: at its next evaluation, but for the seconds of a heartbeat's call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import an_action, at
from usher.core.listing import LISTED_BEFORE, listed_at


def test_before_a_heartbeat_its_row_stays_at_the_slot_of_the_call() -> None:
    waits = an_action(evaluate_at=at(275), booked_at=at(275)).noted(at(0), "wait", "waits")
    calls = replace(waits, evaluate_at=at(282)).noted(at(275), "heartbeat", "waits")
    answered = replace(calls, evaluate_at=at(550), booked_at=at(550)).noted(at(276), "answer", "accepted")
    assert [listed_at(each) for each in (waits, calls, answered)] == [at(275), at(275), at(550)]


@given(
    evaluate_at=st.integers(0, 1000),
    booked_at=st.none() | st.integers(0, 1000),
    event=st.sampled_from(["heartbeat", "answer", "wait", "complete"]),
)
def test_the_sweep_finds_an_action_when_it_is_due_and_at_most_a_minute_before(
    evaluate_at: int, booked_at: int | None, event: str
) -> None:
    """Later would break promise 3: it is all that a sweep knows."""
    action = an_action(evaluate_at=at(evaluate_at), booked_at=None if booked_at is None else at(booked_at))
    listed = listed_at(action.noted(at(0), event, "said"))
    assert listed is not None
    assert timedelta(0) <= at(evaluate_at) - listed <= LISTED_BEFORE
