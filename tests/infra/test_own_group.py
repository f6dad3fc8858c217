"""Hooks in the template of a group of one's own, and the demo that uses them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.stacks import app_of, deployment, hook, hooks_data, resources, template_of, templates
from usher_cdk.own_group import UnfitHook


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return templates("the demo")["UsherDemo"]


def test_the_hooks_stand_in_the_group_so_that_its_first_instance_waits(made: dict[str, Any]) -> None:
    (group,) = resources(made, "AWS::AutoScaling::AutoScalingGroup").values()
    specified = group["LifecycleHookSpecificationList"]
    assert [each["LifecycleHookName"] for each in specified] == ["demo-settle", "demo-goodbye"]
    assert len({str(each["NotificationTargetARN"]) for each in specified}) == 1
    assert all("RoleARN" in each for each in specified)


def test_own_groups_keep_their_grants() -> None:
    """A group may come to hold its hooks while actions of it are open."""
    data = hooks_data(hook(group="web"), hook(group="mine"))
    assert "autoScalingGroupName/mine" in str(template_of(deployment(data, own_groups=("mine",))))


def test_the_demo_costs_cents(made: dict[str, Any]) -> None:
    """No NAT gateway, no address, no endpoint, the smallest instance, none at first."""
    kinds = {each["Type"] for each in made["Resources"].values()}
    assert not kinds & {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::VPCEndpoint"}
    (group,) = resources(made, "AWS::AutoScaling::AutoScalingGroup").values()
    assert group["MinSize"] == "0"


def test_a_hook_that_cannot_stand_in_a_group_is_refused() -> None:
    hooks = hooks_data(hook(group="usher-*", notify="sns"))
    with pytest.raises(UnfitHook, match="must notify by sqs, not sns"):
        app_of(deployment(hooks, demo=True))
