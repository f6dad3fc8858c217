"""`usher history` and `usher report`: what happened last night."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.factories import an_action, as_closed, at, hook_terms
from tests.memory_account import MemoryStack, deployed, refused
from usher.core.action import Code, Outcome, Result, Transition
from usher.ports.records import ClosedRow
from usher_cli import listing
from usher_cli.history.closed import totals
from usher_cli.history.command import as_table

if TYPE_CHECKING:
    from pathlib import Path

    from usher.core.action import Action

__all__ = ["deployed"]  # a fixture

NIGHT = ("--from", at(-3600).isoformat(), "--to", at(100_000).isoformat())


def an_end(deployed: MemoryStack, number: int, closed_at: float, **changes: Any) -> Action:
    """A closed action in the account."""
    own = {"id": f"action-{number}", "token": f"{number:036}", "instance_id": f"i-{number}"}
    return deployed.opened(**own, **as_closed(closed_at, **changes))


@pytest.fixture
def night(deployed: MemoryStack) -> MemoryStack:
    """Four closed actions of two groups, and an open one."""
    web = hook_terms(name="web-drain", group="web")
    an_end(deployed, 1, 60)
    an_end(deployed, 2, 120, result=Result.ABANDON, reason="failed: signal jobs-finished says failed")
    an_end(deployed, 3, 600, hook=web, reason="failed: signal jobs-finished says so")
    by_default = {"outcome": Outcome.DEFAULTED, "result": None}
    an_end(deployed, 4, 3600, hook=web, **by_default, reason="got the default result ABANDON: expired")
    deployed.opened(id="open", token="open", instance_id="i-open")
    deployed.now = at(4000)
    return deployed


def test_closed_actions_are_shown_newest_first_with_their_totals(night: MemoryStack) -> None:
    outcome = night.usher("history")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines() == [
        "CLOSED                INSTANCE  GROUP      HOOK         OUTCOME    RESULT    WAITED  REASON",
        (
            "2026-03-01T13:00:00Z  i-4       web        web-drain    defaulted  -         1h      "
            "got the default result ABANDON: expired"
        ),
        (
            "2026-03-01T12:10:00Z  i-3       web        web-drain    completed  CONTINUE  10m     "
            "failed: signal jobs-finished says so"
        ),
        (
            "2026-03-01T12:02:00Z  i-2       workers-1  usher-drain  completed  ABANDON   2m      "
            "failed: signal jobs-finished says failed"
        ),
        (
            "2026-03-01T12:01:00Z  i-1       workers-1  usher-drain  completed  CONTINUE  1m      "
            "done: signal jobs-finished says done"
        ),
        "",
        "4 closed in the period: 1 ABANDON, 2 CONTINUE, 1 defaulted",
        "waits: p50 2m, p90 1h, p99 1h, max 1h",
        "      2  failed",
        "      1  done",
        "      1  got the default result ABANDON",
    ]
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--outcome", "defaulted"], ["i-4"]),
        (["--result", "CONTINUE"], ["i-3", "i-1"]),
        (["--group", "w*b"], ["i-4", "i-3"]),
        (["--hook", "usher-*"], ["i-2", "i-1"]),
        (["--group", "web", "--result", "CONTINUE"], ["i-3"]),
        (["--from", "30m"], ["i-4"]),
        (["--from", at(60).isoformat(), "--to", at(600).isoformat()], ["i-2", "i-1"]),
        (["--group", "none"], []),
    ],
    ids=" ".join,
)
def test_what_is_asked_for_is_shown(night: MemoryStack, options: list[str], shown: list[str]) -> None:
    data = night.json("history", *options)
    assert [action["instance_id"] for action in data["actions"]] == shown
    assert data["totals"]["actions"] == len(shown)


def test_a_page_has_as_many_as_its_limit_and_says_that_there_are_more(night: MemoryStack) -> None:
    outcome = night.usher("history", "--limit", "2")
    assert "2 shown: 1 CONTINUE, 1 defaulted" in outcome.stdout
    assert outcome.stderr == (
        "The newest 2 are shown; --limit 4 shows more, --totals counts all of the period.\n"
    )
    assert night.json("history", "--limit", "4")["more"] is False


def test_all_of_a_period_is_counted_on_demand(night: MemoryStack) -> None:
    data = night.json("history", "--limit", "1", "--totals")
    assert (len(data["actions"]), data["more"], data["totals_of"]) == (1, True, "period")
    assert data["totals"] == {
        "actions": 4,
        "outcomes": {"completed": 3, "defaulted": 1},
        "results": {"ABANDON": 1, "CONTINUE": 2},
        "waits_s": {"p50": 120, "p90": 3600, "p99": 3600, "max": 3600},
        "reasons": [
            {"reason": "failed", "count": 2},
            {"reason": "done", "count": 1},
            {"reason": "got the default result ABANDON", "count": 1},
        ],
    }


def test_the_keys_of_the_json_stay(night: MemoryStack) -> None:
    data = night.json("history")
    assert list(data) == ["at", "stack", "region", "from", "to", "more", "totals_of", "totals", "actions"]
    assert data["actions"][0] == {
        "id": "action-4",
        "instance_id": "i-4",
        "group": "web",
        "hook": "web-drain",
        "transition": "terminating",
        "outcome": "defaulted",
        "result": None,
        "reason": "got the default result ABANDON: expired",
        "started_at": "2026-03-01T12:00:00.000Z",
        "closed_at": "2026-03-01T13:00:00.000Z",
        "age_s": 3600,
    }


def test_where_nothing_was_closed_it_says_so(deployed: MemoryStack) -> None:
    outcome = deployed.usher("history", "--from", "1h")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == (
        "No action that matches was closed from 2026-03-01T11:00:00Z to 2026-03-01T12:00:00Z "
        "in stack Usher, eu-west-1.\n"
    )


@pytest.mark.parametrize(
    ("options", "since", "until"),
    [
        (["--from", "9999d"], at(-40 * 86400), at(0)),
        (["--from", "40d", "--to", "2099-01-01T00:00Z"], at(-40 * 86400), at(0)),
        (["--from", "9999d", "--to", "9998d"], at(-40 * 86400), at(-40 * 86400)),
    ],
    ids=["27 years", "until 2099", "a day of 27 years ago"],
)
def test_no_day_is_read_of_which_nothing_can_be_recorded(
    deployed: MemoryStack, options: list[str], since: datetime, until: datetime
) -> None:
    """It read each day of 27 years."""
    data = deployed.json("history", *options)
    assert [datetime.fromisoformat(data[key]) for key in ("from", "to")] == [since, until]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--from", "yesterday"],
            "such as 2026-03-01T02:00Z, or a duration such as 24h",
        ),
        (["--from", "1h", "--to", "2h"], "Error: Invalid value: --from is after --to"),
        (["--to", "2026-03-01T02:00"], "is not a time with a zone"),
        (["--outcome", "fine"], "is not one of 'completed', 'ended_elsewhere', 'defaulted'."),
        (["--result", "continue"], "is not one of 'CONTINUE', 'ABANDON'."),
        (["--limit", "0"], "is not in the range"),
    ],
    ids=" ".join,
)
def test_wrong_options_are_refused_in_one_line(deployed: MemoryStack, options: list[str], said: str) -> None:
    assert said in refused(deployed.usher("history", *options))


def test_what_a_terminal_would_interpret_is_written_out(deployed: MemoryStack) -> None:
    an_end(deployed, 1, 60, reason="failed: \x1b[31mred")
    deployed.now = at(600)
    assert "failed: \\x1b[31mred" in deployed.usher("history").stdout


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_terminal_shows_one_line_for_each_action(night: MemoryStack, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(as_table(night.json("history"), width))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2 + 4
    assert all("i-" in line for line in lines[2:])
    assert ("WAITED" in lines[1], "GROUP" in lines[1]) == (width >= 90, width >= 120)


@given(st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=300))
def test_a_percentile_is_the_smallest_wait_that_so_many_percent_do_not_exceed(waits: list[int]) -> None:
    rows = [a_row(wait) for wait in waits]
    found = totals(rows)["waits_s"]
    for percent in (50, 90, 99):
        value = found[f"p{percent}"]
        assert sum(wait <= value for wait in waits) * 100 >= percent * len(waits)
        assert sum(wait < value for wait in waits) * 100 < percent * len(waits)
    assert found["max"] == max(waits)


def a_row(waited_s: int) -> ClosedRow:
    return ClosedRow(
        action_id="a",
        group="g",
        hook="h",
        transition=Transition.TERMINATING,
        instance_id="i-1",
        started_at=at(0),
        closed_at=at(waited_s),
        outcome="completed",
        result="CONTINUE",
        reason="done",
    )


def test_list_says_where_closed_actions_are(night: MemoryStack) -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(listing.as_table(night.json("list"), 200))
    assert isinstance(console.file, io.StringIO)
    assert "; `usher history` lists closed ones" in console.file.getvalue().splitlines()[0]
    assert "; `usher history` lists closed ones" in MemoryStack().usher("list").stderr


# usher report


def page_of(night: MemoryStack, file: Path, *options: str) -> dict[str, Any]:
    outcome = night.usher("report", "--output", str(file), *options)
    assert (outcome.exit_code, outcome.stdout) == (0, ""), outcome.output
    text = file.read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(
        text.partition('type="application/json">')[2].partition("</script>")[0]
    )
    return found


def test_the_page_has_what_happened_and_what_is_open(night: MemoryStack, tmp_path: Path) -> None:
    data = page_of(night, tmp_path / "night.html")
    assert [action["instance_id"] for action in data["actions"]] == ["i-1", "i-2", "i-3", "i-4", "i-open"]
    assert [action["outcome"] for action in data["actions"]][-2:] == ["defaulted", "open"]
    assert (data["summary"]["actions"], data["summary"]["defaulted"]) == (5, 1)
    text = (tmp_path / "night.html").read_text(encoding="utf-8")
    assert "<h1>What happened from 2026-02-28T13:06:40Z to 2026-03-01T13:06:40Z</h1>" in text
    assert "a replay" not in text.partition("</header>")[0]
    assert data["apart"] == "Not in the records: `usher redrive` shows what was rejected."


def test_the_page_has_timelines_and_margins(deployed: MemoryStack, tmp_path: Path) -> None:
    action = an_action().noted(at(1), "notified", "by sqs; policy drain-workers")
    action = action.noted(at(3000), "heartbeat", "waits")
    action = action.noted(at(3001), "answer", "accepted", Code.HEARTBEAT_ACCEPTED)
    deployed.records.open(replace(action, heartbeats=1), None)
    deployed.now = at(3600)
    (shown,) = page_of(deployed, tmp_path / "page.html")["actions"]
    assert [line["event"] for line in shown["timeline"]] == ["notified", "heartbeat", "answer"]
    assert shown["beats"] == [{"at": "2026-03-01T12:50:00.000Z", "to_expiry_s": 600}]
    assert shown["heartbeat_timeout_s"] == timedelta(hours=1).total_seconds()


def test_the_page_can_be_of_a_period_a_group_and_the_newest(night: MemoryStack, tmp_path: Path) -> None:
    def shown(*options: str) -> list[str]:
        return [each["instance_id"] for each in page_of(night, tmp_path / "x.html", *options)["actions"]]

    assert shown("--to", "1h") == ["i-1", "i-2"]
    assert shown("--group", "web") == ["i-3", "i-4"]
    assert shown("--limit", "1", "--to", at(4000).isoformat()) == ["i-4"]


def test_a_page_that_cannot_be_written_is_refused_at_once(night: MemoryStack, tmp_path: Path) -> None:
    assert "there is no folder" in refused(night.usher("report", "--output", str(tmp_path / "no" / "x.html")))
    assert "is a directory" in refused(night.usher("report", "--output", str(tmp_path)))
    assert "Missing option '--output'" in refused(night.usher("report"))


def test_a_record_that_cannot_be_read_hides_no_other(night: MemoryStack, tmp_path: Path) -> None:
    night.records.unreadable = frozenset({"action-2"})
    outcome = night.usher("report", "--output", str(tmp_path / "x.html"))
    assert outcome.exit_code == 1
    assert "Cannot read the record of action action-2" in outcome.stderr
