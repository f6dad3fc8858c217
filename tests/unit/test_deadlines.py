from __future__ import annotations

import math
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import at
from usher.core import deadlines, span
from usher.core.deadlines import Load

if TYPE_CHECKING:
    from datetime import datetime

rule = settings(deadline=None)

timeouts = st.integers(30, 7200).map(lambda seconds: timedelta(seconds=seconds))
spreads = st.floats(0, 1)
rates = st.floats(0.1, 1000)
loads = st.builds(Load, open_actions=st.integers(0, 100_000), calls_per_second=rates)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        pytest.param("30s", timedelta(seconds=3_000), id="the shortest hook"),
        pytest.param("28m47s", timedelta(seconds=172_700), id="just under the cap"),
        pytest.param("28m48s", timedelta(hours=48), id="exactly the cap"),
        pytest.param("28m49s", timedelta(hours=48), id="just over the cap"),
        pytest.param("1h", timedelta(hours=48), id="the default hook"),
        pytest.param("2h", timedelta(hours=48), id="the longest hook"),
    ],
)
def test_the_global_timeout_is_100_periods_and_at_most_48_hours(timeout: str, expected: timedelta) -> None:
    assert deadlines.global_timeout(span.parse(timeout)) == expected


@pytest.mark.parametrize(
    ("timeout", "give_up_after", "expected"),
    [
        pytest.param("30s", None, timedelta(seconds=2_850), id="5 % before 3,000 s"),
        pytest.param("2m", None, timedelta(seconds=11_400), id="5 % is exactly 10 minutes"),
        pytest.param("121s", None, timedelta(seconds=11_500), id="5 % would be more than 10 minutes"),
        pytest.param("1h", None, timedelta(hours=47, minutes=50), id="10 minutes before 48 h"),
        pytest.param("1h", "45m", timedelta(minutes=45), id="as given"),
        pytest.param("30s", "49m50s", timedelta(seconds=2_990), id="as given, just outside the margin"),
        pytest.param("30s", "49m51s", timedelta(seconds=2_990), id="held back, just inside the margin"),
        pytest.param("30s", "50m", timedelta(seconds=2_990), id="held back, at the limit"),
        pytest.param("2h", "48h", timedelta(hours=47, minutes=50), id="held back by T/12 of a long hook"),
        pytest.param("30s", "48h", timedelta(seconds=2_990), id="held back, beyond the limit"),
    ],
)
def test_patience_ends_before_the_global_timeout_does(
    timeout: str, give_up_after: str | None, expected: timedelta
) -> None:
    given = None if give_up_after is None else span.parse(give_up_after)

    assert deadlines.patience(span.parse(timeout), given) == expected


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        pytest.param("30s", timedelta(seconds=10), id="never under 10 s"),
        pytest.param("2m", timedelta(seconds=10), id="T/12 is exactly 10 s"),
        pytest.param("150s", timedelta(seconds=12.5), id="T/12"),
        pytest.param("2h", timedelta(minutes=10), id="the longest hook"),
    ],
)
def test_the_usual_margin_is_a_twelfth_and_at_least_10_seconds(timeout: str, expected: timedelta) -> None:
    assert deadlines.usual_margin(span.parse(timeout)) == expected


@pytest.mark.parametrize(
    ("open_actions", "spread", "seconds_before_expiry"),
    [
        pytest.param(0, None, 10, id="with room, a later beat comes at the usual margin"),
        pytest.param(0, 1.0, 10, id="with room, so does the first, whatever its place"),
        pytest.param(50, 0.0, 10, id="the first of a few comes at the usual margin"),
        pytest.param(50, 1.0, 15, id="the last of a few is pulled forward by their round of 5 s"),
        pytest.param(50, 0.5, 12.5, id="half way, by half of it"),
        pytest.param(200, 1.0, 20, id="a round of 20 s leaves just the usual margin"),
        pytest.param(220, None, 8, id="a round of 22 s leaves a margin of 8 s"),
        pytest.param(220, 1.0, 22, id="and the first beats then use all that lies between two margins"),
        pytest.param(250, None, 5, id="a round of 25 s leaves the least margin"),
        pytest.param(1_000, None, 5, id="no round takes the least margin"),
        pytest.param(1_000, 1.0, 25, id="nor pulls a beat nearer than that to the start"),
    ],
)
def test_a_beat_of_a_30_second_hook_at_10_calls_a_second(
    open_actions: int, spread: float | None, seconds_before_expiry: float
) -> None:
    load = Load(open_actions=open_actions, calls_per_second=10)

    due = deadlines.heartbeat_due(at(30), timedelta(seconds=30), spread, load)

    assert due == at(30 - seconds_before_expiry)


def beat_due(timeout: timedelta, spread: float | None, load: Load) -> datetime:
    """When a beat is due in a period that began at the start."""
    return deadlines.heartbeat_due(at(0) + timeout, timeout, spread, load)


@rule
@given(timeout=timeouts, spread=spreads | st.none(), load=loads)
def test_a_beat_is_due_within_its_period_and_at_least_5_seconds_before_the_expiry(
    timeout: timedelta, spread: float | None, load: Load
) -> None:
    assert at(0) < beat_due(timeout, spread, load) <= at(0) + timeout - timedelta(seconds=5)


