"""Hooks in the template of a group of one's own, and the demo that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from tests.infra.stacks import deployment, hook, hooks_data, resources, template_of
from usher_cdk.configuration import Deployment
from usher_cdk.controller import Controller
from usher_cdk.demo import Demo
from usher_cdk.own_group import UnfitHook
from usher_hooksfile.load import load, read

DEMO_HOOKS = Path(__file__).parents[2] / "infra" / "usher_cdk" / "demo.hooks.yaml"


def demo(of: Deployment) -> dict[str, Any]:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    controller = Controller(app, "Usher", deployment=of)
    return dict(Template.from_stack(Demo(app, "UsherDemo", deployment=of, controller=controller)).to_json())


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return demo(Deployment(configuration=load(DEMO_HOOKS), hooks_data=read(DEMO_HOOKS), demo=True))


def test_the_hooks_stand_in_the_group_so_that_its_first_instance_waits(made: dict[str, Any]) -> None:
    (group,) = resources(made, "AWS::AutoScaling::AutoScalingGroup").values()
    specified = group["LifecycleHookSpecificationList"]
    assert [each["LifecycleHookName"] for each in specified] == ["demo-settle", "demo-goodbye"]
    assert len({str(each["NotificationTargetARN"]) for each in specified}) == 1
    assert all("RoleARN" in each for each in specified)


def test_own_groups_keep_their_grants() -> None:
    """A group may come to hold its hooks while actions of it are open."""
    data = hooks_data(hook(group="mine"), hook(group="theirs"))
    assert "autoScalingGroupName/mine" in str(template_of(deployment(data, own_groups=("mine",))))


def test_the_demo_costs_cents(made: dict[str, Any]) -> None:
    """No NAT gateway, no address, no endpoint, the smallest instance, none at first."""
    kinds = {each["Type"] for each in made["Resources"].values()}
    assert not kinds & {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::VPCEndpoint"}
    (group,) = resources(made, "AWS::AutoScaling::AutoScalingGroup").values()
    assert group["MinSize"] == "0"


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ([hook(group="other")], "must have a hook for group 'usher-demo'"),
        ([hook(group="usher-*", notify="sns")], "must notify by sqs, not sns"),
    ],
)
def test_what_cannot_stand_in_a_group_is_refused(hooks: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UnfitHook, match=said):
        demo(deployment(hooks_data(*hooks), demo=True))
