"""Held against reality: captured API calls, made again to the simulator, answer as AWS did.

What the files leave out stands here as a prelude, with its times: from captures/README.md, from the causes of
the captured activities, and from the recordings that it names as their source.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from simulator import moves
from simulator.latencies import CAPTURED
from tests.simulation.reality import Capture, Found, Rerun, Step, differences, read

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "captures"


def at(clock: str) -> datetime:
    """That time of the day on which all was captured."""
    return datetime.fromisoformat(f"2026-09-27T{clock}").replace(tzinfo=UTC)


def step(clock: str, operation: str, **given: Any) -> Step:
    return Step(at=at(clock), operation=operation, input=given)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def taking(
    notice: float = 11,
    terminate: float = 21.5,
    to_wait: float = 0.7,
    into_pool: float = 40,
    replacing: float = 1.5,
) -> Any:
    """The captured latencies, with what AWS took here: every one is drawn anew each time."""
    return replace(
        CAPTURED,
        notice=seconds(notice),
        replace=seconds(replacing),
        to_wait=dict(CAPTURED.to_wait) | {moves.TERMINATE: seconds(to_wait)},
        to_end=dict(CAPTURED.to_end)
        | {moves.TERMINATE: seconds(terminate), moves.LAUNCH_INTO_POOL: seconds(into_pool)},
    )


def hook(transition: str, timeout: int, result: str) -> dict[str, Any]:
    return {
        "LifecycleHookName": {"LAUNCHING": "launch", "TERMINATING": "terminate"}[transition],
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
        "HeartbeatTimeout": timeout,
        "DefaultResult": result,
    }


BOTH_HOOKS: Final = [hook("LAUNCHING", 120, "ABANDON"), hook("TERMINATING", 120, "CONTINUE")]


def group(clock: str, most: int, hooks: list[dict[str, Any]]) -> Step:
    return step(
        clock,
        "CreateAutoScalingGroup",
        MinSize=0,
        MaxSize=most,
        DesiredCapacity=0,
        **({"LifecycleHookSpecificationList": hooks} if hooks else {}),
    )


CONTROLS = Capture(name="controls", prelude=[group("04:49:11", 3, [])], paces={at("04:49:11"): CAPTURED})
LIFECYCLE_MAIN = Capture(
    name="lifecycle_main",
    prelude=[
        group("05:29:00", 2, BOTH_HOOKS),
        step("05:29:31", "SetDesiredCapacity", DesiredCapacity=1),
        step("05:31:11.5", "SetInstanceProtection", InstanceIds=["<instance 1>"], ProtectedFromScaleIn=True),
        step("05:31:40", "SetDesiredCapacity", DesiredCapacity=1),
        step("05:31:48.4", "SetInstanceHealth", InstanceId="<instance 1>", HealthStatus="Unhealthy"),
        step("05:32:16", "SetDesiredCapacity", DesiredCapacity=0),
        step("05:33:13", "SetDesiredCapacity", DesiredCapacity=1),
        step("05:34:52", "DeleteAutoScalingGroup", ForceDelete=True),
    ],
    # From each request to the StartTime of its activity; the last, from the force delete to the EndTime.
    # At 05:32:15 the first instance was gone, and the group was next looked at six seconds later.
    paces={
        at("05:29:00"): taking(notice=16.4),
        at("05:31:11"): taking(notice=6.6),
        at("05:32:15"): taking(notice=6, replacing=6),
        at("05:33:13"): taking(notice=2.8),
        at("05:34:52"): taking(terminate=42.4),
    },
    lags={"replacement-inservice-0": seconds(0.3)},
    differences={
        "protected-scale-in-activities.output.Activities: 1 recorded, 2 simulated": (
            "the file keeps the newest activity only; the launch before it was there"
        )
    },
)
LIFECYCLE_RECOVERY = Capture(
    name="lifecycle_recovery",
    prelude=[
        group("05:37:30", 2, BOTH_HOOKS),
        step("05:38:05", "UpdateAutoScalingGroup", MinSize=1, MaxSize=2, DesiredCapacity=1),
        step(
            "05:39:05.6",
            "CompleteLifecycleAction",
            LifecycleHookName="launch",
            LifecycleActionToken="<token 1>",
            LifecycleActionResult="CONTINUE",
        ),
        step("05:39:30", "SetInstanceProtection", InstanceIds=["<instance 1>"], ProtectedFromScaleIn=True),
        # The moment at which AWS began to answer it; the request was up to two seconds earlier.
        step("05:40:04.2", "DeleteAutoScalingGroup", ForceDelete=True),
    ],
    paces={at("05:37:30"): taking(notice=13.1, terminate=61.8)},
)
RETENTION = Capture(
    name="retention",
    prelude=[
        step(
            "10:21:09.57",
            "TerminateInstanceInAutoScalingGroup",
            InstanceId="<instance 1>",
            ShouldDecrementDesiredCapacity=False,
        ),
        step(
            "10:24:13.77",
            "CompleteLifecycleAction",
            LifecycleHookName="terminate",
            InstanceId="<instance 1>",
            LifecycleActionResult="CONTINUE",
        ),
        # How it was cleaned up is not known: a force delete, which the policy of the group forbids.
        step(
            "10:25:10",
            "UpdateAutoScalingGroup",
            InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "terminate"}},
        ),
        step("10:25:10.5", "DeleteAutoScalingGroup", ForceDelete=True),
    ],
    # A hook began within half a second, and EC2 took more than 47 s: the released instance still
    # proceeded then.
    paces={at("10:20:31"): taking(notice=12.5, replacing=1.9, to_wait=0.45, terminate=60)},
    lags={"explicit-retention-observed-0": seconds(0.4)},
    differences={
        "simulated only: EC2 Instance Terminate Successful, <instance 1>, AutoScalingGroup to EC2, "
        "Terminate, MidTerminatingLifecycleAction": (
            "the released instance was still shutting down when it was last read, and no such event had "
            "come when the capture ended"
        )
    },
)
WARM_POOL_LIFECYCLE = Capture(
    name="warm_pool_lifecycle",
    prelude=[
        group("11:20:02.54", 0, BOTH_HOOKS),
        step("11:20:16.52", "UpdateAutoScalingGroup", MaxSize=1),
        step("11:20:16.71", "PutWarmPool"),
        step(
            "11:21:21.29",
            "RecordLifecycleActionHeartbeat",
            LifecycleHookName="launch",
            InstanceId="<instance 1>",
        ),
        step(
            "11:21:21.87",
            "CompleteLifecycleAction",
            LifecycleHookName="launch",
            InstanceId="<instance 1>",
            LifecycleActionResult="CONTINUE",
        ),
        step("11:21:57", "SetDesiredCapacity", DesiredCapacity=1),
        # The moment at which AWS began to answer it; the request was about five seconds earlier.
        step("11:22:50.5", "DeleteAutoScalingGroup", ForceDelete=True),
    ],
    paces={
        at("11:20:02"): taking(notice=11.7, into_pool=31.7),
        at("11:21:57"): taking(notice=5.6),
    },
    differences={
        "simulated only: EC2 Instance Terminate Successful, <instance 1>, AutoScalingGroup to EC2, "
        "Terminate, MidTerminatingLifecycleAction": (
            "the hook of the force delete had run out by then; no such event had come when the capture ended"
        ),
    },
)
SQS_TARGET = Capture(
    name="sqs_target_test_notifications",
    prelude=[group("07:12:00", 1, [])],
    paces={at("07:12:00"): taking(notice=8.3)},
    differences={
        "simulated only: EC2 Instance-launch Lifecycle Action, <instance 1>, EC2 to AutoScalingGroup, "
        "Launch": "the file has the queue of the hooks, which was gone, and no bus",
        "simulated only: EC2 Instance Launch Successful, <instance 1>, EC2 to AutoScalingGroup, Launch, "
        "InProgress": "the file has the queue of the hooks, which was gone, and no bus",
    },
)
CAPTURES: Final = (
    CONTROLS,
    LIFECYCLE_MAIN,
    LIFECYCLE_RECOVERY,
    RETENTION,
    WARM_POOL_LIFECYCLE,
    SQS_TARGET,
)


@pytest.fixture
def captures() -> Path:
    if not FOLDER.is_dir():
        pytest.skip("the recorded AWS traffic is not here (../shared/captures)")
    return FOLDER


def rerun(folder: Path, capture: Capture) -> Found:
    return Rerun(capture, read(folder, capture.name)).run()


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_the_simulator_answers_as_aws_did_but_for_the_named_differences(
    captures: Path, capture: Capture
) -> None:
    assert rerun(captures, capture).differences == list(capture.differences)


def test_the_figures_that_the_documentation_states(captures: Path) -> None:
    found = [rerun(captures, capture) for capture in CAPTURES]
    assert sum(one.matched_calls for one in found) == 67
    assert sum(one.matched_events for one in found) == 30
    assert sum(len(one.differences) for one in found) == 5
    assert sum(one.prelude_calls for one in found) == 26
    assert sum(one.queue_calls for one in found) == 2
    assert sum(len(capture.lags) for capture in CAPTURES) == 2


def test_every_capture_is_rerun_whole(captures: Path) -> None:
    names = {file.name.removesuffix(".calls.jsonl") for file in captures.glob("*.calls.jsonl")}
    assert names == {capture.name for capture in CAPTURES}
    recorded = [read(captures, name) for name in names]
    assert sum(len(one.calls) for one in recorded) == 70
    assert sum(len(one.events) + len(one.messages) for one in recorded) == 30


@pytest.mark.parametrize("capture", [LIFECYCLE_MAIN, RETENTION], ids=lambda capture: capture.name)
def test_a_read_that_lagged_is_told_where_its_lag_is_not_scripted(captures: Path, capture: Capture) -> None:
    told = set(rerun(captures, replace(capture, lags={})).differences) - set(capture.differences)
    assert {difference.split(".")[0] for difference in told} == set(capture.lags)


def test_a_step_that_is_left_out_is_told_by_calls_and_by_events(captures: Path) -> None:
    without = replace(LIFECYCLE_RECOVERY, prelude=LIFECYCLE_RECOVERY.prelude[:-1])
    told = rerun(captures, without).differences
    assert [one for one in told if one.startswith("recovery/force-deleted-group-4")]
    assert [one for one in told if one.startswith("recorded only: EC2 Instance Terminate Successful")]


SOON, LATE = "2026-09-27T05:00:01Z", "2026-09-27T05:00:09Z"


@pytest.mark.parametrize(
    ("recorded", "simulated", "told"),
    [
        pytest.param({"Progress": 60}, {"Progress": 60, "More": 1}, [], id="what was not recorded is free"),
        pytest.param({"Progress": 60}, {}, ["x.Progress: 60 recorded, None simulated"], id="a lost member"),
        pytest.param({"ActivityId": "a"}, {"ActivityId": "b"}, [], id="an id of the account"),
        pytest.param({"time": "2026-09-27T05:00:00Z"}, {"time": SOON}, [], id="a time within the tolerance"),
        pytest.param(
            {"time": SOON},
            {"time": LATE},
            [f"x.time: {SOON} recorded, {LATE} simulated"],
            id="a time beyond it",
        ),
        pytest.param({"Cause": f"At {SOON} so."}, {"Cause": f"At {LATE} so."}, [], id="the time in a cause"),
        pytest.param(
            {"Cause": f"At {SOON} so."},
            {"Cause": f"At {SOON} no."},
            ["x.Cause: another text"],
            id="another cause",
        ),
        pytest.param(
            [{"InstanceId": "a"}, {"InstanceId": "b"}],
            [{"InstanceId": "b"}, {"InstanceId": "a"}],
            [],
            id="instances in any order",
        ),
        pytest.param(
            ["a", "b"], ["b"], ["x: 2 recorded, 1 simulated", "x.1: 'a' recorded, 'b' simulated"], id="a list"
        ),
    ],
)
def test_the_comparison_tells_what_is_unlike(recorded: Any, simulated: Any, told: list[str]) -> None:
    assert list(differences(recorded, simulated, "x")) == told
