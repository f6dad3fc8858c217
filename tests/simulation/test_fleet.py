"""What the simulated Auto Scaling engine promises. The numbers name sections of aws-facts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import START
from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Transition
from usher_simulator.autoscaling.account import Account, an_account
from usher_simulator.autoscaling.latencies import CAPTURED, PROMPT
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher_simulator.autoscaling.groups import Activity, Instance
    from usher_simulator.autoscaling.latencies import Latencies
    from usher_simulator.autoscaling.lifecycle_actions import Wait

GROUP: Final = "web"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:hooks"
FUNCTION: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:intake"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/notifier"
RETAIN: Final = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
TERMINATE: Final = {"RetentionTriggers": {"TerminateHookAbandon": "terminate"}}
MOST_LATE: Final = timedelta(seconds=5)  # how late an expiry may be applied (2.1, 9.9)


def up(name: str = "up", **changes: Any) -> dict[str, Any]:
    """A launch hook of a minute, CONTINUE by default."""
    return {
        "LifecycleHookName": name,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 60,
        "DefaultResult": "CONTINUE",
    } | changes


def down(name: str = "down", **changes: Any) -> dict[str, Any]:
    """A termination hook of a minute, CONTINUE by default."""
    return up(name, LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING") | changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """An account with one group, used through the API and looked at through the engine."""

    account: Account

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.account.service(Request(operation=operation, parameters=parameters, request_id="call"))

    def of_group(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.call(operation, AutoScalingGroupName=GROUP, **parameters)

    def refused(self, operation: str, **parameters: Any) -> str:
        """The code and text with which a call is refused."""
        with pytest.raises(ApiError) as refused:
            self.call(operation, **parameters)
        return f"{refused.value.code}: {refused.value.message}"

    def run(self, seconds: float = 5) -> None:
        self.account.clock.run_until(self.now + timedelta(seconds=seconds))

    def scale(self, desired: int) -> None:
        self.of_group("SetDesiredCapacity", DesiredCapacity=desired)
        self.run()

    def complete(self, wait: Wait, result: str = "CONTINUE") -> None:
        """Complete an action by its token, and let the instance move on."""
        self.of_group(
            "CompleteLifecycleAction",
            LifecycleHookName=wait.hook,
            LifecycleActionToken=wait.token,
            LifecycleActionResult=result,
        )
        self.run()

    def beat(self, wait: Wait) -> None:
        self.of_group(
            "RecordLifecycleActionHeartbeat", LifecycleHookName=wait.hook, LifecycleActionToken=wait.token
        )

    def terminate(self, instance: Instance, *, decrement: bool = False) -> Mapping[str, Any]:
        return self.call(
            "TerminateInstanceInAutoScalingGroup",
            InstanceId=instance.id,
            ShouldDecrementDesiredCapacity=decrement,
        )

    @property
    def now(self) -> datetime:
        return self.account.clock()

    @property
    def instances(self) -> list[Instance]:
        """Those that are there, oldest first."""
        group = self.account.fleet.groups.get(GROUP)
        return [one for one in group.instances.values() if one.state] if group else []

    @property
    def states(self) -> list[str]:
        return [instance.state for instance in self.instances]

    @property
    def activities(self) -> list[Activity]:
        """Newest first."""
        return self.account.fleet.groups[GROUP].activities

    @property
    def open(self) -> list[Wait]:
        """The open lifecycle actions, oldest first."""
        moves = [instance.move for instance in self.instances if instance.move]
        return sorted(
            (wait for move in moves for wait in move.waits if wait.is_open), key=lambda wait: wait.started_at
        )

    @property
    def only(self) -> Wait:
        """The one open lifecycle action."""
        (wait,) = self.open
        return wait

    def events(self, kind: str = "") -> list[Mapping[str, Any]]:
        """The events that were sent, of the kinds that contain `kind`."""
        return [event for event in self.account.outside.events if kind in event["detail-type"]]

    @property
    def story(self) -> list[str]:
        """The kinds of the events that were sent, in short."""
        return [event["detail-type"].removeprefix("EC2 Instance").strip(" -") for event in self.events()]

    def waited(self, hook: str) -> list[Wait]:
        """Every action of a hook that there ever was, in the order of their events."""
        details = [event["detail"] for event in self.events("Lifecycle Action")]
        tokens = [one["LifecycleActionToken"] for one in details if one["LifecycleHookName"] == hook]
        waits = [self.account.fleet.waits.of_token(token) for token in tokens]
        return [wait for wait in waits if wait is not None]


def a_site(
    *hooks: dict[str, Any],
    desired: int = 1,
    latencies: Latencies = PROMPT,
    takes: Mapping[str, Callable[[str], None]] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Site:
    """A group of at most 4 that has come to rest, or to its first hook. `takes` are the targets."""
    account = an_account(START, seed=seed, latencies=latencies)
    account.outside.targets.update(takes or {})
    site = Site(account=account)
    sizes = {"MinSize": 0, "MaxSize": 4, "DesiredCapacity": desired, "LifecycleHookSpecificationList": hooks}
    site.of_group("CreateAutoScalingGroup", **(sizes | ANY_SOURCE | settings))
    site.run()
    return site


def with_pool(site: Site, *, warm: int = 1, **settings: Any) -> Site:
    """A warm pool beside the group, filled as far as its hooks let it."""
    site.of_group("PutWarmPool", MinSize=warm, MaxGroupPreparedCapacity=warm, **settings)
    site.run()
    return site


def is_prompt(ended_at: datetime | None, deadline: datetime) -> bool:
    """Whether an expiry was applied at its deadline or a little later, and not before."""
    return ended_at is not None and deadline <= ended_at <= deadline + MOST_LATE


# -- several hooks on one transition (2.3) ---------------------------------------------------------


def test_every_hook_of_a_transition_begins_with_a_token_of_its_own() -> None:
    site = a_site(up("a"), up("b"), down("c"))
    assert [wait.hook for wait in site.open] == ["a", "b"]
    assert len({wait.token for wait in site.open}) == 2


def test_an_instance_leaves_its_wait_only_when_every_hook_is_done() -> None:
    site = a_site(up("a"), up("b"), up("c"))
    for wait in list(site.open):
        assert site.states == ["Pending:Wait"]
        site.complete(wait)
    assert site.states == ["InService"]


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


def test_a_heartbeat_restarts_the_period() -> None:  # 2.1: half an hour and an hour, not two hours
    site = a_site(up(HeartbeatTimeout=3600))
    wait = site.only
    site.account.clock.run_until(wait.started_at + timedelta(minutes=30))
    site.beat(wait)
    site.run(3700)
    assert is_prompt(wait.ended_at, wait.started_at + timedelta(minutes=90))


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


# -- warm pools (2.8, 9.10) ------------------------------------------------------------------------


def into_pool(*hooks: dict[str, Any]) -> Site:
    return with_pool(a_site(*hooks, desired=0))


def out_of_pool(*hooks: dict[str, Any]) -> Site:
    site = into_pool(*hooks)
    for wait in site.open:
        site.complete(wait)
    site.scale(1)
    return site


def back_to_pool(*hooks: dict[str, Any], **settings: Any) -> Site:
    site = a_site(desired=1, **settings)
    with_pool(site, warm=0, InstanceReusePolicy={"ReuseOnScaleIn": True})
    site.of_group("PutWarmPool", MaxGroupPreparedCapacity=1)
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.scale(0)
    return site


def pool_to_ec2(*hooks: dict[str, Any], **settings: Any) -> Site:
    site = with_pool(a_site(desired=0, **settings))
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.of_group("DeleteWarmPool", ForceDelete=True)
    site.run()
    return site


def scaled_in(*hooks: dict[str, Any]) -> Site:
    site = a_site(desired=1)
    for hook in hooks:
        site.of_group("PutLifecycleHook", **hook)
    site.scale(0)
    return site


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
    wait = site.only
    site.of_group(
        "CompleteLifecycleAction",
        LifecycleHookName="up",
        LifecycleActionToken=wait.token,
        LifecycleActionResult="ABANDON",
    )
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
    site.of_group(
        "CompleteLifecycleAction",
        LifecycleHookName="down",
        LifecycleActionToken=site.only.token,
        LifecycleActionResult="CONTINUE",
    )
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


@pytest.mark.parametrize("process", ["Terminate", "HealthCheck", "ReplaceUnhealthy"])
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


def test_bounds_that_move_take_the_desired_capacity_with_them() -> None:
    site = a_site()
    site.of_group("UpdateAutoScalingGroup", MinSize=3)
    site.run()
    assert len(site.states) == 3
    site.of_group("UpdateAutoScalingGroup", MinSize=0, MaxSize=2)
    site.run()
    assert len(site.states) == 2


# -- the end of a group (2.6, 9.15, 9.16) ----------------------------------------------------------


def test_a_group_with_instances_is_deleted_by_force_only() -> None:  # 9.16
    site = a_site()
    assert site.refused("DeleteAutoScalingGroup", AutoScalingGroupName=GROUP) == (
        "ResourceInUse: You cannot delete an AutoScalingGroup while there are instances or pending Spot "
        "instance request(s) still in the group."
    )
    site.of_group("DeleteAutoScalingGroup", ForceDelete=True)
    site.run()
    assert site.call("DescribeAutoScalingGroups")["AutoScalingGroups"] == []


def test_an_empty_group_is_deleted_without_force() -> None:
    site = a_site(desired=0)
    site.of_group("DeleteAutoScalingGroup")
    assert site.call("DescribeAutoScalingGroups")["AutoScalingGroups"] == []


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


# -- describes (9.6) -------------------------------------------------------------------------------


def test_describes_may_show_the_state_of_a_while_ago() -> None:  # 9.6
    site = a_site(up())
    site.run(10)
    site.account.service.lag = lambda: timedelta(seconds=2)
    wait = site.only
    site.of_group(
        "CompleteLifecycleAction",
        LifecycleHookName="up",
        LifecycleActionToken=wait.token,
        LifecycleActionResult="CONTINUE",
    )
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


# -- messages (3) ----------------------------------------------------------------------------------

SQS_KEYS: Final = (  # 3.1
    "Origin LifecycleHookName Destination AccountId RequestId LifecycleTransition AutoScalingGroupName "
    "Service Time EC2InstanceId NotificationMetadata LifecycleActionToken"
)
TEST_KEYS: Final = (  # 3.2
    "AccountId RequestId AutoScalingGroupARN AutoScalingGroupName Service Event Time"
)
SNS_KEYS: Final = (  # 3.3
    "Type MessageId TopicArn Subject Message Timestamp SignatureVersion Signature SigningCertURL "
    "UnsubscribeURL"
)
EVENT_KEYS: Final = "version id detail-type source account time region resources detail"  # 3.4
LIFECYCLE_KEYS: Final = (  # 3.4
    "LifecycleActionToken AutoScalingGroupName LifecycleHookName EC2InstanceId LifecycleTransition "
    "NotificationMetadata Origin Destination Action"
)
OUTCOME_KEYS: Final = (  # as captured; 3.4 has no fixed order for these
    "Origin Destination Action Description EndTime RequestId ActivityId StartTime EC2InstanceId StatusCode "
    "StatusMessage Details Cause AutoScalingGroupName"
)


def told(target: str, hook: dict[str, Any] | None = None, **settings: Any) -> tuple[Site, list[str]]:
    """A site with a hook whose target keeps what it is sent: a test message, then a lifecycle message."""
    bodies: list[str] = []
    spec = (hook or up()) | {"NotificationTargetARN": target, "RoleARN": ROLE} | settings
    return a_site(spec, takes={target: bodies.append}), bodies


@pytest.mark.parametrize(
    ("target", "channel", "as_channel"),
    [(QUEUE, "sqs", "sqs"), (TOPIC, "sqs", "sns"), (FUNCTION, "lambda", "lambda")],
    ids=["SQS", "SNS to SQS", "Lambda"],
)
def test_what_a_target_gets_is_read_as_what_happened(target: str, channel: str, as_channel: str) -> None:
    site, bodies = told(target)
    test, lifecycle = (messages.read(body, channel) for body in bodies)
    wait = site.only
    assert test == notifications.TestNotice(group=GROUP, request_id="call", at=START)
    assert lifecycle == notifications.LifecycleNotice(
        token=wait.token,
        group=GROUP,
        hook="up",
        instance_id=wait.instance_id,
        transition=Transition.LAUNCHING,
        origin="EC2",
        destination="AutoScalingGroup",
        at=wait.started_at,
        channel=as_channel,
    )


def test_the_keys_of_a_message_have_the_order_of_the_samples() -> None:  # 3.1, 3.2
    _, bodies = told(QUEUE, NotificationMetadata="owner=jobs")
    test, lifecycle = (json.loads(body) for body in bodies)
    assert " ".join(test) == TEST_KEYS
    assert " ".join(lifecycle) == SQS_KEYS
    assert lifecycle["NotificationMetadata"] == "owner=jobs"
    assert ": " not in bodies[1].replace(lifecycle["Time"], "")  # compact, as on the wire


def test_a_topic_puts_an_envelope_with_a_subject_around_the_message() -> None:  # 3.3
    site, bodies = told(TOPIC)
    test, lifecycle = (json.loads(body) for body in bodies)
    assert " ".join(test) == " ".join(lifecycle) == SNS_KEYS
    assert test["Subject"] == f'Auto Scaling: test notification for group "{GROUP}"'
    instance_id = site.only.instance_id
    assert lifecycle["Subject"] == (
        f"Auto Scaling:  Lifecycle action 'LAUNCHING' for instance {instance_id} in progress."
    )
    assert json.loads(lifecycle["Message"])["LifecycleActionToken"] == site.only.token


def test_a_message_without_metadata_has_no_key_for_it() -> None:  # 3.1
    site, bodies = told(QUEUE)
    assert "NotificationMetadata" not in json.loads(bodies[1])
    assert "NotificationMetadata" not in site.events("Lifecycle Action")[0]["detail"]


def test_the_bus_and_the_target_name_the_same_action() -> None:  # 3.4
    site, bodies = told(QUEUE)
    (event,) = site.events("Lifecycle Action")
    assert event["detail"]["LifecycleActionToken"] == json.loads(bodies[1])["LifecycleActionToken"]


def test_the_keys_of_events_have_the_order_of_the_samples() -> None:  # 3.4
    site = a_site(up(NotificationMetadata="owner=jobs"))
    site.complete(site.only)
    lifecycle, outcome = site.events()
    assert " ".join(lifecycle) == " ".join(outcome) == EVENT_KEYS
    assert " ".join(lifecycle["detail"]) == LIFECYCLE_KEYS
    assert " ".join(outcome["detail"]) == OUTCOME_KEYS


@pytest.mark.parametrize(
    ("hook", "result", "kind", "action"),
    [
        (up(), "CONTINUE", "Launch Successful", "Launch"),
        (up(), "ABANDON", "Launch Unsuccessful", "Launch"),
        (down(), "CONTINUE", "Terminate Successful", "Terminate"),
        (down(), "ABANDON", "Terminate Successful", "Terminate"),
    ],
    ids=["launched", "launch abandoned", "terminated", "termination abandoned"],
)
def test_events_are_read_as_what_happened(hook: dict[str, Any], result: str, kind: str, action: str) -> None:
    site = a_site(hook)
    site.of_group("SuspendProcesses", ScalingProcesses=["Launch"])
    if not site.open:
        site.scale(0)
    wait = site.only
    site.complete(wait, result)
    (lifecycle,), outcome = site.events("Lifecycle Action"), site.events(kind)[-1]
    notice = messages.read(json.dumps(lifecycle))
    assert isinstance(notice, notifications.LifecycleNotice)
    assert (notice.token, notice.channel) == (wait.token, "eventbridge")
    assert notice.at == wait.started_at.replace(microsecond=0)  # whole seconds
    end = messages.read(json.dumps(outcome))
    assert isinstance(end, ActivityEnd)
    assert (end.instance_id, end.transition) == (wait.instance_id, wait.transition)
    assert (end.origin, end.destination) == (wait.origin, wait.destination)
    assert end.started_at is not None
    assert end.started_at <= wait.started_at <= end.ended_at
    assert end.succeeded is ("Unsuccessful" not in kind)
    detail = outcome["detail"]
    assert detail["RequestId"] == detail["ActivityId"] == end.activity_id
    assert detail["Action"] == lifecycle["detail"]["Action"] == action
    assert outcome["resources"][1].endswith(f":instance/{wait.instance_id}")


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (into_pool, "Launching a new EC2 instance into warm pool: "),
        (out_of_pool, "Launching a new EC2 instance from warm pool: "),
        (back_to_pool, "Scaling in EC2 instance into warm pool: "),
        (pool_to_ec2, "Terminating EC2 instance from warm pool: "),
        (a_site, "Launching a new EC2 instance: "),
        (scaled_in, "Terminating EC2 instance: "),
    ],
    ids=["EC2 to pool", "pool to group", "group to pool", "pool to EC2", "EC2 to group", "group to EC2"],
)
def test_a_move_is_described_in_its_own_words(moved: Callable[..., Site], said: str) -> None:  # 9.13
    site = moved()
    outcome = next(one["detail"] for one in site.events() if one["detail"]["Description"].startswith(said))
    assert outcome["Description"] == said + outcome["EC2InstanceId"]


# -- faults and determinism ------------------------------------------------------------------------


def on_the_bus(faults: DeliveryFaults, seed: int = 0) -> tuple[Site, list[Mapping[str, Any]]]:
    """A day of thirty launches that nobody completes, and what of it reached the bus."""
    site = a_site(desired=0, seed=seed, MaxSize=30)
    heard: list[Mapping[str, Any]] = []
    site.account.outside.bus, site.account.outside.faults = heard.append, faults
    site.of_group("PutLifecycleHook", **up())
    site.of_group("SetDesiredCapacity", DesiredCapacity=30)
    site.run(600)
    return site, heard


def test_the_bus_is_late_and_out_of_order_but_complete() -> None:  # 9.1, 9.2
    site, heard = on_the_bus(DeliveryFaults())
    sent = [event["id"] for event in site.events()]
    assert sorted(event["id"] for event in heard) == sorted(sent)
    assert [event["id"] for event in heard] != sent


@pytest.mark.parametrize(
    ("faults", "copies"),
    [(DeliveryFaults(lost=1.0), 0), (DeliveryFaults(doubled=1.0), 2)],
    ids=["all lost", "all doubled"],
)
def test_a_fault_that_always_happens_happens_to_every_message(faults: DeliveryFaults, copies: int) -> None:
    bodies: list[str] = []
    site, heard = on_the_bus(faults)
    assert len(heard) == copies * len(site.events())
    site.account.outside.targets[QUEUE] = bodies.append
    site.of_group("PutLifecycleHook", LifecycleHookName="up", NotificationTargetARN=QUEUE, RoleARN=ROLE)
    site.run()
    assert len(bodies) == copies


def test_a_fault_that_happens_now_and_then_spares_some() -> None:
    site, heard = on_the_bus(DeliveryFaults(lost=0.3, doubled=0.3))
    times = {event["id"]: 0 for event in site.events()}
    for event in heard:
        times[event["id"]] += 1
    assert set(times.values()) == {0, 1, 2}


def a_day(seed: int, latencies: Latencies = CAPTURED) -> str:
    """All that an account says on a busy day, as text."""
    bodies: list[str] = []
    hooks = [hook | {"NotificationTargetARN": TOPIC, "RoleARN": ROLE} for hook in (up(), down())]
    site = a_site(*hooks, desired=3, takes={TOPIC: bodies.append}, seed=seed, latencies=latencies)
    site.account.outside.faults = DeliveryFaults(lost=0.1, doubled=0.1)
    with_pool(site, warm=2)
    site.run(200)
    site.scale(1)
    site.run(200)
    site.of_group("DeleteAutoScalingGroup", ForceDelete=True)
    site.run(300)
    return json.dumps([site.events(), bodies])


def test_the_same_seed_gives_the_same_day_to_the_byte() -> None:
    assert a_day(7) == a_day(7)
    assert a_day(7) != a_day(8)


def test_usher_understands_all_that_a_busy_day_says() -> None:
    events, bodies = json.loads(a_day(3))
    for said in [*map(json.dumps, events), *bodies]:
        assert not isinstance(messages.read(said), notifications.Unrelated)


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
