"""The pass and what others do: ends, moves and hooks that no event told of."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.factories import at
from tests.simulation.reconcile_scene import (
    ACTIVITIES,
    BEAT,
    GROUPS,
    HOOKS,
    POOL,
    THROTTLED,
    Scene,
    a_hook,
    all_lost,
    of_named_groups,
)
from usher.core.action import Outcome, Phase
from usher.ports.errors import CallRefused
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from usher_simulator.autoscaling.query_protocol import Request


@pytest.mark.parametrize("adopted", [False, True], ids=["by token", "adopted"])
def test_what_someone_else_has_ended_is_closed_within_two_passes_though_no_event_told(
    *, adopted: bool
) -> None:
    hook = a_hook(heartbeat_timeout="60m")
    scene = Scene(hook)
    scene.create("web", hook)
    scene.drops = all_lost if adopted else lambda _: False
    scene.run(5)
    scene.complete_by_hand(scene.waits()[0])
    scene.run(4)
    action = scene.action()
    assert (action.outcome, action.reason) == (
        Outcome.ENDED_ELSEWHERE,
        "ended elsewhere: the instance is InService",
    )


def test_a_state_read_that_lags_costs_a_heartbeat_and_closes_nothing() -> None:
    scene = Scene(a_hook(heartbeat_timeout="60m"))
    scene.create("web", a_hook(heartbeat_timeout="60m"))
    scene.run(3)
    scene.account.service.lag = lambda: timedelta(minutes=5)
    scene.run(3)
    assert scene.action().is_open
    assert len(scene.calls(BEAT)) == 1
    assert scene.action().activity_end is None


def test_the_records_of_a_group_that_is_deleted_are_closed() -> None:
    hook = a_hook(name="drain", transition="terminating", heartbeat_timeout="60m")
    scene = Scene(hook)
    scene.create("web", hook)
    scene.run(1)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(3)
    assert scene.action().is_open
    scene.client.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    scene.run(4)
    assert (scene.action().outcome, scene.action().reason) == (
        Outcome.ENDED_ELSEWHERE,
        "ended elsewhere: its group is gone",
    )


def lost_in_two_groups() -> Scene:
    """Launches of two groups, each with a warm pool, whose notices are all lost."""
    scene = Scene(a_hook(), a_hook(group="jobs"))
    for name in ("web", "jobs"):
        scene.create(name, a_hook())
        scene.client.put_warm_pool(AutoScalingGroupName=name, MinSize=0, MaxGroupPreparedCapacity=0)
    scene.drops = all_lost
    scene.run(1.5)
    return scene


def fails(scene: Scene, operation: str, group: str, error: ApiError) -> None:
    def fault(request: Request) -> ApiError | None:
        on = request.parameters.get("AutoScalingGroupName")
        return error if (request.operation, on) == (operation, group) else None

    scene.fault = fault


@pytest.mark.parametrize("operation", [POOL, ACTIVITIES, HOOKS])
def test_a_group_that_goes_during_a_pass_is_no_error_and_hides_no_other(operation: str) -> None:
    scene = lost_in_two_groups()
    gone = ApiError("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'jobs' not found")
    fails(scene, operation, "jobs", gone)
    scene.run(1.5)
    assert {action.hook.group for action in scene.store.actions()} >= {"web"}
    assert scene.recorder.counts["ReconcilePutOff"] == 0


@pytest.mark.parametrize("group", ["web", "jobs"])
@pytest.mark.parametrize("operation", [POOL, ACTIVITIES, HOOKS])
def test_a_group_for_which_auto_scaling_fails_costs_itself_and_no_other_its_turn(
    operation: str, group: str
) -> None:
    scene = lost_in_two_groups()
    fails(scene, operation, group, ApiError("InternalFailure", "", 500))

    scene.reconcile.run()

    other = {"web": "jobs", "jobs": "web"}[group]
    adopted = {action.hook.group for action in scene.store.actions()}
    assert adopted - {group} == {other}
    assert {what for what, _ in scene.recorder.troubles} == {f"group {group} was skipped"}
    assert [call["AutoScalingGroupName"] for call in scene.calls(HOOKS)].count(other) >= 1


@pytest.mark.parametrize("group", ["web", "jobs"])
@pytest.mark.parametrize("operation", [POOL, ACTIVITIES, HOOKS])
def test_a_group_that_may_not_be_described_fails_the_pass_when_all_had_their_turn(
    operation: str, group: str
) -> None:
    scene = lost_in_two_groups()
    fails(scene, operation, group, ApiError("AccessDenied", "User is not authorized", 403))

    with pytest.raises(CallRefused, match="AccessDenied"):
        scene.reconcile.run()

    other = {"web": "jobs", "jobs": "web"}[group]
    assert {action.hook.group for action in scene.store.actions()} >= {other}


def test_an_instance_that_ec2_has_ended_is_let_go_at_once() -> None:
    scene = Scene(a_hook(heartbeat_timeout="60m"))
    scene.create("web", a_hook(heartbeat_timeout="60m"), size=2)
    scene.run(3)
    dead, alive = scene.instances()
    for one in (dead, alive):
        scene.fleet.ec2_terminated(one)
    scene.ec2.states = {dead: "terminated", alive: "running"}
    scene.run(3)
    (ended,) = scene.store.of_instance(dead)
    assert (ended.outcome, ended.reason) == (Outcome.COMPLETED, "EC2 has already ended the instance")
    assert [action.is_open for action in scene.store.of_instance(alive)] == [True]
    assert scene.ec2.asked <= 2, "one call for all that are unhealthy"


def test_an_ec2_that_does_not_answer_stops_nothing_else() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=2)
    scene.drops = lambda _: len(scene.store.actions()) > 0
    scene.run(1.9)
    said = {
        "Error": {"Code": "UnauthorizedOperation", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    scene.ec2.refusal = ClientError(said, "DescribeInstances")
    scene.fleet.ec2_terminated(scene.action().instance_id)
    scene.clock.run_until(at(121))
    assert len(scene.store.actions()) == 2
    ((what, error),) = scene.recorder.troubles
    assert "EC2 did not answer" in what
    assert isinstance(error, CallRefused)
    assert scene.recorder.counts["Refused"] == 1


# -- warm pools and other moves -------------------------------------------------------------------


def test_every_move_through_a_warm_pool_is_adopted_as_what_it_is() -> None:
    hooks = [a_hook(), a_hook(name="drain", transition="terminating")]
    scene = Scene(*hooks, policy={"until": []})
    scene.create("web", *hooks, size=0)
    scene.client.put_warm_pool(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxGroupPreparedCapacity=1,
        InstanceReusePolicy={"ReuseOnScaleIn": True},
    )
    scene.drops = all_lost
    for size in (0, 1, 0):
        scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=size)
        scene.run(5)
    scene.client.delete_warm_pool(AutoScalingGroupName="web", ForceDelete=True)
    scene.run(5)
    told = [(one.hook.name, one.origin, one.destination, one.outcome) for one in scene.store.actions()]
    assert told == [
        ("gate", "EC2", "WarmPool", Outcome.COMPLETED),
        ("gate", "WarmPool", "AutoScalingGroup", Outcome.COMPLETED),
        ("drain", "AutoScalingGroup", "WarmPool", Outcome.COMPLETED),
        ("drain", "WarmPool", "EC2", Outcome.COMPLETED),
    ]


def test_a_root_volume_that_is_replaced_is_adopted_on_both_sides() -> None:
    hooks = [a_hook(), a_hook(name="drain", transition="terminating")]
    scene = Scene(*hooks, policy={"until": []})
    scene.create("web", *hooks)
    scene.run(4)
    scene.drops = all_lost
    scene.client.start_instance_refresh(AutoScalingGroupName="web", Strategy="ReplaceRootVolume")
    scene.run(9)
    told = [(one.hook.name, one.origin, one.destination) for one in scene.store.actions()[1:]]
    assert told == [(hook, "AutoScalingGroup", "AutoScalingGroup") for hook in ("drain", "gate")]


def test_without_an_activity_an_instance_is_adopted_and_nothing_is_decided_too_early() -> None:
    scene = Scene(a_hook(), policy={"until": [{"signal": "go"}], "give_up_after": "20m"})
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(1)
    activities = scene.fleet.groups["web"].activities
    hidden = activities[:]
    activities.clear()
    scene.run(2)
    action = scene.action()
    assert action.activity_id is None
    assert action.started_at == action.first_seen_at == at(120)
    assert action.give_up_at == at(120) + timedelta(minutes=20)
    assert action.ends_at == at(120) + 99 * timedelta(minutes=10)
    activities.extend(hidden)
    scene.run(30)
    assert scene.waits()[0].ended_by is EndedBy.CALL


# -- hooks that were changed ----------------------------------------------------------------------


def test_a_heartbeat_timeout_made_smaller_counts_for_what_waits_and_is_told() -> None:
    scene = Scene(a_hook(heartbeat_timeout="60m"))
    scene.create("web", a_hook(heartbeat_timeout="60m"))
    scene.run(3)
    scene.put_by_hand("gate", HeartbeatTimeout=600)
    scene.run(2)
    action = scene.action()
    assert action.hook.heartbeat_timeout == timedelta(minutes=10)
    assert "hook" in scene.events(action)
    assert scene.recorder.enrolments[-1] == (
        "drift",
        "web",
        "gate",
        "is not as configured in heartbeat_timeout",
    )
    assert scene.recorder.counts["HookDrift"] > 0
    scene.run(60)
    beats = [entry for entry in scene.store.timeline(action.id) if entry.event == "heartbeat"]
    assert sum(entry.count for entry in beats) >= 5


def test_a_hook_that_someone_removed_is_told_and_its_record_is_closed() -> None:
    scene = Scene(a_hook(heartbeat_timeout="60m"))
    scene.create("web", a_hook(heartbeat_timeout="60m"))
    scene.run(3)
    scene.client.delete_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName="gate")
    scene.run(4)
    assert scene.recorder.enrolments[-1] == ("drift", "web", "gate", "does not exist on the group")
    assert scene.action().outcome is Outcome.ENDED_ELSEWHERE


# -- outcomes ---------------------------------------------------------------------------------------


def test_a_closed_record_says_what_became_of_its_instance() -> None:
    scene = Scene(a_hook())
    scene.account.outside.bus = lambda event: (
        scene.intake.take(json.dumps(event), "sqs") if "Successful" in event["detail-type"] else None
    )
    scene.create("web", a_hook())
    scene.run(1)
    scene.go()
    scene.run(5)
    action = scene.action()
    lines = [entry.detail for entry in scene.store.timeline(action.id) if entry.event == "outcome"]
    (line,) = lines
    assert line.startswith("in service at 2026-03-01T12:01:0")
    assert line.endswith("EC2 Instance Launch Successful")
    assert action.outcome is Outcome.COMPLETED
    assert action.phase is Phase.CLOSED


def test_what_fell_to_its_default_is_counted_though_its_event_came_first() -> None:
    scene = Scene(a_hook())
    scene.account.outside.bus_lags_s = (3.5,)
    scene.account.outside.bus = lambda event: (
        scene.intake.take(json.dumps(event), "sqs") if "Unsuccessful" in event["detail-type"] else None
    )
    scene.create("web", a_hook())
    scene.run(1)
    scene.fault = lambda request: THROTTLED if request.operation == BEAT else None
    scene.run(11)
    scene.fault = lambda _: None
    scene.run(5)
    action = scene.action()
    assert action.outcome is Outcome.DEFAULTED
    assert "Heartbeat Timeout" in action.reason
    assert scene.recorder.counts["Defaulted"] == 1


def drifts_of_passes(scene: Scene, passes: int) -> list[int]:
    """How many hooks each of the next passes counts as drifted."""
    counted: list[int] = []
    for _ in range(passes):
        before = scene.recorder.counts["HookDrift"]
        scene.run(2)
        counted.append(scene.recorder.counts["HookDrift"] - before)
    return counted


def test_a_hook_that_drifted_among_forty_idle_groups_is_counted_in_each_pass_once_it_was_seen() -> None:
    """The alarm is off again in a minute without a count: it would say that the drift is over."""
    scene = of_named_groups(40, size=0)
    scene.put_by_hand("gate", "web-07", HeartbeatTimeout=300)
    counted = drifts_of_passes(scene, 60)
    unseen = counted.index(1)
    assert 0 < unseen < 40
    assert counted == [0] * unseen + [1] * (60 - unseen)
    scene.put_by_hand("gate", "web-31", HeartbeatTimeout=300)
    assert drifts_of_passes(scene, 40)[-1] == 2


@pytest.mark.parametrize("mended", ["put back", "deleted"])
def test_a_drift_is_counted_no_more_once_its_hook_is_well_or_its_group_is_gone(mended: str) -> None:
    scene = of_named_groups(40, size=0)
    scene.put_by_hand("gate", "web-07", HeartbeatTimeout=300)
    assert drifts_of_passes(scene, 40)[-1] == 1
    if mended == "deleted":
        scene.client.delete_auto_scaling_group(AutoScalingGroupName="web-07", ForceDelete=True)
        scene.run(1)
        assert set(drifts_of_passes(scene, 20)) == {0}
    else:
        scene.put_by_hand("gate", "web-07", HeartbeatTimeout=600)
        assert drifts_of_passes(scene, 4)[-1] == 0, "it is read in each pass, not only at its turn"


def test_a_pass_that_auto_scaling_cuts_short_counts_the_drift_that_is_known() -> None:
    scene = of_named_groups(40, size=0)
    scene.put_by_hand("gate", "web-07", HeartbeatTimeout=300)
    assert drifts_of_passes(scene, 40)[-1] == 1
    scene.fault = lambda request: THROTTLED if request.operation == GROUPS else None
    assert drifts_of_passes(scene, 3) == [1, 1, 1]
