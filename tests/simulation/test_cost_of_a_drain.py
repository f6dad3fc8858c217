"""What lives of actions cost, counted: exact on any machine, so each call or unit more is seen here.

A figure that rises needs a reason; one that falls is written down here. `python -m tests.lives` prints all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lives import KINDS, PERIOD, lived

MOST_OF_AN_ITEM = 1024  # bytes for one write unit


@pytest.mark.parametrize(
    ("name", "invocations", "calls", "reads", "writes"),
    [
        pytest.param("a", 5, 21, 12.0, 22, id="completes at first sight"),
        pytest.param("b", 20, 91, 51.0, 69, id="half an hour, a signal"),
        pytest.param("c", 46, 419, 267.0, 207, id="half an hour, ecs drained", marks=pytest.mark.large),
        pytest.param(
            "d", 67, 309, 175.0, 213, id="ten minutes in a hook of 30 seconds", marks=pytest.mark.large
        ),
    ],
)
def test_a_life_costs_so_many_invocations_calls_and_units(
    name: str, invocations: int, calls: int, reads: float, writes: int
) -> None:
    life = lived(KINDS[name])

    assert (life.invoked, life.store_and_queue_calls) == (invocations, calls)
    assert (life.units.reads, life.writes) == (reads, writes)
    assert max(life.units.records) < MOST_OF_AN_ITEM


def test_a_long_wait_costs_so_much_for_each_period() -> None:
    """The sweep sends the wake-ups of a hook of an hour."""
    long = KINDS["e"]
    few, more = (lived(replace(long, lasts=timedelta(hours=hours))) for hours in (4, 8))

    assert (more.invoked - few.invoked, more.writes - few.writes) == (18, 30)


def test_a_heartbeat_period_takes_so_many_calls_of_the_store_and_the_queue() -> None:
    few, more = (
        lived(replace(KINDS["b"], lasts=lasts))
        for lasts in (timedelta(minutes=18), timedelta(minutes=18) + PERIOD)
    )

    assert more.auto_scaling - few.auto_scaling == 1
    assert more.invoked - few.invoked == 2  # so half of what `wake` does are evaluations
    assert more.store_and_queue_calls - few.store_and_queue_calls == 9
