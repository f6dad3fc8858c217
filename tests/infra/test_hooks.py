"""The template of the hooks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.stacks import deployment, hook, hooks_data, resources, stacks, templates


def made(**changes: Any) -> dict[str, Any]:
    (properties,) = resources(templates(deployment(hooks_data(hook(**changes))))[1], KIND).values()
    return properties


KIND = "AWS::AutoScaling::LifecycleHook"


def test_a_hook_on_a_named_group_is_a_resource_and_one_by_glob_is_not() -> None:
    _, template = templates(deployment())
    (properties,) = resources(template, KIND).values()
    assert (properties["AutoScalingGroupName"], properties["LifecycleHookName"]) == ("web-prod", "gate")


def test_a_hook_says_what_the_file_says() -> None:
    properties = made(
        heartbeat_timeout="90s", default_result="CONTINUE", metadata="x=1", transition="launching"
    )
    assert properties["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert properties["HeartbeatTimeout"] == 90
    assert (properties["DefaultResult"], properties["NotificationMetadata"]) == ("CONTINUE", "x=1")


@pytest.mark.parametrize(
    ("way", "has_target", "has_role"),
    [("sqs", True, True), ("sns", True, True), ("lambda", True, False), ("eventbridge", False, False)],
)
def test_each_way_in_has_its_target_and_role(way: str, has_target: bool, has_role: bool) -> None:
    properties = made(notify=way, heartbeat_timeout="10m")
    assert ("NotificationTargetARN" in properties, "RoleARN" in properties) == (has_target, has_role)


def test_hooks_wait_for_the_controller_so_that_their_test_messages_arrive() -> None:
    controller, hooks = stacks(deployment())
    assert controller in hooks.dependencies


def test_what_waits_is_released_before_a_hook_goes() -> None:
    """Deleting a launch hook abandons the instances that it holds (aws-facts 1.1)."""
    _, template = templates(deployment())
    (release,) = [each for each in template["Resources"].values() if each["Type"] == "Custom::UsherRelease"]
    assert set(release["DependsOn"]) == set(resources(template, KIND))


def test_hooks_of_like_names_do_not_collide() -> None:
    data = hooks_data(hook(name="a-b", group="c"), hook(name="b", group="ca"), hook(name="ab", group="c"))
    assert len(resources(templates(deployment(data))[1], KIND)) == 3


def test_a_direct_target_may_be_invoked_by_the_service_linked_role_alone() -> None:
    data = hooks_data(hook(notify="lambda", heartbeat_timeout="10m"))
    template, _ = templates(deployment(data))
    granted = resources(template, "AWS::Lambda::Permission").values()
    (permission,) = [each for each in granted if "AWSServiceRoleForAutoScaling" in str(each["Principal"])]
    assert permission["Action"] == "lambda:InvokeFunction"
    failures = resources(template, "AWS::Lambda::EventInvokeConfig").values()
    (invoke,) = [each for each in failures if each["FunctionName"]["Ref"].startswith("Intake")]
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0].startswith("InboxQueue")


@pytest.mark.parametrize("raw", [False, True])
def test_a_topic_brings_its_messages_with_or_without_their_envelope(raw: bool) -> None:
    template, _ = templates(deployment(hooks_data(hook(notify="sns")), sns_raw_delivery=raw))
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert subscription.get("RawMessageDelivery", False) is raw
