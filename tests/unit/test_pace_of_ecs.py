"""ECS is asked at the pace at which a drain changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import an_action, at
from usher.core.conditions.ecs import drain


@pytest.mark.parametrize(
    ("waited", "again"), [(0, 20), (80, 20), (100, 25), (400, 100), (480, 120), (86_400, 120)]
)
def test_an_instance_that_drains_is_asked_about_a_quarter_of_its_wait_later(waited: int, again: int) -> None:
    assert drain.again_after(an_action(), at(waited)) == timedelta(seconds=again)


@given(st.floats(0, 172_800))
def test_what_is_done_between_two_questions_waits_20_seconds_or_a_quarter_more(waited: float) -> None:
    later = drain.again_after(an_action(), at(waited)).total_seconds()

    assert later <= max(20, waited / 4)
    assert later <= 120
