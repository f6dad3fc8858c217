"""The margin at each heartbeat, of a record as its timeline has it: a true one, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import an_action, as_closed, at, hook_terms
from tests.memory_account import MemoryStack, deployed
from usher.core import adoption, hook_timeouts
from usher.core.action import Code, Outcome
from usher.core.held_wait import HeldWait, with_heartbeats
from usher_cli.action_data import heartbeat_margins
from usher_cli.audit.by_default import heartbeats_in_time, margins
from usher_cli.audit.told import Told

if TYPE_CHECKING:
    from usher.core.action import Action

__all__ = ["deployed"]  # a fixture

HOOK = hook_terms(heartbeat_timeout=timedelta(minutes=5))


def begun(**changes: Any) -> Action:
    return an_action(**{"hook": HOOK, **changes}).noted(at(1), "notified", "by sqs; policy drain-workers")


def beaten(action: Action, second: float) -> Action:
    """After a heartbeat that was recorded."""
    action = action.noted(at(second), "heartbeat", "waits: no signal jobs-finished")
    action = action.noted(at(second), "answer", "accepted", Code.HEARTBEAT_ACCEPTED)
    return replace(action, beaten_at=at(second), heartbeats=action.heartbeats + 1)


def adopted() -> Action:
    """By a heartbeat two minutes after what is taken for its start."""
    action = an_action(hook=HOOK, token=None, first_seen_at=at(120), beaten_at=at(120), heartbeats=1)
    return action.noted(at(120), "adopted", "Terminating:Wait: no notification arrived; policy drain-workers")


def taken_up() -> Action:
    """Closed after a first heartbeat, and open again by one whose time the line does not have."""
    action = replace(beaten(begun(), 275), **as_closed(600, Outcome.ENDED_ELSEWHERE))
    return adoption.taken_up(action, at(640), at(650))


def beaten_beside(action: Action, told: float) -> Action:
    """After nine heartbeats without the table, from 550 to 2625."""
    wait = HeldWait(
        group=HOOK.group, hook=HOOK.name, instance_id=action.instance_id, token=action.token,
        timeout=HOOK.heartbeat_timeout, timeout_assumed=False, due_at=at(2900), lead=timedelta(seconds=25),
        expires_at=at(2925), ends_at=action.ends_at, chain="x/1", beaten_at=at(2625), beats=9,
        first_at=at(550),
    )  # fmt: skip
    return with_heartbeats(action, wait, at(told))


def shortened(second: float) -> Action:
    """Of a hook of an hour, which then stands with five minutes."""
    action = beaten(begun(hook=hook_terms()), 3300)
    return hook_timeouts.shortened(action, timedelta(minutes=5), at(second))


@pytest.mark.parametrize(
    ("action", "known"),
    [
        pytest.param(beaten(beaten(begun(), 275), 540), [25, 35], id="a plain wait"),
        pytest.param(beaten(beaten(adopted(), 395), 690), [25, 5], id="adopted"),
        pytest.param(beaten(beaten(taken_up(), 900), 1190), [25, 10], id="taken up"),
        pytest.param(
            beaten(beaten(beaten_beside(beaten(begun(), 275), told=2630), 2900), 3190),
            [25, 10],
            id="beaten without the table",
        ),
        pytest.param(
            beaten(beaten_beside(beaten(beaten(begun(), 275), 2700), told=2800), 2990),
            [25],
            id="told of after another heartbeat",
        ),
        pytest.param(beaten(beaten(shortened(3400), 3580), 3870), [10], id="a shorter timeout"),
    ],
)
def test_a_margin_is_told_only_where_the_expiry_is_known(action: Action, known: list[float]) -> None:
    told = Told(action=action, timeline=action.recent)
    assert [each["to_expiry_s"] for each in heartbeat_margins(action, told.timeline)] == known
    assert margins(told) in (known, [])  # of a record that tells what was held, the audit takes none
    assert list(heartbeats_in_time(told)) == []


def test_heartbeats_without_a_known_margin_are_counted(deployed: MemoryStack) -> None:
    deployed.records.open(beaten(beaten_beside(begun(), told=2630), 2900), None)
    deployed.now = at(3000)
    shown = deployed.usher("show", "action-1").stdout.splitlines()
    assert "  heartbeats 10, no margin known" in shown
