"""The real pass, looks and intake, with the real boto3 client, against simulated Auto Scaling."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.factories import at, fill
from tests.simulation.reconcile_scene import (
    ACTIVITIES,
    BEAT,
    COMPLETE,
    GROUPS,
    HOOKS,
    NO_ACTION,
    PATIENT,
    POOL,
    THROTTLED,
    TWO_PASSES,
    Scene,
    a_hook,
    all_lost,
    record_of,
)
from usher.core.action import Outcome, Phase, Result
from usher.passes.reconcile import MOST_HOOKS_IDLE, MOST_HOOKS_IN_USE
from usher.ports.errors import CallRefused
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import Request


@pytest.mark.parametrize(("minutes", "seed"), [(10, 1), (10, 2), (60, 3)])
def test_with_a_fifth_of_all_notifications_lost_all_are_adopted_in_two_passes_and_none_defaults(
    minutes: int, seed: int
) -> None:
    hooks = [
        a_hook(name="gate", heartbeat_timeout=f"{minutes}m"),
        a_hook(name="check", heartbeat_timeout=f"{minutes}m"),
        a_hook(name="drain", transition="terminating", heartbeat_timeout=f"{minutes}m"),
    ]
    scene = Scene(*hooks, policy={"until": [{"elapsed": "90m"}]}, seed=seed)
    scene.create("web", *hooks, size=0)
    scene.run(1)
    scene.account.outside.faults = DeliveryFaults(lost=0.2, doubled=0.1)
    for size in (15, 30):
        scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=size)
        scene.run(0.7)
    scene.run(120)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(120)
    waits = scene.waits()
    assert len(waits) == 90
    assert {wait.ended_by for wait in waits} == {EndedBy.CALL}
    records = [record_of(scene, wait) for wait in waits]
    assert len(scene.store.actions()) == 90
    assert {record.outcome for record in records} == {Outcome.COMPLETED}
    late = [record.first_seen_at - wait.started_at for record, wait in zip(records, waits, strict=True)]
    assert max(late) <= TWO_PASSES
    assert scene.recorder.counts["Adopted"] == sum(not record.received_by for record in records) > 0
    assert len(scene.calls(COMPLETE)) == 90


def test_a_lost_launch_is_adopted_with_the_start_of_its_activity_and_held() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(60)
    action = scene.action()
    (wait,) = scene.waits()
    activity = scene.fleet.groups["web"].activities[0]
    assert (action.token, action.activity_id) == (None, activity.id)
    assert action.started_at == activity.started_at
    assert (action.origin, action.destination, action.policy.name) == ("EC2", "AutoScalingGroup", "patient")
    assert scene.events(action)[0] == "adopted"
    assert wait.is_open
    scene.go()
    scene.run(1)
    assert (wait.ended_by, wait.result) == (EndedBy.CALL, "CONTINUE")
    assert scene.action().outcome is Outcome.COMPLETED


def test_a_hook_of_the_longest_name_is_adopted_and_its_wake_ups_are_taken() -> None:
    named = a_hook(name="h" * 255)
    scene = Scene(named)
    scene.create("web", named)
    scene.drops = all_lost
    scene.run(60)
    assert scene.action().token is None
    assert [wait.is_open for wait in scene.waits()] == [True]


def test_what_is_younger_than_a_minute_is_left_to_its_notification() -> None:
    scene = Scene(a_hook())
    scene.run(1.5)
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(1)
    assert scene.store.actions() == []
    assert scene.calls(BEAT) == []
    scene.run(2)
    assert len(scene.store.actions()) == 1


def test_another_hook_beside_ours_makes_no_phantom_when_ours_has_ended() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.put_by_hand("theirs", HeartbeatTimeout=7200)
    scene.run(3)
    scene.go()
    scene.run(60)
    assert scene.state(scene.instances()[0]) == "Pending:Wait"
    assert [action.outcome for action in scene.store.actions()] == [Outcome.COMPLETED]
    assert all("InstanceId" not in call for call in scene.calls(BEAT)), "what is known is not tried"


def test_a_hook_that_holds_nothing_of_ours_is_tried_once_in_each_wait() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.put_by_hand("theirs", HeartbeatTimeout=7200)
    scene.drops = all_lost
    scene.run(1)
    (instance,) = scene.instances()
    complete = {"AutoScalingGroupName": "web", "InstanceId": instance, "LifecycleActionResult": "CONTINUE"}
    scene.client.complete_lifecycle_action(LifecycleHookName="gate", **complete)
    scene.run(60)
    assert len(scene.calls(BEAT)) == 1
    assert scene.store.actions() == []
    assert [len(tried) for tried in scene.store.foreign_waits().values()] == [1]
    scene.client.complete_lifecycle_action(LifecycleHookName="theirs", **complete)
    scene.run(3)
    assert scene.store.foreign_waits() == {}, "forgotten with the wait"


def test_a_configured_hook_that_does_not_stand_on_the_group_is_not_tried() -> None:
    scene = Scene(a_hook(), a_hook(name="theirs"))
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(10)
    assert {call["LifecycleHookName"] for call in scene.calls(BEAT)} == {"gate"}


def test_groups_and_hooks_that_the_configuration_does_not_name_are_left_alone() -> None:
    scene = Scene(a_hook(group={"tags": {"team": "web"}}))
    scene.create("web", a_hook(), a_hook(name="theirs"), Tags=[{"Key": "team", "Value": "web"}])
    scene.create("other", a_hook(), Tags=[{"Key": "team", "Value": "jobs"}])
    items = MemoryEnrolledHooks(scene.clock)
    for item in scene.reconcile.items.of("web", "gate"):
        items.keep(item)  # the enrolment put it there
    scene.reconcile = replace(scene.reconcile, items=items)
    scene.drops = all_lost
    scene.run(9)
    assert [(one.hook.group, one.hook.name) for one in scene.store.actions()] == [("web", "gate")]
    about = {call["AutoScalingGroupName"] for call in scene.calls(BEAT) + scene.calls(ACTIVITIES)}
    assert about == {"web"}


@pytest.mark.parametrize("when", ["observe", "paused"])
def test_nothing_is_adopted_in_observe_mode_or_while_paused(when: str) -> None:
    scene = Scene(a_hook(), policy={**PATIENT, "mode": "observe" if when == "observe" else "enforce"})
    if when == "paused":
        scene.store.pause("gate", "an operator")
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(9)
    assert scene.calls(BEAT) == []
    assert scene.store.actions() == []


def test_the_termination_after_a_failed_launch_is_adopted_under_its_own_rule() -> None:
    drain = a_hook(
        name="drain",
        transition="terminating",
        policy=[{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "patient"}],
    )
    scene = Scene(drain)
    scene.create("web", a_hook(), drain)
    scene.drops = all_lost
    scene.run(1)
    scene.client.complete_lifecycle_action(
        AutoScalingGroupName="web",
        LifecycleHookName="gate",
        InstanceId=scene.instances()[0],
        LifecycleActionResult="ABANDON",
    )
    scene.run(4)
    action = scene.action()
    assert (action.policy.name, action.outcome) == ("park", Outcome.COMPLETED)


def test_what_is_adopted_has_the_metadata_of_its_hook() -> None:
    drawn = a_hook(
        metadata='{"role": "db"}',
        policy=[{"when": {"metadata": {"role": "db"}}, "use": "park"}, {"use": "patient"}],
    )
    scene = Scene(drawn)
    scene.create("web", drawn)
    scene.drops = all_lost
    scene.run(5)
    action = scene.action()
    assert (action.policy.name, action.metadata) == ("park", '{"role": "db"}')


# -- tokens that come late ----------------------------------------------------------------------


def test_a_token_that_comes_late_joins_the_adopted_record() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(5)
    (wait,) = scene.waits()
    body = scene.dropped[-1]
    scene.intake.take(body, "sqs")
    scene.intake.take(body, "sns")
    (action,) = scene.store.actions()
    assert (action.token, action.started_at) == (wait.token, wait.started_at)
    assert action.received_by == ("sqs", "sns")
    assert scene.store.of_token(wait.token) == action
    assert [raw.body for raw in scene.store.raws(action.id)] == [body]
    assert [kind for kind, _ in scene.recorder.taken[-2:]] == ["lifecycle", "duplicate"]
    scene.go()
    scene.run(1)
    assert [call.get("LifecycleActionToken") for call in scene.calls(COMPLETE)] == [wait.token]
    assert scene.action().outcome is Outcome.COMPLETED


def pooled() -> Scene:
    """An instance launched into a warm pool, then taken from it: the same hook holds it twice."""
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=0)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    scene.drops = all_lost
    scene.run(5)
    return scene


def test_a_token_that_comes_when_its_instance_has_gone_on_joins_no_other_record() -> None:
    scene = pooled()
    (first,) = scene.waits()
    scene.go()
    scene.run(1)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scene.run(5)
    second = scene.fleet.waits.of_instance(first.instance_id)[-1]
    scene.intake.take(scene.dropped[1], "sqs")
    scene.run(30)
    adopted_first, adopted_second = scene.store.of_instance(first.instance_id)
    assert (adopted_first.token, adopted_first.outcome) == (first.token, Outcome.COMPLETED)
    assert (adopted_second.token, adopted_second.is_open) == (None, True)
    assert second.is_open
    assert [(one.origin, one.destination) for one in (adopted_first, adopted_second)] == [
        ("EC2", "WarmPool"),
        ("WarmPool", "AutoScalingGroup"),
    ]


def test_a_token_of_an_earlier_wait_that_nobody_saw_makes_no_phantom() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=0)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    scene.drops = all_lost
    scene.run(0.5)
    (first,) = scene.waits()
    scene.complete_by_hand(first)
    scene.run(0.5)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scene.run(5)
    scene.intake.take(scene.dropped[1], "sqs")
    scene.run(30)
    late, adopted = scene.store.of_instance(first.instance_id)
    assert (late.token, late.outcome) == (first.token, Outcome.ENDED_ELSEWHERE)
    assert (adopted.token, adopted.is_open) == (None, True)
    assert all(wait.is_open for wait in scene.fleet.waits.of_instance(first.instance_id)[1:])


def test_a_record_made_by_token_while_it_was_adopted_leaves_one_of_both() -> None:
    """The notification is recorded between the last read and the store of the pass."""
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(1)
    opened, bodies = scene.store.open, scene.dropped

    def open_late(action: Action, raw: Any) -> Action:
        if raw is None and len(bodies) > 1:
            scene.intake.take(bodies.pop(), "sqs")
        return opened(action, raw)

    scene.store.open = open_late  # type: ignore[method-assign]
    scene.run(6)
    by_token, adopted = sorted(scene.store.actions(), key=lambda one: one.token is None)
    assert (by_token.is_open, by_token.received_by) == (True, ("sqs",))
    assert (adopted.outcome, adopted.result) == (Outcome.ENDED_ELSEWHERE, None)
    assert by_token.id in adopted.reason


def test_a_notification_that_comes_during_the_adopting_call_is_the_record() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.drops = all_lost
    scene.run(1)

    def come(request: Request) -> None:
        if request.operation == BEAT and "InstanceId" in request.parameters:
            scene.intake.take(scene.dropped[-1], "sqs")

    scene.fault = come
    scene.run(3)
    assert [(action.received_by, action.is_open) for action in scene.store.actions()] == [(("sqs",), True)]
    assert scene.recorder.counts["Adopted"] == 0


# -- what an instance id may reach ----------------------------------------------------------------


def test_an_unanswered_result_by_instance_is_not_repeated_into_the_next_wait() -> None:
    scene = pooled()
    (first,) = scene.waits()
    scene.losing.loses = True
    scene.fault = lambda request: THROTTLED if request.operation == ACTIVITIES else None
    scene.go()
    scene.run(0.1)
    assert scene.calls(COMPLETE) == [], "nothing is sent while nobody can say which wait it would reach"
    scene.fault = lambda _: None
    scene.run_until_called(COMPLETE)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scene.run(20)
    second = scene.fleet.waits.of_instance(first.instance_id)[-1]
    assert second is not first
    assert second.is_open
    assert len(scene.calls(COMPLETE)) == 1
    adopted_first, adopted_second = scene.store.of_instance(first.instance_id)
    assert adopted_first.outcome is Outcome.COMPLETED
    assert adopted_second.is_open


def test_an_adopted_record_whose_wait_is_over_does_not_live_on_in_the_next() -> None:
    scene = pooled()
    (first,) = scene.waits()
    scene.complete_by_hand(first)
    scene.run(0.1)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scene.run(6)
    over, adopted = scene.store.of_instance(first.instance_id)
    assert (over.outcome, over.reason) == (
        Outcome.ENDED_ELSEWHERE,
        "ended elsewhere: the instance is Pending:Wait",
    )
    assert (adopted.is_open, adopted.origin) == (True, "WarmPool")


# -- what a record may not close ------------------------------------------------------------------


def test_a_pause_closes_nothing_and_after_it_what_still_waits_is_held() -> None:
    """An operator keeps the instance by a heartbeat of their own."""
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.run(3)
    (wait,) = scene.waits()
    scene.store.pause("*", "ada: the account is throttled")
    scene.run(5)
    scene.beat_by_hand(wait)
    scene.run(4)
    assert (scene.action().outcome, wait.is_open) == (None, True)
    scene.store.resume("*")
    scene.go()
    scene.run(2)
    assert (wait.ended_by, wait.result) == (EndedBy.CALL, "CONTINUE")
    assert scene.action().outcome is Outcome.COMPLETED


def test_within_seconds_of_its_start_no_describe_closes_an_action() -> None:
    """The describe lags, and shows the state before the move: InService."""
    drain = a_hook(name="drain", transition="terminating", policy="park")
    scene = Scene(drain)
    scene.create("web", drain)
    scene.run(1)
    scene.account.service.lag = lambda: timedelta(minutes=1)

    def fault(request: Request) -> ApiError | None:
        is_young = all(scene.clock() - wait.started_at < timedelta(seconds=9) for wait in scene.waits())
        return NO_ACTION if request.operation == COMPLETE and is_young else None

    scene.fault = fault
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(1)
    action = scene.action()
    assert (action.outcome, action.result) == (Outcome.COMPLETED, Result.CONTINUE)


# -- what was closed and still waits -------------------------------------------------------------


def closed_too_early(scene: Scene, gate: Mapping[str, Any]) -> Wait:
    """The record of a wait is closed on an answer that was not true."""
    scene.create("web", gate)
    scene.fault = lambda request: NO_ACTION if request.operation == COMPLETE else None
    scene.run(1)
    scene.fault = lambda _: None
    assert scene.action().outcome is Outcome.ENDED_ELSEWHERE
    (wait,) = scene.waits()
    return wait


def test_what_was_closed_and_still_waits_is_taken_up_again_and_gets_the_result_that_was_decided() -> None:
    gate = a_hook(policy="park")
    scene = Scene(gate)
    wait = closed_too_early(scene, gate)
    scene.run(5)
    assert (wait.ended_by, wait.result) == (EndedBy.CALL, "CONTINUE")
    (action,) = scene.store.actions()
    assert (action.outcome, action.reason) == (Outcome.COMPLETED, "nothing to wait for")
    assert "taken up" in scene.events(action)


@pytest.mark.parametrize("adopted", [False, True], ids=["by token", "adopted"])
def test_a_closed_record_is_asked_for_once_in_a_wait(*, adopted: bool) -> None:
    scene = Scene(a_hook())
    scene.drops = all_lost if adopted else lambda _: False
    scene.create("web", a_hook())
    scene.put_by_hand("theirs", HeartbeatTimeout=7200)
    scene.run(5)
    (wait,) = [wait for wait in scene.waits() if wait.hook == "gate"]
    scene.complete_by_hand(wait)
    scene.run(12)
    assert scene.action().outcome is Outcome.ENDED_ELSEWHERE
    scene.asked.clear()
    scene.run(30)
    assert scene.calls(BEAT) == []


def test_nothing_is_taken_up_while_paused() -> None:
    gate = a_hook(policy="park")
    scene = Scene(gate)
    wait = closed_too_early(scene, gate)
    scene.store.pause("gate", "ada")
    scene.run(5)
    assert (scene.calls(BEAT), wait.is_open) == ([], True)


# -- adopted without an activity -----------------------------------------------------------------


def adopted_without_activity() -> tuple[Scene, Wait, list[Any]]:
    """Its activity is behind too many others. Returned with the wait, and the activities that are hidden."""
    scene = Scene(a_hook(), policy={"until": [{"elapsed": "5m"}]})
    scene.create("web", a_hook(), size=0)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    scene.drops = all_lost
    scene.run(1)
    activities = scene.fleet.groups["web"].activities
    hidden = activities[:]
    activities.clear()
    scene.run(2)
    assert (scene.action().token, scene.action().activity_id) == (None, None)
    (wait,) = scene.waits()
    return scene, wait, hidden


def test_a_record_adopted_without_an_activity_does_not_complete_the_next_wait() -> None:
    scene, first, hidden = adopted_without_activity()
    scene.fleet.groups["web"].activities.extend(hidden)
    scene.drops = lambda _: False
    scene.complete_by_hand(first)
    scene.run(0.2)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scene.run(20)
    second = scene.fleet.waits.of_instance(first.instance_id)[-1]
    assert second is not first
    assert second.ended_at is not None
    assert second.ended_at - second.started_at >= timedelta(minutes=5)
    assert scene.action().outcome is Outcome.ENDED_ELSEWHERE


def test_without_an_activity_no_result_goes_by_instance_until_one_is_found() -> None:
    scene, wait, hidden = adopted_without_activity()
    scene.run(30)
    assert (scene.calls(COMPLETE), wait.is_open) == ([], True)
    assert any("it is unknown" in entry.detail for entry in scene.store.timeline(scene.action().id))
    scene.fleet.groups["web"].activities.extend(hidden)
    scene.run(2)
    assert (wait.ended_by, scene.action().outcome) == (EndedBy.CALL, Outcome.COMPLETED)
    assert scene.action().activity_id == hidden[0].id


# -- what has ended -------------------------------------------------------------------------------


@pytest.mark.parametrize("adopted", [False, True], ids=["by token", "adopted"])
def test_what_someone_else_has_ended_is_closed_within_two_passes_though_no_event_told(
    *, adopted: bool
) -> None:
    hook = a_hook(heartbeat_timeout="60m")
    scene = Scene(hook)
    scene.create("web", hook)
    scene.drops = all_lost if adopted else lambda _: False
    scene.run(5)
    complete = {"AutoScalingGroupName": "web", "InstanceId": scene.instances()[0]}
    scene.client.complete_lifecycle_action(
        LifecycleHookName="gate", LifecycleActionResult="CONTINUE", **complete
    )
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


@pytest.mark.parametrize("operation", [POOL, ACTIVITIES, HOOKS])
def test_a_group_that_goes_during_a_pass_is_no_error_and_hides_no_other(operation: str) -> None:
    scene = Scene(a_hook(), a_hook(group="jobs"))
    for name in ("web", "jobs"):
        scene.create(name, a_hook())
        scene.client.put_warm_pool(AutoScalingGroupName=name, MinSize=0, MaxGroupPreparedCapacity=0)
    scene.drops = all_lost
    gone = ApiError("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'jobs' not found")

    def fault(request: Request) -> ApiError | None:
        on = request.parameters.get("AutoScalingGroupName")
        return gone if request.operation == operation and on == "jobs" else None

    scene.fault = fault
    scene.run(3)
    groups = {action.hook.group for action in scene.store.actions()}
    assert groups >= {"web"}
    assert scene.recorder.counts["ReconcilePutOff"] == 0


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


# -- few calls --------------------------------------------------------------------------------------


def calls_of_a_pass(scene: Scene) -> list[str]:
    """The operations of the next pass."""
    before = len(scene.asked)
    scene.reconcile.run()
    return [request.operation for request in scene.asked[before:]]


def test_a_quiet_pass_over_many_groups_costs_few_calls() -> None:
    """130 groups of one instance in service each: two pages, and the hooks of two groups."""
    scene = Scene(a_hook(group="web-*"))
    for number in range(130):
        scene.create(f"web-{number:03}")
    scene.run(1)
    calls = calls_of_a_pass(scene)
    assert (calls.count(GROUPS), calls.count(HOOKS), len(calls)) == (2, MOST_HOOKS_IDLE, 4)


def test_a_pass_over_known_waits_costs_no_call_for_an_instance() -> None:
    """20 groups by name with ten waiting instances each: one page, and the hooks of five groups."""
    names = [f"web-{number:02}" for number in range(20)]
    scene = Scene(*(a_hook(group=name) for name in names))
    for name in names:
        scene.create(name, a_hook(), size=10)
    scene.run(1)
    assert len(scene.store.actions()) == 200
    calls = calls_of_a_pass(scene)
    assert (calls.count(GROUPS), calls.count(HOOKS), len(calls)) == (1, MOST_HOOKS_IN_USE, 6)


def test_a_pass_costs_two_calls_for_each_group_with_lost_notifications_and_one_for_each_of_them() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=30)
    scene.drops = all_lost
    scene.run(1.9)
    calls = calls_of_a_pass(scene)
    assert (calls.count(GROUPS), calls.count(ACTIVITIES), calls.count(HOOKS)) == (1, 1, 2)
    assert calls.count(BEAT) == 30


@pytest.mark.parametrize("operation", [GROUPS, POOL, ACTIVITIES, HOOKS, BEAT])
@pytest.mark.parametrize(
    "error",
    [THROTTLED, ApiError("ResourceContention", "", 500)],
    ids=["throttled", "contended"],
)
def test_a_busy_auto_scaling_ends_the_pass_until_the_next(operation: str, error: ApiError) -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=3)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=0, MaxGroupPreparedCapacity=0)
    scene.drops = all_lost
    scene.run(1.9)
    scene.asked.clear()
    scene.fault = lambda request: error if request.operation == operation else None
    scene.clock.run_until(at(121))
    assert len(scene.calls(operation)) == 1, "no second call where the first was too much"
    assert scene.store.actions() == []
    scene.fault = lambda _: None
    scene.run(2)
    assert len(scene.store.actions()) == 3
    assert scene.recorder.counts["Throttled"] == 1


def test_many_lost_launches_are_adopted_in_one_pass_at_the_pace_of_the_budget() -> None:
    """Each call waits for its second, so that the questions do not use up the turns of the answers."""
    scene = Scene(a_hook(), a_hook(group="jobs"), calls_per_second=2)
    for group in ("web", "jobs"):
        scene.create(group, a_hook(), size=8)
    scene.drops = all_lost
    scene.run(2.5)
    by_second = Counter(action.first_seen_at for action in scene.store.actions())
    assert by_second.total() == 16
    assert max(by_second.values()) == 2


def test_lost_launches_of_more_groups_than_a_pass_comes_to_are_adopted_by_the_next_ones() -> None:
    """Found at one call a second: 25 groups, whose questions took a whole pass, were adopted in none."""
    names = [f"web-{number:02}" for number in range(25)]
    hooks = [a_hook(group=name, heartbeat_timeout="60m") for name in names]
    scene = Scene(*hooks, calls_per_second=1)
    for name, hook in zip(names, hooks, strict=True):
        scene.create(name, hook)
    scene.drops = all_lost
    scene.run(7)
    assert {action.hook.group for action in scene.store.actions()} == set(names)


def test_an_instance_that_has_gone_on_to_another_wait_since_it_was_seen_is_not_adopted_for_the_old_one() -> (
    None
):
    """Found by reading: it was released under the policy of the move that was over."""
    hook = a_hook(policy=[{"when": {"destination": "WarmPool"}, "use": "park"}, {"use": "patient"}])
    scene = Scene(hook)
    scene.create("web", hook, size=0)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    scene.drops = all_lost
    scene.run(1.9)
    (first,) = scene.waits()

    def goes_on(request: Request) -> None:
        if request.operation == ACTIVITIES and first.ended_by is None:
            scene.complete_by_hand(first)
            scene.run(0.1)
        elif request.operation == HOOKS and scene.state(first.instance_id).startswith("Warmed"):
            scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
            scene.run(0.3)

    scene.fault = goes_on
    scene.run(0.7)
    scene.fault = lambda _: None
    _, second = scene.fleet.waits.of_instance(first.instance_id)
    scene.run(5)
    assert second.ended_by is None
    (action,) = scene.store.of_instance(first.instance_id)
    assert (action.destination, action.policy.name) == ("AutoScalingGroup", "patient")


def test_an_instance_without_an_activity_is_adopted_also_where_its_group_was_seen_long_before() -> None:
    hooks = [
        a_hook(group=name, heartbeat_timeout="60m") for name in (*(f"a{n:02}" for n in range(18)), "web")
    ]
    scene = Scene(*hooks, calls_per_second=1)
    for hook in hooks:
        scene.create(hook["group"], hook, size=int(hook["group"] == "web"))
        if hook["group"] != "web":
            scene.client.put_warm_pool(
                AutoScalingGroupName=hook["group"], MinSize=0, MaxGroupPreparedCapacity=0
            )
    scene.drops = all_lost
    scene.run(1)
    scene.fleet.groups["web"].activities.clear()
    scene.run(2)
    assert [(action.hook.group, action.activity_id) for action in scene.store.actions()] == [("web", None)]


def test_a_record_that_cannot_be_read_keeps_no_other_instance_from_its_adoption() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook(), size=2)
    scene.drops = all_lost
    scene.run(0.1)
    unreadable, other = scene.instances()
    scene.store.is_readable = lambda instance_id: instance_id != unreadable  # type: ignore[method-assign]
    scene.clock.run_until(at(180))
    assert [action.instance_id for action in scene.store.actions()] == [other]
    assert scene.recorder.troubles[0][0] == f"a record of {unreadable} cannot be read"


def test_where_all_seconds_ahead_are_full_no_call_is_made_and_a_later_pass_adopts() -> None:
    scene = Scene(a_hook(), calls_per_second=1)
    scene.create("web", a_hook(), size=2)
    scene.drops = all_lost
    fill(scene.budget, 110, 135)
    scene.run(1.9)
    scene.asked.clear()
    scene.run(1)
    assert scene.asked == []
    assert scene.recorder.counts["ReconcilePutOff"] == 1
    scene.run(2)
    assert len(scene.store.actions()) == 2


def test_missing_rights_fail_the_pass() -> None:
    scene = Scene(a_hook())
    denied = ApiError("AccessDenied", "User is not authorized", 403)
    scene.fault = lambda request: denied if request.operation == GROUPS else None
    with pytest.raises(CallRefused, match="AccessDenied"):
        scene.reconcile.run()


def test_the_pass_ends_with_its_time() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.asked.clear()
    scene.reconcile.run(lambda: False)
    assert scene.asked == []


def test_without_hooks_and_records_nothing_is_asked() -> None:
    scene = Scene()
    scene.asked.clear()
    scene.reconcile.run()
    assert scene.asked == []


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
