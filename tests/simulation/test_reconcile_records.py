"""The pass and the records: tokens that come late, waits that are over, closed records that still wait."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.reconcile_scene import (
    ACTIVITIES,
    BEAT,
    COMPLETE,
    NO_ACTION,
    PATIENT,
    THROTTLED,
    Scene,
    a_hook,
    all_lost,
    lost,
)
from usher.core.action import Outcome, Result
from usher_simulator.autoscaling.lifecycle_actions import EndedBy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import ApiError, Request


def test_a_token_that_comes_late_joins_the_adopted_record() -> None:
    scene = lost(minutes=5)
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


def pooled(minutes: float = 5, policy: Mapping[str, Any] = PATIENT) -> Scene:
    """An instance launched into a warm pool, and then to be taken from it: the same hook holds it twice."""
    scene = Scene(a_hook(), policy=policy)
    scene.create("web", a_hook(), size=0)
    scene.client.put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    scene.drops = all_lost
    scene.run(minutes)
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
    scene = pooled(0.5)
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
    scene = lost(minutes=1)
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
    scene = lost(minutes=1)

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
    scene = pooled(1, {"until": [{"elapsed": "5m"}]})
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
