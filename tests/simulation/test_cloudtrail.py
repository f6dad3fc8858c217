"""CloudTrail in a replay: a call that AWS accepted is used as what it proves, and no other is."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from usher.core import configuration
from usher_cli import traffic
from usher_cli.report import report
from usher_cli.traffic import Unreadable
from usher_simulator.replay.cloudtrail import Call
from usher_simulator.replay.replay import Entry, replay

HOOKS: Final = configuration.parse(
    {
        "version": 1,
        "policies": {"jobs": {"until": [{"signal": "jobs-finished"}], "give_up_after": "1h"}},
        "hooks": [
            {
                "name": "drain",
                "group": "jobs-*",
                "transition": "terminating",
                "heartbeat_timeout": "10m",
                "policy": "jobs",
            }
        ],
    }
)
OTHER: Final = "444455556666"
TOKEN: Final = "0" * 36
NOTICE: Final = {
    "LifecycleActionToken": TOKEN,
    "AutoScalingGroupName": "jobs-blue",
    "LifecycleHookName": "drain",
    "EC2InstanceId": "i-1",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "AccountId": "111122223333",
    "Time": "2026-10-05T09:30:00Z",
}


def record(minute: int, name: str = "CompleteLifecycleAction", **changed: Any) -> dict[str, Any]:
    """A record of CloudTrail; `changed` are its keys, and those of its parameters."""
    parameters = {
        "autoScalingGroupName": "jobs-blue",
        "lifecycleHookName": "drain",
        "instanceId": "i-1",
        "lifecycleActionResult": "ABANDON",
    }
    parameters |= {
        key: changed.pop(key) for key in list(changed) if key in (*parameters, "lifecycleActionToken")
    }
    return {
        "eventVersion": "1.09",
        "eventTime": f"2026-10-05T09:{minute}:00Z",
        "eventSource": "autoscaling.amazonaws.com",
        "eventName": name,
        "recipientAccountId": "111122223333",
        "requestParameters": parameters,
        **changed,
    }


def told(*values: Any) -> dict[str, Any]:
    """The report of a replay."""
    found = list(traffic.read_content("f", "\n".join(map(json.dumps, values)).encode()))
    entries = [one for one in found if isinstance(one, Entry)]
    calls = [one for one in found if isinstance(one, Call)]
    unreadable = [one for one in found if isinstance(one, Unreadable)]
    replayed = report(replay(entries, HOOKS, calls=calls), unreadable)
    assert replayed["summary"]["received"] == len(values)
    return replayed


def received_at(minute: int) -> dict[str, Any]:
    return {"received_at": f"2026-10-05T09:{minute}:00Z", "body": NOTICE}


@pytest.mark.parametrize(
    "named", [{}, {"lifecycleActionToken": TOKEN, "instanceId": None}], ids=["id", "token"]
)
def test_a_completion_ends_the_wait_when_it_was_made(named: dict[str, Any]) -> None:
    replayed = told(NOTICE, record(34, **named))
    (action,) = replayed["actions"]
    assert replayed["summary"]["call"] == 1
    assert (action["outcome"], action["result"]) == ("ended_elsewhere", None)
    assert action["closed_at"] >= "2026-10-05T09:34:00.000Z"


def test_a_heartbeat_proves_that_the_action_is_open_and_restarts_its_timeout() -> None:
    """Else it would have run out at 09:40, before the message came."""
    unseen, seen = told(received_at(42)), told(received_at(42), record(38, "RecordLifecycleActionHeartbeat"))
    assert unseen["actions"][0]["outcome"] == "ended_elsewhere"
    assert seen["actions"][0]["outcome"] == "completed"
    assert seen["summary"]["call"] == 1


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (record(34, errorCode="ValidationException"), "refused, ValidationException"),
        (record(34, "PutLifecycleHook"), "autoscaling PutLifecycleHook: no notification"),
        (record(34, "RunInstances", eventSource="ec2.amazonaws.com"), "ec2 RunInstances: no notification"),
        (record(34, instanceId="i-2"), "no action of it is open here then"),
        (record(34, lifecycleHookName="other"), "no action of it is open here then"),
        (record(29), "no action of it is open here then"),
        (record(34, recipientAccountId=OTHER), f"of account {OTHER}; this is account 111122223333"),
    ],
)
def test_a_call_that_proves_nothing_is_ignored_by_name(call: dict[str, Any], reason: str) -> None:
    replayed = told(NOTICE, call)
    (ignored,) = replayed["ignored"]
    assert ignored["source"] == "f:2"
    assert ignored["reason"].startswith("a call in CloudTrail, ")
    assert reason in ignored["reason"]
    assert replayed["actions"][0]["outcome"] == "completed"


def test_an_action_is_not_known_before_it_began_whatever_a_wrapping_tells() -> None:
    """A sample's SentTimestamp is years old."""
    early = {"received_at": "2025-10-05T09:30:00Z", "body": NOTICE}
    (action,) = told(early)["actions"]
    assert action["first_seen_at"] == action["started_at"] == "2026-10-05T09:30:00.000Z"
    assert action["outcome"] == "completed"
