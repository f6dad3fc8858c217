"""Instances that EC2 has ended or stopped: what is sent for them, and when it is not."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tests.factories import START, at
from tests.simulation.reconcile_scene import COMPLETE, PATIENT, THROTTLED, Scene, a_hook
from usher.core import configuration
from usher.core.action import Outcome, Phase, Result
from usher_cli.report import report
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.replay.replay import Entry, replay

INSTANCE = "i-0123456789abcdef0"
GATE = {
    "name": "gate",
    "group": "web",
    "transition": "launching",
    "heartbeat_timeout": "5m",
    "policy": "gate",
}
DRAIN = {
    "name": "drain", "group": "web", "transition": "terminating", "heartbeat_timeout": "10m",
    "policy": [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "finish"}],
}  # fmt: skip
POLICIES: Final[dict[str, dict[str, Any]]] = {
    "gate": {"until": [{"signal": "up"}], "give_up_after": "20m", "on_give_up": "CONTINUE"},
    "finish": {"until": [{"signal": "finished"}], "give_up_after": "1h"},
    "park": {"until": []},
}
PLAIN = ("AutoScalingGroup", "EC2")
LOST: Final = ApiError("InternalFailure", "We encountered an internal error", status=500)


def state(name: str, seconds: float) -> Entry:
    """EC2's event of a state."""
    event = {
        "id": f"{name}-{seconds}", "source": "aws.ec2", "time": at(seconds).isoformat(),
        "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": INSTANCE, "state": name},
    }  # fmt: skip
    return Entry(source="test", received_at=at(seconds), body=json.dumps(event))


def waits(hook: str, seconds: float, origin: str, destination: str) -> Entry:
    kind = {"gate": "LAUNCHING", "drain": "TERMINATING"}[hook]
    body = {
        "LifecycleHookName": hook, "AutoScalingGroupName": "web", "EC2InstanceId": INSTANCE,
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{kind}", "Time": at(seconds).isoformat(),
        "LifecycleActionToken": f"{seconds:036.0f}", "Origin": origin, "Destination": destination,
    }  # fmt: skip
    return Entry(source="test", received_at=at(seconds + 1), body=json.dumps(body))


def replayed(*entries: Entry, **finish: str) -> list[dict[str, Any]]:
    """The actions, as `usher replay --json` tells them."""
    policies = POLICIES | {"finish": POLICIES["finish"] | finish}
    data = {"version": 1, "policies": policies, "hooks": [GATE, DRAIN]}
    actions: list[dict[str, Any]] = report(replay(entries, configuration.parse(data)), [])["actions"]
    return actions


def closed(action: dict[str, Any]) -> tuple[str, str | None, float]:
    """Its outcome and result, and after how many seconds it was closed."""
    after = datetime.fromisoformat(action["closed_at"]) - START
    return action["outcome"], action["result"], round(after.total_seconds())


def test_a_launch_whose_instance_ec2_ends_is_abandoned_so_that_it_is_replaced() -> None:
    launch, termination = replayed(
        waits("gate", 0, "EC2", "AutoScalingGroup"),
        state("shutting-down", 180),
        waits("drain", 181, *PLAIN),
        state("terminated", 220),
    )
    assert closed(launch) == ("completed", "ABANDON", 180)
    assert (termination["policy"], closed(termination)) == ("park", ("completed", "CONTINUE", 182))


def test_a_stopped_instance_is_let_go_in_a_plain_termination() -> None:
    (action,) = replayed(state("stopping", -180), state("stopped", -120), waits("drain", 0, *PLAIN))
    assert closed(action) == ("completed", "CONTINUE", 1)
    assert action["reason"] == "EC2 reports the instance as stopped"


def test_an_instance_that_is_stopped_while_it_waits_is_let_go_at_once() -> None:
    (action,) = replayed(waits("drain", 0, *PLAIN), state("stopped", 300))
    assert closed(action) == ("completed", "CONTINUE", 300)


STOPPED: Final = state("stopped", 0)
NOT_LET_GO: Final = {
    "into the pool": ([STOPPED, waits("drain", 5, "AutoScalingGroup", "WarmPool")], {}),
    "out of the pool": ([STOPPED, waits("drain", 5, "WarmPool", "EC2")], {}),
    "a new root volume": ([STOPPED, waits("drain", 5, "AutoScalingGroup", "AutoScalingGroup")], {}),
    "the policy waits": ([STOPPED, waits("drain", 5, *PLAIN)], {"when_stopped": "wait"}),
    "an old word": ([state("stopped", -200), waits("drain", 5, *PLAIN)], {}),
    "it runs again": ([STOPPED, state("running", 2), waits("drain", 5, *PLAIN)], {}),
    "it never was": ([state("running", 0), waits("drain", 5, *PLAIN)], {}),
}


@pytest.mark.parametrize(("entries", "policy"), NOT_LET_GO.values(), ids=NOT_LET_GO)
def test_no_other_stopped_instance_is_let_go(entries: list[Entry], policy: dict[str, str]) -> None:
    (action,) = replayed(*entries, **policy)
    assert action["reason"] == "gave up after 1h"


# After a launch that failed


