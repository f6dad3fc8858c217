"""What was recorded of AWS, replayed: which actions Usher would have completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from usher.core import configuration
from usher_cli import traffic
from usher_cli.report import report
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recorded import Recorded


def replayed(recorded: Recorded, timeout: str, folder: Path) -> dict[str, Any]:
    hooks = [
        {"name": "launch", "transition": "launching", "default_result": "ABANDON"},
        {"name": "terminate", "transition": "terminating", "default_result": "CONTINUE"},
    ]
    terms = {"group": recorded.group, "heartbeat_timeout": timeout, "policy": "at-once"}
    parsed = configuration.parse(
        {"version": 1, "policies": {"at-once": {"until": []}}, "hooks": [hook | terms for hook in hooks]}
    )
    found = list(traffic.read((str(recorded.written(folder)),)))
    entries = [entry for entry in found if isinstance(entry, Entry)]
    assert entries == found
    return report(replay(entries, parsed), [])


# Actions by their places in the order of time. Completed: where the message came before another had ended it,
# and before the timeout.
@pytest.mark.parametrize(
    ("name", "timeout", "received", "elsewhere", "completed"),
    [
        ("lifecycle_main", "120s", 12, {1}, {2, 3, 4, 5, 6}),
        ("lifecycle_recovery", "120s", 4, set(), {1, 2}),
        ("warm_pool_lifecycle", "120s", 5, {1, 3}, {2}),
        ("retention", "60s", 7, {1, 3, 4}, {2}),
    ],
)
def test_what_was_recorded_is_completed_where_its_message_came_in_time(
    source: Callable[[str], Recorded],
    tmp_path: Path,
    name: str,
    timeout: str,
    received: int,
    elsewhere: set[int],
    completed: set[int],
) -> None:
    recorded = source(name)
    told = replayed(recorded, timeout, tmp_path)
    by_outcome: dict[str, set[int]] = {"completed": set(), "ended_elsewhere": set()}
    for action in told["actions"]:
        by_outcome[action["outcome"]].add(recorded.ids.tokens.index(action["token"]) + 1)
        assert action["result"] == ("CONTINUE" if action["outcome"] == "completed" else None)
    assert by_outcome == {"completed": completed, "ended_elsewhere": elsewhere}
    summary = told["summary"]
    assert summary["received"] == received
    assert summary["lifecycle"] == len(completed | elsewhere) == summary["actions"]
    assert summary["outcome"] == received - summary["lifecycle"]
    assert summary["defaulted"] == summary["rejected"] == summary["ignored"] == 0


def test_recorded_test_messages_are_evidence_of_their_group(
    source: Callable[[str], Recorded], tmp_path: Path
) -> None:
    recorded = source("sqs_target_test_notifications")
    told = replayed(recorded, "30s", tmp_path)
    assert told["summary"]["test"] == 2
    request_ids = [body["RequestId"] for body in recorded.messages]
    assert [test["request_id"] for test in told["tests"]] == request_ids
