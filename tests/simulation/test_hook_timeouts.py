"""What stands on the groups counts, whatever the hooks file says: raised, lowered, put by someone else."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.simulation.reconcile_scene import BEAT, HOOKS, THROTTLED, Scene, a_hook
from usher.core.action import Outcome
from usher.ports.errors import CallRefused
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from usher_simulator.autoscaling.query_protocol import Request

WEB: Final = "web-*"


def scene_of(
    groups: int,
    *,
    stands: str,
    file: str,
    calls_per_second: float = 10,
    hooks: int = 1,
    mode: str = "enforce",
) -> Scene:
    """Each group gets one instance, at the same moment; nothing was described of any before."""
    names = [f"gate-{number}" for number in range(hooks)]
    configured = [a_hook(name=name, group=WEB, heartbeat_timeout=file) for name in names]
    policy = {"until": [{"elapsed": "11m"}], "mode": mode}
    scene = Scene(
        *configured, policy=policy, calls_per_second=calls_per_second, evaluations_per_second=calls_per_second
    )
    status = [a_hook(name=name, heartbeat_timeout=stands) for name in names]
    for number in range(groups):
        scene.create(f"web-{number:03}", *status, size=1)
    return scene


@pytest.mark.parametrize(
    ("stands", "file"),
    [
        ("30s", "5m"),
        ("2h", "30s"),
        ("5m", "2h"),
        pytest.param("1m", "2h", marks=pytest.mark.large),
        pytest.param("5m", "1m", marks=pytest.mark.large),
    ],
)
def test_none_falls_to_its_default_whatever_the_file_says_while_another_timeout_stands(
    stands: str, file: str
) -> None:
    """Fault 16: of 60 groups whose hooks stood with less than the file said, 35 lost their instances."""
    scene = scene_of(60, stands=stands, file=file, calls_per_second=20 if "30s" in (stands, file) else 10)
    scene.run(15)
    firsts = [min(scene.waits(name), key=lambda wait: wait.started_at) for name in scene.fleet.groups]
    assert Counter((wait.ended_by, wait.result) for wait in firsts) == {(EndedBy.CALL, "CONTINUE"): 60}
    assert {scene.store.of_token(wait.token).outcome for wait in firsts} == {Outcome.COMPLETED}  # type: ignore[union-attr]


def test_what_is_known_of_a_group_is_not_asked_again_for_a_day() -> None:
    scene = scene_of(1, stands="10m", file="10m")
    scene.run(1)
    known = len(scene.calls(HOOKS))
    scene.client.set_desired_capacity(AutoScalingGroupName="web-000", DesiredCapacity=5)
    scene.run(0.5)
    assert len(scene.store.actions()) == 5
    assert (known, len(scene.calls(HOOKS))) == (1, 1)


def test_where_no_describe_is_answered_beats_go_out_as_for_the_shortest_timeout() -> None:
    scene = scene_of(1, stands="30s", file="1h")
    scene.fault = lambda request: THROTTLED if request.operation == HOOKS else None
    scene.run(5)
    (wait,) = scene.waits("web-000")
    assert wait.is_open
    assert len(scene.calls(BEAT)) >= 10
    assert scene.action().give_up_at - scene.action().started_at > timedelta(hours=40)


def test_a_beat_that_is_turned_away_is_tried_again_within_the_shortest_timeout() -> None:
    scene = scene_of(1, stands="30s", file="1h")
    turned_away = [BEAT]

    def busy(request: Request) -> ApiError | None:
        is_first_beat = request.operation in turned_away
        if is_first_beat:
            turned_away.clear()
        return THROTTLED if is_first_beat or request.operation == HOOKS else None

    scene.fault = busy
    scene.run(3)
    (wait,) = scene.waits("web-000")
    assert (turned_away, wait.is_open) == ([], True)


def test_of_a_group_that_is_gone_nothing_is_assumed_any_more() -> None:
    scene = scene_of(1, stands="10m", file="10m")
    gone = ApiError("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'x' not found")
    scene.fault = lambda request: gone if request.operation == HOOKS else None
    scene.run(0.5)
    assert not scene.action().timeout_assumed


def test_where_describing_is_denied_it_is_told_and_the_instance_is_held_by_early_beats() -> None:
    scene = scene_of(1, stands="30s", file="1h")
    scene.run(0.01)
    denied = ApiError("AccessDenied", "not authorized to perform: autoscaling:DescribeLifecycleHooks")
    scene.fault = lambda request: denied if request.operation == HOOKS else None
    with pytest.raises(CallRefused):  # the trouble that was told
        scene.run(1.9)
    (wait,) = scene.waits("web-000")
    assert (wait.is_open, scene.action().heartbeats >= 3) == (True, True)


def wanting_results(file: str, stands: str, size: int, groups: int = 1, **limits: int) -> Scene:
    """Groups of `size` instances that are to be let go at once, with a call a second."""
    hook = a_hook(group=WEB, heartbeat_timeout=file, **({"limits": limits} if limits else {}))
    scene = Scene(hook, policy={"until": []}, calls_per_second=1, evaluations_per_second=1)
    for number in range(groups):
        scene.create(f"web-{number:03}", a_hook(heartbeat_timeout=stands), size=size)
    return scene


@pytest.mark.parametrize(("groups", "size"), [(1, 20), (20, 2)])
def test_no_result_waits_until_its_group_is_described(groups: int, size: int) -> None:
    """Each result booked a call, and used it up for that question, which was turned away: seed 9214."""
    scene = wanting_results("1h", "1h", size, groups)
    scene.fault = lambda request: THROTTLED if request.operation == HOOKS else None
    scene.run(6)
    assert {action.outcome for action in scene.store.actions()} == {Outcome.COMPLETED}
    assert len(scene.calls(HOOKS)) <= 3 * groups + 20  # at first, near the assumed expiry; and the passes


@pytest.mark.parametrize(
    ("size", "limits", "minutes"),
    [
        pytest.param(100, {}, 3, id="a hundred at once: each call is reserved for a result"),
        pytest.param(30, {"complete_per_minute": 2}, 20, id="held back by a limit"),
    ],
)
def test_results_go_out_within_the_timeout_that_stands(
    size: int, limits: dict[str, int], minutes: float
) -> None:
    """It is asked for besides, although the file says an hour, and the first question was turned away."""
    scene = wanting_results("1h", "1m", size, **limits)
    scene.fault = lambda request: THROTTLED if request.operation == HOOKS else None
    scene.run(0.3)
    scene.fault = lambda _: None
    scene.run(minutes)
    firsts = scene.waits("web-000")[:size]
    assert Counter(wait.ended_by for wait in firsts) == {EndedBy.CALL: size}


def test_in_observe_mode_nothing_is_described() -> None:
    scene = scene_of(1, stands="30s", file="1h", mode="observe")
    scene.run(0.01)
    passes = len(scene.calls(HOOKS))
    scene.run(0.5)
    assert len(scene.calls(HOOKS)) == passes
    assert not scene.action().timeout_assumed


def test_a_group_that_was_described_tells_of_a_smaller_timeout_in_the_story() -> None:
    scene = scene_of(1, stands="1m", file="1h")
    scene.run(1)
    lines = {entry.event: entry.detail for entry in scene.store.timeline(scene.action().id)}
    assert lines["hook"] == (
        "the hook on the group has a heartbeat timeout of 1m, not 1h: the smaller one counts"
    )


@pytest.mark.parametrize("groups", [50, pytest.param(200, marks=pytest.mark.large)])
def test_all_hooks_of_many_groups_are_described_within_the_budget(groups: int) -> None:
    """Nothing is known of any. The describes keep to four calls a second, and no beat comes late."""
    scene = scene_of(groups, stands="10m", file="10m", hooks=4, calls_per_second=4)
    scene.run(11)
    waits = [wait for name in scene.fleet.groups for wait in scene.waits(name)]
    assert len(waits) == 4 * groups
    assert all(wait.is_open for wait in waits)
    assert len(scene.calls(HOOKS)) < groups + 40