def abandoned(seconds: float, received: float) -> Entry:
    """AWS's event of a launch that someone else abandoned, which comes late."""
    detail = {
        "ActivityId": "activity-1", "AutoScalingGroupName": "web", "EC2InstanceId": INSTANCE,
        "Origin": "EC2", "Destination": "AutoScalingGroup", "EndTime": at(seconds).isoformat(),
    }  # fmt: skip
    event = {
        "id": "abandoned", "source": "aws.autoscaling", "time": at(seconds).isoformat(), "detail": detail,
        "detail-type": "EC2 Instance Launch Unsuccessful",
    }  # fmt: skip
    return Entry(source="test", received_at=at(received), body=json.dumps(event))


def test_a_launch_that_others_abandoned_is_known_as_failed_though_the_event_comes_last() -> None:
    _, termination = replayed(
        waits("gate", 0, "EC2", "AutoScalingGroup"), waits("drain", 301, *PLAIN), abandoned(300, 329)
    )
    assert (termination["policy"], closed(termination)) == ("park", ("completed", "CONTINUE", 329))
    policies = [line["detail"] for line in termination["timeline"] if line["event"] == "policy"]
    assert policies == ["park from now on: EC2 Instance Launch Unsuccessful"]


@pytest.mark.parametrize("is_let_into_service", [True, False])
def test_a_launch_that_is_found_over_after_its_time_is_not_known_as_failed(is_let_into_service: bool) -> None:
    """It may as well have been in service, so only AWS's event tells: seed 8131."""
    rules = [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "patient"}]
    gate, drain = a_hook(), a_hook(name="drain", transition="terminating", policy=rules)
    scene = Scene(gate, drain)
    scene.create("web", gate, drain)
    scene.run(1)
    if is_let_into_service:
        scene.complete_by_hand(scene.waits()[0])
        scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.fault = lambda _: THROTTLED
    scene.run(10.2)
    scene.fault = lambda _: None
    scene.run(1)
    launch, termination, *_ = scene.store.actions()
    assert (launch.outcome, termination.policy.name) == (Outcome.DEFAULTED, "patient")


@pytest.mark.parametrize("answer", [THROTTLED, LOST], ids=["turned away", "lost, and then unknown"])
def test_a_launch_whose_abandon_never_reached_auto_scaling_is_not_known_as_failed(answer: ApiError) -> None:
    """Somebody else let it into service meanwhile, so it drains as any other: seed 5399."""
    rules = [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "patient"}]
    gate, drain = a_hook(), a_hook(name="drain", transition="terminating", policy=rules)
    scene = Scene(gate, drain, policy={**PATIENT, "give_up_after": "2m"})
    scene.create("web", gate, drain)
    scene.fault = lambda request: answer if request.operation == COMPLETE else None
    scene.run(3)
    (launch,) = scene.store.actions()
    assert (launch.phase, launch.result) == (Phase.COMPLETING, Result.ABANDON)
    faulty, scene.fault = scene.fault, lambda _: None
    scene.complete_by_hand(scene.waits()[0])
    scene.fault = faulty if answer is THROTTLED else scene.fault
    scene.run(2)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(0.5)
    _, termination = scene.store.actions()
    assert termination.policy.name == "patient"


# What EC2 answers


def draining(**policy: str) -> Scene:
    """An instance that waits to be terminated, and is unhealthy: nobody heard an event of EC2's."""
    drain = a_hook(name="drain", transition="terminating")
    scene = Scene(drain, policy={**PATIENT, **policy})
    scene.create("web", drain)
    scene.run(1)
    scene.client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=0)
    scene.run(2.5)
    scene.fleet.ec2_terminated(scene.action().instance_id)
    return scene


def test_an_instance_that_ec2_shows_as_stopped_is_let_go_within_two_minutes() -> None:
    scene = draining()
    scene.ec2.states = {scene.action().instance_id: "stopped"}
    scene.run(2)
    assert (scene.action().outcome, scene.action().result) == (Outcome.COMPLETED, Result.CONTINUE)


def test_that_an_instance_is_stopped_counts_only_as_long_as_ec2_says_so() -> None:
    """It runs again before Usher, which was paused, could let it go."""
    scene = draining()
    (instance,) = scene.instances()
    scene.store.keep_instance_state(instance, scene.clock(), is_stopped=True)
    scene.ec2.states = {instance: "running"}
    scene.store.pause("drain", "ada")
    scene.run(2)
    scene.store.resume("drain")
    scene.run(20)
    assert scene.action().is_open


def test_a_launch_that_ec2_does_not_know_is_not_taken_for_dead() -> None:
    scene = Scene(a_hook())
    scene.create("web", a_hook())
    scene.run(2.5)
    scene.fleet.ec2_terminated(scene.action().instance_id)
    scene.run(60)
    assert scene.action().is_open


def test_what_is_sent_for_a_dead_instance_counts_on_no_limit() -> None:
    gate = a_hook(limits={"abandon_per_hour": 1})
    scene = Scene(gate)
    scene.create("web", gate, size=2)
    scene.run(2.5)
    dead = scene.instances()
    for one in dead:
        scene.fleet.ec2_terminated(one)
    scene.ec2.states = dict.fromkeys(dead, "terminated")
    scene.run(2)
    assert [action.result for action in scene.store.actions() if action.instance_id in dead] == [
        Result.ABANDON
    ] * 2
    assert scene.clock() - at(0) < timedelta(minutes=10)
