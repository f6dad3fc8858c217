"""Small storms: many wait at once, and Auto Scaling accepts so many calls a second."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks.storm_naive import NaiveInStorm, most_held
from benchmarks.storm_plan import START, Held, Storm
from benchmarks.storm_recovery import Backlog, share_in_order
from benchmarks.storm_sweep import Sweeping
from benchmarks.storm_usher import FUNCTIONS, UsherInStorm, away
from usher_simulator.trials.faults import How

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher_simulator.trials.faults import Down

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
AN_HOUR_S = 3600


def a_storm(held: int, timeout_s: int, *, rate: float = 10, lasts_s: float | None = None) -> Storm:
    """Of four heartbeat timeouts, unless it says otherwise."""
    lasts = (4 * timeout_s if lasts_s is None else lasts_s) * SECOND
    return Storm(held=held, heartbeat_timeout=timeout_s * SECOND, rate=rate, lasts=lasts)


def after(storm: Storm, downs: Sequence[Down] = ()) -> UsherInStorm:
    run = UsherInStorm(storm, downs)
    run.run()
    return run


def most_within(moments: Sequence[datetime], span: timedelta) -> int:
    return max(sum(one <= other < one + span for other in moments) for one in moments)


# What is held


@pytest.mark.parametrize(
    ("share", "timeout_s", "rate"),
    [
        pytest.param(0.95, 300, 1, id="0.95 of the bound at 5 minutes", marks=pytest.mark.large),
        pytest.param(0.8, 30, 10, id="0.8 of the bound at 30 seconds"),
    ],
)
def test_nothing_falls_to_its_default(share: float, timeout_s: int, rate: float) -> None:
    run = after(a_storm(round(share * rate * timeout_s), timeout_s, rate=rate))

    assert (run.defaulted, run.lost, run.throttled) == ([], 0, 0)


@pytest.mark.large(held_by="test_nothing_falls_to_its_default")
def test_beyond_the_bound_some_fall_to_their_default() -> None:
    run = UsherInStorm(a_storm(360, 30))
    run.clock.run_until(START + 90 * SECOND)

    assert run.defaulted


def test_the_naive_rule_holds_half_at_a_minute() -> None:
    storm = a_storm(1, 60, lasts_s=600)

    assert most_held(storm).storm.held / storm.bound == pytest.approx(0.5, abs=0.02)


@pytest.mark.large(held_by="test_the_naive_rule_holds_half_at_a_minute")
def test_the_naive_rule_loses_what_usher_holds() -> None:
    storm = a_storm(270, 60, rate=5)
    naive = NaiveInStorm(storm)
    naive.run()

    assert naive.defaulted
    assert not after(storm).defaulted


# The pace


@pytest.mark.parametrize(
    ("held", "timeout_s"),
    [
        pytest.param(400, 300, id="400 at 5 minutes", marks=pytest.mark.large),
        pytest.param(190, 30, id="190 at 30 seconds"),
    ],
)
def test_of_actions_that_start_in_one_second_at_most_150_beat_within_ten(held: int, timeout_s: int) -> None:
    """Of some 198 in a second and more, at 30 seconds, one or the other falls."""
    storm = a_storm(held, timeout_s, lasts_s=2 * timeout_s)
    run = after(replace(storm, begins_within=SECOND))

    assert run.defaulted == []
    assert most_within([beat.at for beat in run.beats], 10 * SECOND) <= 150


@pytest.mark.parametrize(
    ("timeout_s", "most"),
    [
        pytest.param(300, 1.1, id="5 minutes", marks=pytest.mark.large),
        pytest.param(60, 1.3, id="a minute", marks=pytest.mark.large),
        pytest.param(30, 2.0, id="30 seconds"),
    ],
)
def test_with_an_ample_budget_few_calls_are_more_than_the_fewest(timeout_s: int, most: float) -> None:
    run = after(a_storm(20, timeout_s, rate=100, lasts_s=24 * timeout_s))

    assert run.storm.least_calls <= run.calls <= most * run.storm.least_calls


@pytest.mark.parametrize(
    ("waits_s", "calls"),
    [
        pytest.param(1, 1, id="a completion"),
        pytest.param(60, 1, id="to the last moment"),
        pytest.param(61, 2, id="a heartbeat and a completion"),
        pytest.param(180, 3, id="three timeouts long"),
        pytest.param(181, 4, id="a little longer"),
    ],
)
def test_the_fewest_calls(waits_s: int, calls: int) -> None:
    held = Held(number=1, started_at=START, done_at=START + waits_s * SECOND)

    assert held.least_calls(MINUTE) == calls


def test_completions_free_the_seconds_that_are_booked_for_heartbeats() -> None:
    run = after(a_storm(30, 300, rate=1, lasts_s=200))
    assert (run.beats, run.lost) == ([], 0)

    seconds = [START + second * SECOND for second in range(210, 360)]
    assert [run.usher.budget.book(second, second, second, second) for second in seconds] == seconds


# What is not there for a while


def test_four_minutes_without_functions_default_nothing_and_the_nearest_deadline_goes_first() -> None:
    off = [away(part, 54 * MINUTE, 4 * MINUTE, How.UNREACHED) for part in FUNCTIONS]
    run = UsherInStorm(a_storm(300, AN_HOUR_S, rate=1, lasts_s=7200), off)
    backlog = Backlog(run, off[0].until)
    run.run()

    assert (run.defaulted, run.lost) == ([], 0)
    told = backlog.told()
    assert told["backlog"] >= 100
    assert told["in_order"] >= 0.9


def test_an_action_with_several_wake_ups_at_once_has_one_second_booked() -> None:
    off = [away(part, 54 * MINUTE, 4 * MINUTE, How.UNREACHED) for part in FUNCTIONS]
    run = UsherInStorm(a_storm(60, AN_HOUR_S, rate=1, lasts_s=7200), off)
    run.clock.run_until(off[0].until + 9 * SECOND)

    ahead = [off[0].until + second * SECOND for second in range(10, 110)]
    booked = sum(action.booked_at in ahead for action in run.usher.memory.actions())
    free = sum(run.usher.budget.book(second, second, second, second) is not None for second in ahead)
    assert booked >= 40
    assert booked + free == len(ahead)


def test_the_share_in_order() -> None:
    first, second, third = (START + number * MINUTE for number in range(3))

    assert share_in_order([first, second, third]) == 1
    assert share_in_order([third, second, first]) == 0
    assert share_in_order([first, third, second]) == pytest.approx(2 / 3)
    assert share_in_order([second + SECOND, second, third]) == 1, "seconds apart is together"


# The measure


def test_a_sweep_reads_what_is_due_and_not_what_is_open() -> None:
    assert Sweeping(100).sweep()[0] == Sweeping(2_000).sweep()[0]


def test_the_same_seed_makes_the_same_storm() -> None:
    one, other = (after(a_storm(30, 30)).accepted for _ in range(2))

    assert one == other
    assert one != after(replace(a_storm(30, 30), seed=2)).accepted
