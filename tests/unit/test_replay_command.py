"""`usher replay` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli.main import main
from simulator.fleet_day import write_day

if TYPE_CHECKING:
    from click.testing import Result

CAPTURED = Path(__file__).parents[2] / "events" / "captured"
HOOKS = str(CAPTURED / "hooks.yaml")
DAY = str(CAPTURED / "fleet-day.jsonl")


def usher(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def as_json(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        usher("replay", "--hooks", HOOKS, "--json", *arguments, stdin=stdin).stdout
    )
    return told


def test_the_recorded_day_is_what_its_generator_writes() -> None:
    assert Path(DAY).read_text() == write_day()


def test_the_recorded_day_ends_well() -> None:
    outcome = usher("replay", DAY, "--hooks", HOOKS)
    assert outcome.exit_code == 0
    assert "80 messages" in outcome.stdout
    assert "none fell to a default" in outcome.stdout
    assert "x" * 200 not in outcome.stdout


def test_the_json_report_has_the_documented_shape() -> None:
    told = as_json(DAY)
    assert list(told) == ["summary", "actions", "tests", "ignored", "rejected"]
    assert list(told["summary"]) == [
        "received", "lifecycle", "test", "outcome", "signal", "ignored", "duplicate", "rejected",
        "actions", "heartbeats", "defaulted",
    ]  # fmt: skip
    assert set(told["actions"][0]) == {
        "token", "group", "hook", "instance_id", "transition", "origin", "destination", "policy", "outcome",
        "result", "reason", "heartbeats", "started_at", "first_seen_at", "closed_at", "received_by",
        "timeline",
    }  # fmt: skip
    started = [action["started_at"] for action in told["actions"]]
    assert started == sorted(started)
    assert all(moment.endswith("Z") and len(moment) == len("2026-03-01T12:00:00.000Z") for moment in started)
    kinds = ("lifecycle", "test", "outcome", "signal", "ignored", "duplicate", "rejected")
    assert told["summary"]["received"] == sum(told["summary"][kind] for kind in kinds) == 80


def test_standard_input_is_read_like_a_file() -> None:
    assert as_json("-", stdin=Path(DAY).read_text())["summary"] == as_json(DAY)["summary"]


def test_standard_input_may_be_one_json_value() -> None:
    body = json.loads(Path(DAY).read_text().splitlines()[0])["body"]
    assert as_json("-", stdin=json.dumps([body, body], indent=1))["summary"]["received"] == 2


@pytest.mark.parametrize("text", ["{", '{"LifecycleTransition": 1}', "[1, 2]", '"text"', "null", "{}"])
def test_what_is_rejected_is_named_and_makes_exit_code_1(text: str) -> None:
    outcome = usher("replay", "-", "--hooks", HOOKS, "--json", stdin=text)
    assert outcome.exit_code == 1
    told = json.loads(outcome.stdout)
    assert told["summary"]["rejected"] == len(told["rejected"]) > 0
    assert all(place["source"].startswith("-") and place["reason"] for place in told["rejected"])


def test_a_bad_entry_stops_none_of_the_others() -> None:
    lines = Path(DAY).read_text().splitlines()
    lines.insert(10, lines[10][:-40])
    outcome = usher("replay", "-", "--hooks", HOOKS, "--json", stdin="\n".join(lines))
    told = json.loads(outcome.stdout)
    assert outcome.exit_code == 1
    assert [place["source"] for place in told["rejected"]] == ["-:11"]
    assert told["summary"]["received"] == 81
    assert told["summary"]["actions"] == 15


def test_nothing_at_all_is_replayed_to_nothing() -> None:
    assert as_json("-", stdin="")["summary"]["received"] == 0


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    outcome = usher("replay", "nowhere.jsonl", "--hooks", HOOKS)
    assert outcome.exit_code == 2
    assert "nowhere.jsonl" in outcome.stderr


def test_a_hooks_file_that_is_not_sound_is_refused_before_anything_runs(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks.yaml"
    hooks.write_text(
        "version: 1\npolicies: {}\nhooks:\n  - name: h\n    group: g\n    transition: up\n    policy: p\n"
    )
    outcome = usher("replay", DAY, "--hooks", str(hooks))
    assert outcome.exit_code == 2
    assert (
        f"{hooks}:6: hooks[0].transition: must be one of launching, terminating, got 'up'" in outcome.stderr
    )
    assert outcome.stdout == ""
