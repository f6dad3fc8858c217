"""Simulated Auto Scaling: what a group keeps, how it ends, and how it is described."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import START
from tests.simulation.fleet_site import GROUP, RETAIN, Site, a_site, down, into_pool, is_prompt, up, with_pool
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from usher_simulator.autoscaling.groups import Instance

ANY_SIZES: Final[dict[str, Any]] = {"MinSize": 0, "MaxSize": 0, **ANY_SOURCE}


# -- health, protection, suspended processes (2.4, 9.19) -------------------------------------------


def test_what_is_unhealthy_is_replaced_once_it_is_in_service_and_not_before() -> None:  # 2.4
    site = a_site(up(HeartbeatTimeout=600))
    wait = site.only
    site.call("SetInstanceHealth", InstanceId=wait.instance_id, HealthStatus="Unhealthy")
    site.run(60)
    assert site.states == ["Pending:Wait"]
    site.complete(wait)
    assert site.only.instance_id != wait.instance_id
    termination = next(one for one in site.activities if "Terminating" in one.description)
    assert "taken out of service in response to a user health-check" in termination.cause


@pytest.mark.parametrize("process", ["Terminate", "ReplaceUnhealthy"])
def test_what_is_unhealthy_stays_while_its_replacement_is_suspended(process: str) -> None:  # 2.4
    site = a_site()
    (instance,) = site.instances
    site.of_group("SuspendProcesses", ScalingProcesses=[process])
    site.call("SetInstanceHealth", InstanceId=instance.id, HealthStatus="Unhealthy")
    site.run(60)
    assert (site.instances, instance.state) == ([instance], "InService")
    site.of_group("ResumeProcesses", ScalingProcesses=[process])
    site.run()
    assert instance.state == ""
    assert site.states == ["InService"]


def test_a_suspended_health_check_is_that_of_aws_and_not_that_of_a_user() -> None:  # 2.4
    site = a_site(desired=2)
    by_user, by_ec2 = site.instances
    site.of_group("SuspendProcesses", ScalingProcesses=["HealthCheck"])
    site.account.fleet.ec2_terminated(by_ec2.id)
    site.call("SetInstanceHealth", InstanceId=by_user.id, HealthStatus="Unhealthy")
    site.run(60)
    assert (by_user.state, by_ec2.state) == ("", "InService")
    site.of_group("ResumeProcesses", ScalingProcesses=["HealthCheck"])
    site.run(60)
    assert (by_ec2.state, site.states) == ("", ["InService"] * 2)


@pytest.mark.parametrize("strategy", ["Rolling", "ReplaceRootVolume"])
@pytest.mark.parametrize("process", ["InstanceRefresh", "Launch", "Terminate"])
def test_an_instance_refresh_replaces_nothing_while_a_process_of_it_is_suspended(
    process: str, strategy: str
) -> None:  # 2.4
    site = a_site(desired=2)
    before = [(instance.id, *instance.states) for instance in site.instances]
    site.of_group("SuspendProcesses", ScalingProcesses=[process])
    site.of_group("StartInstanceRefresh", Strategy=strategy)
    site.run(600)
    assert [(instance.id, *instance.states) for instance in site.instances] == before
    site.of_group("ResumeProcesses", ScalingProcesses=[process])
    site.run(600)
    (refresh,) = site.of_group("DescribeInstanceRefreshes")["InstanceRefreshes"]
    assert (refresh["Status"], refresh["PercentageComplete"], len(site.states)) == ("Successful", 100, 2)


@pytest.mark.parametrize("how", ["out of standby", "attached"])
def test_what_comes_in_when_the_group_has_enough_is_scaled_in_again(how: str) -> None:
    """Also where the only look at the capacity comes before it is in service."""
    site = a_site(desired=1)
    (instance,) = site.instances
    site.of_group("EnterStandby", InstanceIds=[instance.id], ShouldDecrementDesiredCapacity=True)
    site.run(60)
    if how == "attached":
        site.of_group("DetachInstances", InstanceIds=[instance.id], ShouldDecrementDesiredCapacity=False)
        site.run(60)
    site.of_group("SetDesiredCapacity", DesiredCapacity=0)
    site.run(0.2)
    site.of_group("ExitStandby" if how == "out of standby" else "AttachInstances", InstanceIds=[instance.id])
    site.run(0.1)
    site.of_group("SetDesiredCapacity", DesiredCapacity=0)
    site.run(0.3)
    assert site.states == ["Pending"]
    site.run(60)
    assert site.states == []


def test_a_protected_instance_is_not_scaled_in() -> None:  # 9.19
    site = a_site(NewInstancesProtectedFromScaleIn=True)
    site.scale(0)
    assert site.states == ["InService"]
    attempt = site.activities[0]
    assert (attempt.status, attempt.description) == (
        "Cancelled",
        "Could not scale to desired capacity because all remaining instances are protected from scale-in.",
    )
    assert "changing the desired capacity from 1 to 0" in attempt.cause


@pytest.mark.parametrize(("protected", "desired"), [(0, 0), (0, 1), (1, 1)])
def test_a_scale_in_that_succeeds_is_no_attempt_that_failed(protected: int, desired: int) -> None:  # 9.19
    site = a_site(desired=2)
    for instance in site.instances[:protected]:
        protect(site, instance, protected=True)
    site.scale(desired)
    assert len(site.states) == desired
    assert not [one for one in site.activities if one.status == "Cancelled"]


def protect(site: Site, instance: Instance, *, protected: bool) -> None:
    site.of_group("SetInstanceProtection", InstanceIds=[instance.id], ProtectedFromScaleIn=protected)


def test_a_scale_in_takes_the_unprotected_and_waits_for_the_rest() -> None:
    site = a_site(desired=2)
    first, second = site.instances
    protect(site, first, protected=True)
    site.scale(0)
    assert (site.instances, second.state) == ([first], "")
    protect(site, first, protected=False)
    site.run()
    assert site.states == []


def test_protection_does_not_keep_the_unhealthy() -> None:
    site = a_site(NewInstancesProtectedFromScaleIn=True)
    (instance,) = site.instances
    site.call("SetInstanceHealth", InstanceId=instance.id, HealthStatus="Unhealthy")
    site.run()
    assert instance.state == ""


@pytest.mark.parametrize(
    ("process", "before", "wanted"), [("Launch", 1, 3), ("Terminate", 3, 1)], ids=["Launch", "Terminate"]
)
def test_a_suspended_process_waits_until_it_is_resumed(process: str, before: int, wanted: int) -> None:
    site = a_site(desired=before)
    site.of_group("SuspendProcesses", ScalingProcesses=[process])
    site.scale(wanted)
    site.run(60)
    assert site.states == ["InService"] * before
    site.of_group("ResumeProcesses", ScalingProcesses=[process])
    site.run()
    assert site.states == ["InService"] * wanted


def test_a_suspended_terminate_keeps_the_warm_pool_too() -> None:
    site = into_pool()
    site.of_group("SuspendProcesses", ScalingProcesses=["Terminate"])
    site.of_group("PutWarmPool", MinSize=0, MaxGroupPreparedCapacity=0)
    site.run(60)
    assert site.states == ["Warmed:Stopped"]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (
            {"DesiredCapacity": 5},
            "Desired capacity:5 must be between the specified min size:0 and max size:4",
        ),
        ({"MinSize": 5}, "Max bound must be greater than or equal to min bound"),
    ],
    ids=["above the maximum", "bounds crossed"],
)
def test_an_update_to_sizes_that_cannot_be_is_refused_whole(sizes: dict[str, int], said: str) -> None:
    site = a_site()
    assert site.refused("UpdateAutoScalingGroup", AutoScalingGroupName=GROUP, **sizes).endswith(said)
    group = site.account.fleet.groups[GROUP]
    assert (group.min_size, group.max_size, group.desired) == (0, 4, 1)


@pytest.mark.parametrize("name", ["team:web", "my web", "caf\u00e9", "line\n"])
def test_a_name_that_no_group_has_at_aws_is_refused(name: str) -> None:
    said = a_site().refused("CreateAutoScalingGroup", **ANY_SIZES | {"AutoScalingGroupName": name})
    assert said.startswith("ValidationError: ")


def test_a_name_may_have_every_other_printable_character_of_ascii() -> None:
    name = "".join(map(chr, range(33, 127))).replace(":", "")
    site = a_site()
    site.call("CreateAutoScalingGroup", **ANY_SIZES | {"AutoScalingGroupName": name})
    assert name in site.account.fleet.groups


# -- the end of a group (2.6, 9.15, 9.16) ----------------------------------------------------------


def test_a_force_delete_is_refused_while_the_policy_retains() -> None:  # 2.6
    site = a_site(InstanceLifecyclePolicy=RETAIN)
    said = site.refused("DeleteAutoScalingGroup", AutoScalingGroupName=GROUP, ForceDelete=True)
    assert said.startswith("ValidationError: ")
    assert site.states == ["InService"]


def test_a_force_delete_lets_go_what_waits_and_holds_what_does_not() -> None:  # 2.6, 9.15
    site = a_site(down(HeartbeatTimeout=120, DefaultResult="ABANDON"), desired=2)
    early, late = site.instances
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    site.terminate(early)
    site.run()
    first = site.only
    site.of_group("DeleteAutoScalingGroup", ForceDelete=True)
    assert (first.is_open, early.state) == (False, "Terminating:Proceed")
    site.run()
    second = site.only
    assert second.instance_id == late.id
    (group,) = site.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
    assert group["Status"] == "Delete in progress"
    site.run(110)
    assert second.is_open
    site.run(20)
    assert is_prompt(second.ended_at, second.started_at + timedelta(seconds=120))
    assert GROUP not in site.account.fleet.groups


def test_a_force_delete_takes_what_launches_and_what_is_warm() -> None:  # 9.15
    site = with_pool(a_site(up()))
    launches = list(site.open)
    site.of_group("DeleteAutoScalingGroup", ForceDelete=True)
    site.run()
    assert [wait.is_open for wait in launches] == [False, False]
    assert GROUP not in site.account.fleet.groups


def test_a_name_is_free_again_once_its_group_is_gone() -> None:
    site = a_site(desired=0)
    again = {"AutoScalingGroupName": GROUP, "MinSize": 0, "MaxSize": 1, **ANY_SOURCE}
    assert site.refused("CreateAutoScalingGroup", **again) == (
        "AlreadyExists: AutoScalingGroup by this name already exists - "
        f"A group with the name {GROUP} already exists"
    )
    site.of_group("DeleteAutoScalingGroup")
    site.call("CreateAutoScalingGroup", **again)


# -- load balancers (2.4, 10) ----------------------------------------------------------------------


def test_a_load_balancer_gets_an_instance_after_the_launch_hook_and_loses_it_before_the_other() -> None:
    site = a_site(up(), down(), TargetGroupARNs=["arn:aws:elasticloadbalancing:tg"])
    registered, launch = site.account.outside.registered, site.only
    assert registered == []
    site.complete(launch)
    assert registered == [("register", launch.instance_id)]
    site.of_group("SetDesiredCapacity", DesiredCapacity=0)
    while not site.open:
        assert len(registered) == 1 or site.states == ["Terminating"]
        site.account.clock.step()
    assert registered == [("register", launch.instance_id), ("deregister", launch.instance_id)]


def test_what_comes_while_load_balancers_are_suspended_is_not_registered_later_neither() -> None:  # 2.4
    site = a_site(up(), TargetGroupARNs=["arn:aws:elasticloadbalancing:tg"])
    site.of_group("SuspendProcesses", ScalingProcesses=["AddToLoadBalancer"])
    site.complete(site.only)
    site.of_group("AttachInstances", InstanceIds=["i-0123456789abcdef0"])
    site.run()
    assert site.states == ["InService"] * 2
    site.of_group("ResumeProcesses", ScalingProcesses=["AddToLoadBalancer"])
    site.run()
    assert site.account.outside.registered == []


# -- describes (9.6) -------------------------------------------------------------------------------


def test_describes_may_show_the_state_of_a_while_ago() -> None:  # 9.6
    site = a_site(up())
    site.run(10)
    site.account.service.lag = lambda: timedelta(seconds=2)
    site.end(site.only)
    seen = []
    for _ in range(3):
        (shown,) = site.call("DescribeAutoScalingInstances")["AutoScalingInstances"]
        (group,) = site.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
        assert group["Instances"][0]["LifecycleState"] == shown["LifecycleState"]
        seen.append(shown["LifecycleState"])
        site.run(2.2 if len(seen) == 1 else 1)
    assert seen == ["Pending:Wait", "Pending:Proceed", "InService"]


def test_activities_are_described_newest_first_with_their_end_in_whole_seconds() -> None:  # 1.3
    site = a_site(up())
    site.complete(site.only)
    site.scale(0)
    newest, oldest = site.of_group("DescribeScalingActivities")["Activities"]
    assert newest["Description"].startswith("Terminating")
    assert (oldest["StatusCode"], oldest["Progress"]) == ("Successful", 100)
    assert len(oldest["EndTime"]) == len("2026-03-01T12:00:00Z")


@pytest.mark.parametrize(
    ("hook", "desired", "steps"),
    [
        (up(), 1, [("PreInService", 30), ("MidLifecycleAction", 40), ("Successful", 100)]),
        (down(), 0, [("InProgress", 0), ("MidTerminatingLifecycleAction", 60), ("Successful", 100)]),
    ],
    ids=["launch", "termination"],
)
def test_an_activity_shows_how_far_it_is(  # 1.3
    hook: dict[str, Any], desired: int, steps: list[tuple[str, int]]
) -> None:
    site = a_site(hook, desired=1 - desired)
    for wait in site.open:
        site.complete(wait)
    before, seen = len(site.activities), list[tuple[str, int]]()
    site.of_group("SetDesiredCapacity", DesiredCapacity=desired)
    while len(seen) < 3:
        site.account.clock.step()
        if len(site.activities) > before:
            now = (site.activities[0].status, site.activities[0].progress)
            seen += [now] if now not in seen else []
    assert seen == steps


def test_tags_are_put_changed_and_taken_off() -> None:
    site = a_site()

    def tags() -> dict[str, str]:
        (group,) = site.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        return {tag["Key"]: tag["Value"] for tag in group["Tags"]}

    def tag(key: str, value: str) -> dict[str, str]:
        return {"ResourceId": GROUP, "ResourceType": "auto-scaling-group", "Key": key, "Value": value}

    site.call("CreateOrUpdateTags", Tags=[tag("team", "web"), tag("stage", "live")])
    site.call("CreateOrUpdateTags", Tags=[tag("team", "jobs")])
    assert tags() == {"team": "jobs", "stage": "live"}
    site.call("DeleteTags", Tags=[tag("team", "whatever it was")])
    assert tags() == {"stage": "live"}


@pytest.mark.parametrize(
    ("operation", "asked", "shown"),
    [
        ("DescribeAutoScalingGroups", {"AutoScalingGroupNames": []}, "AutoScalingGroups"),
        ("DescribeAutoScalingInstances", {"InstanceIds": []}, "AutoScalingInstances"),
        (
            "DescribeLifecycleHooks",
            {"AutoScalingGroupName": GROUP, "LifecycleHookNames": []},
            "LifecycleHooks",
        ),
    ],
)
def test_an_empty_list_of_names_asks_for_all(operation: str, asked: dict[str, Any], shown: str) -> None:
    """Of groups: boto/boto3#3740. Of the others it is assumed."""
    assert len(a_site(up()).call(operation, **asked)[shown]) == 1


def test_groups_come_in_pages_of_50_and_of_100_at_most() -> None:  # 11.1
    account = an_account(START)
    names = [f"group-{number:03}" for number in range(101)]
    for name in names:
        asked = {"AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 0, **ANY_SOURCE}
        account.service(Request(operation="CreateAutoScalingGroup", parameters=asked))
    pages = list(account.client.get_paginator("describe_auto_scaling_groups").paginate())
    assert [len(page["AutoScalingGroups"]) for page in pages] == [50, 50, 1]
    largest = account.client.describe_auto_scaling_groups(MaxRecords=100)
    assert len(largest["AutoScalingGroups"]) == 100
    with pytest.raises(ApiError, match="MaxRecords must be from 1 to 100"):
        account.service(Request(operation="DescribeAutoScalingGroups", parameters={"MaxRecords": 101}))
