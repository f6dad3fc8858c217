"""`usher replay --against`: what another hooks file would have done with the same traffic."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.recorded import read
from usher_cli.main import main
from usher_cli.what_if import compare

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "events" / "what-if"
TRAFFIC, OLD, NEW = (str(FOLDER / name) for name in ("traffic.jsonl", "old.yaml", "new.yaml"))
DAY = str(ROOT / "usher_cli" / "sample" / "fleet-day.jsonl")
DAYS_HOOKS = str(ROOT / "usher_cli" / "sample" / "hooks.yaml")


def usher(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"FORCE_COLOR": None, **environment}).invoke(main, ["replay", *arguments])


def compared(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(usher(*arguments, "--json").stdout)
    return found


# By hand, for events/what-if: the heartbeat timeout is 5m, so a beat goes out every 4m35s.
BY_HAND = [
    # The signal comes 241 s after the start; the new policy waits for the 300th second, past a beat.
    ("00000001", ["reason", "duration", "heartbeats"], (241, 0, "CONTINUE"), (300, 1, "CONTINUE")),
    # No signal: 600 s with beats at 275 and 550, or 1200 s with beats at 275, 550, 825 and 1100.
    ("00000002", ["result", "reason", "duration", "heartbeats"], (600, 2, "CONTINUE"), (1200, 4, "ABANDON")),
    # The launch hook is the same in both.
    ("00000003", [], (91, 0, "CONTINUE"), (91, 0, "CONTINUE")),
    # Only the new file has a hook on this group.
    (
        "00000004",
        ["hook", "outcome", "result", "reason", "duration", "heartbeats"],
        None,
        (1200, 4, "ABANDON"),
    ),
]


def told(action: dict[str, Any] | None) -> tuple[float, int, str] | None:
    if action is None:
        return None
    return action["duration_seconds"], action["heartbeats"], action["result"]


def test_what_differs_is_what_was_worked_out_by_hand() -> None:
    found = compared(TRAFFIC, "--hooks", NEW, "--against", OLD)

    assert list(found) == ["summary", "actions"]
    assert [list(pair) for pair in found["actions"]] == [["token", "old", "new", "differs"]] * 4
    assert [
        (pair["token"][:8], pair["differs"], told(pair["old"]), told(pair["new"]))
        for pair in found["actions"]
    ] == BY_HAND


def test_in_all_it_is_what_was_worked_out_by_hand() -> None:
    summary = compared(TRAFFIC, "--hooks", NEW, "--against", OLD)["summary"]

    assert {key: summary[key] for key in ("actions", "differ", "results_differ")} == {
        "actions": 4,
        "differ": 3,
        "results_differ": 2,
    }
    keys = ("actions", "continue", "abandon", "ended_elsewhere", "heartbeats", "duration_seconds")
    assert {side: tuple(summary[side][key] for key in keys) for side in ("old", "new")} == {
        "old": (3, 3, 0, 0, 2, 241 + 600 + 91),
        "new": (4, 2, 2, 0, 9, 300 + 1200 + 91 + 1200),
    }


def test_each_side_is_the_action_as_its_own_replay_reports_it() -> None:
    found = compared(TRAFFIC, "--hooks", NEW, "--against", OLD)

    for side, hooks in (("old", OLD), ("new", NEW)):
        sides = [pair[side] for pair in found["actions"] if pair[side] is not None]
        for action in sides:
            del action["duration_seconds"]
        assert sides == compared(TRAFFIC, "--hooks", hooks)["actions"]


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        pytest.param(NEW, OLD, 3, id="a result differs"),
        pytest.param(OLD, NEW, 3, id="a hook is taken away"),
        pytest.param(OLD, OLD, 0, id="nothing differs"),
    ],
)
def test_the_exit_code_says_whether_a_result_differs(new: str, old: str, expected: int) -> None:
    assert usher(TRAFFIC, "--hooks", new, "--against", old).exit_code == expected


def test_a_wait_that_is_only_longer_changes_no_result(tmp_path: Path) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text(Path(OLD).read_text().replace("give_up_after: 10m", "give_up_after: 15m"))

    outcome = usher(TRAFFIC, "--hooks", str(longer), "--against", OLD, "--json")

    found = json.loads(outcome.stdout)
    assert outcome.exit_code == 0
    assert [pair["differs"] for pair in found["actions"]] == [[], ["reason", "duration", "heartbeats"], []]


@pytest.mark.parametrize(("new", "expected"), [(OLD, 1), (NEW, 3)], ids=["no result differs", "one does"])
def test_a_message_that_is_rejected_is_named_and_is_no_difference(
    tmp_path: Path, new: str, expected: int
) -> None:
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text(Path(TRAFFIC).read_text() + "{\n")

    outcome = usher(str(traffic), "--hooks", new, "--against", OLD, "--json")

    assert outcome.exit_code == expected
    assert outcome.stderr.startswith(f"rejected {traffic}:7: not JSON: ")
    assert json.loads(outcome.stdout)["summary"]["new"]["rejected"] == 1


@pytest.mark.parametrize(
    ("traffic", "hooks"), [(TRAFFIC, NEW), (DAY, DAYS_HOOKS)], ids=["what-if", "the recorded day"]
)
def test_a_file_against_itself_differs_in_nothing(traffic: str, hooks: str) -> None:
    summary = compared(traffic, "--hooks", hooks, "--against", hooks)["summary"]

    assert (summary["differ"], summary["results_differ"]) == (0, 0)
    assert summary["old"] == summary["new"]


def test_turning_the_files_round_turns_every_difference_round() -> None:
    there, back = (
        compared(TRAFFIC, "--hooks", *files) for files in ((NEW, "--against", OLD), (OLD, "--against", NEW))
    )

    assert [(one["token"], one["old"], one["new"], one["differs"]) for one in there["actions"]] == [
        (one["token"], one["new"], one["old"], one["differs"]) for one in back["actions"]
    ]


def test_in_a_pipe_each_difference_is_a_line_as_the_page_on_replay_shows() -> None:
    """And nothing else; that all of the page's lines are printed tests/unit/test_docs.py holds."""
    page = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")

    assert usher(TRAFFIC, "--hooks", NEW, "--against", OLD).stdout in page


