from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.factories import an_action, at, hook_terms
from usher.core.action import Action, Phase
from usher.evaluation.wake_ups import WakeUpScheduler, wake_up_times
from usher.ports.errors import Moved, Unavailable
from usher_simulator.fakes.one_by_one import OneByOne

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.ports.queues import Later


@dataclass
class _World(OneByOne):
    """A store, a queue and a telemetry in one, which remember in which order they were used."""

    queue_is_down: bool = False
    happened: list[str] = field(default_factory=list)

    def store(self, _: Action) -> None:
        self.happened.append("stored")

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        if self.queue_is_down:
            raise Unavailable("the queue is down")
        self.happened.append(f"{action_id} version {stamp} in {delay.total_seconds():g} s")

    def trouble(self, what: str, error: Exception) -> None:
        self.happened.append(f"{what}: {error}")

    def message_handled(self, kind: str, reason: str) -> None: ...

    def decided(self, action: Action, decision: str, reason: str) -> None: ...

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None: ...


def after_storing(action: Action, world: _World) -> list[str]:
    WakeUpScheduler(queue=world, telemetry=world, clock=lambda: at(0)).store_and_schedule(action, world.store)
    return world.happened


def due_in(seconds: float, timeout: float = 3600) -> Action:
    terms = hook_terms(heartbeat_timeout=timedelta(seconds=timeout))
    return an_action(hook=terms, evaluate_at=at(seconds), version=7)


CLOSED = an_action(phase=Phase.CLOSED, evaluate_at=None)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(due_in(20), [20], id="an evaluation gets one"),
        pytest.param(due_in(890), [890], id="also one that SQS can only just delay so long"),
        pytest.param(due_in(890.000001), [], id="what is later is left to the sweep"),
        pytest.param(due_in(0), [0], id="an evaluation that is due gets one now"),
        pytest.param(due_in(-600), [0], id="an overdue evaluation gets one now"),
        pytest.param(due_in(100, timeout=251), [100], id="151 s before the expiry a sweep still comes"),
        pytest.param(due_in(100, timeout=250), [100, 175], id="150 s before it gets two, one halfway to it"),
        pytest.param(due_in(275, timeout=300), [275, 287.5], id="a beat of 5 minutes gets two"),
        pytest.param(due_in(20, timeout=30), [20, 25], id="a beat of 30 seconds gets two"),
        pytest.param(due_in(29, timeout=30), [29, 30], id="never less than a second apart"),
        pytest.param(
            due_in(-600, timeout=30), [0, 15], id="an overdue evaluation of a short timeout two, from now"
        ),
        pytest.param(due_in(40, timeout=30), [40], id="one after the expiry: there is nothing to save"),
        pytest.param(CLOSED, [], id="a closed action gets none"),
    ],
)
def test_wake_ups_are_sent_for(action: Action, expected: list[float]) -> None:
    assert wake_up_times(action, at(0)) == [at(seconds) for seconds in expected]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(due_in(20), ["action-1 version 7 in 20 s", "stored"], id="delayed, before it"),
        pytest.param(due_in(0), ["stored", "action-1 version 7 in 0 s"], id="immediate, after it"),
        pytest.param(
            due_in(-3, timeout=30),
            ["action-1 version 7 in 15 s", "stored", "action-1 version 7 in 0 s"],
            id="one of each, around it",
        ),
        pytest.param(due_in(1000), ["stored"], id="none for a far evaluation"),
        pytest.param(CLOSED, ["stored"], id="none for a closed action"),
    ],
)
def test_beside_the_store_wake_ups_are_sent(action: Action, expected: list[str]) -> None:
    assert after_storing(action, _World()) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(due_in(0), [], id="none where one would be immediate"),
        pytest.param(due_in(20), ["action-1 version 7 in 20 s"], id="a harmless one where it is delayed"),
        pytest.param(due_in(0, timeout=30), ["action-1 version 7 in 15 s"], id="only the delayed one of two"),
    ],
)
def test_a_store_that_raises_leaves_of_the_wake_ups(action: Action, expected: list[str]) -> None:
    world = _World()

    def store(_: Action) -> None:
        raise Moved

    with pytest.raises(Moved):
        WakeUpScheduler(queue=world, telemetry=world, clock=lambda: at(0)).store_and_schedule(action, store)
    assert world.happened == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(due_in(20), ["trouble", "stored"], id="before the store"),
        pytest.param(due_in(0), ["stored", "trouble"], id="after the store"),
        pytest.param(due_in(0, timeout=30), ["trouble", "stored", "trouble"], id="around the store"),
    ],
)
def test_a_queue_that_is_down_is_told_and_stops_nothing(action: Action, expected: list[str]) -> None:
    told = {"trouble": "a wake-up could not be sent: the queue is down"}

    happened = after_storing(action, _World(queue_is_down=True))

    assert happened == [told.get(word, word) for word in expected]


@pytest.mark.parametrize(
    ("fails", "requests", "happened"),
    [
        pytest.param(0, 1, ["in 20 s", "in 25 s", "stored"], id="one request for both"),
        pytest.param(1, 2, ["in 20 s", "in 25 s", "stored"], id="another one where it fails"),
        pytest.param(
            2, 2, ["a wake-up could not be sent: the queue is busy", "stored"], id="and none after that"
        ),
    ],
)
def test_two_wake_ups_go_in_one_request_which_is_tried_twice(
    fails: int, requests: int, happened: list[str]
) -> None:
    """Seed 51: one request that failed cost both, and an instance fell between two sweeps."""
    world = _Busy(fails=fails)

    assert [line.replace("action-1 version 7 ", "") for line in after_storing(TWICE, world)] == happened
    assert world.requests == requests


TWICE = due_in(20, timeout=30)


@dataclass
class _Busy(_World):
    fails: int = 0
    requests: int = 0

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        self.requests += 1
        if self.requests <= self.fails:
            raise Unavailable("the queue is busy")
        super().send_both(action_id, stamp, first, second)
