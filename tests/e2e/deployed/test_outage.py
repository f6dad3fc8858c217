"""The table refuses the functions for three minutes: what waits is held from the wake-ups alone."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.polling import PATIENCE_S, until
from usher.core.action import Outcome
from usher.wiring.machine import now

if TYPE_CHECKING:
    from tests.e2e.deployed.stack import Stack

_GROUP: Final = "tableless"  # its hook has 30 s, and ABANDON as its default
_HELD: Final = 10
_AWAY: Final = timedelta(minutes=3)
_AWAY_RULE: Final[dict[str, Any]] = {"service": "dynamodb", "reset": True}


def waiting(stack: Stack) -> set[str]:
    return {instance for instance, state in stack.instances(_GROUP).items() if state == "Pending:Wait"}


def all_beaten(stack: Stack) -> set[str]:
    """Those that wait, once the expiry of each counts from a heartbeat, else none.

    On a busy machine notices are dated late; one that is lost by that is replaced.
    """
    held = waiting(stack)
    actions = [stack.actions(instance, "hold") for instance in held]
    beaten = [each for each in actions if each and each[0].heartbeats > 0]
    return held if len(beaten) == _HELD else set()


def tells(stack: Stack, instance: str) -> bool:
    """Whether the record tells of the heartbeats: the next wake-up of each chain brings them."""
    story = stack.timeline(stack.recorded(instance, "hold"))
    return any(line.startswith("held ") for line in story)


def test_ten_instances_in_30_second_hooks_are_held_without_the_table(stack: Stack) -> None:
    stack.resize(_GROUP, _HELD)
    held = until(partial(all_beaten, stack), within_s=2 * PATIENCE_S)
    with stack.proxy.rules(_AWAY_RULE):
        began = now()
        until(lambda: waiting(stack) != held or now() - began > _AWAY, within_s=4 * 60, every_s=1)
        assert waiting(stack) == held
    for instance in held:
        stack.signal(instance, "finished")
    for instance in held:
        stack.reaches(_GROUP, instance, "InService")
        action = stack.closed(instance, "hold")
        assert action.outcome is Outcome.COMPLETED
    for instance in held:
        until(partial(tells, stack, instance))
    assert sum(what.endswith("reset") for what in stack.proxy.fired()) > _HELD
