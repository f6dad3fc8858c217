"""Replay of single messages: how long an instance is held, and what ends it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from usher.core import configuration
from usher_cli.report import report
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from usher.core.policy import Configuration

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = "11111111-2222-4333-8444-555555555555"


def hooks(timeout: str, until: list[Any], **policy: Any) -> Configuration:
    return configuration.parse(
        {
            "version": 1,
            "policies": {"p": {"until": until, **policy}},
            "hooks": [
                {
                    "name": "drain",
                    "group": "web-*",
                    "transition": "terminating",
                    "heartbeat_timeout": timeout,
                    "default_result": "ABANDON",
                    "policy": "p",
                }
            ],
        }
    )


def message(**changes: Any) -> dict[str, Any]:
    return {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": "web-1",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "EC2InstanceId": "i-0123456789abcdef0",
        "LifecycleActionToken": TOKEN,
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "Service": "AWS Auto Scaling",
        "Time": "2026-03-01T12:00:00.000Z",
    } | changes


def event(detail: dict[str, Any], kind: str, at: str, source: str = "aws.autoscaling") -> dict[str, Any]:
    return {
        "id": f"{kind} {at}".replace(" ", "-"),
        "detail-type": kind,
        "source": source,
        "time": at,
        "detail": detail,
    }


def lifecycle_event() -> dict[str, Any]:
    return event(message(), "EC2 Instance-terminate Lifecycle Action", "2026-03-01T12:00:00Z")


def terminated(at: str) -> dict[str, Any]:
    detail = {
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "EC2InstanceId": "i-0123456789abcdef0",
        "AutoScalingGroupName": "web-1",
        "ActivityId": "activity-1",
        "StartTime": "2026-03-01T11:59:59.500Z",
        "EndTime": at,
    }
    return event(detail, "EC2 Instance Terminate Successful", at)


def signalled(status: str, at: str, name: str = "done") -> dict[str, Any]:
    detail = {"InstanceId": "i-0123456789abcdef0", "Signal": name, "Status": status}
    return event(detail, "Usher Signal", at, "usher.signal")


def entry(body: dict[str, Any], after_s: float | None = None) -> Entry:
    received_at = None if after_s is None else START + timedelta(seconds=after_s)
    return Entry(source="test", received_at=received_at, body=json.dumps(body))


def replayed(configuration: Configuration, *entries: Entry) -> dict[str, Any]:
    return report(replay(entries, configuration), [])


def held_s(action: dict[str, Any]) -> float:
    return (datetime.fromisoformat(action["closed_at"]) - START).total_seconds()


def test_a_30_second_hook_is_held_for_10_minutes_and_then_completed() -> None:
    told = replayed(hooks("30s", [{"elapsed": "10m"}]), entry(message(), 1))
    (action,) = told["actions"]
    assert (action["outcome"], action["result"]) == ("completed", "CONTINUE")
    assert 600 <= held_s(action) <= 605
    assert 0 < action["heartbeats"] <= 45


def test_a_30_second_hook_that_nothing_ends_is_decided_before_its_global_timeout() -> None:
    told = replayed(hooks("30s", [{"signal": "never"}]), entry(message(), 1))
    (action,) = told["actions"]
    assert (action["outcome"], action["result"], action["reason"]) == (
        "completed",
        "ABANDON",
        "gave up after 47m30s",
    )
    assert held_s(action) < 3000


def test_a_one_hour_hook_needs_no_heartbeat_for_20_minutes() -> None:
    told = replayed(hooks("1h", [{"elapsed": "20m"}]), entry(message(), 1))
    (action,) = told["actions"]
    assert (action["outcome"], action["heartbeats"]) == ("completed", 0)
    assert 1200 <= held_s(action) <= 1205


@pytest.mark.parametrize("timeout", ["30s", "31s", "45s", "1m", "2m", "4m59s", "5m", "10m", "1h", "2h"])
def test_no_heartbeat_timeout_lets_an_instance_fall_to_its_default(timeout: str) -> None:
    told = replayed(hooks(timeout, [{"elapsed": "46h"}]), entry(message(), 1))
    (action,) = told["actions"]
    assert action["outcome"] == "completed"
    assert told["summary"]["defaulted"] == 0


def test_one_action_from_two_channels_has_one_result() -> None:
    told = replayed(hooks("5m", []), entry(message(), 1), entry(lifecycle_event(), 40))
    (action,) = told["actions"]
    assert action["received_by"] == ["sqs", "eventbridge"]
    assert (action["outcome"], action["result"]) == ("completed", "CONTINUE")
    assert (told["summary"]["lifecycle"], told["summary"]["duplicate"]) == (1, 1)
    assert sum(line["detail"].startswith("CompleteLifecycleAction") for line in action["timeline"]) == 1


def test_ten_copies_are_one_action() -> None:
    told = replayed(hooks("5m", []), *(entry(message(), second) for second in range(10)))
    assert len(told["actions"]) == 1
    assert (told["summary"]["received"], told["summary"]["duplicate"]) == (10, 9)


def test_an_outcome_that_arrives_before_its_late_notice_ends_the_action_elsewhere() -> None:
    done = terminated("2026-03-01T12:00:20.000Z")
    told = replayed(hooks("5m", []), entry(done, 25), entry(message(), 100))
    (action,) = told["actions"]
    assert (action["outcome"], action["result"]) == ("ended_elsewhere", None)


def test_an_outcome_makes_a_waiting_action_ask_and_close() -> None:
    done = terminated("2026-03-01T12:10:00.000Z")
    told = replayed(hooks("1h", [{"signal": "done"}]), entry(message(), 1), entry(done, 640))
    (action,) = told["actions"]
    assert action["outcome"] == "ended_elsewhere"
    assert held_s(action) < 645
    assert "Terminate Successful" in action["reason"]


def test_a_notice_that_comes_after_its_timeout_is_ended_elsewhere_and_not_defaulted() -> None:
    told = replayed(hooks("30s", [{"elapsed": "10m"}]), entry(message(), 31))
    (action,) = told["actions"]
    assert (action["outcome"], action["result"]) == ("ended_elsewhere", None)
    assert told["summary"]["defaulted"] == 0


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_signal_that_came_before_its_action_counts(status: str) -> None:
    early = entry(signalled(status, "2026-03-01T11:59:30Z"), -29)
    told = replayed(hooks("5m", [{"signal": "done"}]), early, entry(message(), 2))
    (action,) = told["actions"]
    assert action["result"] == {"done": "CONTINUE", "failed": "ABANDON"}[status]
    assert held_s(action) < 5


def test_a_signal_counts_for_one_action_only() -> None:
    second = message(
        LifecycleActionToken="22222222-2222-4333-8444-555555555555", Time="2026-03-01T12:00:40.000Z"
    )
    told = replayed(
        hooks("5m", [{"signal": "done"}], give_up_after="10m"),
        entry(message(), 1),
        entry(signalled("done", "2026-03-01T12:00:10Z"), 11),
        entry(second, 41),
    )
    assert [action["reason"] for action in told["actions"]] == [
        "done: signal done says done",
        "gave up after 10m",
    ]


def test_progress_holds_off_stalling() -> None:
    policy = hooks("5m", [{"signal": "done"}], stalled_after="10m", on_failure="CONTINUE")
    progress = entry(signalled("progress", "2026-03-01T12:08:00Z"), 481)
    told = replayed(policy, entry(message(), 1), progress)
    (action,) = told["actions"]
    assert action["reason"] == "stalled: no progress for 10m"
    assert 1080 <= held_s(action) <= 1085


def test_observe_mode_calls_nothing_and_says_what_it_would_have_sent() -> None:
    world = replay([entry(message(), 1)], hooks("30s", [{"elapsed": "2m"}], mode="observe"))
    (action,) = report(world, [])["actions"]
    assert (action["outcome"], action["result"], action["heartbeats"]) == ("ended_elsewhere", None, 0)
    assert action["reason"] == "observe mode: would have sent CONTINUE: done: 2m elapsed"
    assert not [line for line in action["timeline"] if line["event"] == "answer"]


def test_a_replay_of_the_same_messages_is_the_same_to_the_byte() -> None:
    entries = [
        entry(message(), 1),
        entry(lifecycle_event(), 90),
        entry(signalled("done", "2026-03-01T12:20:00Z")),
    ]
    first, second = (json.dumps(replayed(hooks("30s", [{"signal": "done"}]), *entries)) for _ in range(2))
    assert first == second


def test_messages_are_delivered_in_the_order_of_time_whatever_their_order_in_the_file() -> None:
    entries = [entry(signalled("done", "2026-03-01T12:02:00Z"), 121), entry(message(), 1)]
    told = replayed(hooks("5m", [{"signal": "done"}]), *entries)
    (action,) = told["actions"]
    assert 120 <= held_s(action) <= 125


def test_what_is_not_configured_is_ignored_and_recorded_nowhere() -> None:
    strangers = [
        message(AutoScalingGroupName="db-1"),
        message(LifecycleHookName="other"),
        message(LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING"),
    ]
    told = replayed(hooks("5m", []), *(entry(body, 1) for body in strangers))
    assert (told["summary"]["ignored"], told["summary"]["actions"]) == (3, 0)
    assert [place["reason"] for place in told["ignored"]] == [
        "hook drain of group db-1 is not configured for terminating",
        "hook other of group web-1 is not configured for terminating",
        "hook drain of group web-1 is not configured for launching",
    ]


LAUNCH_FAILED = {
    "version": 1,
    "policies": {
        "gate": {"until": [{"signal": "done"}]},
        "work": {"until": [{"elapsed": "10m"}]},
        "park": {"until": []},
    },
    "hooks": [
        {"name": "gate", "group": "web-1", "transition": "launching", "policy": "gate"},
        {
            "name": "drain",
            "group": "web-1",
            "transition": "terminating",
            "policy": [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "work"}],
        },
    ],
}


@pytest.mark.parametrize(("status", "policy"), [("failed", "park"), ("done", "work")])
def test_a_termination_after_a_failed_launch_is_known_as_such(status: str, policy: str) -> None:
    launch = message(
        LifecycleHookName="gate",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        LifecycleActionToken="22222222-2222-4333-8444-555555555555",
        Origin="EC2",
        Destination="AutoScalingGroup",
        Time="2026-03-01T11:50:00.000Z",
    )
    told = replayed(
        configuration.parse(LAUNCH_FAILED),
        entry(launch, -599),
        entry(signalled(status, "2026-03-01T11:59:58Z"), -1),
        entry(message(), 1),
    )
    assert [action["policy"] for action in told["actions"]] == ["gate", policy]


def test_a_poison_message_stops_nothing_else() -> None:
    poison = Entry(source="bad", received_at=START, body='{"LifecycleTransition": 5}')
    outcome = replay([poison, entry(message(), 1)], hooks("5m", []))
    told = report(outcome, [])
    assert told["summary"]["rejected"] == 1
    assert told["actions"][0]["outcome"] == "completed"
    ((body, reason),) = outcome.world.dead_letters.letters
    assert body == poison.body
    assert reason.startswith("Time must be a time")


def test_the_notice_of_a_removed_hook_still_belongs_to_its_open_action() -> None:
    """Promise 5: an action is finished under the terms of its start."""
    old = replay([entry(message(), 1)], hooks("5m", [{"elapsed": "10m"}])).world
    (action,) = old.store.actions()
    assert action.policy.source == '{"until":[{"elapsed":"10m"}]}'
    assert action.hook.heartbeat_timeout == timedelta(minutes=5)
