from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, at, fill, hook_terms
from usher.core.action import Phase, Result
from usher.evaluation.call_budget import CallBudget, NoCallLeft
from usher.ports.errors import Denied, NoAnswer, Unavailable
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action

MINUTE = hook_terms(
    heartbeat_timeout=timedelta(minutes=1)
)  # it expires at 60: best at 50, at 55 at the latest


def of_a_minute(**changes: Any) -> Action:
    return an_action(**{"hook": MINUTE, **changes})


def turns(calls_per_second: float = 1) -> CallBudget:
    return CallBudget(budget=MemoryBudget(calls_per_second), telemetry=Recorder())


def filled(first: int, last: int) -> CallBudget:
    """All seconds from `first` to `last` are booked by others."""
    made = turns()
    fill(made.budget, first, last)
    return made


def booked(of: CallBudget, second: float) -> bool:
    """Whether a second is booked. Books it, where it is not."""
    return of.budget.book(at(second), at(second), at(second), at(0)) is None


# The next heartbeat


@pytest.mark.parametrize(
    ("timeout", "second"),
    [(timedelta(minutes=1), 50), (timedelta(minutes=6), 330), (timedelta(hours=1), 3300)],
    ids=str,
)
def test_the_second_of_a_heartbeat_is_late_with_the_usual_margin(timeout: timedelta, second: int) -> None:
    action = an_action(hook=hook_terms(heartbeat_timeout=timeout))

    assert turns().reserve_heartbeat(action, at(1)).booked_at == at(second)


@pytest.mark.parametrize(
    ("taken", "second"),
    [((50, 50), 49), ((20, 50), 19), ((1, 50), 51), ((1, 55), None)],
    ids=["the one before", "a stretch before", "all before, so after", "all of them"],
)
def test_where_the_best_second_is_taken_the_next_best_is_booked(
    taken: tuple[int, int], second: int | None
) -> None:
    of = filled(*taken)

    booked_at = of.reserve_heartbeat(of_a_minute(), at(1)).booked_at

    assert booked_at == (None if second is None else at(second))
    assert isinstance(of.telemetry, Recorder)
    assert of.telemetry.counts["OverBudget"] == (second is None)


NO_NEED: list[Any] = [
    pytest.param(of_a_minute(booked_at=at(30)), 1, id="it has a second"),
    pytest.param(of_a_minute(phase=Phase.COMPLETING, result=Result.CONTINUE), 1, id="its result is decided"),
    pytest.param(of_a_minute(policy=a_policy(mode="observe")), 1, id="observe mode"),
    pytest.param(of_a_minute(), 60, id="it has expired"),
    pytest.param(of_a_minute(limit_at=at(60)), 1, id="no heartbeat reaches further"),
]


@pytest.mark.parametrize(("action", "now"), NO_NEED)
def test_nothing_is_booked_for_an_action_without_need(action: Action, now: float) -> None:
    of = turns()

    assert of.reserve_heartbeat(action, at(now)) is action
    assert not booked(of, 50)


# Whose call goes out now


@pytest.mark.parametrize(
    ("full", "booked_s", "now", "completes", "slot", "goes"),
    [
        pytest.param((0, 59), 50, 50, False, 50, True, id="a call in the second that is booked for it"),
        pytest.param((0, 59), 50, 51, False, 50, True, id="a call a second later"),
        pytest.param((0, 59), 50, 53, False, 50, True, id="a call three seconds later"),
        pytest.param((0, 0), 46, 50, False, 50, True, id="a heartbeat that is later takes a new second"),
        pytest.param((20, 20), None, 20, False, 50, False, id="a heartbeat without room now: the best left"),
        pytest.param((20, 29), 50, 20, True, 30, False, id="a result takes the next second with room"),
        pytest.param((20, 50), 50, 20, True, 50, False, id="a result without room before its own keeps it"),
        pytest.param((40, 70), 57, 52, False, 57, False, id="near the expiry one before it is waited for"),
        pytest.param((40, 70), 60, 52, False, 60, True, id="one at the expiry is none"),
        pytest.param((40, 70), 61, 52, False, 61, True, id="one after it is none"),
    ],
)
def test_a_call_goes_out_now_or_has_a_second_worth_waiting_for(
    full: tuple[int, int], booked_s: float | None, now: float, completes: bool, slot: float, goes: bool
) -> None:
    action = of_a_minute(booked_at=None if booked_s is None else at(booked_s))

    acquired = filled(*full).acquire(action, at(now), completes=completes)

    assert acquired == (replace(action, booked_at=at(slot)), goes)


@pytest.mark.parametrize("completes", [True, False], ids=["complete", "heartbeat"])
def test_a_call_before_its_second_goes_out_where_there_is_room(completes: bool) -> None:
    """Its own second is given back only once that is stored: until then it may be needed."""
    of = filled(50, 50)

    taken, goes = of.acquire(of_a_minute(booked_at=at(50)), at(20), completes=completes)

    assert (taken.booked_at, goes) == (at(20), True)
    assert booked(of, 20)
    assert booked(of, 50)