def test_on_a_terminal_the_differences_are_tables_that_fit() -> None:
    outcome = usher(TRAFFIC, "--hooks", NEW, "--against", OLD, FORCE_COLOR="1", NO_COLOR="1", COLUMNS="100")

    lines = re.sub(r"\x1b\[[0-9;]*m", "", outcome.stdout).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert "instance" in outcome.stdout
    assert "──" in outcome.stdout


def test_a_file_that_is_not_sound_is_refused_and_named(tmp_path: Path) -> None:
    unsound = tmp_path / "old.yaml"
    unsound.write_text("version: 2\n")

    outcome = usher(TRAFFIC, "--hooks", NEW, "--against", str(unsound))

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.endswith(f"Correct {unsound}, or use another file with --against.\n")


def test_text_from_outside_is_no_markup(tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.jsonl"
    said = '"Status":"done","Message":"[red]all[/red] :tada:"'
    traffic.write_text(Path(TRAFFIC).read_text().replace('"Status":"done"', said))

    for colour in (None, "1"):
        outcome = CliRunner(env={"FORCE_COLOR": colour, "NO_COLOR": "1", "COLUMNS": "200"}).invoke(
            main, ["replay", str(traffic), "--hooks", NEW, "--against", OLD]
        )
        assert "[red]all[/red] :tada:" in outcome.stdout


def test_in_markdown_it_is_tables_with_the_same_rows() -> None:
    outcome = usher(TRAFFIC, "--hooks", NEW, "--against", OLD, "--markdown")

    sentence, differences, in_all = outcome.stdout.removesuffix("\n").split("\n\n")
    assert (outcome.exit_code, sentence) == (3, "4 actions: 3 differ, **2 of them in the result**.")
    lines = usher(TRAFFIC, "--hooks", NEW, "--against", OLD).stdout.splitlines()[:-1]
    cells = [row[2:-2].split(" | ") for table in (differences, in_all) for row in table.splitlines()[2:]]
    assert [f"{' '.join(place)}: {old} → {new}" for *place, old, new in cells] == lines


def test_in_markdown_text_from_outside_stays_text_in_its_cell(tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.jsonl"
    said = "a | b <img> [x](y) `c` **d** @team #1 " + "e" * 300
    traffic.write_text(Path(TRAFFIC).read_text().replace('"done"', f'"done","Message":"{said}"'))

    outcome = usher(str(traffic), "--hooks", NEW, "--against", OLD, "--markdown")

    (row,) = [line for line in outcome.stdout.splitlines() if "| reason | done: " in line]
    assert (
        "a &#124; b &#60;img&#62; &#91;x&#93;(y) &#96;c&#96; &#42;&#42;d&#42;&#42; &#64;team &#35;1 eee"
        in row
    )
    assert row.count(" | ") == 4
    assert len(row) < 600


@pytest.mark.parametrize("others", [[], ["--against", OLD, "--json"]])
def test_markdown_is_for_differences(others: list[str]) -> None:
    outcome = usher(TRAFFIC, "--hooks", NEW, "--markdown", *others)

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "--markdown is for --against, and not with --json." in outcome.stderr


def test_nothing_against_nothing_is_nothing() -> None:
    empty = {"summary": {"actions": 0}, "actions": []}

    assert compare(empty, empty)["actions"] == []


AT_ONCE = "{until: []}"
NEVER = "{until: [signal: never], give_up_after: 30m, on_give_up: ABANDON}"


def recorded_hooks(folder: Path, policy: str) -> str:
    """The two hooks of the recordings under one policy."""
    file = folder / f"{len(policy)}.yaml"
    terms = "group: group, heartbeat_timeout: 120s, policy: p"
    file.write_text(
        f"version: 1\npolicies: {{p: {policy}}}\nhooks:\n"
        f"  - {{name: launch, transition: launching, {terms}}}\n"
        f"  - {{name: terminate, transition: terminating, {terms}}}\n"
    )
    return str(file)


# Actions by their places in the order of time. Completed at once: where the notification came before an
# outcome and before the 120 s ran out. Those wait under the other policy until their outcome ends them, or
# for 30 minutes where there is none, or where outcomes end nothing.
@pytest.mark.parametrize(
    ("name", "options", "at_once", "gives_up"),
    [
        ("lifecycle_main", (), "2 3 4 5 6", ""),
        ("lifecycle_recovery", (), "1 2", ""),
        ("retention", (), "2 4", "2 4"),
        ("warm_pool_lifecycle", (), "2", ""),
        ("lifecycle_main", ("--work-done", "outcome"), "1 2 3 4 5 6", "1 2 3 4 5 6"),
        ("lifecycle_recovery", ("--work-done", "outcome"), "1 2", "1 2"),
        ("retention", ("--work-done", "outcome"), "1 2 4", "1 2 4"),
        ("warm_pool_lifecycle", ("--work-done", "outcome"), "2", "2"),
    ],
)
def test_recorded_traffic_under_two_policies(
    tmp_path: Path, name: str, options: tuple[str, ...], at_once: str, gives_up: str
) -> None:
    recorded = read(name)
    new, old = (recorded_hooks(tmp_path, policy) for policy in (NEVER, AT_ONCE))

    found = compared(str(recorded.written(tmp_path)), "--hooks", new, "--against", old, *options)

    completed: dict[str, set[tuple[int, str]]] = {
        side: {
            (recorded.ids.tokens.index(pair["token"]) + 1, pair[side]["result"])
            for pair in found["actions"]
            if pair[side]["outcome"] == "completed"
        }
        for side in ("old", "new")
    }
    assert completed["old"] == {(int(place), "CONTINUE") for place in at_once.split()}
    assert completed["new"] == {(int(place), "ABANDON") for place in gives_up.split()}
    assert found["summary"]["results_differ"] == len(at_once.split())
