"""Which retained instances are kept, so that each is told of once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core.retained import MOST, with_new

DAY_S = timedelta(days=1).total_seconds()
names = st.sets(st.sampled_from([f"i-{number}" for number in range(6)]))


def test_nothing_is_stored_where_none_is_new() -> None:
    assert with_new({"i-1": at(0)}, ["i-1"], at(60)) is None
    assert with_new({"i-1": at(0)}, [], at(60)) is None


@pytest.mark.parametrize(("days", "kept"), [(6.9, {"i-1", "i-2"}), (7, {"i-2"})])
def test_one_that_is_gone_is_kept_for_a_week(days: float, kept: set[str]) -> None:
    found = with_new({"i-1": at(0)}, ["i-2"], at(days * DAY_S))
    assert found is not None
    assert set(found) == kept


def test_one_that_stays_is_kept_however_long_it_does() -> None:
    found = with_new({"i-1": at(0)}, ["i-1", "i-2"], at(300 * DAY_S))
    assert found == {"i-1": at(0), "i-2": at(300 * DAY_S)}


def test_no_more_are_kept_than_fit_into_an_item() -> None:
    known = {f"i-{number}": at(0) for number in range(MOST - 1)}
    found = with_new(known, [*known, "i-x", "i-y"], at(60))
    assert found is not None
    assert (len(found), "i-x" in found, "i-y" in found) == (MOST, True, False)
    assert with_new(found, [*found, "i-y"], at(120)) is None


@given(passes=st.lists(names, max_size=8))
def test_whatever_passes_see_each_instance_becomes_new_once(passes: list[set[str]]) -> None:
    known: dict[str, object] = {}
    told: list[str] = []
    for number, seen in enumerate(passes):
        found = with_new(known, seen, at(120 * number))  # type: ignore[arg-type]
        if found is not None:
            told += [one for one in found if one not in known]
            known = dict(found)
    assert sorted(told) == sorted(set().union(*passes))