@rule
@given(timeout=timeouts, load=loads, places=st.tuples(spreads, spreads))
def test_a_first_beat_with_a_higher_place_is_never_later(
    timeout: timedelta, load: Load, places: tuple[float, float]
) -> None:
    low, high = sorted(places)

    assert beat_due(timeout, high, load) <= beat_due(timeout, low, load) <= beat_due(timeout, None, load)


@rule
@given(timeout=timeouts, spread=spreads, rate=rates, shares=st.tuples(spreads, spreads))
def test_while_a_round_leaves_the_usual_margin_more_load_never_makes_the_first_beat_later(
    timeout: timedelta, spread: float, rate: float, shares: tuple[float, float]
) -> None:
    room = timeout - deadlines.usual_margin(timeout)
    most = max(0, math.floor(room.total_seconds() * rate) - 1)  # one less: times are rounded
    less, more = (Load(open_actions=int(share * most), calls_per_second=rate) for share in sorted(shares))

    assert beat_due(timeout, spread, more) <= beat_due(timeout, spread, less)


@rule
@given(timeout=timeouts, spread=spreads, rate=rates, counts=st.tuples(*[st.integers(0, 100_000)] * 2))
def test_beyond_that_it_makes_it_later_by_no_more_than_the_margin_that_it_takes(
    timeout: timedelta, spread: float, rate: float, counts: tuple[int, int]
) -> None:
    less, more = (Load(open_actions=count, calls_per_second=rate) for count in sorted(counts))
    taken = beat_due(timeout, None, more) - beat_due(timeout, None, less)
    rounding = timedelta(microseconds=1)

    assert beat_due(timeout, spread, more) <= beat_due(timeout, spread, less) + taken + rounding


@rule
@given(timeout=timeouts, rate=rates, counts=st.tuples(*[st.integers(0, 100_000)] * 2))
def test_more_load_never_makes_the_earliest_place_later(
    timeout: timedelta, rate: float, counts: tuple[int, int]
) -> None:
    less, more = (Load(open_actions=count, calls_per_second=rate) for count in sorted(counts))

    assert beat_due(timeout, 1.0, more) <= beat_due(timeout, 1.0, less)


def test_what_began_together_is_beaten_one_by_one_where_the_calls_allow() -> None:
    count = 1_000
    load = Load(open_actions=count, calls_per_second=10)  # a round takes 100 s of the 300

    dues = sorted(beat_due(timedelta(minutes=5), place / count, load) for place in range(count))

    gaps = {later - sooner for sooner, later in pairwise(dues)}
    assert gaps == {timedelta(seconds=0.1)}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(7200, 60, id="far from the expiry: once a minute"),
        pytest.param(240, 60, id="a quarter of the rest is exactly a minute"),
        pytest.param(200, 50, id="a quarter of the rest"),
        pytest.param(4, 1, id="a quarter of the rest is exactly a second"),
        pytest.param(2, 1, id="never sooner than a second"),
        pytest.param(0.5, 1, id="not even past the expiry"),
        pytest.param(0, 60, id="expired: once a minute"),
        pytest.param(-3600, 60, id="long expired: once a minute"),
    ],
)
def test_a_retry_comes_after_a_quarter_of_what_is_left(left: float, expected: float) -> None:
    assert deadlines.retry_at(at(0), at(left)) == at(expected)


@rule
@given(left=st.timedeltas(timedelta(seconds=1, microseconds=1), timedelta(hours=48)))
def test_a_retry_lies_inside_the_expiry_while_more_than_a_second_is_left(left: timedelta) -> None:
    assert at(0) < deadlines.retry_at(at(0), at(0) + left) < at(0) + left


@pytest.mark.parametrize("timeout", ["30s", "5m", "2h"])
def test_every_margin_holds_at_least_four_retries(timeout: str) -> None:
    usual = deadlines.usual_margin(span.parse(timeout))

    for margin in (timedelta(seconds=5), usual):
        now, retries = at(0), 0
        while (now := deadlines.retry_at(now, at(0) + margin)) < at(0) + margin:
            retries += 1

        assert retries >= 4


@pytest.mark.parametrize(
    ("open_actions", "calls_per_second", "complaint"),
    [
        pytest.param(-1, 10, "open_actions must be at least 0, got -1", id="fewer than none"),
        pytest.param(1, 0, "calls_per_second must be above 0, got 0", id="no calls"),
        pytest.param(1, -0.5, "calls_per_second must be above 0, got -0.5", id="negative calls"),
        pytest.param(1, math.nan, "calls_per_second must be above 0, got nan", id="not a number"),
    ],
)
def test_a_load_says_what_is_wrong_with_it(
    open_actions: int, calls_per_second: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        Load(open_actions=open_actions, calls_per_second=calls_per_second)


@pytest.mark.parametrize(
    ("open_actions", "calls_per_second", "expected"),
    [(0, 10, 0), (5, 10, 0.5), (1_000, 4, 250)],
)
def test_a_round_is_one_call_for_each_open_action(
    open_actions: int, calls_per_second: float, expected: float
) -> None:
    load = Load(open_actions=open_actions, calls_per_second=calls_per_second)

    assert load.round_time == timedelta(seconds=expected)
