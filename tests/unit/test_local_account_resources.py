"""What CloudFormation makes in Auto Scaling, put into simulated Auto Scaling by a real client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.doors import GROUP as DOOR_GROUP
from tests.e2e.doors import a_door
from usher_local.launcher import tags_of_group
from usher_local.resources import Resources, fitted
from usher_simulator.autoscaling.account import an_account

if TYPE_CHECKING:
    from usher_simulator.autoscaling.account import Account

GROUP = "AWS::AutoScaling::AutoScalingGroup"
HOOK = "AWS::AutoScaling::LifecycleHook"
GATE = {
    "LifecycleHookName": "gate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": "60",
}
WEB = {
    "AutoScalingGroupName": "web",
    "MinSize": "0",
    "MaxSize": "3",
    "VPCZoneIdentifier": ["subnet-1", "subnet-2"],
    "LaunchTemplate": {"LaunchTemplateId": "lt-00000000000000001", "Version": "1"},
    "Cooldown": "30",
    "Tags": [{"Key": "team", "Value": "web", "PropagateAtLaunch": True}],
    "LifecycleHookSpecificationList": [GATE],
    "UpdatePolicyOfTheTemplate": {},
}


@pytest.fixture
def account() -> Account:
    return an_account(datetime(2026, 3, 10, 12, tzinfo=UTC))


@pytest.fixture
def resources(account: Account) -> Resources:
    """In which time passes as often as it is asked for."""

    def seconds() -> float:
        account.clock.run_until(account.clock() + timedelta(seconds=30))
        return 0.0

    return Resources(account.client, seconds)


def changed(resources: Resources, request: str, kind: str, **asked: Any) -> dict[str, Any]:
    return resources.change({"request": request, "type": kind, **asked})


def made(resources: Resources, kind: str, properties: dict[str, Any]) -> str:
    answer = changed(resources, "create", kind, id="Stack-Logical", properties=properties)
    assert "error" not in answer
    return str(answer["id"])


def hooks(account: Account) -> dict[str, int]:
    """The heartbeat timeouts of the group's hooks."""
    found = account.client.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
    return {hook["LifecycleHookName"]: hook["HeartbeatTimeout"] for hook in found}


def test_a_group_is_made_as_its_template_says(account: Account, resources: Resources) -> None:
    assert made(resources, GROUP, WEB) == "web"
    (group,) = account.client.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], group["DefaultCooldown"]) == (0, 3, 30)
    assert group["VPCZoneIdentifier"] == "subnet-1,subnet-2"
    assert [(tag["Key"], tag["ResourceId"]) for tag in group["Tags"]] == [("team", "web")]
    assert hooks(account) == {"gate": 60}


def test_a_group_without_a_name_gets_that_of_its_stack(resources: Resources) -> None:
    nameless = {name: value for name, value in WEB.items() if name != "AutoScalingGroupName"}
    assert made(resources, GROUP, nameless) == "Stack-Logical"


def test_a_template_can_ask_for_the_arn_of_its_group(resources: Resources) -> None:
    answer = changed(resources, "create", GROUP, id="x", properties=WEB)
    assert answer["attributes"]["AutoScalingGroupARN"].endswith(":autoScalingGroupName/web")


def test_what_auto_scaling_refuses_fails_the_resource_in_its_words(resources: Resources) -> None:
    made(resources, GROUP, WEB)
    answer = changed(resources, "create", GROUP, id="x", properties=WEB)
    assert "AlreadyExists" in answer["error"]


def test_an_update_changes_sizes_and_hooks(account: Account, resources: Resources) -> None:
    made(resources, GROUP, WEB)
    drain = GATE | {"LifecycleHookName": "drain", "HeartbeatTimeout": 90}
    changes = WEB | {"MaxSize": "5", "LifecycleHookSpecificationList": [drain]}
    answer = changed(resources, "update", GROUP, id="web", old=WEB, properties=changes)
    assert answer["id"] == "web"
    (group,) = account.client.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["MaxSize"] == 5
    assert hooks(account) == {"drain": 90}