@pytest.mark.parametrize("completes", [True, False], ids=["complete", "heartbeat"])
@pytest.mark.parametrize(("now", "goes"), [(49, False), (50, True), (59, True), (61, True)])
def test_near_the_expiry_a_call_goes_out_budget_or_not(now: float, goes: bool, completes: bool) -> None:
    of = filled(40, 70)

    assert of.acquire(of_a_minute(), at(now), completes=completes) == (of_a_minute(), goes)


@given(
    full=st.sets(st.integers(0, 65)),
    booked_at=st.none() | st.integers(0, 70),
    now=st.integers(0, 59),
    completes=st.booleans(),
)
def test_what_goes_out_is_booked_unless_the_expiry_is_near(
    full: set[int], booked_at: int | None, now: int, completes: bool
) -> None:
    """And what waits has a second before its expiry, or time to come back for one."""
    of = turns()
    for second in full | ({booked_at} if booked_at is not None else set()):
        of.budget.book(at(second), at(second), at(second), at(0))
    action = of_a_minute(booked_at=None if booked_at is None else at(booked_at))

    taken, goes = of.acquire(action, at(now), completes=completes)

    near = now >= 50
    if goes:
        assert near or (taken.booked_at is not None and at(now - 3) <= taken.booked_at <= at(now))
    else:
        assert not near or (taken.booked_at is not None and at(now) < taken.booked_at < at(60))


# What is given back


@pytest.mark.parametrize(
    ("booked_at", "free"), [(at(50), True), (at(20), False)], ids=["to come", "just now"]
)
def test_an_action_that_ends_gives_back_the_second_that_is_still_to_come(
    booked_at: datetime, free: bool
) -> None:
    of = turns()
    assert of.budget.book(booked_at, booked_at, booked_at, at(0)) == booked_at

    of.release(of_a_minute(booked_at=booked_at), at(20))

    assert (of.budget.book(booked_at, booked_at, booked_at, at(0)) is not None) is free


DROPPED: list[Any] = [
    pytest.param(at(50), None, True, id="to come"),
    pytest.param(at(50), at(30), True, id="another one is kept"),
    pytest.param(at(50), at(50), False, id="this one is kept"),
    pytest.param(at(20), None, True, id="of this moment"),
    pytest.param(at(19), None, False, id="just over"),
    pytest.param(at(10), None, False, id="over"),
]


@pytest.mark.parametrize(("second", "kept", "free"), DROPPED)
def test_a_second_that_is_not_needed_any_more_is_given_back(
    second: datetime, kept: datetime | None, free: bool
) -> None:
    of = turns()
    assert of.budget.book(second, second, second, at(0)) == second

    of.release_replaced(second, at(20), kept=kept)

    assert (of.budget.book(second, second, second, at(0)) is not None) is free


def test_an_action_without_a_second_gives_none_back() -> None:
    of = filled(0, 60)
    of.release(of_a_minute(), at(20))
    assert all(booked(of, second) for second in range(61))


# A pass


@pytest.mark.parametrize(
    ("full_until", "waits_s"),
    [(None, []), (20, [0.5]), (29, [9.5])],
    ids=["room at once", "room in the next second", "room in the last second"],
)
def test_a_pass_waits_for_the_first_second_with_room(full_until: int | None, waits_s: list[float]) -> None:
    of = filled(0, full_until) if full_until else turns()
    waited: list[float] = []

    assert of.wait_for_slot(lambda: at(20.5), waited.append, lambda: True) == at(20.5)
    assert waited == waits_s
    assert booked(of, 20.5 + sum(waits_s))


@pytest.mark.parametrize(
    ("full_until", "time_left"), [(30, [True]), (None, [False]), (20, [True, False])], ids=str
)
def test_a_pass_ends_without_a_second_soon_or_without_time_for_it(
    full_until: int | None, time_left: list[bool]
) -> None:
    of = filled(0, full_until) if full_until else turns()

    with pytest.raises(NoCallLeft):
        of.wait_for_slot(lambda: at(20.5), lambda _: None, iter(time_left).__next__)


class Refuses(MemoryBudget):
    """A table that answers every booking with an error."""

    def __init__(self, error: Unavailable) -> None:
        super().__init__(1)
        self._error = error

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        assert first <= best <= last >= now
        raise self._error


@pytest.mark.parametrize(
    ("error", "ends_with"),
    [
        pytest.param(NoAnswer("away"), NoCallLeft, id="away: later there may be room"),
        pytest.param(Denied("AccessDeniedException"), Denied, id="denied: a deploy would wait in vain"),
    ],
)
def test_a_pass_that_cannot_book_ends(error: Unavailable, ends_with: type[Exception]) -> None:
    """Found by taking a right away: a deploy asked for fifteen minutes, and did not say why."""
    of = CallBudget(budget=Refuses(error), telemetry=Recorder())
    with pytest.raises(ends_with):
        of.wait_for_slot(lambda: at(20.5), lambda _: None, lambda: True)
    assert of.reserve_heartbeat(of_a_minute(), at(1)).booked_at is None, "but no evaluation"
