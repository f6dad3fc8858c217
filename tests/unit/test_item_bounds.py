"""The stores in memory refuse what DynamoDB and SQS refuse: no trial passes on what AWS never takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.factories import a_signal, an_action, at
from usher.core.action import Entry
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.item_bounds import ItemRefused
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.trials.queue import SimulatedQueue

if TYPE_CHECKING:
    from usher.core.action import Action

LONG = Entry(number=1, at=at(0), event="wait", detail="x" * 40_000, last_at=at(0))


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(an_action(version=2, reason="x" * 420_000), id="a long reason"),
        pytest.param(an_action(version=2, signals=(a_signal(message="x" * 420_000),)), id="a long message"),
        pytest.param(an_action(version=2, recent=(LONG,)), id="a long line"),
    ],
)
def test_a_record_that_no_item_holds_is_refused_and_nothing_is_stored(action: Action) -> None:
    store = MemoryStore(lambda: at(0))
    first = store.open(an_action(), None)

    with pytest.raises(ItemRefused):
        store.save(action)

    assert store.load(first.id) == first
    assert store.timeline(first.id) == []


def test_a_record_just_within_the_bound_is_taken() -> None:
    store = MemoryStore(lambda: at(0))
    first = store.open(an_action(), None)

    store.save(replace(first, version=2, reason="x" * 400_000))


def test_a_queue_takes_a_mebibyte() -> None:
    queue = SimulatedQueue(VirtualClock(at(0)))
    queue.send("x" * 2**20)

    with pytest.raises(ValueError, match="1048576 bytes"):
        queue.send("x" * 2**20, attributes={"Reason": "y"})
    with pytest.raises(ValueError, match="1048576 bytes"):
        queue.send("é" * (2**19 + 1))
    assert len(queue) == 1
