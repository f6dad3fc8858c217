"""`usher show` as people on call meet it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_finding, a_policy, a_signal, an_activity_end, as_closed, at, hook_terms
from tests.memory_account import MemoryStack, deployed, refused
from usher.core.action import Code, OperatorNote, Status
from usher.core.finding import Findings

if TYPE_CHECKING:
    from usher.core.action import Action

__all__ = ["deployed"]  # a fixture

ANN = OperatorNote(who="arn:aws:iam::1:user/ann", at=at(30), reason="an import runs")
INSTANCE = "i-0f0e0d0c0b0a09080"
FOUND = a_finding(detail="draining, tasks: 3 RUNNING", asked_at=at(500), ask_again_at=at(520))


def a_long_wait(deployed: MemoryStack) -> Action:
    """Ten minutes of a five-minute hook: two heartbeats, held by an operator."""
    action = deployed.opened(
        hook=hook_terms(heartbeat_timeout=timedelta(minutes=5)),
        policy=a_policy([{"ecs": "drained"}, {"signal": "jobs-finished"}], give_up_after="45m"),
        received_by=("sqs",),
    )
    for begun, answered, answer in ((270, 271, "accepted"), (500, 501, "busy"), (515, 515.5, "accepted")):
        action = action.noted(at(begun), "heartbeat", "waits: ecs drained: not asked yet")
        code = Code.HEARTBEAT_ACCEPTED if answer == "accepted" else ""
        action = action.noted(at(answered), "answer", f"RecordLifecycleActionHeartbeat: {answer}", code)
    action = action.noted(at(520), "wait", "waits").noted(at(540), "wait", "waits")
    action = replace(
        action,
        version=2,
        evaluation_id="another",
        heartbeats=2,
        beaten_at=at(515),
        signals=(a_signal(status=Status.PROGRESS, message="2 of 3"),),
        operator_hold=ANN,
        evaluate_at=at(560),
    )
    deployed.records.save(action)
    deployed.records.keep_findings(action, Findings(turn=1, found=(FOUND,)))
    deployed.now = at(545)
    return action


def test_an_open_action_is_shown_with_its_state_and_deadlines(deployed: MemoryStack) -> None:
    a_long_wait(deployed)
    outcome = deployed.usher("show", "i-0f0e0d0c0b0a09080")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == [
        (
            "i-0f0e0d0c0b0a09080 terminating in workers-1 · hook usher-drain · policy drain-workers · "
            "AutoScalingGroup → EC2"
        ),
        "  id action-1 · token c613620e-07e2-4ed2-a9e2-ef8258911ade",
        "  held, 9m5s after its start",
        (
            "  expires in 4m30s, at 2026-03-01T12:13:35Z "
            "(default result ABANDON, unless a heartbeat is sent before)"
        ),
        "  gives up in 35m55s, at 2026-03-01T12:45:00Z · can be extended to 2026-03-01T20:19:35Z",
        "  pending  ecs drained: draining, tasks: 3 RUNNING (asked 45s ago)",
        "  pending  signal jobs-finished says progress: 2 of 3",
        "  held by arn:aws:iam::1:user/ann at 2026-03-01T12:00:30Z: an import runs",
        "  signal jobs-finished progress at 2026-03-01T12:01:00Z: 2 of 3",
        "  heartbeats 2, smallest margin 30s, last margin 55s",
        "  timeline",
        "    2026-03-01T12:04:30Z  heartbeat waits: ecs drained: not asked yet",
        "    2026-03-01T12:04:31Z  answer    RecordLifecycleActionHeartbeat: accepted",
        "    2026-03-01T12:08:20Z  heartbeat waits: ecs drained: not asked yet",
        "    2026-03-01T12:08:21Z  answer    RecordLifecycleActionHeartbeat: busy",
        "    2026-03-01T12:08:35Z  heartbeat waits: ecs drained: not asked yet",
        "    2026-03-01T12:08:35Z  answer    RecordLifecycleActionHeartbeat: accepted",
        "    2026-03-01T12:08:40Z  wait      waits (x2, last 2026-03-01T12:09:00Z)",
        "",
    ]


def test_the_json_has_what_the_list_has_and_the_whole_record(deployed: MemoryStack) -> None:
    a_long_wait(deployed)
    shown = deployed.json("show", "action-1")
    assert shown["at"] == "2026-03-01T12:09:05.000Z"
    (action,) = shown["actions"]
    (listed,) = deployed.json("list")["actions"]
    assert listed.items() <= action.items()
    assert set(action) - set(listed) == {
        "origin", "destination", "outcome", "first_seen_at", "ends_at", "heartbeat_timeout_s",
        "default_result", "received_by", "findings", "signals", "activity_end", "move_end",
        "instance_ended_at", "stopped_at", "heartbeat_margins", "beats", "timeline",
    }  # fmt: skip
    assert (
        action["beats"]
        == action["heartbeat_margins"]
        == [
            {"at": "2026-03-01T12:04:30.000Z", "to_expiry_s": 30},
            {"at": "2026-03-01T12:08:35.000Z", "to_expiry_s": 55},
        ]
    )
    assert action["findings"] == [
        {
            "condition": "ecs drained",
            "status": "pending",
            "standing": "pending",
            "detail": "draining, tasks: 3 RUNNING",
            "asked_at": "2026-03-01T12:08:20.000Z",
            "ask_again_at": "2026-03-01T12:08:40.000Z",
        }
    ]
    assert action["timeline"][-1] == {
        "at": "2026-03-01T12:08:40.000Z",
        "last_at": "2026-03-01T12:09:00.000Z",
        "count": 2,
        "event": "wait",
        "detail": "waits",
    }


@pytest.mark.parametrize(
    ("end", "line"),
    [
        pytest.param(
            {}, "  terminated at 2026-03-01T12:02:00Z: EC2 Instance Terminate Successful", id="an event tells"
        ),
        pytest.param(
            {"is_event": False, "detail": "the instance is InService"},
            "  no outcome event, but the instance is InService",
            id="in doubt",
        ),
    ],
)
def test_a_closed_action_is_shown_with_how_it_and_its_activity_ended(
    deployed: MemoryStack, end: dict[str, Any], line: str
) -> None:
    action = deployed.opened()
    closed = replace(action, version=2, activity_end=an_activity_end(**end), **as_closed())
    deployed.records.save(closed)
    lines = deployed.usher("show", "i-0f0e0d0c0b0a09080").stdout.splitlines()
    ending = "  completed CONTINUE at 2026-03-01T12:01:30Z, after 1m30s: done: signal jobs-finished says done"
    assert lines[2] == ending
    assert line in lines
    (action,) = deployed.json("show", "action-1")["actions"]
    assert action["activity_end"] == action["move_end"]
    assert action["activity_end"]["detail"] in line


def test_nothing_shown_is_interpreted_by_a_terminal(deployed: MemoryStack) -> None:
    obeyed = OperatorNote(who="ann", at=at(0), reason="why\x1b[2J")
    action = deployed.opened(
        operator_hold=obeyed, signals=(a_signal(status=Status.PROGRESS, message="\x1b[1m2 of 3"),)
    )
    action = action.noted(at(1), "operator", "ann: hold: why\x1b[2J")
    deployed.records.save(replace(action, version=2, evaluation_id="another"))
    shown = deployed.usher("show", "action-1").stdout
    assert "\x1b" not in shown
    assert "  held by ann at 2026-03-01T12:00:00Z: why\\x1b[2J\n" in shown
    assert ": \\x1b[1m2 of 3\n" in shown
    assert "operator  ann: hold: why\\x1b[2J\n" in shown


def test_all_actions_of_an_instance_are_shown_oldest_first(deployed: MemoryStack) -> None:
    deployed.opened(id="second", token="b" * 36, started_at=at(600))
    deployed.opened(id="first", token="a" * 36)
    shown = deployed.json("show", "i-0f0e0d0c0b0a09080")
    assert [action["id"] for action in shown["actions"]] == ["first", "second"]


def test_the_end_of_the_instance_itself_is_shown(deployed: MemoryStack) -> None:
    deployed.opened(instance_ended_at=at(60), token=None)
    lines = deployed.usher("show", "action-1").stdout.splitlines()
    assert "  EC2 ended the instance at 2026-03-01T12:01:00Z" in lines
    assert lines[1] == "  id action-1 · token none (adopted)"


def test_a_record_that_cannot_be_read_is_told_beside_the_others_of_its_instance(
    deployed: MemoryStack,
) -> None:
    deployed.opened(**as_closed())
    deployed.opened(id="action-2", token="d" * 36, started_at=at(600))
    deployed.records.unreadable = frozenset({"action-2"})
    outcome = deployed.usher("show", INSTANCE)
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        f"Cannot read a record of {INSTANCE}: if a newer release of Usher stored it, use `usher` of that "
        "release.\n"
    )
    assert "  completed CONTINUE at 2026-03-01T12:01:30Z" in outcome.stdout
    as_json = deployed.usher("show", INSTANCE, "--json")
    assert (as_json.exit_code, len(json.loads(as_json.stdout)["actions"])) == (1, 1)


@pytest.mark.parametrize("named", ["action-1", "c613620e-07e2-4ed2-a9e2-ef8258911ade"])
def test_a_record_of_a_newer_release_is_reported_as_such(deployed: MemoryStack, named: str) -> None:
    deployed.opened()
    deployed.records.unreadable = frozenset({"action-1"})
    assert refused(deployed.usher("show", named)) == (
        f"Error: Cannot read a record of {named}: if a newer release of Usher stored it, "
        "use `usher` of that release."
    )
