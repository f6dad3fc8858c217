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

from tests.factories import a_policy, a_signal, an_action, at, hook_terms
from tests.unit.test_account import REGION, Deployed, cloud, deployed
from usher.core.action import OperatorNote, Outcome, Phase, Result
from usher.core.conditions.probe import Probe
from usher.core.finding import ConditionStatus, Finding
from usher_cli.account import Place, open_account
from usher_cli.listing import Wish, as_data, short, watch_table
from usher_cli.printable import shown

if TYPE_CHECKING:
    from usher.core.action import Action

__all__ = ["cloud", "deployed"]  # fixtures

WORD = OperatorNote(who="arn:aws:iam::1:user/ann", at=at(30), reason="a customer's import runs on it")
HELD_BY = f"held by {WORD.who}: {WORD.reason}"
NO_SIGNAL = "no signal jobs-finished (pending)"


def some_actions(deployed: Deployed) -> None:
    """Three of two groups and hooks; the first to expire is of the web."""
    web = hook_terms(name="web-drain", group="web", heartbeat_timeout=timedelta(minutes=2))
    drain = a_policy(
        [{"signal": "jobs-finished"}, {"elapsed": "90s"}], name="drain-workers", give_up_after="45m"
    )
    deployed.opened(id="b", token="b" * 36, instance_id="i-b", policy=drain, started_at=at(-600))
    deployed.opened(id="a", token="a" * 36, instance_id="i-a", hook=web, started_at=at(-60))
    deployed.opened(id="c", token="c" * 36, instance_id="i-c", policy=drain)


def saved(deployed: Deployed, action: Action, **changes: Any) -> Action:
    after = replace(action, version=action.version + 1, look_id="look", **changes)
    deployed.records.save(after)
    return replace(after, unsaved=())


def ended(deployed: Deployed, action: Action) -> Action:
    return saved(
        deployed,
        action,
        phase=Phase.CLOSED,
        look_at=None,
        outcome=Outcome.COMPLETED,
        result=Result.CONTINUE,
        reason="done: signal says done",
        closed_at=at(8),
    )


# list


def test_the_list_is_plain_aligned_lines_where_it_is_piped(deployed: Deployed) -> None:
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


def test_the_json_of_the_list_has_the_documented_keys(deployed: Deployed) -> None:
    some_actions(deployed)
    told = deployed.json("list")
    assert list(told) == ["at", "stack", "region", "open", "more", "paused", "actions"]
    assert (told["at"], told["stack"], told["open"]) == ("2026-03-01T12:00:00.000Z", deployed.stack, 3)
    assert set(told["actions"][0]) == {
        "id", "token", "instance_id", "group", "hook", "transition", "policy", "state", "result", "reason",
        "started_at", "age_s", "expires_at", "to_expiry_s", "gives_up_at", "to_giving_up_s", "decide_by",
        "look_at", "closed_at", "heartbeats", "conditions", "held", "ordered", "extended_to", "last",
    }  # fmt: skip
    assert [(action["id"], action["to_expiry_s"]) for action in told["actions"]] == [
        ("a", 60),
        ("b", 3000),
        ("c", 3600),
    ]
    assert told["actions"][2]["conditions"] == [
        {"standing": "pending", "detail": "no signal jobs-finished", "asked_at": None},
        {"standing": "pending", "detail": "1m30s not elapsed", "asked_at": None},
    ]


@pytest.mark.parametrize(
    ("wishes", "shown"),
    [
        pytest.param(["--group", "web"], ["a"], id="a group"),
        pytest.param(["--group", "w*"], ["a", "b", "c"], id="groups by a glob"),
        pytest.param(["--hook", "usher-drain"], ["b", "c"], id="a hook"),
        pytest.param(["--hook", "usher-drain", "--limit", "1"], ["b"], id="the first of a hook"),
        pytest.param(["--hook", "*-drain", "--group", "web"], ["a"], id="both"),
        pytest.param(["--group", "other"], [], id="none"),
    ],
)
def test_the_list_may_be_of_some_groups_and_hooks(
    deployed: Deployed, wishes: list[str], shown: list[str]
) -> None:
    some_actions(deployed)
    assert [action["id"] for action in deployed.json("list", *wishes)["actions"]] == shown