def test_an_update_changes_tags_and_takes_away_what_is_gone(account: Account, resources: Resources) -> None:
    def tags() -> dict[str, str]:
        (group,) = account.client.describe_auto_scaling_groups()["AutoScalingGroups"]
        return {tag["Key"]: tag["Value"] for tag in group["Tags"]}

    of_two = [{"Key": key, "Value": "1", "PropagateAtLaunch": "true"} for key in ("stays", "goes")]
    made(resources, GROUP, WEB | {"Tags": of_two})
    other = WEB | {"Tags": [of_two[0] | {"Value": "2"}]}
    changed(resources, "update", GROUP, id="web", old=WEB | {"Tags": of_two}, properties=other)
    assert tags() == {"stays": "2"}
    bare = {name: value for name, value in WEB.items() if name != "Tags"}
    changed(resources, "update", GROUP, id="web", old=other, properties=bare)
    assert tags() == {}


def test_a_group_that_is_renamed_is_another_group(account: Account, resources: Resources) -> None:
    made(resources, GROUP, WEB)
    renamed = WEB | {"AutoScalingGroupName": "site"}
    assert changed(resources, "update", GROUP, id="web", old=WEB, properties=renamed)["id"] == "site"
    groups = account.client.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [group["AutoScalingGroupName"] for group in groups] == ["site"]


def test_a_group_is_deleted_once_its_instances_have_passed_their_hooks(
    account: Account, resources: Resources
) -> None:
    leaving = GATE | {"LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    group = WEB | {"MinSize": "1", "LifecycleHookSpecificationList": [leaving]}
    made(resources, GROUP, group)
    account.clock.run_until(account.clock() + timedelta(minutes=5))
    assert "error" not in changed(resources, "delete", GROUP, id="web", properties=group)
    assert account.client.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    kinds = [event["detail-type"] for event in account.outside.events]
    assert kinds[-2:] == ["EC2 Instance-terminate Lifecycle Action", "EC2 Instance Terminate Successful"]


def test_nobody_waits_for_a_group_in_an_account_that_closes(account: Account) -> None:
    resources = Resources(account.client, lambda: 0.0)
    made(resources, GROUP, WEB | {"MinSize": "1"})
    account.clock.run_until(account.clock() + timedelta(minutes=5))
    resources.close()
    assert "still has instances" in changed(resources, "delete", GROUP, id="web", properties=WEB)["error"]


def test_a_hook_comes_changes_and_goes(account: Account, resources: Resources) -> None:
    made(resources, GROUP, WEB | {"LifecycleHookSpecificationList": []})
    hook = GATE | {"AutoScalingGroupName": "web"}
    assert made(resources, HOOK, hook) == "gate"
    longer = hook | {"HeartbeatTimeout": 120}
    changed(resources, "update", HOOK, id="gate", old=hook, properties=longer)
    assert hooks(account) == {"gate": 120}
    renamed = longer | {"LifecycleHookName": "door"}
    assert changed(resources, "update", HOOK, id="gate", old=longer, properties=renamed)["id"] == "door"
    assert hooks(account) == {"door": 120}
    changed(resources, "delete", HOOK, id="door", properties=renamed)
    assert hooks(account) == {}


@pytest.mark.parametrize("kind", [GROUP, HOOK], ids=["group", "hook"])
def test_what_is_gone_already_is_deleted_without_a_word(resources: Resources, kind: str) -> None:
    properties = GATE | {"AutoScalingGroupName": "web"}
    assert "error" not in changed(resources, "delete", kind, id="gate", properties=properties)


def test_values_of_a_template_become_those_of_the_api(account: Account) -> None:
    shape = account.client.meta.service_model.operation_model("CreateAutoScalingGroup").input_shape
    given = {"MinSize": "2", "CapacityRebalance": "false", "AvailabilityZones": ["a"], "Unknown": 1}
    assert fitted(shape, given) == {"MinSize": 2, "CapacityRebalance": False, "AvailabilityZones": ["a"]}


def test_a_condition_on_tags_is_about_those_that_the_group_has_now() -> None:
    """Asked of the door by the launcher, which has no client of AWS."""
    tags = {"team": "web", "empty": ""}
    with a_door() as door:
        door.create(Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        arn = (
            f"arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:*:autoScalingGroupName/{DOOR_GROUP}"
        )
        assert tags_of_group(door.url, arn) == tags
        assert tags_of_group(door.url, f"{arn}-other") == {}
