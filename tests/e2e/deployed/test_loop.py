"""The whole loop on the deployed stack, with the roles as deployed: each way in, signals, what is not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.deployed.stack import TESTED, WAYS, a_notice
from tests.e2e.polling import until
from usher.core.action import Outcome, Result
from usher.wiring.machine import new_id

if TYPE_CHECKING:
    from tests.e2e.deployed.stack import Stack


@pytest.fixture(scope="module")
def in_service(stack: Stack) -> dict[str, str]:
    """The instance of each inlet, by way, after it has come into service."""
    launched = {way: stack.launched(f"inlet-{way}") for way in WAYS}
    for way, instance in launched.items():
        stack.reaches(f"inlet-{way}", instance, "InService")
    return launched


@pytest.mark.parametrize("way", WAYS)
def test_a_launch_goes_into_service_by_its_policy(stack: Stack, in_service: dict[str, str], way: str) -> None:
    action = stack.closed(in_service[way], "in")
    assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
    assert action.closed_at is not None
    assert (action.closed_at - action.started_at).total_seconds() >= 2
    assert way in action.received_by


@pytest.mark.parametrize("way", WAYS)
def test_a_termination_waits_for_its_signal(stack: Stack, in_service: dict[str, str], way: str) -> None:
    instance = in_service[way]
    stack.resize(f"inlet-{way}", 0)
    action = stack.recorded(instance, "out")
    assert action.is_open
    assert stack.instances(f"inlet-{way}")[instance] == "Terminating:Wait"
    stack.signal(instance, "finished")
    stack.goes(f"inlet-{way}", instance)
    action = stack.closed(instance, "out")
    assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)
    assert way in action.received_by
    assert [signal.name for signal in action.signals] == ["finished"]


def test_each_hook_with_a_target_proved_its_wiring_when_it_was_deployed(stack: Stack) -> None:
    assert stack.tested() == TESTED


def test_a_poison_message_lands_in_the_dead_letters_and_its_batch_goes_through(stack: Stack) -> None:
    good = [a_notice("in-flight", "hold", f"i-{number:017x}", new_id()) for number in (1, 2)]
    stack.put(good[0], "{poison", good[1])
    for number in (1, 2):
        stack.recorded(f"i-{number:017x}", "hold")
    (letter,) = until(lambda: list(stack.letters("InboxDeadLetters")))
    assert letter["Body"] == "{poison"
    assert "JSON" in letter["MessageAttributes"]["Reason"]["StringValue"]


def test_a_duplicate_is_noted_on_the_one_action_of_its_token(
    stack: Stack, in_service: dict[str, str]
) -> None:
    action = stack.closed(in_service["sqs"], "in")
    assert action.token is not None
    stack.put(a_notice("inlet-sqs", "in", action.instance_id, action.token))
    until(lambda: "notified again, by sqs" in stack.timeline(action))
    assert [each.token for each in stack.actions(action.instance_id, "in")] == [action.token]