def test_the_first_page_says_that_there_is_more(deployed: Deployed) -> None:
    some_actions(deployed)
    outcome = deployed.usher("list", "--limit", "1")
    assert outcome.stdout.splitlines()[1].startswith("i-a ")
    assert outcome.stderr == "1 shown of 3 open; --limit 3 shows all that fit.\n"
    assert deployed.json("list", "--limit", "1")["more"] is True
    assert deployed.json("list", "--limit", "3")["more"] is False


def test_where_none_fits_that_is_said(deployed: Deployed) -> None:
    some_actions(deployed)
    outcome = deployed.usher("list", "--group", "other")
    assert (outcome.stdout, outcome.stderr) == ("", "None of the 3 open actions fits.\n")


def test_what_is_closed_is_not_listed(deployed: Deployed) -> None:
    ended(deployed, deployed.opened())
    assert deployed.json("list")["actions"] == []


def test_a_pause_is_the_first_thing_that_the_list_says(deployed: Deployed) -> None:
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
        pytest.param({"operator_hold": WORD}, "held", id="held"),
        pytest.param(
            {"operator_hold": WORD, "operator_result_by": WORD}, "ordered", id="an order goes before a hold"
        ),
        pytest.param({"phase": Phase.COMPLETING, "result": Result.CONTINUE}, "completing", id="completing"),
        pytest.param({"policy": a_policy(mode="observe")}, "observed", id="observed"),
        pytest.param({"look_at": at(-181)}, "overdue", id="no look in time"),
        pytest.param({"look_at": at(-180)}, "waiting", id="a look that is just due"),
        pytest.param(
            {"phase": Phase.CLOSED, "look_at": None, "outcome": Outcome.DEFAULTED}, "defaulted", id="closed"
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
def test_what_is_paused_is_said_of_its_actions(paused: dict[str, str], state: str) -> None:
    assert as_data(an_action(), at(0), paused)["state"] == state


def test_who_holds_an_action_and_why_stands_before_what_it_waits_for(deployed: Deployed) -> None:
    saved(deployed, deployed.opened(), operator_hold=WORD)
    assert deployed.usher("list").stdout.splitlines()[1].endswith(f"{HELD_BY}; {NO_SIGNAL}")
    (action,) = deployed.json("list")["actions"]
    assert action["held"] == {
        "who": "arn:aws:iam::1:user/ann",
        "at": "2026-03-01T12:00:30.000Z",
        "reason": "a customer's import runs on it",
    }


def test_the_last_word_of_a_condition_is_what_the_last_look_saw() -> None:
    """Between two looks an answer grows old, which is no news: what was said, and when, is."""
    policy = a_policy([{"ecs": "drained"}])
    (probe,) = policy.until
    assert isinstance(probe, Probe)
    found = Finding(
        condition=probe.name,
        status=ConditionStatus.PENDING,
        detail="draining, tasks: 3 RUNNING",
        asked_at=at(10),
        ask_again_at=at(30),
    )
    action = an_action(policy=policy, findings=(found,), look_at=at(30)).noted(at(10), "wait", "waits")
    (said,) = as_data(action, at(31), {})["conditions"]
    assert said == {
        "standing": "pending",
        "detail": "ecs drained: draining, tasks: 3 RUNNING",
        "asked_at": "2026-03-01T12:00:10.000Z",
    }


def test_what_waits_for_nothing_more_says_what_the_last_look_did(deployed: Deployed) -> None:
    action = deployed.opened(signals=(a_signal(at=at(0)),))
    saved(deployed, action.noted(at(1), "wait", "held by the limit of 5 ABANDON per hour"))
    line = deployed.usher("list").stdout.splitlines()[1]
    assert line.endswith("  held by the limit of 5 ABANDON per hour")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.6, "1m"), (3599, "59m59s"), (3661, "1h1m"), (-30, "-30s"), (-0.4, "0s"), (172800, "48h")],
)
def test_spans_are_short(seconds: float, shown: str) -> None:
    assert short(seconds) == shown


