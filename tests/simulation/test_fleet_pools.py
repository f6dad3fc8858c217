"""Simulated Auto Scaling: warm pools, and instances that are retained (aws-facts 2.7, 2.8, 9.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.fleet_site import (
    GROUP,
    RETAIN,
    TERMINATE,
    Site,
    a_site,
    back_to_pool,
    down,
    into_pool,
    out_of_pool,
    pool_to_ec2,
    scaled_in,
    up,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_simulator.autoscaling.groups import Instance


@pytest.mark.parametrize(
    ("moved", "transition", "waiting", "origin", "destination", "after"),
    [
        (into_pool, "launching", "Warmed:Pending:Wait", "EC2", "WarmPool", "Warmed:Stopped"),
        (out_of_pool, "launching", "Pending:Wait", "WarmPool", "AutoScalingGroup", "InService"),
        (
            back_to_pool,
            "terminating",
            "Warmed:Pending:Wait",
            "AutoScalingGroup",
            "WarmPool",
            "Warmed:Stopped",
        ),
        (pool_to_ec2, "terminating", "Warmed:Terminating:Wait", "WarmPool", "EC2", ""),
        (a_site, "launching", "Pending:Wait", "EC2", "AutoScalingGroup", "InService"),
        (scaled_in, "terminating", "Terminating:Wait", "AutoScalingGroup", "EC2", ""),
    ],
    ids=["EC2 to pool", "pool to group", "group to pool", "pool to EC2", "EC2 to group", "group to EC2"],
)
def test_each_move_has_its_transition_state_and_places(  # the columns of table 2.8
    moved: Callable[..., Site], transition: str, waiting: str, origin: str, destination: str, after: str
) -> None:
    site = moved(up(), down())
    wait = next(wait for wait in site.open if wait.origin == origin)
    instance = site.account.fleet.groups[GROUP].instances[wait.instance_id]
    assert (wait.transition, instance.state) == (transition, waiting)
    assert wait.destination == destination
    details = [event["detail"] for event in site.events("Lifecycle Action")]
    (detail,) = [one for one in details if one["LifecycleActionToken"] == wait.token]
    assert (detail["Origin"], detail["Destination"]) == (origin, destination)
    site.complete(wait)
    assert instance.state == after
    outcomes = [event["detail"] for event in site.events("Successful")]
    (outcome,) = [one for one in outcomes if (one["Origin"], one["Destination"]) == (origin, destination)]
    assert outcome["EC2InstanceId"] == instance.id


def test_one_instance_passes_one_hook_again_with_a_new_token() -> None:  # 2.8
    site = out_of_pool(up())
    first, second = site.waited("up")[:2]
    assert (first.instance_id, first.hook) == (second.instance_id, second.hook)
    assert first.token != second.token


def test_a_return_to_the_pool_that_is_abandoned_runs_on_in_it() -> None:  # 9.10
    site = back_to_pool(down())
    site.complete(site.only, "ABANDON")
    assert site.states == ["Warmed:Running"]
    assert site.story[-1] == "Terminate Successful"


def test_a_return_to_the_pool_that_is_abandoned_is_retained_by_policy() -> None:  # 9.10, 9.11
    site = back_to_pool(down(), InstanceLifecyclePolicy=RETAIN)
    wait = site.only
    site.complete(wait, "ABANDON")
    assert "Warmed:Pending:Retained" in site.states
    outcome = site.events("Terminate Unsuccessful")[0]["detail"]
    assert outcome["StatusCode"] == "Cancelled"
    assert outcome["StatusMessage"].endswith("Lifecycle Action Completed with ABANDON Result")
    assert wait.token in outcome["Description"]


def test_a_retained_member_of_the_pool_is_replaced_and_left_alone() -> None:  # 2.7
    site = back_to_pool(down(), InstanceLifecyclePolicy=RETAIN)
    site.complete(site.only, "ABANDON")
    site.run(60)
    assert sorted(site.states) == ["Warmed:Pending:Retained", "Warmed:Stopped"]
    site.of_group("PutWarmPool", MaxGroupPreparedCapacity=0)
    site.run(60)
    site.complete(site.only)
    assert site.states == ["Warmed:Pending:Retained"]


def test_an_abandoned_termination_from_the_pool_is_retained_by_policy() -> None:  # 2.7
    site = pool_to_ec2(down(), InstanceLifecyclePolicy=RETAIN)
    site.complete(site.only, "ABANDON")
    assert site.states == ["Warmed:Terminating:Retained"]


def test_a_pool_follows_the_maximum_of_its_group() -> None:  # 2.8
    site = a_site(desired=1, MaxSize=3)
    site.of_group("PutWarmPool")
    for most in (3, 5, 2):
        site.of_group("UpdateAutoScalingGroup", MaxSize=most)
        site.run(60)
        assert sorted(site.states) == ["InService", *["Warmed:Stopped"] * (most - 1)]


def test_a_pool_that_is_deleted_goes_with_its_last_instance() -> None:
    site = pool_to_ec2(down())
    assert "ScalingActivityInProgress" in site.refused("PutWarmPool", AutoScalingGroupName=GROUP)
    site.complete(site.only)
    (group,) = site.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
    assert (site.states, group["WarmPoolConfiguration"]) == ([], None)
    assert "ValidationError" in site.refused("DeleteWarmPool", AutoScalingGroupName=GROUP)


def test_a_member_of_the_pool_is_not_terminated_by_its_id() -> None:  # 1.3
    site = into_pool()
    (instance,) = site.instances
    asked = {"InstanceId": instance.id, "ShouldDecrementDesiredCapacity": False}
    assert "ValidationError" in site.refused("TerminateInstanceInAutoScalingGroup", **asked)
    assert instance.state == "Warmed:Stopped"


def test_members_of_the_pool_stand_in_the_describes_that_show_pools() -> None:  # 9.17
    site = into_pool()
    (group,) = site.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
    (listed,) = site.call("DescribeAutoScalingInstances")["AutoScalingInstances"]
    (pooled,) = site.of_group("DescribeWarmPool")["Instances"]
    assert group["Instances"] == []
    assert (listed["LifecycleState"], listed["HealthStatus"]) == ("Warmed:Stopped", "HEALTHY")
    assert (pooled["LifecycleState"], pooled["HealthStatus"]) == ("Warmed:Stopped", "Healthy")


# -- retained instances (2.7, 9.11, 9.18) ----------------------------------------------------------


def retained_site() -> tuple[Site, Instance]:
    """A group of one whose first instance stands retained, and has been replaced."""
    site = a_site(down(), InstanceLifecyclePolicy=RETAIN)
    (instance,) = site.instances
    site.terminate(instance)
    site.run()
    site.complete(site.only, "ABANDON")
    return site, instance


def test_a_retained_instance_does_not_count_and_is_replaced() -> None:
    site, instance = retained_site()
    assert instance.state == "Terminating:Retained"
    assert site.states == ["Terminating:Retained", "InService"]
    assert [state for _, state in instance.states][-4:] == [
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminating:Retained",
    ]


def test_the_retention_is_told_with_a_bare_status() -> None:  # 9.11
    site, _ = retained_site()
    outcome = site.events("Terminate Unsuccessful")[0]["detail"]
    assert (outcome["StatusCode"], outcome["StatusMessage"]) == ("MidTerminatingLifecycleAction", "")


@pytest.mark.parametrize("by", ["call", "heartbeat timeout", "global timeout"])
def test_each_way_to_abandon_a_termination_retains(by: str) -> None:
    site = a_site(down(HeartbeatTimeout=30, DefaultResult="ABANDON"), InstanceLifecyclePolicy=RETAIN)
    site.scale(0)
    wait = site.only
    if by == "call":
        site.complete(wait, "ABANDON")
    while by == "global timeout" and wait.is_open:
        site.beat(wait)
        site.run(20)
    site.run(40)
    assert site.states == ["Terminating:Retained"]
    assert site.activities[0].status == "Cancelled"


def test_a_release_runs_the_hook_again_with_a_new_token() -> None:
    site, instance = retained_site()
    activity = site.terminate(instance)["Activity"]
    assert (activity["StatusCode"], activity["Progress"]) == ("InProgress", 0)
    assert instance.state == "Terminating"
    site.run(1)
    first, second = site.waited("down")
    assert site.only is second
    assert first.token != second.token
    site.complete(second, "ABANDON")
    assert instance.state == "Terminating:Retained"


def test_a_release_that_continues_terminates() -> None:
    site, instance = retained_site()
    site.terminate(instance)
    site.run()
    site.complete(site.only)
    assert site.states == ["InService"]
    assert instance.state == ""


def test_a_retained_instance_cannot_be_released_with_a_decrement() -> None:  # 9.16
    site, instance = retained_site()
    assert site.refused(
        "TerminateInstanceInAutoScalingGroup", InstanceId=instance.id, ShouldDecrementDesiredCapacity=True
    ) == (
        f"ValidationError: The instance {instance.id} is in a Retained state and can't be terminated while "
        "decreasing desired capacity. To terminate these instances, retry without decreasing the Auto "
        "Scaling group's desired capacity."
    )
    assert instance.state == "Terminating:Retained"


def test_a_change_of_the_policy_releases_nothing() -> None:  # 9.18
    site, instance = retained_site()
    site.of_group("UpdateAutoScalingGroup", InstanceLifecyclePolicy=TERMINATE)
    site.run(600)
    assert instance.state == "Terminating:Retained"


def test_a_group_is_described_with_the_policy_that_holds() -> None:  # 2.7
    default, retain = a_site(), a_site(InstanceLifecyclePolicy=RETAIN)
    for site, policy in ((default, TERMINATE), (retain, RETAIN)):
        (group,) = site.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
        assert group["InstanceLifecyclePolicy"] == policy
