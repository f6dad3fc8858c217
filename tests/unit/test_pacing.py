from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core.frozen import replace
from usher.core.pacing import Pace, best_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

rates = st.floats(0.1, 1000)
slots = st.integers(0, 8)
BURST_S: Final = 5
RECOVERY_S: Final = 300


def throttled(pace: Pace, moments: Sequence[float]) -> Pace:
    return reduce(lambda pace, seconds: pace.lowered(at(seconds)), moments, pace)


# The pace


@pytest.mark.parametrize(
    ("calls_per_second", "width", "room"),
    [
        pytest.param(10, 1, 10, id="ten a second"),
        pytest.param(1, 1, 1, id="one a second"),
        pytest.param(2.9, 1, 2, id="parts of a call are none"),
        pytest.param(0.5, 2, 1, id="one in two seconds"),
        pytest.param(0.3, 4, 1, id="a little more than one in four seconds"),
        pytest.param(0.1, 10, 1, id="one in ten seconds"),
    ],
)
def test_a_slot_is_as_wide_as_one_call_needs(calls_per_second: float, width: int, room: int) -> None:
    pace = Pace(calls_per_second=calls_per_second)

    assert (pace.width, pace.room(at(0))) == (width, room)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_lets_nothing_through_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="calls_per_second must be above 0"):
        Pace(calls_per_second=rate)


@given(rate=rates, seconds=st.floats(0, 1_000_000))
def test_every_moment_lies_in_its_slot(rate: float, seconds: float) -> None:
    pace = Pace(calls_per_second=rate)
    slot = pace.slot(at(seconds))

    assert pace.begins(slot) <= at(seconds) < pace.begins(slot + 1)


@pytest.mark.parametrize(
    ("throttles", "seconds", "room"),
    [
        pytest.param([], 0, 10, id="never"),
        pytest.param([0], 0, 7, id="just now"),
        pytest.param([0], 45, 8, id="some of the recovery later"),
        pytest.param([0], 90, 10, id="after the time that it takes to grow back"),
        pytest.param([0, 1, 4.9], 4.9, 7, id="one burst"),
        pytest.param([0, 5], 5, 5, id="a second burst"),
        pytest.param([0, 90], 90, 7, id="a burst after the recovery"),
        pytest.param([5 * n for n in range(50)], 245, 1, id="again and again"),
    ],
)
def test_throttles_lower_the_room_which_grows_back(throttles: list[float], seconds: float, room: int) -> None:
    assert throttled(Pace(calls_per_second=10), throttles).room(at(seconds)) == room


@given(rate=rates, burst=st.lists(st.integers(0, 1000 * BURST_S - 1), min_size=1))
def test_a_burst_of_throttles_lowers_the_pace_once(rate: float, burst: list[int]) -> None:
    pace = Pace(calls_per_second=rate).lowered(at(0))

    assert throttled(pace, [ms / 1000 for ms in burst]) == pace


@given(rate=rates, throttles=st.lists(st.floats(0, 10_000)).map(sorted), waits=st.tuples(rates, rates))
def test_the_pace_is_never_nothing_grows_steadily_and_is_whole_in_the_end(
    rate: float, throttles: list[float], waits: tuple[float, float]
) -> None:
    pace = throttled(Pace(calls_per_second=rate), throttles)
    last = throttles[-1] if throttles else 0
    sooner, later = (pace.room(at(last + wait)) for wait in sorted(waits))

    assert 1 <= pace.room(at(last)) <= sooner <= later <= rate * pace.width
    assert pace.share_at(at(last + RECOVERY_S)) == 1


def test_a_clock_that_lags_does_not_lower_again() -> None:
    pace = Pace(calls_per_second=10).lowered(at(0))

    assert pace.lowered(at(0) - timedelta(seconds=1)) == pace
    assert pace.room(at(0) - timedelta(seconds=1)) == 7


# The slots


@given(rate=rates, share=st.floats(0.1, 1))
def test_at_the_least_room_no_pace_is_overdrawn(rate: float, share: float) -> None:
    whole = Pace(calls_per_second=rate)

    assert 1 <= whole.least_room <= replace(whole, share=share, lowered_at=at(0)).room(at(0))


class Book:
    """The plainest book of slots."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.booked: Counter[int] = Counter()

    def book(self, first: int, best: int, last: int) -> int | None:
        slot = best_slot(lambda slot: self.booked[slot], self.room, first, best, last)
        if slot is not None:
            self.booked[slot] += 1
        return slot


@pytest.mark.parametrize(
    ("full", "first", "best", "last", "slot"),
    [
        pytest.param((), 0, 3, 5, 3, id="the best"),
        pytest.param((3,), 0, 3, 5, 2, id="the latest before it"),
        pytest.param((1, 2, 3), 0, 3, 5, 0, id="the first"),
        pytest.param((0, 1, 2, 3), 0, 3, 5, 4, id="the earliest after it"),
        pytest.param((0, 1, 2, 3, 4), 0, 3, 5, 5, id="the last"),
        pytest.param((0, 1, 2, 3, 4, 5), 0, 3, 5, None, id="none"),
        pytest.param((3,), 3, 3, 3, None, id="none in a range of one"),
        pytest.param((), 2, 0, 5, 2, id="the first, where the best is over"),
        pytest.param((2, 3), 2, 0, 5, 4, id="the earliest, where the best is over"),
        pytest.param((), 2, 2, 0, 2, id="the best, where the last is over"),
    ],
)
def test_the_latest_up_to_the_best_comes_first_then_the_earliest_after_it(
    full: tuple[int, ...], first: int, best: int, last: int, slot: int | None
) -> None:
    assert best_slot(lambda slot: int(slot in full), 1, first, best, last) == slot


@given(room=st.integers(1, 3), wishes=st.lists(st.tuples(slots, slots, slots).map(sorted)))
def test_no_slot_is_booked_beyond_its_room_and_none_refused_while_one_has_room(
    room: int, wishes: list[list[int]]
) -> None:
    book = Book(room)
    for first, best, last in wishes:
        had_room = any(book.booked[slot] < room for slot in range(first, last + 1))
        slot = book.book(first, best, last)

        assert (slot is not None) == had_room
        assert slot is None or first <= slot <= last
    assert all(count <= room for count in book.booked.values())


def some_schedule_takes_all(deadlines: list[int], room: int) -> bool:
    """Earliest deadline first finds a schedule wherever there is one."""
    return all(place // room <= deadline for place, deadline in enumerate(sorted(deadlines)))


@given(room=st.integers(1, 2), deadlines=st.lists(slots, max_size=16))
def test_filling_from_the_deadlines_backwards_takes_all_that_some_schedule_takes(
    room: int, deadlines: list[int]
) -> None:
    """In whatever order they come."""
    book = Book(room)

    taken = [book.book(0, deadline, deadline) is not None for deadline in deadlines]

    assert all(taken) == some_schedule_takes_all(deadlines, room)
