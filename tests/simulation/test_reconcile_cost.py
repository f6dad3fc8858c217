"""What a pass costs: few calls, and an end when time, budget or rights run out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.factories import at, fill
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
    lost,
    of_named_groups,
)
from usher.passes.drift import MOST_HOOKS_IDLE, MOST_HOOKS_IN_USE
from usher.ports.errors import CallRefused
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from usher_simulator.autoscaling.query_protocol import Request


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
    scene = of_named_groups(20, size=10)
    assert len(scene.store.actions()) == 200
    calls = calls_of_a_pass(scene)
    assert (calls.count(GROUPS), calls.count(HOOKS), len(calls)) == (1, MOST_HOOKS_IN_USE, 6)


def test_a_pass_costs_two_calls_for_each_group_with_lost_notifications_and_one_for_each_of_them() -> None:
    scene = lost(size=30, minutes=1.9)
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
    scene = lost(size=2, minutes=0.1)
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


def test_a_question_by_instance_that_is_refused_counts_for_the_alarm_on_what_is_refused() -> None:
    scene = lost(minutes=1)
    denied = ApiError("AccessDenied", "User is not authorized", 403)
    scene.fault = lambda request: denied if request.operation == BEAT else None
    scene.clock.run_until(at(180))
    assert scene.recorder.counts["Refused"] == 1
    assert isinstance(scene.recorder.troubles[-1][1], CallRefused)


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
