"""Simulated Auto Scaling: hooks, results and expiries, and what ends a wait from outside (aws-facts 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.fleet_site import GROUP, QUEUE, ROLE, a_site, down, is_prompt, up

if TYPE_CHECKING:
    from collections.abc import Callable


# -- several hooks on one transition (2.3) ---------------------------------------------------------


def test_every_hook_of_a_transition_begins_with_a_token_of_its_own() -> None:
    site = a_site(up("a"), up("b"), down("c"))
    assert [wait.hook for wait in site.open] == ["a", "b"]
    assert len({wait.token for wait in site.open}) == 2


def test_hooks_of_one_transition_run_out_each_at_its_own_time() -> None:
    site = a_site(up("short", HeartbeatTimeout=30), up("long", HeartbeatTimeout=90))
    short, long = site.open
    site.run(40)
    assert (short.is_open, long.is_open, site.states) == (False, True, ["Pending:Wait"])
    site.run(70)
    assert site.states == ["InService"]


@pytest.mark.parametrize("hook", [up, down], ids=["launching", "terminating"])
def test_an_abandon_cuts_the_other_hooks_off(hook: Callable[[str], dict[str, Any]]) -> None:
    site = a_site(hook("a"), hook("b"))
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    if hook is down:
        site.scale(0)
    first, second = site.open
    site.complete(first, "ABANDON")
    assert not second.is_open
    assert site.refused(
        "RecordLifecycleActionHeartbeat",
        AutoScalingGroupName=GROUP,
        LifecycleHookName=second.hook,
        LifecycleActionToken=second.token,
    ).endswith(f"No active Lifecycle Action found with token {second.token}")
    assert site.states == []


# -- results and expiry (2.1, 2.2) -----------------------------------------------------------------


def test_an_abandoned_launch_is_told_and_goes_through_the_termination_hook() -> None:  # 2.2
    site = a_site(up(), down())
    launch = site.only
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    site.complete(launch, "ABANDON")
    assert site.story == [
        "launch Lifecycle Action",
        "Launch Unsuccessful",
        "terminate Lifecycle Action",
    ]
    termination = site.only
    assert (termination.instance_id, site.states) == (launch.instance_id, ["Terminating:Wait"])
    assert termination.token != launch.token
    assert "launch failure" in site.activities[0].cause
    assert site.events("Unsuccessful")[0]["detail"]["StatusCode"] == "Cancelled"


@pytest.mark.parametrize(
    ("result", "why"),
    [("ABANDON", "Lifecycle Action Completed with ABANDON Result"), (None, "Heartbeat Timeout")],
    ids=["by a call", "by the timeout"],
)
def test_the_activity_of_an_abandoned_launch_says_why(result: str | None, why: str) -> None:  # 2.2
    site = a_site(up(DefaultResult="ABANDON"))
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    wait = site.only
    if result:
        site.complete(wait, result)
    else:
        site.run(70)
    said = site.events("Launch Unsuccessful")[0]["detail"]["StatusMessage"]
    assert said == (
        "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
        f"{wait.token} was abandoned: {why}"
    )
    launch = site.activities[-1]
    assert (launch.status, launch.message, launch.progress) == ("Cancelled", said, 100)


def test_an_abandoned_launch_is_replaced_by_another_instance() -> None:  # 2.2
    site = a_site(up())
    first = site.only
    site.complete(first, "ABANDON")
    assert site.only.instance_id != first.instance_id
    assert site.states == ["Pending:Wait"]


@pytest.mark.parametrize(
    ("hook", "desired", "after"),
    [
        (up(DefaultResult="CONTINUE"), 1, ["InService"]),
        (up(DefaultResult="ABANDON"), 1, []),
        (down(DefaultResult="CONTINUE"), 0, []),
        (down(DefaultResult="ABANDON"), 0, []),
    ],
    ids=["launch continues", "launch is abandoned", "termination continues", "termination is abandoned"],
)
def test_at_the_expiry_the_default_result_is_applied(  # 2.1
    hook: dict[str, Any], desired: int, after: list[str]
) -> None:
    site = a_site(hook)
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    if desired == 0:
        site.scale(0)
    wait = site.only
    site.run(70)
    assert is_prompt(wait.ended_at, wait.started_at + timedelta(seconds=60))
    assert (wait.result, site.states) == (hook["DefaultResult"], after)


@pytest.mark.parametrize(
    ("timeout_s", "end_s", "beats_every_s"),
    [(30, 3000, 20), (3600, 172_800, 3000), (7200, 172_800, 7000)],
    ids=["a hundred times 30 s", "48 h for the default hook", "48 h for the longest"],
)
def test_heartbeats_do_not_pass_the_global_limit(timeout_s: int, end_s: int, beats_every_s: int) -> None:
    site = a_site(up(HeartbeatTimeout=timeout_s))  # 2.1
    wait = site.only
    while site.now + timedelta(seconds=beats_every_s) < wait.started_at + timedelta(seconds=end_s):
        site.run(beats_every_s)
        site.beat(wait)
    site.run(timeout_s)
    assert is_prompt(wait.ended_at, wait.started_at + timedelta(seconds=end_s))
    assert wait.ended_by == "Global Timeout"


def test_an_update_of_a_hook_does_not_touch_actions_in_flight() -> None:  # 2.6, assumed
    site = a_site(up())
    wait = site.only
    site.of_group("PutLifecycleHook", LifecycleHookName="up", HeartbeatTimeout=3600, DefaultResult="ABANDON")
    site.run(70)
    assert is_prompt(wait.ended_at, wait.started_at + timedelta(seconds=60))
    assert site.states == ["InService"]


# -- root volumes and instance refresh (2.4, 2.9) --------------------------------------------------


def test_a_root_volume_is_replaced_between_a_termination_and_a_launch_hook() -> None:  # 2.9
    site = a_site(up(), down())
    site.complete(site.only)
    (instance,) = site.instances
    site.of_group("StartInstanceRefresh", Strategy="ReplaceRootVolume")
    site.run(1)
    assert instance.volume_is_new is False
    for transition, state in (("terminating", "ReplacingRootVolume:Wait"), ("launching", "Pending:Wait")):
        site.run()
        wait = site.only
        assert (wait.transition, site.states) == (transition, [state])
        detail = site.events("Lifecycle Action")[-1]["detail"]
        assert detail["Action"] == "ReplaceRootVolume"
        assert detail["Origin"] == detail["Destination"] == "AutoScalingGroup"
        site.complete(wait)
    assert site.instances == [instance]
    assert (instance.state, instance.volume_is_new) == ("InService", True)


def test_a_rolling_refresh_replaces_every_instance_through_both_hooks() -> None:  # 2.4
    site = a_site(desired=2)
    before = {instance.id for instance in site.instances}
    site.of_group("PutLifecycleHook", **up())
    site.of_group("PutLifecycleHook", **down())
    site.of_group("StartInstanceRefresh", Strategy="Rolling")
    for _ in range(10):
        site.run()
        for wait in site.open:
            site.complete(wait)
    assert {wait.instance_id for wait in site.waited("down")} == before
    assert site.states == ["InService", "InService"]
    assert {wait.instance_id for wait in site.waited("up")} == {one.id for one in site.instances}


# -- what ends a wait from outside, and what does not (2.5, 2.6) -----------------------------------


@pytest.mark.parametrize(
    ("hook", "desired", "after"),
    [
        (up(DefaultResult="CONTINUE"), 1, "InService"),
        (up(DefaultResult="ABANDON"), 1, ""),
        (down(DefaultResult="CONTINUE"), 0, ""),
        (down(DefaultResult="ABANDON"), 0, ""),
    ],
    ids=["launch continues", "launch is abandoned", "termination continues", "termination is abandoned"],
)
def test_a_target_that_is_gone_settles_actions_at_once(  # 2.6
    hook: dict[str, Any], desired: int, after: str
) -> None:
    site = a_site(desired=1 - desired, takes={QUEUE: lambda _: None})
    site.of_group("PutLifecycleHook", **hook, NotificationTargetARN=QUEUE, RoleARN=ROLE)
    site.account.outside.targets.clear()
    site.scale(desired)
    wait = site.waited(hook["LifecycleHookName"])[0]
    assert (wait.result, wait.ended_at) == (hook["DefaultResult"], wait.started_at)
    assert site.account.fleet.groups[GROUP].instances[wait.instance_id].state == after


def test_an_instance_that_ec2_ended_stays_in_its_wait() -> None:  # 2.5
    site = a_site(down())
    site.scale(0)
    wait = site.only
    site.account.fleet.ec2_terminated(wait.instance_id)
    site.run(50)
    (shown,) = site.call("DescribeAutoScalingInstances")["AutoScalingInstances"]
    assert (shown["LifecycleState"], shown["HealthStatus"]) == ("Terminating:Wait", "UNHEALTHY")
    assert wait.is_open
    site.run(20)
    assert is_prompt(wait.ended_at, wait.started_at + timedelta(seconds=60))


def test_an_instance_in_service_that_ec2_ended_goes_through_the_hook() -> None:  # 2.5
    site = a_site(down())
    (instance,) = site.instances
    site.account.fleet.ec2_terminated(instance.id)
    site.run()
    assert (instance.state, site.states) == ("Terminating:Wait", ["Terminating:Wait", "InService"])


def test_a_deleted_launch_hook_abandons_and_a_deleted_termination_hook_continues() -> None:  # 1.1
    launching, terminating = a_site(up()), a_site(down(DefaultResult="ABANDON"))
    terminating.scale(0)
    for site, hook, result in ((launching, "up", "ABANDON"), (terminating, "down", "CONTINUE")):
        wait = site.only
        site.of_group("DeleteLifecycleHook", LifecycleHookName=hook)
        assert (wait.result, wait.ended_at) == (result, site.now)
        assert wait.ended_by == "DeleteLifecycleHook"  # which no assertion on CompleteLifecycleAction takes


def test_a_hook_that_changed_sides_settles_what_it_holds_by_the_side_it_holds_it_on() -> None:  # 1.1
    site = a_site(up())
    launch = site.only
    site.of_group("PutLifecycleHook", **down("up"))
    site.of_group("DeleteLifecycleHook", LifecycleHookName="up")
    assert launch.result == "ABANDON"


def test_a_termination_of_what_still_launches_ends_the_launch() -> None:
    site = a_site(up(), down())
    launch = site.only
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    (instance,) = site.instances
    site.terminate(instance)
    site.run()
    assert not launch.is_open
    assert site.states == ["Terminating:Wait"]
    assert [activity.status for activity in site.activities] == ["MidTerminatingLifecycleAction", "Cancelled"]


def test_a_launch_that_is_ended_before_its_hook_never_enters_it() -> None:
    site = a_site(up(), down(), desired=0)
    site.of_group("SetDesiredCapacity", DesiredCapacity=1)
    while not site.instances:
        site.account.clock.step()
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    (instance,) = site.instances
    site.terminate(instance)
    site.run()
    states = [state for _, state in instance.states]
    assert states == [None, "Pending", "Terminating", "Terminating:Wait"]
    assert site.waited("up") == []


def test_a_termination_just_after_an_abandoned_launch_is_the_only_one() -> None:
    site = a_site(up(), down())
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    site.end(site.only, "ABANDON")
    site.terminate(site.instances[0])
    site.run()
    assert [one.status for one in site.activities] == ["MidTerminatingLifecycleAction", "Cancelled"]
    assert site.events("Launch Unsuccessful")
    assert len(site.waited("down")) == 1


def test_a_force_delete_leaves_a_termination_that_already_proceeds() -> None:
    site = a_site(down())
    (instance,) = site.instances
    site.terminate(instance)
    site.run()
    site.end(site.only)
    site.of_group("DeleteAutoScalingGroup", ForceDelete=True)
    site.run()
    states = [state for _, state in instance.states][-4:]
    assert states == ["Terminating", "Terminating:Wait", "Terminating:Proceed", None]


def test_a_termination_with_a_decrement_is_not_replaced_and_respects_the_minimum() -> None:
    site = a_site(desired=2, MinSize=1)
    first, second = site.instances
    site.terminate(first, decrement=True)
    site.run(60)
    assert site.instances == [second]
    asked = {"InstanceId": second.id, "ShouldDecrementDesiredCapacity": True}
    assert "ValidationError" in site.refused("TerminateInstanceInAutoScalingGroup", **asked)
    site.terminate(second)
    site.run(60)
    assert (second.state, site.states) == ("", ["InService"])


def test_a_termination_that_goes_on_is_not_begun_again() -> None:  # GH kubernetes/autoscaler#5411
    site = a_site(down())
    (instance,) = site.instances
    first = site.terminate(instance)["Activity"]
    site.run()
    wait = site.only
    again = site.terminate(instance, decrement=True)["Activity"]
    site.run()
    assert again["ActivityId"] == first["ActivityId"]
    assert site.open == [wait]
    assert site.account.fleet.groups[GROUP].desired == 1
