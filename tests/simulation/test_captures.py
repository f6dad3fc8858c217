"""The recorded AWS traffic, replayed: which actions Usher would have completed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import traffic
from cli.report import report
from simulator.replay import Entry, replay
from usher.core import configuration

CAPTURES = Path(__file__).parents[2] / ".." / "shared" / "captures"


@pytest.fixture
def captures() -> Path:
    if not CAPTURES.is_dir():
        pytest.skip("the recorded AWS traffic is not here (../shared/captures)")
    return CAPTURES


def replayed(file: Path, timeout: str) -> dict[str, Any]:
    hooks = [
        {"name": "launch", "transition": "launching", "default_result": "ABANDON"},
        {"name": "terminate", "transition": "terminating", "default_result": "CONTINUE"},
    ]
    terms = {"group": "stackd-asg-life-*", "heartbeat_timeout": timeout, "policy": "at-once"}
    parsed = configuration.parse(
        {"version": 1, "policies": {"at-once": {"until": []}}, "hooks": [hook | terms for hook in hooks]}
    )
    found = list(traffic.read((str(file),)))
    entries = [entry for entry in found if isinstance(entry, Entry)]
    assert entries == found
    return report(replay(entries, parsed), [])


# Tokens by their first characters; the times that decide stand in the captures' own README.
@pytest.mark.parametrize(
    ("name", "timeout", "received", "elsewhere", "completed"),
    [
        ("lifecycle_main", "120s", 12, {"2ecf"}, {"d76e", "0274", "8c9d", "1ba6", "2847"}),
        ("lifecycle_recovery", "120s", 4, set(), {"123c", "91ac"}),
        ("warm_pool_lifecycle", "120s", 5, {"1820", "d6c2"}, {"36b2"}),
        ("retention", "60s", 7, {"57af", "7936", "f4e8"}, {"18b3"}),
    ],
)
def test_a_capture_is_completed_where_its_message_came_in_time(
    captures: Path, name: str, timeout: str, received: int, elsewhere: set[str], completed: set[str]
) -> None:
    told = replayed(captures / f"{name}.jsonl", timeout)
    by_outcome: dict[str, set[str]] = {"completed": set(), "ended_elsewhere": set()}
    for action in told["actions"]:
        by_outcome[action["outcome"]].add(action["token"][:4])
        assert action["result"] == ("CONTINUE" if action["outcome"] == "completed" else None)
    assert by_outcome == {"completed": completed, "ended_elsewhere": elsewhere}
    summary = told["summary"]
    assert summary["received"] == received
    assert summary["lifecycle"] == len(completed | elsewhere) == summary["actions"]
    assert summary["outcome"] == received - summary["lifecycle"]
    assert summary["defaulted"] == summary["rejected"] == summary["ignored"] == 0


def test_captured_test_messages_are_evidence_of_their_group(captures: Path) -> None:
    told = replayed(captures / "sqs_target_test_notifications.jsonl", "30s")
    assert told["summary"]["test"] == 2
    lines = (captures / "sqs_target_test_notifications.jsonl").read_text().splitlines()
    request_ids = [json.loads(line)["body"]["RequestId"] for line in lines]
    assert [test["request_id"] for test in told["tests"]] == request_ids
