"""Small makers of values with good defaults: a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core import configuration
from usher.core.action import (
    Action,
    ActivityEnd,
    HookTerms,
    Outcome,
    Phase,
    Result,
    Signal,
    Status,
    Transition,
)
from usher.core.finding import ConditionStatus, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.policy import Policy
    from usher.ports.budget import Budget

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """The moment so many seconds after the start that all tests share."""
    return START + timedelta(seconds=seconds)


def fill(budget: Budget, first: int, last: int) -> None:
    """Others book all seconds from `first` to `last`; the budget is of one call a second."""
    for second in range(first, last + 1):
        assert budget.book(at(second), at(second), at(second), at(0)) == at(second)


def a_policy(
    until: Sequence[Mapping[str, object]] = ({"signal": "jobs-finished"},),
    *,
    name: str = "drain-workers",
    **parts: str,
) -> Policy:
    """A policy as the configuration has it, e.g. `a_policy([{"elapsed": "90s"}], give_up_after="45m")`."""
    data = {"version": 1, "policies": {name: {"until": list(until), **parts}}, "hooks": []}
    return configuration.parse(data).policies[name]


def hook_terms(**changes: Any) -> HookTerms:
    """The terms of a terminating hook with the defaults of AWS: one hour, ABANDON."""
    fields: dict[str, Any] = {
        "name": "usher-drain",
        "group": "workers-1",
        "transition": Transition.TERMINATING,
        "heartbeat_timeout": timedelta(hours=1),
        "default_result": Result.ABANDON,
    }
    return HookTerms(**{**fields, **changes})


def an_action(**changes: Any) -> Action:
    """An open action that began and was seen at `at(0)`, and is due now."""
    fields: dict[str, Any] = {
        "id": "action-1",
        "token": "c613620e-07e2-4ed2-a9e2-ef8258911ade",
        "instance_id": "i-0f0e0d0c0b0a09080",
        "hook": hook_terms(),
        "policy": a_policy(),
        "origin": "AutoScalingGroup",
        "destination": "EC2",
        "started_at": at(0),
        "first_seen_at": at(0),
        "evaluate_at": at(0),
    }
    return Action(**{**fields, **changes})


def as_closed(seconds: float = 90, outcome: Outcome = Outcome.COMPLETED, **changes: Any) -> dict[str, Any]:
    """What closing gave a record at that second: `an_action(**as_closed())`."""
    fields: dict[str, Any] = {
        "phase": Phase.CLOSED,
        "evaluate_at": None,
        "closed_at": at(seconds),
        "outcome": outcome,
        "result": Result.CONTINUE if outcome is Outcome.COMPLETED else None,
        "reason": "done: signal jobs-finished says done",
    }
    return {**fields, **changes}


def a_finding(**changes: Any) -> Finding:
    """An answer to `ecs: drained`: pending, and asked again twenty seconds later."""
    fields: dict[str, Any] = {
        "condition": "ecs drained",
        "status": ConditionStatus.PENDING,
        "detail": "3 tasks",
        "asked_at": at(20),
        "ask_again_at": at(40),
        "memory": {"command_id": "command-1"},
    }
    return Finding(**{**fields, **changes})


def a_signal(**changes: Any) -> Signal:
    """The signal that `an_action` waits for, a minute after its start, of its instance."""
    fields: dict[str, Any] = {
        "event_id": "event-1",
        "at": at(60),
        "name": "jobs-finished",
        "status": Status.DONE,
        "instance_id": "i-0f0e0d0c0b0a09080",
    }
    return Signal(**{**fields, **changes})


def an_activity_end(**changes: Any) -> ActivityEnd:
    """The end of the move in which `an_action` waits, two minutes after its start."""
    fields: dict[str, Any] = {
        "activity_id": "activity-1",
        "group": "workers-1",
        "instance_id": "i-0f0e0d0c0b0a09080",
        "transition": Transition.TERMINATING,
        "origin": "AutoScalingGroup",
        "destination": "EC2",
        "started_at": at(-5),
        "ended_at": at(120),
        "detail": "EC2 Instance Terminate Successful",
    }
    return ActivityEnd(**{**fields, **changes})
