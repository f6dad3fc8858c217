"""The real pass, evaluation and intake, with the real boto3 client: what it adopts, and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.reconcile_scene import (
    ACTIVITIES,
    BEAT,
    COMPLETE,
    PATIENT,
    TWO_PASSES,
    Scene,
    a_hook,
    all_lost,
    lost,
    record_of,
)
from usher.core.action import OperatorNote, Outcome
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks


@pytest.mark.parametrize(
    ("minutes", "seed"), [(10, 1), pytest.param(10, 2, marks=pytest.mark.large), (60, 3)]
)
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
    scene = lost(minutes=60)
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
    scene = lost(name="h" * 255, minutes=60)
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
    ours, theirs = scene.waits()
    scene.complete_by_hand(ours)
    scene.run(60)
    assert len(scene.calls(BEAT)) == 1
    assert scene.store.actions() == []
    assert [len(tried) for tried in scene.store.foreign_waits().values()] == [1]
    scene.complete_by_hand(theirs)
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
    scene.complete_by_hand(scene.waits()[0], "ABANDON")
    scene.run(4)
    action = scene.action()
    assert (action.policy.name, action.outcome) == ("park", Outcome.COMPLETED)


def test_what_is_adopted_has_the_metadata_of_its_hook() -> None:
    scene = lost(
        minutes=5,
        metadata='{"role": "db"}',
        policy=[{"when": {"metadata": {"role": "db"}}, "use": "park"}, {"use": "patient"}],
    )
    action = scene.action()
    assert (action.policy.name, action.metadata) == ("park", '{"role": "db"}')


def test_instances_that_are_retained_are_counted_in_each_pass_until_they_go() -> None:
    drain = a_hook(name="drain", transition="terminating")
    abandons = {"until": [{"signal": "go"}], "give_up_after": "10m", "on_give_up": "ABANDON"}
    scene = Scene(drain, policy=abandons)
    retain = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
    scene.create("web", drain, InstanceLifecyclePolicy=retain)
    scene.run(5)
    (instance,) = scene.instances()
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(10)
    assert "RetainedInstances" not in scene.recorder.counts
    scene.run(11)
    assert scene.state(instance) == "Terminating:Retained"
    kept = scene.store.retained("web")
    assert kept is not None
    assert list(kept) == [instance]
    counted = scene.recorder.counts["RetainedInstances"]
    scene.run(4)
    assert scene.recorder.counts["RetainedInstances"] == counted + 2
    assert scene.store.retained("web") == kept  # it is told of once
    scene.run(40)
    assert scene.recorder.counts["RetainedHours"] == 0  # less than one, each time
    scene.run(20)
    assert scene.recorder.counts["RetainedHours"] > 0
    scene.store.keep_release(instance, OperatorNote(who="arn:ann", at=scene.clock(), reason="x"))
    scene.client.terminate_instance_in_auto_scaling_group(
        InstanceId=instance, ShouldDecrementDesiredCapacity=False
    )
    scene.run(4)
    assert scene.action(1).result == "CONTINUE"
    counted = scene.recorder.counts["RetainedInstances"]
    scene.run(6)
    assert scene.recorder.counts["RetainedInstances"] == counted
