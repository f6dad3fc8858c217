"""Signals as facts, in the deployed simulation: however many come, no heartbeat waits for them."""

from __future__ import annotations

import json

import pytest

from benchmarks.signals import HOOKS
from usher.aws import record_format
from usher.core.action import Outcome
from usher_simulator.trials.calm import Calm

EMOJI = "\U0001f600" * 1000


def scene() -> Calm:
    """One chatty instance beside fifty quiet ones, all in hooks of a minute."""
    calm = Calm(HOOKS)
    calm.grow("g", 1)
    calm.grow("o", 50)
    calm.pass_time(20)
    assert (len(calm.waits["g"]), len(calm.waits["o"])) == (1, 50)
    return calm


def size(calm: Calm) -> int:
    """Of the record of the chatty one, as it is stored."""
    action = calm.usher.memory.of_token(calm.waits["g"][0].token)
    assert action is not None
    return len(json.dumps(record_format.action_to_data(action)))


def all_wait(calm: Calm) -> bool:
    return not calm.scene.violations and not calm.fallen("g") and not calm.fallen("o")


@pytest.mark.parametrize("status", ["progress", pytest.param("failed", marks=pytest.mark.large)])
def test_no_heartbeat_waits_for_sixty_signals_a_second(status: str) -> None:
    """For two minutes here, and for ten by `make bench-signals`."""
    calm = scene()
    name = "work" if status == "progress" else "lunch"
    for second in range(120):
        for number in range(60):
            calm.signal(calm.waits["g"][0].instance_id, name, status, f"{second} {number} {EMOJI}")
        calm.pass_time(1)
    calm.pass_time(30)

    assert all_wait(calm)
    assert size(calm) < 20_000
    assert len(calm.usher.inbox) == 0


def test_no_heartbeat_waits_for_five_thousand_signals_at_once() -> None:
    calm = scene()
    for number in range(5000):
        calm.signal(calm.waits["g"][0].instance_id, "work", "progress", f"{number} {EMOJI}")
    calm.pass_time(150)

    assert all_wait(calm)
    assert size(calm) < 20_000
    assert len(calm.usher.inbox) == 0


@pytest.mark.parametrize("order", [("done", "progress"), ("progress", "done")])
def test_of_done_and_progress_of_one_second_done_counts(order: tuple[str, str]) -> None:
    calm = scene()
    for status in order:
        calm.signal(calm.waits["g"][0].instance_id, "work", status)
    calm.pass_time(10)

    action = calm.usher.memory.of_token(calm.waits["g"][0].token)
    assert action is not None
    assert (action.outcome, str(action.result)) == (Outcome.COMPLETED, "CONTINUE")
    assert not calm.fallen("o")


def test_done_counts_at_once_in_the_middle_of_a_flood() -> None:
    calm = scene()
    instance_id = calm.waits["g"][0].instance_id
    for second in range(30):
        for number in range(60):
            status = "done" if (second, number) >= (25, 30) else "progress"
            calm.signal(instance_id, "work", status, str(number))
        calm.pass_time(1)

    (wait,) = calm.fallen("g")
    assert wait.result == "CONTINUE"
    assert not calm.scene.violations
