"""How long an enrolment takes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import at
from usher_cli.plan import enrolment_times
from usher_cli.plan.enrolment_times import Pace


@pytest.mark.parametrize(
    ("count", "lasts"),
    [
        (1, "within an hour of the deploy"),
        (50, "within an hour of the deploy"),
        (51, "about 1h after the deploy"),
        (1000, "about 19h after the deploy"),
    ],
)
def test_before_the_deploy(count: int, lasts: str) -> None:
    hooks = "1 hook" if count == 1 else f"{count} hooks"
    assert enrolment_times.after_deploy(count, 50) == (
        f"On groups selected by glob or tags: {hooks}; the sweep puts the last {lasts}, "
        "at 50 per hour (enrolments_per_hour)."
    )


@pytest.mark.parametrize(
    ("hooks", "groups", "lasts"),
    [
        (1, 1, "1s, at 10 calls per second (calls_per_second)."),
        (2000, 1000, "5m, at 10 calls per second (calls_per_second)."),
        (4000, 2000, "10m, at 10 calls per second (calls_per_second)."),
        (
            4001,
            2000,
            "10m1s, at 10 calls per second (calls_per_second); after 10m the sweep puts the rest.",
        ),
    ],
)
def test_a_deploy_puts_the_hooks_of_named_groups_at_the_call_budget(
    hooks: int, groups: int, lasts: str
) -> None:
    count = "1 hook" if hooks == 1 else f"{hooks} hooks"
    text = f"On named groups: {count}; the deploy puts them in about {lasts}"
    assert enrolment_times.in_the_deploy(hooks, groups, 10.0) == text


HALF_PAST = at(0).replace(minute=30, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("count", "left", "lasts"),
    [
        pytest.param(1, 50, "2m", id="one"),
        pytest.param(21, 21, "4m", id="what this hour may bring, in two passes"),
        pytest.param(22, 21, "32m", id="one more than this hour may bring"),
        pytest.param(50, 0, "36m", id="a whole hour of the next"),
        pytest.param(51, 0, "1h32m", id="one more than that"),
        pytest.param(1000, 10, "19h34m", id="many"),
    ],
)
def test_while_the_sweep_enrols(count: int, left: int, lasts: str) -> None:
    pace = Pace(per_hour=50, left=left)
    text = enrolment_times.while_enrolling(150, 420, count, pace, HALF_PAST)
    assert f"; the last in about {lasts}, at 50 per hour (enrolments_per_hour)." in text
    assert text.startswith("The sweep is enrolling: 150 of 420 groups have all their hooks. ")


def test_parts_of_a_minute_count_as_one() -> None:
    pace = Pace(per_hour=50, left=0)
    text = enrolment_times.while_enrolling(0, 1, 1, pace, HALF_PAST + timedelta(seconds=1))
    assert " in about 32m, " in text
