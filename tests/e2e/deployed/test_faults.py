"""Faults on the wire between the deployed functions and the account: busy, cut off, answers that get lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.deployed.stack import FAULTY
from usher.core.action import Outcome, Result

if TYPE_CHECKING:
    from tests.e2e.deployed.fault_proxy import FaultProxy
    from tests.e2e.deployed.stack import Stack
    from usher.core.action import Action

# A call of the store or of a queue has three attempts, so that two faults are ridden out wherever they fall.
_STORE: Final = [
    {"service": "dynamodb", "operation": operation, "times": 2, "error": {"code": "ThrottlingException"}}
    for operation in ("GetItem", "Query", "TransactWriteItems")
] + [{"service": "sqs", "operation": "SendMessageBatch", "times": 2, "reset": True}]


def _on_complete(group: str, **fault: Any) -> dict[str, Any]:
    """The fault, for the first CompleteLifecycleAction of that group."""
    operation = {"service": "autoscaling", "operation": "CompleteLifecycleAction"}
    return {**operation, "body": f"AutoScalingGroupName == '{group}'", "times": 1, **fault}


_RULES: Final = [
    *_STORE,
    _on_complete("faulty-throttled", error={"code": "Throttling", "status": 400}),
    _on_complete("faulty-reset", reset=True),
    _on_complete("faulty-lost", response={"abort_bytes": 0}),
]


@pytest.fixture(scope="module")
def actions(stack: Stack, proxy: FaultProxy) -> dict[str, Action]:
    """The launch of an instance in each group, all at once and under all faults, after it has closed."""
    with proxy.rules(*_RULES):
        for group in FAULTY:
            stack.resize(group, 1)
        launched = {group: stack.launched(group) for group in FAULTY}
        closed = {group: stack.closed(instance, "hold") for group, instance in launched.items()}
    for group, instance in launched.items():
        stack.reaches(group, instance, "InService")
    return closed


@pytest.mark.parametrize("group", FAULTY)
def test_a_launch_goes_into_service_in_spite_of_the_fault(actions: dict[str, Action], group: str) -> None:
    action = actions[group]
    assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)


@pytest.mark.usefixtures("actions")
def test_every_fault_was_met(proxy: FaultProxy) -> None:
    fired = proxy.fired()
    assert fired.count("TransactWriteItems error:ThrottlingException") == 2
    assert fired.count("SendMessageBatch reset") == 2
    assert sum(what.startswith("CompleteLifecycleAction") for what in fired) == 3


def calls(stack: Stack, action: Action) -> list[str]:
    """What the timeline has of CompleteLifecycleAction."""
    return [line for line in stack.timeline(action) if "CompleteLifecycleAction" in line]


def test_a_throttled_result_is_sent_again(stack: Stack, actions: dict[str, Action]) -> None:
    busy, accepted = calls(stack, actions["faulty-throttled"])
    assert "Throttling" in busy
    assert "accepted" in accepted


def test_a_result_whose_answer_was_lost_counts_as_sent_and_is_applied_once(
    stack: Stack, actions: dict[str, Action]
) -> None:
    action = actions["faulty-lost"]
    lost, again = calls(stack, action)
    assert "unanswered" in lost
    assert "No active Lifecycle Action found" in again
    assert "whose answer was lost" in action.reason
    activities = stack.auto_scaling.describe_scaling_activities(AutoScalingGroupName="faulty-lost")
    assert [each["StatusCode"] for each in activities["Activities"]] == ["Successful"]
