"""An update of the stack while actions are open: nothing is lost, and each ends as it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.deployed.stack import UPDATED_HOOKS, Stack
from usher.core.action import Action, Outcome
from usher_local.cdk import CdkFailed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def held(stack: Stack) -> Action:
    """A launch that waits for a signal."""
    stack.resize("in-flight", 1)
    instance = stack.launched("in-flight")
    stack.reaches("in-flight", instance, "Pending:Wait")
    return stack.recorded(instance, "hold")


@pytest.fixture(scope="module")
def updated(stack: Stack, held: Action) -> Action:
    """It, after an update by which such a launch would be let go at once, and in which another one falls."""
    stack.resize("inlet-sqs", 1)
    stack.account.deploy(hooks=UPDATED_HOOKS, calls_per_second="20")
    return held


def test_an_open_action_stays_under_the_policy_of_its_start(stack: Stack, updated: Action) -> None:
    instance = updated.instance_id
    assert stack.instances("in-flight")[instance] == "Pending:Wait"
    stack.signal(instance, "finished")
    stack.reaches("in-flight", instance, "InService")
    action = stack.closed(instance, "hold")
    assert (action.id, action.policy.name, action.outcome) == (updated.id, "finish", Outcome.COMPLETED)


def test_a_new_action_is_under_the_new_policy(stack: Stack, updated: Action) -> None:
    stack.resize("in-flight", 2)
    before = {updated.instance_id}
    instance = stack.launched("in-flight", but=before)
    stack.reaches("in-flight", instance, "InService")
    assert stack.closed(instance, "hold").policy.name == "let-go"


@pytest.mark.usefixtures("updated")
def test_a_launch_during_the_update_is_not_lost(stack: Stack) -> None:
    instance = stack.launched("inlet-sqs")
    stack.reaches("inlet-sqs", instance, "InService")
    assert stack.closed(instance, "in").outcome is Outcome.COMPLETED


def test_a_file_that_is_refused_fails_the_deploy_with_its_line(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("version: 1\npolicies: {}\nhooks: [{}]\n", encoding="utf-8")
    with pytest.raises(CdkFailed, match=r"(?s)^cdk deploy failed.*wrong\.yaml:3"):
        stack.account.deploy(hooks=str(file))
