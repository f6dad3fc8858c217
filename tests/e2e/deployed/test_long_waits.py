"""What needs time, begun when the stack was deployed: heartbeats, and the two clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.deployed.stack import A_SWEEP_S, OVERDUE
from tests.e2e.polling import until
from usher.core.action import Outcome

if TYPE_CHECKING:
    from tests.e2e.deployed.stack import Stack


def test_heartbeats_hold_an_instance_longer_than_its_hook_would(stack: Stack) -> None:
    """A hook of 30 seconds, and a policy that waits for 45."""
    (instance,) = stack.in_service("patient", 1)
    action = stack.closed(instance, "hold")
    assert action.outcome is Outcome.COMPLETED
    assert action.heartbeats >= 1
    assert action.closed_at is not None
    assert (action.closed_at - action.started_at).total_seconds() >= 45


def test_instances_are_held_while_a_slow_function_is_asked_and_let_go_when_it_says_done(stack: Stack) -> None:
    """Three in a hook of 30 seconds, whose function takes seven for each answer."""
    for instance in stack.in_service("asking", 3):
        action = stack.closed(instance, "hold")
        assert action.outcome is Outcome.COMPLETED
        assert action.reason.startswith("done: function slow-answer")
        assert action.heartbeats >= 1
        told = stack.timeline(action)
        assert any(line.startswith("found function slow-answer every 5s: ") for line in told)


def test_the_schedule_evaluates_what_no_wake_up_wakes(stack: Stack) -> None:
    """The record was put without one."""

    def is_closed() -> bool:
        action = stack.records.load(OVERDUE)
        return action is not None and not action.is_open

    until(is_closed, within_s=A_SWEEP_S, every_s=1)


def test_a_group_that_a_glob_selects_is_given_its_hook(stack: Stack) -> None:
    """In every second minute by the schedule, so it is asked for here."""
    until(lambda: stack.swept() and stack.hooks("fleet-1") == ["out"], within_s=A_SWEEP_S, every_s=2)
