"""`usher list` and `usher watch` as people on call meet them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from tests.factories import a_finding, a_policy, a_signal, an_action, as_closed, at, hook_terms
from tests.memory_account import MemoryStack, deployed
from usher.core.action import OperatorNote, Outcome, Phase, Result
from usher.core.conditions.probe import Probe
from usher.core.limits import Limits
from usher_cli.action_data import as_data
from usher_cli.listing import Selection
from usher_cli.printable import short, shown
from usher_cli.watch import OneAccount, watch_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action

__all__ = ["deployed"]  # a fixture

NOTE = OperatorNote(who="arn:aws:iam::1:user/ann", at=at(30), reason="a customer's import runs on it")
ALL = Selection(group=None, hook=None, limit=50)
HELD_BY = f"held by {NOTE.who}: {NOTE.reason}"
NO_SIGNAL = "no signal jobs-finished (pending)"


def some_actions(deployed: MemoryStack) -> None:
    """Three of two groups and hooks; the first to expire is of the web."""
    web = hook_terms(name="web-drain", group="web", heartbeat_timeout=timedelta(minutes=2))
    drain = a_policy(
        [{"signal": "jobs-finished"}, {"elapsed": "90s"}], name="drain-workers", give_up_after="45m"
    )
    deployed.opened(id="b", token="b" * 36, instance_id="i-b", policy=drain, started_at=at(-600))
    deployed.opened(id="a", token="a" * 36, instance_id="i-a", hook=web, started_at=at(-60))
    deployed.opened(id="c", token="c" * 36, instance_id="i-c", policy=drain)


def saved(deployed: MemoryStack, action: Action, **changes: Any) -> Action:
    after = replace(action, version=action.version + 1, evaluation_id="another", **changes)
    deployed.records.save(after)
    return replace(after, recent=())


def ended(deployed: MemoryStack, action: Action) -> Action:
    return saved(deployed, action, **as_closed(8, reason="done: signal says done"))


# list


def test_the_list_is_plain_aligned_lines_where_it_is_piped(deployed: MemoryStack) -> None:
    some_actions(deployed)
    outcome = deployed.usher("list")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert [line.split(maxsplit=7) for line in outcome.stdout.splitlines()[1:]] == [
        ["i-a", "web", "web-drain", "waiting", "1m", "1m", "3h9m", "no signal jobs-finished (pending)"],
        [
            "i-b", "workers-1", "usher-drain", "waiting", "10m", "50m", "35m",
            "no signal jobs-finished (pending)",
        ],
        [
            "i-c", "workers-1", "usher-drain", "waiting", "0s", "1h", "45m",
            "no signal jobs-finished (pending); 1m30s not elapsed (pending)",
        ],
    ]  # fmt: skip
    places = [line.index("i-") for line in outcome.stdout.splitlines()[1:]]
    assert places == [0, 0, 0]
    assert len({line.index("waiting") for line in outcome.stdout.splitlines()[1:]}) == 1


def test_the_json_of_the_list_has_the_documented_keys(deployed: MemoryStack) -> None:
    some_actions(deployed)
    page = deployed.json("list")
    assert list(page) == ["at", "stack", "region", "open", "more", "unreadable", "paused", "actions"]
    assert (page["at"], page["stack"], page["open"]) == ("2026-03-01T12:00:00.000Z", deployed.stack, 3)
    assert set(page["actions"][0]) == {
        "id", "token", "instance_id", "group", "hook", "transition", "policy", "state", "result", "reason",
        "started_at", "began_at", "age_s", "expires_at", "to_expiry_s", "gives_up_at", "to_giving_up_s",
        "decide_by",
        "next_evaluation_at", "look_at", "closed_at", "heartbeats", "conditions", "held", "requested",
        "ordered", "extended_to", "last",
    }  # fmt: skip
    assert [(action["id"], action["to_expiry_s"]) for action in page["actions"]] == [
        ("a", 60),
        ("b", 3000),
        ("c", 3600),
    ]
    assert page["actions"][2]["conditions"] == [
        {"status": "pending", "standing": "pending", "detail": "no signal jobs-finished", "asked_at": None},
        {"status": "pending", "standing": "pending", "detail": "1m30s not elapsed", "asked_at": None},
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        pytest.param(["--group", "web"], ["a"], id="a group"),
        pytest.param(["--group", "w*"], ["a", "b", "c"], id="groups by a glob"),
        pytest.param(["--hook", "usher-drain"], ["b", "c"], id="a hook"),
        pytest.param(["--hook", "usher-drain", "--limit", "1"], ["b"], id="the first of a hook"),
        pytest.param(["--hook", "*-drain", "--group", "web"], ["a"], id="both"),
        pytest.param(["--group", "other"], [], id="none"),
    ],
)
def test_the_list_can_be_limited_to_groups_and_hooks(
    deployed: MemoryStack, options: list[str], shown: list[str]
) -> None:
    some_actions(deployed)
    assert [action["id"] for action in deployed.json("list", *options)["actions"]] == shown


def test_the_first_page_says_that_there_is_more(deployed: MemoryStack) -> None:
    some_actions(deployed)
    outcome = deployed.usher("list", "--limit", "1")
    assert outcome.stdout.splitlines()[1].startswith("i-a ")
    assert outcome.stderr == "1 of 3 open actions shown; --limit 3 shows all.\n"
    assert deployed.json("list", "--limit", "1")["more"] is True
    assert deployed.json("list", "--limit", "3")["more"] is False


def test_a_list_without_a_match_says_so(deployed: MemoryStack) -> None:
    some_actions(deployed)
    outcome = deployed.usher("list", "--group", "other")
    assert (outcome.stdout, outcome.stderr) == ("", "None of the 3 open actions matches.\n")


def test_a_closed_action_is_not_listed(deployed: MemoryStack) -> None:
    ended(deployed, deployed.opened())
    assert deployed.json("list")["actions"] == []


def test_a_pause_comes_first_in_the_list(deployed: MemoryStack) -> None:
    some_actions(deployed)
    deployed.records.pause("*", "ann: a bad launch")
    deployed.records.pause("web-drain", "bob: why not")
    assert deployed.usher("list").stdout.splitlines()[:2] == [
        "PAUSED: all hooks, by ann: a bad launch",
        "PAUSED: hook web-drain, by bob: why not",
    ]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        pytest.param({}, "waiting", id="waiting"),
        pytest.param({"operator_hold": NOTE}, "held", id="held"),
        pytest.param(
            {"operator_hold": NOTE, "operator_result_by": NOTE}, "completing", id="a result before a hold"
        ),
        pytest.param({"phase": Phase.COMPLETING, "result": Result.CONTINUE}, "completing", id="completing"),
        pytest.param({"policy": a_policy(mode="observe")}, "observed", id="observed"),
        pytest.param({"evaluate_at": at(-181)}, "overdue", id="no evaluation in time"),
        pytest.param({"evaluate_at": at(-180)}, "waiting", id="an evaluation that is just due"),
        pytest.param(
            {"phase": Phase.CLOSED, "evaluate_at": None, "outcome": Outcome.DEFAULTED},
            "defaulted",
            id="closed",
        ),
    ],
)
def test_the_state_is_one_word(changes: dict[str, Any], state: str) -> None:
    assert as_data(an_action(**changes), at(0), {})["state"] == state


@pytest.mark.parametrize(
    ("paused", "state"),
    [({"*": "ann"}, "paused"), ({"usher-drain": "ann"}, "paused"), ({"other": "ann"}, "waiting")],
    ids=["all hooks", "its hook", "another hook"],
)
def test_the_actions_of_a_paused_hook_are_paused(paused: dict[str, str], state: str) -> None:
    assert as_data(an_action(), at(0), paused)["state"] == state


def test_who_holds_an_action_and_why_comes_before_its_conditions(deployed: MemoryStack) -> None:
    saved(deployed, deployed.opened(), operator_hold=NOTE)
    assert deployed.usher("list").stdout.splitlines()[1].endswith(f"{HELD_BY}; {NO_SIGNAL}")
    (action,) = deployed.json("list")["actions"]
    assert action["held"] == {
        "who": "arn:aws:iam::1:user/ann",
        "at": "2026-03-01T12:00:30.000Z",
        "reason": "a customer's import runs on it",
    }


def test_a_condition_is_shown_as_the_last_evaluation_saw_it() -> None:
    """Between two evaluations an answer grows old, which is no news: what was answered, and when, is."""
    policy = a_policy([{"ecs": "drained"}])
    (probe,) = policy.until
    assert isinstance(probe, Probe)
    found = a_finding(
        condition=probe.name, detail="draining, tasks: 3 RUNNING", asked_at=at(10), ask_again_at=at(30)
    )
    action = an_action(policy=policy, findings=(found,), evaluate_at=at(30)).noted(at(10), "wait", "waits")
    (condition,) = as_data(action, at(31), {})["conditions"]
    assert condition == {
        "status": "pending",
        "standing": "pending",
        "detail": "ecs drained: draining, tasks: 3 RUNNING",
        "asked_at": "2026-03-01T12:00:10.000Z",
    }


@pytest.mark.parametrize(
    ("last", "waits_for"),
    [
        ("waits for i-0b: at_once 1", "i-0b: at_once 1"),
        ("EventBridge, again", "its turn"),
    ],
    ids=["told by its last evaluation", "not told"],
)
def test_what_is_in_line_waits_for_others_and_not_for_its_conditions(
    deployed: MemoryStack, last: str, waits_for: str
) -> None:
    hook = hook_terms(limits=Limits(at_once=1))
    saved(deployed, deployed.opened(hook=hook).noted(at(1), "wait", last))
    assert (
        deployed.usher("list")
        .stdout.splitlines()[1]
        .endswith(f"in line  0s   1h       47h55m    {waits_for}")
    )


def test_without_a_pending_condition_the_last_line_of_the_timeline_is_shown(deployed: MemoryStack) -> None:
    action = deployed.opened(signals=(a_signal(at=at(0)),))
    saved(deployed, action.noted(at(1), "wait", "held by the limit of 5 ABANDON per hour"))
    line = deployed.usher("list").stdout.splitlines()[1]
    assert line.endswith("  held by the limit of 5 ABANDON per hour")


def test_a_requested_result_is_shown_with_who_requested_it_and_why(deployed: MemoryStack) -> None:
    """The key `ordered` is its older name."""
    saved(deployed, deployed.opened(), operator_result_by=NOTE, operator_result=Result.ABANDON)
    line = deployed.usher("list").stdout.splitlines()[1]
    assert f"ABANDON requested by {NOTE.who}: {NOTE.reason}; {NO_SIGNAL}" in line
    (action,) = deployed.json("list")["actions"]
    assert action["state"] == "completing"
    assert action["requested"] == {"result": "ABANDON", **action["ordered"]}
    assert action["ordered"]["who"] == NOTE.who


def test_the_next_evaluation_has_its_older_name_too() -> None:
    data = as_data(an_action(evaluate_at=at(30)), at(0), {})
    assert data["next_evaluation_at"] == data["look_at"] == "2026-03-01T12:00:30.000Z"


# Records of a newer release

CANNOT_READ = (
    "Cannot read the record of open action b: if a newer release of Usher stored it, "
    "use `usher` of that release."
)


@pytest.mark.parametrize("limit", ["1", "50"])
def test_a_record_that_cannot_be_read_is_reported_and_hides_no_other(
    deployed: MemoryStack, limit: str
) -> None:
    """It ended the whole command."""
    some_actions(deployed)
    deployed.records.unreadable = frozenset({"b"})
    outcome = deployed.usher("list", "--limit", limit, "--hook", "usher-drain")
    assert (outcome.exit_code, outcome.stderr) == (1, f"{CANNOT_READ}\n")
    assert [line.split()[0] for line in outcome.stdout.splitlines()[1:]] == ["i-c"]


def test_the_json_of_the_list_has_the_ids_of_what_cannot_be_read(deployed: MemoryStack) -> None:
    some_actions(deployed)
    deployed.records.unreadable = frozenset({"a", "b"})
    outcome = deployed.usher("list", "--json")
    page = json.loads(outcome.stdout)
    assert (outcome.exit_code, page["open"], page["unreadable"]) == (1, 3, ["a", "b"])
    assert [action["id"] for action in page["actions"]] == ["c"]


def test_watch_goes_on_past_a_record_that_cannot_be_read(deployed: MemoryStack) -> None:
    some_actions(deployed)
    deployed.records.unreadable = frozenset({"b"})
    outcome = deployed.usher("watch")
    assert outcome.exit_code == 0
    assert len(outcome.stdout.splitlines()) == 2
    assert outcome.stderr.splitlines()[:2] == [CANNOT_READ, ""]


def test_watch_on_a_terminal_shows_what_cannot_be_read(deployed: MemoryStack) -> None:
    some_actions(deployed)
    deployed.records.unreadable = frozenset({"b"})
    assert CANNOT_READ in drawn_at(deployed, 200)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.6, "1m"), (3599, "59m59s"), (3661, "1h1m"), (-30, "-30s"), (-0.4, "0s"), (172800, "48h")],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert short(seconds) == shown


# watch


def at_second(second: int) -> str:
    return f"2026-03-01T12:00:{second:02}.000Z"


def test_watch_prints_a_line_for_each_change_where_it_is_piped(deployed: MemoryStack) -> None:
    first = deployed.opened()
    wait = deployed.wait

    def meanwhile(span: timedelta) -> None:
        if not deployed.waits:
            held = saved(deployed, first, operator_hold=NOTE)
            deployed.opened(id="later", token="b" * 36, instance_id="i-b", started_at=at(1))
        else:
            held = deployed.loaded()
            ended(deployed, held)
        wait(span)

    deployed.wait = meanwhile  # type: ignore[method-assign]
    outcome = deployed.usher("watch", "--interval", "4s")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines() == [
        f"{at_second(0)}  i-0f0e0d0c0b0a09080  usher-drain  waiting: {NO_SIGNAL}",
        f"{at_second(4)}  i-0f0e0d0c0b0a09080  usher-drain  held: {HELD_BY}; {NO_SIGNAL}",
        f"{at_second(4)}  i-b  usher-drain  waiting: {NO_SIGNAL}",
        f"{at_second(8)}  i-0f0e0d0c0b0a09080  usher-drain  completed CONTINUE: done: signal says done",
    ]
    assert deployed.waits == [timedelta(seconds=4)] * 3


def test_watch_follows_every_open_action_where_it_is_piped(deployed: MemoryStack) -> None:
    for number in range(60):
        deployed.opened(id=f"{number}", token=f"{number}", instance_id=f"i-{number}", started_at=at(number))
    assert len(deployed.usher("watch").stdout.splitlines()) == 60


def test_watch_keeps_to_what_it_once_told_of_until_it_is_closed(deployed: MemoryStack) -> None:
    """A heartbeat puts the nearest expiry behind the others, and so beyond the limit."""
    first = deployed.opened()
    deployed.opened(id="later", token="b" * 36, instance_id="i-b", started_at=at(1))
    steps: list[Callable[[Action], object]] = [
        lambda action: saved(deployed, action, beaten_at=at(300), heartbeats=1),
        lambda action: saved(deployed, action, operator_hold=NOTE),
        lambda _: deployed.records.pause(first.hook.name, NOTE.who),
        lambda action: ended(deployed, action),
    ]
    wait, deployed.most_waits = deployed.wait, len(steps) + 1

    def meanwhile(span: timedelta) -> None:
        if len(deployed.waits) < len(steps):
            steps[len(deployed.waits)](deployed.loaded())
        wait(span)

    deployed.wait = meanwhile  # type: ignore[method-assign]
    outcome = deployed.usher("watch", "--limit", "1", "--interval", "4s")
    assert [line.split()[1:4:2] for line in outcome.stdout.splitlines()] == [
        ["i-0f0e0d0c0b0a09080", "waiting:"],
        ["i-b", "waiting:"],
        ["i-0f0e0d0c0b0a09080", "held:"],
        ["i-b", "paused:"],
        ["i-0f0e0d0c0b0a09080", "paused:"],
        ["i-0f0e0d0c0b0a09080", "completed"],
    ]


def test_watch_on_a_terminal_says_that_more_are_open(deployed: MemoryStack) -> None:
    some_actions(deployed)
    more = "Only the 2 nearest are shown; --limit 3 shows all."
    assert more in drawn_at(deployed, 200, replace(ALL, limit=2))
    assert not any("are shown" in line for line in drawn_at(deployed, 200))


def test_watch_with_json_prints_one_object_for_each_change(deployed: MemoryStack) -> None:
    deployed.opened()
    outcome = deployed.usher("watch", "--json")
    (action,) = map(json.loads, outcome.stdout.splitlines())
    assert action["id"] == "action-1"
    assert len(deployed.waits) == 3


def test_watch_keeps_a_table_fresh_on_a_terminal(deployed: MemoryStack) -> None:
    some_actions(deployed)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, height=50, highlight=False)
    with pytest.raises(KeyboardInterrupt):
        watch_table(OneAccount(of=deployed.account(), selection=ALL), timedelta(seconds=5), console)
    drawn = screen.getvalue()
    assert f"3 of 3 open in {deployed.stack}, 2026-03-01T12:00:10.000Z" in drawn
    assert all(instance in drawn for instance in ("i-a", "i-b", "i-c"))


def drawn_at(deployed: MemoryStack, width: int, selection: Selection = ALL) -> list[str]:
    """The lines of one drawing, without colours."""
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, no_color=True, width=width, height=50, highlight=False
    )
    deployed.most_waits = len(deployed.waits) + 1
    with pytest.raises(KeyboardInterrupt):
        watch_table(OneAccount(of=deployed.account(), selection=selection), timedelta(seconds=5), console)
    return [line.rstrip() for line in Text.from_ansi(screen.getvalue()).plain.splitlines()]


HEADINGS = ["INSTANCE", "GROUP", "HOOK", "STATE", "AGE", "EXPIRES", "GIVES UP", "WAITS FOR"]
LONG_NAMES = {
    "instance_id": "i-0f0e0d0c0b0a09080",
    "hook": hook_terms(name="usher-drain-of-the-workers", group="workers-of-the-night-shift-in-eu-west-1"),
}


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        pytest.param(80, ["INSTANCE", "HOOK", "STATE", "EXPIRES", "WAITS FOR"], id="80"),
        pytest.param(89, ["INSTANCE", "HOOK", "STATE", "EXPIRES", "WAITS FOR"], id="89"),
        pytest.param(90, ["INSTANCE", "HOOK", "STATE", "AGE", "EXPIRES", "WAITS FOR"], id="90"),
        pytest.param(110, ["INSTANCE", "GROUP", "HOOK", "STATE", "AGE", "EXPIRES", "WAITS FOR"], id="110"),
        pytest.param(
            130,
            ["INSTANCE", "GROUP", "HOOK", "STATE", "AGE", "EXPIRES", "GIVES UP", "WAITS FOR"],
            id="130",
        ),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns_and_always_one_line_an_action(
    deployed: MemoryStack, width: int, headings: list[str]
) -> None:
    deployed.opened(**LONG_NAMES)
    head, row = [line for line in drawn_at(deployed, width) if "INSTANCE" in line or "i-0f0e" in line]
    assert [heading for heading in HEADINGS if heading in head] == headings
    assert row.startswith("i-0f0e0d0c0b0a09080 ")
    assert " waiting " in row
    assert " 1h " in row
    assert " usher-drain-" in row
    assert len(row) <= width


def test_a_wide_terminal_cuts_nothing(deployed: MemoryStack) -> None:
    deployed.opened(**LONG_NAMES)
    (row,) = [line for line in drawn_at(deployed, 200) if "i-0f0e" in line]
    assert "…" not in row
    assert row.endswith(NO_SIGNAL)


@pytest.mark.parametrize(
    ("interval", "error"),
    [
        pytest.param("soon", "'soon' is not a duration such as 90s, 45m, 2h or 1h30m", id="no duration"),
        pytest.param("0s", "must be at least 1s, got 0s", id="nothing"),
    ],
)
def test_an_interval_that_is_no_duration_or_too_short_is_wrong_usage(
    deployed: MemoryStack, interval: str, error: str
) -> None:
    outcome = deployed.usher("watch", "--interval", interval)
    assert outcome.exit_code == 2
    assert outcome.stderr == f"Error: Invalid value for '--interval': {error}\n"
    assert deployed.waits == []


def test_the_least_interval_is_a_second(deployed: MemoryStack) -> None:
    assert deployed.usher("watch", "--interval", "1s").exit_code == 0
    assert deployed.waits == [timedelta(seconds=1)] * 3


@pytest.mark.parametrize("number", ["x", "1.5"])
def test_a_limit_that_is_no_number_is_wrong_usage(deployed: MemoryStack, number: str) -> None:
    outcome = deployed.usher("list", "--limit", number)
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(f"'--limit' / '-n': {number!r} is not a whole number.\n")


# What a terminal would interpret

ESCAPE = "\x1b[2J"
ESCAPING = OperatorNote(who="ann", at=at(0), reason=f"why{ESCAPE}")


def test_nothing_stored_is_interpreted_by_a_terminal(deployed: MemoryStack) -> None:
    saved(deployed, deployed.opened(), operator_hold=ESCAPING)
    deployed.records.pause("*", f"bob: {ESCAPE}")
    deployed.most_waits = 1
    outputs = [
        deployed.usher("list").output,
        deployed.usher("watch").output,
        "\n".join(drawn_at(deployed, 200)),
    ]
    assert all("held by ann: why\\x1b[2J" in output for output in outputs)
    assert all(ESCAPE not in output for output in outputs)


@given(st.text())
def test_what_is_shown_prints_as_itself_and_so_does_what_did_before(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)
    assert shown("".join(filter(str.isprintable, text))) == "".join(filter(str.isprintable, text))
