"""Faults on the wire between the deployed functions and the account: busy, cut off, answers that get lost.

At last the table refuses the functions for three minutes: what waits is held from the wake-ups alone.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.deployed.by_hand import deploy
from tests.e2e.deployed.fault_proxy import FaultProxy
from tests.e2e.deployed.stack import Stack, make_group
from tests.e2e.polling import PATIENCE_S, until
from usher.core.action import Outcome, Result
from usher.wiring.machine import now
from usher_local.account import Setup, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher.core.action import Action

FAULTY: Final = tuple(f"faulty-{fault}" for fault in ("store", "throttled", "reset", "lost"))
_TABLELESS: Final = "tableless"


def _hook(group: str, timeout: str, policy: str) -> dict[str, str]:
    """ABANDON is its default."""
    hook = {"name": "hold", "group": group, "transition": "launching"}
    return {**hook, "heartbeat_timeout": timeout, "policy": policy}


_HOOKS: Final = {
    "version": 1,
    "policies": {"settle": {"until": [{"elapsed": "2s"}]}, "finish": {"until": [{"signal": "finished"}]}},
    "hooks": [*(_hook(group, "2m", "settle") for group in FAULTY), _hook(_TABLELESS, "30s", "finish")],
}
_HELD: Final = 10
_AWAY: Final = timedelta(minutes=3)
_AWAY_RULE: Final[dict[str, Any]] = {"service": "dynamodb", "reset": True}

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
def proxy(tmp_path_factory: pytest.TempPathFactory) -> FaultProxy:
    return FaultProxy(tmp_path_factory.mktemp("proxy") / "proxy.log")


@pytest.fixture(scope="module")
def stack(proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Iterator[Stack]:
    """Usher, deployed for these groups."""
    logs = tmp_path_factory.mktemp("account")
    setup = Setup(auth=True, logs=logs, functions=proxy.in_front_of, say=said.append)
    with open_account(setup) as account:
        proxy.warm_up(account.url)
        for group in (*FAULTY, _TABLELESS):
            make_group(account, group)
        yield Stack.of(account, deploy(account, _HOOKS))


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
    busy, *others = calls(stack, actions["faulty-throttled"])
    assert "Throttling" in busy
    assert len([each for each in others if "accepted" in each]) == 1  # another evaluation may send it, too


def test_a_result_whose_answer_was_lost_counts_as_sent_and_is_applied_once(
    stack: Stack, actions: dict[str, Action]
) -> None:
    action = actions["faulty-lost"]
    lost, *others, again = calls(stack, action)
    assert "unanswered" in lost
    assert "No active Lifecycle Action found" in again
    # Another evaluation may send it, too; none is accepted a second time.
    assert [each for each in others if "unanswered" not in each and "No active" not in each] == []
    assert "whose answer was lost" in action.reason
    activities = stack.auto_scaling.describe_scaling_activities(AutoScalingGroupName="faulty-lost")
    assert [each["StatusCode"] for each in activities["Activities"]] == ["Successful"]


def waiting(stack: Stack) -> set[str]:
    return {instance for instance, state in stack.instances(_TABLELESS).items() if state == "Pending:Wait"}


def all_beaten(stack: Stack) -> set[str]:
    """Those that wait, once the expiry of each counts from a heartbeat, else none.

    On a busy machine notices are dated late; one that is lost by that is replaced.
    """
    held = waiting(stack)
    is_so = len(held) == _HELD and all(is_beaten(stack, instance) for instance in held)
    return held if is_so else set()


def is_beaten(stack: Stack, instance: str) -> bool:
    return any(action.heartbeats > 0 for action in stack.actions(instance, "hold"))


def tells(stack: Stack, instance: str) -> bool:
    """Whether the record tells of the heartbeats: the next wake-up of each chain brings them."""
    story = stack.timeline(stack.recorded(instance, "hold"))
    return any(line.startswith("held ") for line in story)


def test_ten_instances_in_30_second_hooks_are_held_without_the_table(stack: Stack, proxy: FaultProxy) -> None:
    so_far = len(proxy.fired())
    for _ in range(_HELD):
        stack.launch(_TABLELESS)
    held = until(partial(all_beaten, stack), within_s=2 * PATIENCE_S, every_s=1)
    with proxy.rules(_AWAY_RULE):
        began = now()
        until(lambda: waiting(stack) != held or now() - began > _AWAY, within_s=4 * 60, every_s=5)
        assert waiting(stack) == held
    for instance in held:
        stack.signal(instance, "finished")
    for instance in held:
        stack.reaches(_TABLELESS, instance, "InService")
        action = stack.closed(instance, "hold")
        assert action.outcome is Outcome.COMPLETED
    for instance in held:
        until(partial(tells, stack, instance))
    assert sum(what.endswith("reset") for what in proxy.fired()[so_far:]) > _HELD


def test_no_role_was_refused_anything_and_every_notification_was_delivered(
    stack: Stack, said: list[str]
) -> None:
    assert [each for each in stack.decided() if each.decision != "Allow"] == []
    assert said == []