# watch


def at_second(second: int) -> str:
    return f"2026-03-01T12:00:{second:02}.000Z"


def test_watch_prints_a_line_for_each_change_where_it_is_piped(deployed: Deployed) -> None:
    first = deployed.opened()
    wait = deployed.wait

    def meanwhile(span: timedelta) -> None:
        if not deployed.waits:
            held = saved(deployed, first, operator_hold=WORD)
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


def test_watch_with_json_prints_one_object_for_each_change(deployed: Deployed) -> None:
    deployed.opened()
    outcome = deployed.usher("watch", "--json")
    (told,) = map(json.loads, outcome.stdout.splitlines())
    assert told["id"] == "action-1"
    assert len(deployed.waits) == 3


def test_watch_keeps_a_table_fresh_on_a_terminal(deployed: Deployed) -> None:
    some_actions(deployed)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, height=50, highlight=False)
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    with pytest.raises(KeyboardInterrupt):
        watch_table(account, Wish(group=None, hook=None, limit=50), timedelta(seconds=5), console)
    drawn = screen.getvalue()
    assert f"3 of 3 open in {deployed.stack}, 2026-03-01T12:00:10.000Z" in drawn
    assert all(instance in drawn for instance in ("i-a", "i-b", "i-c"))


def drawn_at(deployed: Deployed, width: int) -> list[str]:
    """The lines of one drawing, without colours."""
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, no_color=True, width=width, height=50, highlight=False
    )
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    deployed.most_waits = len(deployed.waits) + 1
    with pytest.raises(KeyboardInterrupt):
        watch_table(account, Wish(group=None, hook=None, limit=50), timedelta(seconds=5), console)
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
    deployed: Deployed, width: int, headings: list[str]
) -> None:
    deployed.opened(**LONG_NAMES)
    head, row = [line for line in drawn_at(deployed, width) if "INSTANCE" in line or "i-0f0e" in line]
    assert [heading for heading in HEADINGS if heading in head] == headings
    assert row.startswith("i-0f0e0d0c0b0a09080 ")
    assert " waiting " in row
    assert " 1h " in row
    assert " usher-drain-" in row
    assert len(row) <= width


def test_a_wide_terminal_cuts_nothing(deployed: Deployed) -> None:
    deployed.opened(**LONG_NAMES)
    (row,) = [line for line in drawn_at(deployed, 200) if "i-0f0e" in line]
    assert "…" not in row
    assert row.endswith(NO_SIGNAL)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        pytest.param("soon", "'soon' is not a duration such as 90s, 45m, 2h or 1h30m", id="no span"),
        pytest.param("0s", "at least 1s, got 0s", id="nothing"),
    ],
)
def test_an_interval_that_is_no_span_or_none_at_all_is_wrong_usage(
    deployed: Deployed, interval: str, said: str
) -> None:
    outcome = deployed.usher("watch", "--interval", interval)
    assert outcome.exit_code == 2
    assert outcome.stderr == f"Error: Invalid value for '--interval': {said}\n"
    assert deployed.waits == []


def test_the_least_interval_is_a_second(deployed: Deployed) -> None:
    assert deployed.usher("watch", "--interval", "1s").exit_code == 0
    assert deployed.waits == [timedelta(seconds=1)] * 3


@pytest.mark.parametrize("number", ["x", "1.5"])
def test_a_limit_that_is_no_number_is_said_in_words(deployed: Deployed, number: str) -> None:
    outcome = deployed.usher("list", "--limit", number)
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(f"'--limit': {number!r} is not a valid number.\n")


# What a terminal would obey

ESCAPE = "\x1b[2J"
OBEYED = OperatorNote(who="ann", at=at(0), reason=f"why{ESCAPE}")


def test_stored_words_reach_no_terminal_as_commands_to_it(deployed: Deployed) -> None:
    saved(deployed, deployed.opened(), operator_hold=OBEYED)
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
