from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core import deadlines, duration

timeouts = st.integers(30, 7200).map(lambda seconds: timedelta(seconds=seconds))


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
    assert deadlines.global_timeout(duration.parse(timeout)) == expected


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
    given = None if give_up_after is None else duration.parse(give_up_after)

    assert deadlines.patience(duration.parse(timeout), given) == expected


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
    assert deadlines.usual_margin(duration.parse(timeout)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(0, 3300, id="late: at the expiry less the usual margin"),
        pytest.param(3299, 3300, id="just before that"),
        pytest.param(3300, 3400, id="in the margin: after a third of what is left"),
        pytest.param(3540, 3560, id="near the expiry too"),
        pytest.param(3600, 3600, id="expired: at once"),
        pytest.param(4000, 4000, id="long expired: at once"),
    ],
)
def test_the_best_moment_for_a_beat_of_a_one_hour_hook(now: float, expected: float) -> None:
    assert deadlines.preferred_heartbeat_at(at(3600), timedelta(hours=1), at(now)) == at(expected)


@pytest.mark.parametrize(
    ("timeout", "seconds_before"),
    [("30s", 5), ("14m", 5), ("14m1s", 841 / 12), ("1h", 300)],
)
def test_the_last_moment_for_a_beat(timeout: str, seconds_before: float) -> None:
    """An evaluation that is due more than 890 s ahead is woken by the sweep, which needs 75 s of margin."""
    assert deadlines.latest_heartbeat_at(at(7200), duration.parse(timeout), at(0)) == at(
        7200 - seconds_before
    )


@given(timeout=timeouts, left=st.timedeltas(timedelta(seconds=-9), timedelta(hours=2)))
def test_the_best_moment_is_never_past_and_never_after_the_expiry_while_there_is_time(
    timeout: timedelta, left: timedelta
) -> None:
    best = deadlines.preferred_heartbeat_at(at(0) + left, timeout, at(0))

    assert at(0) <= best <= max(at(0), at(0) + left)


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
    assert deadlines.next_try_at(at(0), at(left)) == at(expected)


@given(left=st.timedeltas(timedelta(seconds=1, microseconds=1), timedelta(hours=48)))
def test_a_retry_lies_inside_the_expiry_while_more_than_a_second_is_left(left: timedelta) -> None:
    assert at(0) < deadlines.next_try_at(at(0), at(0) + left) < at(0) + left


@pytest.mark.parametrize("timeout", ["30s", "5m", "2h"])
def test_every_margin_holds_at_least_four_retries(timeout: str) -> None:
    usual = deadlines.usual_margin(duration.parse(timeout))

    for margin in (timedelta(seconds=5), usual):
        now, retries = at(0), 0
        while (now := deadlines.next_try_at(now, at(0) + margin)) < at(0) + margin:
            retries += 1

        assert retries >= 4
