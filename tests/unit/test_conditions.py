from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conditions import FAILED, HOLDS, PENDING, parsed
from tests.factories import a_signal, an_action, at
from usher.core import duration
from usher.core.action import Signal, Status
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.signalled import Signalled
from usher.core.conditions.verdict import Condition, Verdict

if TYPE_CHECKING:
    from usher.core.finding import ConditionStatus

LONGEST_NAME = "x" * 64


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"elapsed": "90s"}, Elapsed(after=timedelta(seconds=90)), id="elapsed"),
        pytest.param({"elapsed": "1s"}, Elapsed(after=timedelta(seconds=1)), id="the shortest"),
        pytest.param({"elapsed": "48h"}, Elapsed(after=timedelta(hours=48)), id="the longest"),
        pytest.param({"signal": "jobs-finished"}, Signalled(name="jobs-finished"), id="signal"),
        pytest.param({"signal": "A.b_c-9"}, Signalled(name="A.b_c-9"), id="every kind of character"),
        pytest.param({"signal": LONGEST_NAME}, Signalled(name=LONGEST_NAME), id="the longest name"),
    ],
)
def test_a_condition_is_understood(value: object, expected: Condition) -> None:
    assert parsed(value) == (expected, [])


@pytest.mark.parametrize("now", [90, 90.000001, 172_800])
def test_elapsed_holds_from_its_moment_on(now: float) -> None:
    verdict = Elapsed(after=timedelta(seconds=90)).verdict(an_action(), at(now))

    assert verdict == Verdict(status=HOLDS, detail="1m30s elapsed")


@pytest.mark.parametrize("now", [-1, 0, 89.999999])
def test_elapsed_is_pending_before_and_says_when_to_look_again(now: float) -> None:
    verdict = Elapsed(after=timedelta(seconds=90)).verdict(an_action(), at(now))

    assert verdict == Verdict(status=PENDING, detail="1m30s not elapsed", evaluate_at=at(90))


def test_elapsed_counts_from_the_start_of_the_action_and_not_from_its_first_sight() -> None:
    action = an_action(started_at=at(-100), first_seen_at=at(0))

    assert Elapsed(after=timedelta(seconds=90)).verdict(action, at(0)).status is HOLDS


@given(st.integers(1, 172_800), st.integers(-60, 180_000))
def test_elapsed_never_holds_before_its_time_nor_waits_after_it(after: int, now: int) -> None:
    condition = Elapsed(after=timedelta(seconds=after))

    assert (condition.verdict(an_action(), at(now)).status is HOLDS) == (now >= after)
    assert parsed({"elapsed": duration.written(condition.after)}) == (condition, [])


@pytest.mark.parametrize(
    ("signals", "status", "detail"),
    [
        pytest.param((), PENDING, "no signal jobs-finished", id="no signal"),
        pytest.param((a_signal(name="drained"),), PENDING, "no signal jobs-finished", id="another signal"),
        pytest.param(
            (a_signal(name="Jobs-Finished"),), PENDING, "no signal jobs-finished", id="another case"
        ),
        pytest.param((a_signal(),), HOLDS, "signal jobs-finished says done", id="done"),
        pytest.param(
            (a_signal(status=Status.FAILED),), FAILED, "signal jobs-finished says failed", id="failed"
        ),
        pytest.param(
            (a_signal(status=Status.PROGRESS, message="3 of 7"),),
            PENDING,
            "signal jobs-finished says progress: 3 of 7",
            id="progress, with its message",
        ),
        pytest.param(
            (a_signal(name="drained", status=Status.FAILED), a_signal()),
            HOLDS,
            "signal jobs-finished says done",
            id="its own among others",
        ),
    ],
)
def test_a_signal_condition_stands_as_the_signal_says(
    signals: tuple[Signal, ...], status: ConditionStatus, detail: str
) -> None:
    verdict = Signalled(name="jobs-finished").verdict(an_action(signals=signals), at(3600))

    assert verdict == Verdict(status=status, detail=detail)
