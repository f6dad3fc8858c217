"""What people have at hand, kept beside this repository: each input of its README, with its right value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from usher_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


def replayed(field: Path, name: str, *options: str) -> tuple[int, str]:
    """Exit code and output."""
    arguments = ["replay", str(field / name), "--hooks", str(field / "hooks.yaml"), *options]
    outcome = CliRunner().invoke(main, arguments)
    return outcome.exit_code, outcome.stdout


def told(field: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replayed(field, name, "--json")[1])
    return found


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("receive-message.json", 2),
        ("firehose", 2),
        ("firehose/usher-1-2026-10-05-09-30-00-abcd", 2),
        ("pipes.json", 1),
        ("filter-log-events.json", 1),
        ("detail-only.jsonl", 1),
    ],
)
def test_the_input_is_understood(field: Path, name: str, actions: int) -> None:
    replay = told(field, name)
    assert replayed(field, name)[0] == 0
    assert (replay["summary"]["received"], replay["summary"]["lifecycle"]) == (actions, actions)
    assert [action["outcome"] for action in replay["actions"]] == ["completed"] * actions


def test_a_detail_alone_began_when_it_was_received(field: Path) -> None:
    (action,) = told(field, "detail-only.jsonl")["actions"]
    assert action["started_at"] == "2026-10-05T09:30:02.000Z"


def test_a_story_that_leaves_its_day_has_dates(field: Path) -> None:
    lines = replayed(field, "archive-replay.jsonl")[1].splitlines()
    assert "  2026-10-09 09:30:09  notified  again, by eventbridge" in lines
    assert (
        "  09:30:02  wait      waits: no signal bootstrapped"
        in replayed(field, "launch-instance-dies.jsonl")[1].splitlines()
    )


def test_an_instance_that_dies_on_its_way_in_is_abandoned_at_once(field: Path) -> None:
    (action,) = told(field, "launch-instance-dies.jsonl")["actions"]
    assert (action["result"], action["closed_at"][:19]) == ("ABANDON", "2026-10-05T09:33:00")


def test_a_stopped_instance_is_let_go_like_one_that_has_ended(field: Path) -> None:
    actions = told(field, "stopped-instance.jsonl")["actions"]
    assert [(one["result"], one["closed_at"][:19]) for one in actions] == [
        ("CONTINUE", "2026-10-05T09:30:02")
    ] * 2


def test_signals_as_people_send_them_are_told_each_for_its_fault(field: Path) -> None:
    replay = told(field, "signals.jsonl")
    assert [place["source"].rpartition(":")[2] for place in replay["rejected"]] == ["2", "3", "4", "5", "7"]
    assert [place["reason"] for place in replay["unheard"]] == [
        "no policy of i-00000000000000001 waits for signal jobs_finished"
    ]
    (foreign,) = replay["ignored"]
    assert foreign["reason"].startswith("a message of account 123456789012, Region us-west-2")
    assert replay["actions"][0]["reason"] == "gave up after 1h"
    said = replayed(field, "signals.jsonl")[1]
    assert ":6: no policy of i-00000000000000001 waits for signal jobs_finished" in said
    assert said.endswith("none got its default result, 1 signal that no action waits for.\n")


def test_one_name_on_two_globs_is_refused_with_a_group_that_fits_both(field: Path) -> None:
    file = field / "one-name-two-globs.yaml"
    checked = CliRunner().invoke(main, ["check", str(file)])
    assert checked.exit_code == 2
    assert (
        f"{file}:6: hooks[1].name: must not be the name of another hook on the same group: " in checked.stderr
    )
    assert "-team0--team1- matches *-team0-* and *-team1-*" in checked.stderr


def test_one_drains_at_a_time(field: Path) -> None:
    """Each takes ten minutes from its turn, which comes when the one before it has ended."""
    hooks = str(field / "one-at-a-time.yaml")
    arguments = ["replay", str(field / "three-at-once.jsonl"), "--hooks", hooks, "--json"]
    actions = json.loads(CliRunner().invoke(main, arguments).stdout)["actions"]

    times = {"begins": list[str](), "closed": list[str]()}
    for action in actions:
        for line in action["timeline"]:
            if line["event"] in times:
                times[line["event"]].append(line["at"][11:16])
    assert times == {"begins": ["09:30", "09:40", "09:50"], "closed": ["09:40", "09:50", "10:00"]}
    waited = [line["detail"] for line in actions[2]["timeline"] if line["detail"].startswith("waits for i-")]
    assert waited[0] == "waits for i-00000000000000001: at_once 1"
    assert waited[-1] == "waits for i-00000000000000002: at_once 1"
    assert [(action["outcome"], action["result"]) for action in actions] == [("completed", "CONTINUE")] * 3
