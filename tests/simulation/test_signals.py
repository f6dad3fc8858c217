"""Signals as facts, through the real handlers: every action that one concerns hears it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import at
from usher.core import configuration, evidence
from usher_simulator.replay.replay import Entry, Replayed, replay

if TYPE_CHECKING:
    from usher.core.policy import Configuration

INSTANCE = "i-0f0e0d0c0b0a09080"


def hooks_of(*hooks: tuple[str, str, str], **policy: Any) -> Configuration:
    """Hooks, each with a name, a transition and the signal that it waits for."""
    return configuration.parse(
        {
            "version": 1,
            "policies": {name: {"until": [{"signal": signal}], **policy} for name, _, signal in hooks},
            "hooks": [
                {"name": name, "group": "w", "transition": transition, "policy": name}
                for name, transition, _ in hooks
            ],
        }
    )


def stamp(seconds: float) -> str:
    return at(seconds).isoformat().replace("+00:00", "Z")


def notice(seconds: float, hook: str, token: str, transition: str = "TERMINATING", **places: str) -> Entry:
    said = {
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
        "LifecycleHookName": hook,
        "AutoScalingGroupName": "w",
        "EC2InstanceId": INSTANCE,
        "LifecycleActionToken": token * 36,
        "Time": stamp(seconds),
        **({"Origin": "AutoScalingGroup", "Destination": "EC2"} | places),
    }
    return Entry(source="test", received_at=at(seconds), body=json.dumps(said))


def signal(seconds: float, name: str, status: str, **detail: Any) -> Entry:
    said = {"InstanceId": INSTANCE, "Signal": name, "Status": status} | detail
    present = {key: value for key, value in said.items() if value is not None}
    event = {
        "id": f"{seconds}-{name}-{status}",
        "source": "usher.signal",
        "detail-type": "Usher Signal",
        "time": stamp(seconds),
        "detail": present,
    }
    return Entry(source="test", received_at=at(seconds), body=json.dumps(event))


def ends(replayed: Replayed) -> dict[str, str]:
    """By token: how each action ended."""
    actions = replayed.world.store.actions()
    return {(action.token or "")[0]: f"{action.result}: {action.reason}" for action in actions}


def test_both_hooks_of_an_instance_hear_its_progress() -> None:
    """Each says progress every two minutes, and neither stalls, whoever looks first."""
    hooks = hooks_of(
        ("jobs", "terminating", "jobs-finished"), ("logs", "terminating", "logs-shipped"), stalled_after="5m"
    )
    told = [notice(0, "jobs", "a"), notice(0, "logs", "b")]
    for minute in range(2, 31, 2):
        told += [
            signal(minute * 60 + n, name, "progress")
            for n, name in enumerate(("jobs-finished", "logs-shipped"))
        ]
    told += [signal(1900, "jobs-finished", "done"), signal(1900, "logs-shipped", "done")]

    replayed = replay(told, hooks)

    assert ends(replayed) == {
        "a": "CONTINUE: done: signal jobs-finished says done",
        "b": "CONTINUE: done: signal logs-shipped says done",
    }


def test_both_hooks_of_an_instance_hear_one_signal() -> None:
    hooks = hooks_of(("jobs", "terminating", "idle"), ("logs", "terminating", "idle"))
    replayed = replay([notice(0, "jobs", "a"), notice(1, "logs", "b"), signal(60, "idle", "done")], hooks)

    assert set(ends(replayed).values()) == {"CONTINUE: done: signal idle says done"}


def test_what_ended_one_life_in_the_warm_pool_does_not_end_the_next() -> None:
    hooks = hooks_of(("up", "launching", "ready"), give_up_after="10m")
    told = [
        notice(0, "up", "a", "LAUNCHING", Origin="EC2", Destination="WarmPool"),
        signal(5, "ready", "done"),
        notice(30, "up", "b", "LAUNCHING", Origin="WarmPool", Destination="AutoScalingGroup"),
    ]

    assert ends(replay(told, hooks)) == {
        "a": "CONTINUE: done: signal ready says done",
        "b": "ABANDON: gave up after 10m",
    }
    again = signal(40, "ready", "done")
    assert ends(replay([*told, again], hooks))["b"] == "CONTINUE: done: signal ready says done"


def test_what_ended_one_life_does_not_end_the_next_whose_notice_came_before_its_own() -> None:
    """Both come late, the notice of the first life and what ended it: seed 1665."""
    hooks = hooks_of(("drain", "terminating", "drained"), give_up_after="10m")
    late = [notice(0, "drain", "a", Destination="WarmPool"), signal(5, "drained", "done")]
    told = [
        notice(30, "drain", "b", Origin="WarmPool"),
        *[replace(each, received_at=at(seconds)) for each, seconds in zip(late, (35, 40), strict=True)],
    ]

    assert ends(replay(told, hooks))["b"] == "ABANDON: gave up after 10m"
    assert ends(replay([*told, signal(60, "drained", "done")], hooks))["b"].endswith("drained says done")


JOBS = hooks_of(("jobs", "terminating", "jobs-finished"), give_up_after="20m")


@pytest.mark.parametrize(
    ("entry", "unknown", "reason"),
    [
        pytest.param(signal(60, "jobs-finished", "failed"), 0, "", id="one that is waited for"),
        pytest.param(
            signal(60, "jobs-finnished", "done"), 1,
            f"no policy of {INSTANCE} waits for signal jobs-finnished", id="a slip of the pen",
        ),
        pytest.param(
            signal(60, "jobs-finished", "done", InstanceId=None, LifecycleActionToken="z" * 36), 1,
            f"no action has token {'z' * 36} yet: jobs-finished counts once one has it", id="nobody's token",
        ),
        pytest.param(
            signal(60, "jobs-finished", "done", InstanceId=None, LifecycleActionToken="a" * 36), 0, "",
            id="its token",
        ),
        pytest.param(
            signal(60, "jobs-finished", "done", InstanceId="i-0early"), 0, "", id="an instance yet unknown"
        ),
    ],
)  # fmt: skip
def test_a_signal_that_nobody_waits_for_is_told(entry: Entry, unknown: int, reason: str) -> None:
    replayed = replay([notice(0, "jobs", "a"), entry], JOBS)

    assert replayed.world.recorder.counts["UnknownSignals"] == unknown
    assert [(taken.kind, taken.reason) for taken in replayed.taken][1:] == [("signal", reason)]


def test_a_signal_beyond_the_names_that_are_kept_is_told_and_taken() -> None:
    others = [signal(n, f"name-{n}", "done") for n in range(evidence.MOST_NAMES)]

    replayed = replay([*others, notice(60, "jobs", "a"), signal(70, "jobs-finished", "done")], JOBS)

    assert replayed.taken[-1].reason == "jobs-finished is not stored: 50 other names are"
    assert replayed.world.recorder.counts["SignalsRefused"] == 1
    assert ends(replayed)["a"].endswith("gave up after 20m")


def test_a_signal_by_token_that_comes_before_the_notice_counts_once_the_token_is_known() -> None:
    early = signal(0, "jobs-finished", "done", InstanceId=None, LifecycleActionToken="a" * 36)

    replayed = replay([early, notice(3600, "jobs", "a")], JOBS)

    assert ends(replayed) == {"a": "CONTINUE: done: signal jobs-finished says done"}


def test_progress_leaves_the_record_alone_but_once_a_minute() -> None:
    hooks = hooks_of(("jobs", "terminating", "jobs-finished"), stalled_after="5m")
    told = [signal(60 + n, "jobs-finished", "progress") for n in range(600)]

    replayed = replay([notice(0, "jobs", "a"), *told], hooks)

    (action,) = replayed.world.store.actions()
    assert action.version < 60
    assert action.reason == "stalled: no progress for 5m"
    assert action.closed_at == at(659 + 300)
