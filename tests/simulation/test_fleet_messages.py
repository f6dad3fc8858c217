"""Simulated Auto Scaling: its messages and events, their faults, and the same day for the same seed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import START
from tests.simulation.fleet_site import (
    FUNCTION,
    GROUP,
    QUEUE,
    ROLE,
    TOPIC,
    Site,
    a_site,
    back_to_pool,
    down,
    into_pool,
    out_of_pool,
    pool_to_ec2,
    scaled_in,
    told,
    up,
    with_pool,
)
from usher.core import messages, notifications
from usher.core.action import ActivityEnd, Transition
from usher_simulator.autoscaling.latencies import CAPTURED
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.latencies import Latencies


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
