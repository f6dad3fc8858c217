"""The commands of operators: recorded with who and why, refused when too late, never lost in a race."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, as_closed, at, hook_terms
from tests.memory_account import CALLER, MemoryStack, UnreadableStore, deployed, refused
from tests.message_samples import signal_put
from tests.unit.test_ownership import ITEM
from usher.core import duration
from usher.core.action import OperatorNote, Phase, Result, Status
from usher.core.decide import Complete, Wait, decide
from usher.core.operators import CommandRefused, extend, name_of
from usher.evaluation.record_writer import TRIES
from usher.ports.errors import Unavailable
from usher_cli.account import Trouble
from usher_cli.change import changed
from usher_cli.pause import is_scheduled

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from usher.core.action import Action, Signal
    from usher.ports.records import Raw

__all__ = ["deployed"]  # a fixture

INSTANCE = "i-0f0e0d0c0b0a09080"
WHY = ["--reason", "tasks hang, ticket 7"]
COMPLETE = ["complete", INSTANCE, "--result", "CONTINUE", "--yes", *WHY]
COMMANDS = {
    "hold": ["hold", INSTANCE, *WHY],
    "extend": ["extend", INSTANCE, "--by", "30m", *WHY],
    "complete": COMPLETE,
    "signal": ["signal", INSTANCE, "jobs-finished", *WHY],
}
ANN = OperatorNote(who="ann", at=at(0), reason="why")
CLOSED = as_closed(reason="done")


def done(deployed: MemoryStack, *arguments: str) -> Action:
    """The record after a command that succeeds."""
    outcome = deployed.usher(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return deployed.loaded()


def woken(deployed: MemoryStack) -> list[tuple[str, int]]:
    return [(body["action_id"], body["version"]) for body in deployed.wake_ups()]


def timeline(deployed: MemoryStack) -> list[tuple[datetime, str, str]]:
    return [(line.at, line.event, line.detail) for line in deployed.records.timeline("action-1")]


# What each command does


def test_a_hold_is_recorded_with_who_when_and_why_and_evaluated_at_once(deployed: MemoryStack) -> None:
    deployed.opened(evaluate_at=at(1000))
    deployed.now = at(60)
    action = done(deployed, *COMMANDS["hold"])
    assert action.operator_hold == OperatorNote(who=CALLER, at=at(60), reason="tasks hang, ticket 7")
    assert (action.evaluate_at, action.version) == (at(60), 2)
    assert timeline(deployed) == [(at(60), "operator", f"{CALLER}: hold: tasks hang, ticket 7")]
    assert woken(deployed) == [("action-1", action.stamp)]
    assert isinstance(decide(action, at(60)), Wait)


def test_a_hold_under_a_pause_says_from_when_it_holds(deployed: MemoryStack) -> None:
    """A paused hook gets no heartbeat, held or not."""
    deployed.opened()
    deployed.records.pause("usher-drain", "ann: a bad launch")
    outcome = deployed.usher("hold", INSTANCE, *WHY)
    assert outcome.stdout.startswith(
        "Held from `usher resume` on (no heartbeat is sent before): i-0f0e0d0c0b0a09080"
    )


@pytest.mark.parametrize("off", [[], ["--off"]])
def test_a_hold_of_somebody_else_gives_way_to_over(deployed: MemoryStack, off: list[str]) -> None:
    deployed.opened(operator_hold=ANN)
    action = done(deployed, "hold", INSTANCE, *off, "--over", *WHY)
    assert (action.operator_hold and action.operator_hold.who) == (None if off else CALLER)


def test_a_hold_is_ended_by_off(deployed: MemoryStack) -> None:
    deployed.opened(operator_hold=replace(ANN, who=CALLER))
    action = done(deployed, "hold", INSTANCE, "--off", *WHY)
    assert action.operator_hold is None
    assert timeline(deployed)[0][2] == f"{CALLER}: hold off: tasks hang, ticket 7"


def test_a_hold_says_until_when(deployed: MemoryStack) -> None:
    deployed.opened()
    assert deployed.usher(*COMMANDS["hold"]).stdout == (
        "Held: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1), until `complete` or `hold --off`, "
        "at the latest until 2026-03-03T11:55:00.000Z.\n"
    )


@pytest.mark.parametrize(
    ("option", "until"),
    [
        pytest.param(["--by", "30m"], at(45 * 60 + 30 * 60), id="by a duration"),
        pytest.param(["--to", "2026-03-01T14:00:00+01:00"], at(3600), id="to a time"),
        pytest.param(["--to", "2026-03-03T11:55:00Z"], at(48 * 3600 - 300), id="to the limit"),
    ],
)
def test_an_extension_moves_the_time_at_which_it_gives_up(
    deployed: MemoryStack, option: list[str], until: datetime
) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"))
    action = done(deployed, "extend", INSTANCE, *option, *WHY)
    assert (action.extended_to, action.give_up_at) == (until, until)
    (line,) = timeline(deployed)
    assert line[2].startswith(f"{CALLER}: extend to 2026-03-0")


def test_an_extension_of_a_time_that_is_up_counts_from_now(deployed: MemoryStack) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"), operator_hold=ANN)
    deployed.now = at(3600)
    assert done(deployed, *COMMANDS["extend"]).give_up_at == at(3600 + 1800)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param(
            ["--by", "48h"],
            "can wait until 2026-03-03T11:55:00.000Z at the latest, just before the global timeout of its "
            "hook; got 2026-03-03T12:45:00.000Z.",
            id="beyond the limit",
        ),
        pytest.param(
            ["--to", "2026-03-01T12:30:00Z"],
            "already gives up at 2026-03-01T12:45:00.000Z: give a later time.",
            id="earlier than it does",
        ),
    ],
)
def test_an_extension_beyond_the_limit_or_to_no_later_time_is_refused(
    deployed: MemoryStack, option: list[str], said: str
) -> None:
    before = deployed.opened(policy=a_policy(give_up_after="45m"))
    line = refused(deployed.usher("extend", INSTANCE, *option, *WHY))
    assert line == f"Error: {name_of(before)} {said}"
    assert deployed.loaded() == before


@given(
    timeout_s=st.integers(30, 7200),
    age_s=st.integers(0, 172_000),
    by_s=st.integers(0, 200_000),
    give_up_s=st.integers(1, 172_800),
)
def test_no_extension_passes_the_last_moment_or_shortens_a_wait(
    timeout_s: int, age_s: int, by_s: int, give_up_s: int
) -> None:
    action = an_action(
        hook=hook_terms(heartbeat_timeout=timedelta(seconds=timeout_s)),
        policy=a_policy(give_up_after=duration.written(timedelta(seconds=give_up_s))),
    )
    note = OperatorNote(who="ann", at=at(age_s), reason="why")
    try:
        after = extend(note, timedelta(seconds=by_s), None)(action, at(age_s))
    except CommandRefused:
        longest = action.decide_by - max(action.give_up_at, at(age_s))
        assert by_s == 0 or timedelta(seconds=by_s) > longest
    else:
        assert max(action.give_up_at, at(age_s)) < after.give_up_at <= action.decide_by < action.ends_at


@pytest.mark.parametrize("result", list(Result))
def test_a_requested_result_is_recorded_and_decides_the_next_evaluation(
    deployed: MemoryStack, result: Result
) -> None:
    deployed.opened(evaluate_at=at(1000))
    deployed.now = at(60)
    action = done(deployed, "complete", INSTANCE, "--result", result, "--yes", *WHY)
    assert action.operator_result_by == OperatorNote(who=CALLER, at=at(60), reason="tasks hang, ticket 7")
    decision = decide(action, at(61))
    assert isinstance(decision, Complete)
    assert (decision.result, decision.reason) == (result, f"requested by {CALLER}: tasks hang, ticket 7")
    (line,) = timeline(deployed)
    assert line[2] == f"{CALLER}: complete {result}: tasks hang, ticket 7"


def test_a_completion_shows_what_it_is_about_to_end_and_asks(deployed: MemoryStack) -> None:
    before = deployed.opened()
    deployed.now = at(65)
    outcome = deployed.usher("complete", INSTANCE, "--result", "ABANDON", *WHY, stdin="n\n")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        "i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1), terminating, has waited 1m5s for: "
        "no signal jobs-finished (pending)\n"
        "Send ABANDON? [y/N]: n\nNothing was changed.\n"
    )
    assert deployed.loaded() == before


def test_a_completion_goes_on_where_the_answer_is_yes(deployed: MemoryStack) -> None:
    deployed.opened()
    outcome = deployed.usher("complete", INSTANCE, "--result", "ABANDON", *WHY, stdin="y\n")
    assert outcome.exit_code == 0
    assert deployed.loaded().operator_result is Result.ABANDON


def test_a_result_may_be_written_in_lower_case(deployed: MemoryStack) -> None:
    deployed.opened()
    assert deployed.usher("complete", INSTANCE, "--result", "abandon", "--yes", *WHY).exit_code == 0
    assert deployed.loaded().operator_result is Result.ABANDON


@pytest.mark.parametrize("command", ["complete", "pause"])
def test_without_a_terminal_the_option_yes_is_asked_for(deployed: MemoryStack, command: str) -> None:
    before = deployed.opened()
    arguments = {"complete": COMPLETE, "pause": ["pause", "--yes", *WHY]}[command]
    outcome = deployed.usher(*(word for word in arguments if word != "--yes"), stdin="")
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(
        "[y/N]: \nError: There is no terminal to ask for confirmation: add --yes.\n"
    )
    assert (deployed.loaded(), deployed.records.pauses()) == (before, {})


def heard(deployed: MemoryStack) -> Signal:
    """The signal as the event bus would deliver it."""
    (entry,) = deployed.clients.events
    return signal_put(entry)


def test_a_signal_is_an_event_as_documented_with_the_caller_in_its_message(deployed: MemoryStack) -> None:
    before = deployed.opened()
    outcome = deployed.json("signal", INSTANCE, "jobs-finished", "--status", "failed", *WHY)
    signal = heard(deployed)
    assert (signal.name, signal.status, signal.instance_id, signal.token, signal.message) == (
        "jobs-finished",
        Status.FAILED,
        INSTANCE,
        before.token,
        f"{CALLER}: tasks hang, ticket 7",
    )
    assert outcome["event_id"] == "event-1"
    assert deployed.loaded() == before


def test_a_signal_to_an_adopted_action_names_its_instance_alone(deployed: MemoryStack) -> None:
    deployed.opened(token=None)
    assert deployed.usher(*COMMANDS["signal"]).exit_code == 0
    assert (heard(deployed).instance_id, heard(deployed).token) == (INSTANCE, None)


@pytest.mark.parametrize(
    ("arguments", "policy", "said"),
    [
        pytest.param(["job-done"], {}, "it waits for jobs-finished.", id="another name"),
        pytest.param(["job done"], {}, "", id="no name"),
        pytest.param(["alive", "--status", "progress"], {}, "it waits for jobs-finished.", id="no progress"),
        pytest.param(["x"], {"until": [{"elapsed": "1h"}]}, "it waits for no signal.", id="no signal at all"),
    ],
)
def test_a_signal_that_nothing_waits_for_is_refused(
    deployed: MemoryStack, arguments: list[str], policy: dict[str, Any], said: str
) -> None:
    deployed.opened(policy=a_policy(**policy))
    assert said in refused(deployed.usher("signal", INSTANCE, *arguments, *WHY))
    assert deployed.clients.events == []


def test_any_progress_is_a_signal_where_the_policy_counts_it(deployed: MemoryStack) -> None:
    deployed.opened(policy=a_policy(stalled_after="10m"))
    assert deployed.usher("signal", INSTANCE, "alive", "--status", "progress", *WHY).exit_code == 0


@pytest.mark.parametrize("command", ["hold", "extend", "complete"])
def test_json_shows_the_action_as_the_list_does(deployed: MemoryStack, command: str) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"))
    action = deployed.json(*COMMANDS[command])
    assert [action] == deployed.json("list")["actions"]


# Where it is too late, or not clear


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_action_accepts_no_command(deployed: MemoryStack, command: str) -> None:
    deployed.records.save(replace(deployed.opened(), version=2, **CLOSED))
    assert refused(deployed.usher(*COMMANDS[command])) == (
        "Error: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) is closed, "
        "completed CONTINUE at 2026-03-01T12:01:30.000Z: done."
    )
    assert deployed.loaded().version == 2


class NoTable:
    """A table that does not answer, whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable("DynamoDB was busy")


@pytest.mark.parametrize(
    "arguments", [*COMMANDS.values(), ["list"], ["show", INSTANCE]], ids=lambda each: each[0]
)
def test_where_the_table_does_not_answer_a_command_names_the_way_without_it(
    deployed: MemoryStack, arguments: list[str]
) -> None:
    deployed.opened()
    deployed.records = NoTable()  # type: ignore[assignment]
    outcome = deployed.usher(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.splitlines() == [
        "Without the table, `usher list --offline` shows what waits, and a command that holds each instance.",
        "Error: DynamoDB was busy: try again.",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_action_whose_result_is_decided_accepts_no_command(deployed: MemoryStack, command: str) -> None:
    deployed.opened(phase=Phase.COMPLETING, result=Result.ABANDON, reason="gave up after 45m")
    assert refused(deployed.usher(*COMMANDS[command])) == (
        "Error: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) is completing: "
        "ABANDON is decided and may already have been sent (gave up after 45m)."
    )


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        pytest.param({}, ["hold", INSTANCE, "--off", *WHY], " is not held.", id="no hold to end"),
        pytest.param(
            {"started_at": at(-48 * 3600 + 300)},
            ["hold", INSTANCE, *WHY],
            " can no longer be held: the global timeout of its hook is too near.",
            id="the last moment",
        ),
        *(
            pytest.param(
                {"operator_result_by": ANN, "operator_result": Result.ABANDON},
                COMMANDS[command],
                "ABANDON has already been requested by ann for ",
                id=f"a result was requested: {command}",
            )
            for command in ("hold", "extend", "complete")
        ),
        *(
            pytest.param(
                {"policy": a_policy(mode="observe")},
                COMMANDS[command],
                f" is only observed, and Usher sends nothing for it: to {what}, use `aws autoscaling",
                id=f"only observed: {command}",
            )
            for command, what in (("hold", "hold it"), ("extend", "hold it"), ("complete", "end the wait"))
        ),
        *(
            pytest.param(
                {"operator_hold": ANN},
                ["hold", INSTANCE, *off, *WHY],
                " is held by ann since 2026-03-01T12:00:00.000Z: why. `usher hold " + said,
                id=f"somebody else holds it: {said}",
            )
            for off, said in (([], "--over` does"), (["--off"], "--off --over` does"))
        ),
        pytest.param(
            {},
            ["hold", INSTANCE, "--hook", "x", *WHY],
            "no record of i-0f0e0d0c0b0a09080 in hook x",
            id="no such hook",
        ),
    ],
)
def test_what_leads_nowhere_is_refused_and_changes_nothing(
    deployed: MemoryStack, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    before = deployed.opened(**changes)
    assert said in refused(deployed.usher(*arguments))
    assert deployed.loaded() == before


def test_where_an_instance_waits_in_two_hooks_the_operator_says_which(deployed: MemoryStack) -> None:
    deployed.opened()
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    line = refused(deployed.usher(*COMMANDS["hold"]))
    assert line == f"Error: {INSTANCE} waits in 2 hooks: choose one with --hook (usher-drain, web-drain)."
    assert done(deployed, *COMMANDS["hold"], "--hook", "usher-drain").operator_hold is not None


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("known", [{}, CLOSED], ids=["the readable one waits", "the readable one is closed"])
def test_a_command_chooses_no_action_where_another_of_the_instance_cannot_be_read(
    deployed: MemoryStack, command: str, known: dict[str, Any]
) -> None:
    before = deployed.opened(**known)
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"), started_at=at(600))
    deployed.records.unreadable = frozenset({"action-2"})
    assert refused(deployed.usher(*COMMANDS[command])) == (
        f"Error: Cannot read a record of {INSTANCE}: if a newer release of Usher stored it, use `usher` of "
        f"that release. `usher show {INSTANCE}` has the others: name one of them by its ID."
    )
    assert (deployed.loaded(), deployed.clients.events) == (before, [])


@pytest.mark.parametrize("named", [["action-1"], [INSTANCE, "--hook", "usher-drain"]])
def test_an_action_that_is_named_is_held_where_another_of_the_instance_cannot_be_read(
    deployed: MemoryStack, named: list[str]
) -> None:
    deployed.opened()
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    deployed.records.unreadable = frozenset({"action-2"})
    assert done(deployed, "hold", *named, *WHY).operator_hold is not None


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(["--hook", "web-drain"], id="the hook of what cannot be read"),
        pytest.param(["--hook", "usher-drain"], id="the hook of what is closed"),
    ],
)
def test_a_hook_of_which_none_waits_that_can_be_read_is_no_choice(
    deployed: MemoryStack, named: list[str]
) -> None:
    deployed.opened(**CLOSED)
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    deployed.records.unreadable = frozenset({"action-2"})
    assert "Cannot read a record of" in refused(deployed.usher("hold", INSTANCE, *named, *WHY))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["hold", INSTANCE], "Missing option '--reason'", id="no reason"),
        pytest.param(
            ["hold", INSTANCE, "--reason", " "], "must have 1 to 500 characters", id="an empty reason"
        ),
        pytest.param(
            ["hold", INSTANCE, "--reason", "x" * 501], "must have 1 to 500 characters", id="a long reason"
        ),
        pytest.param(
            ["hold", INSTANCE, "--reason", "\x1b[2Jgone"],
            r"must have no control characters, got '\\x1b[2Jgone'",
            id="a reason that a terminal interprets",
        ),
        pytest.param(["hold", "", *WHY], "Give an instance ID, a token or an action ID", id="no id"),
        pytest.param(
            ["complete", INSTANCE, *WHY],
            "Missing option '--result'. Choose from: continue, abandon. Try: ",
            id="no result",
        ),
        pytest.param(["extend", INSTANCE, *WHY], "Use either --by or --to", id="no extent"),
        pytest.param(
            ["extend", INSTANCE, "--by", "1h", "--to", "2026-03-01T12:00:00Z", *WHY],
            "Use either --by or --to",
            id="two extents",
        ),
        pytest.param(["extend", INSTANCE, "--by", "1 h", *WHY], "'1 h' is not a duration", id="no duration"),
        pytest.param(["extend", INSTANCE, "--to", "2026-03-01T12:00:00", *WHY], "with a zone", id="no zone"),
        pytest.param(
            ["extend", INSTANCE, "--by", "0s", *WHY], "must be at least 1s, got 0s", id="no time more"
        ),
        pytest.param(["extend", INSTANCE, "--to", "noon", *WHY], "is not a time with a zone", id="no time"),
        pytest.param(
            ["extend", INSTANCE, "--to", "0001-01-01T00:00:00+14:00", *WHY],
            "is not a time with a zone",
            id="a time before all others",
        ),
        pytest.param(["pause", "--yes"], "Missing option '--reason'", id="a pause without a reason"),
    ],
)
def test_wrong_usage_is_refused(deployed: MemoryStack, arguments: list[str], said: str) -> None:
    outcome = deployed.usher(*arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr


# Racing with the functions


def race(deployed: MemoryStack, action: Action, *meanwhile: Any) -> Action:
    """Store a hold on `action`, as it was read; an evaluation of the functions comes before each store."""
    account = deployed.account()
    evaluations = iter(meanwhile)

    def change(newest: Action, now: datetime) -> Action:
        changes = next(evaluations, None)
        if changes is not None:
            evaluation_id = f"evaluation-{newest.version}"
            deployed.records.save(
                replace(newest, version=newest.version + 1, evaluation_id=evaluation_id, **changes)
            )
        note = OperatorNote(who=CALLER, at=now, reason="why")
        return replace(newest, operator_hold=note).noted(now, "operator", "hold")

    return changed(account, action, change)


def test_a_command_is_stored_on_top_of_what_an_evaluation_stored_meanwhile(deployed: MemoryStack) -> None:
    action = deployed.opened()
    after = race(deployed, action, {"heartbeats": 1, "beaten_at": at(50)}, {"heartbeats": 2})
    assert (after.version, after.heartbeats, after.beaten_at) == (4, 2, at(50))
    assert after == deployed.loaded()


def test_a_command_that_comes_after_the_result_is_refused(deployed: MemoryStack) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, {"phase": Phase.COMPLETING, "result": Result.CONTINUE, "reason": "done"})
    assert "is completing: CONTINUE is decided" in trouble.value.message
    assert deployed.loaded().operator_hold is None


def test_a_command_that_comes_after_the_end_is_refused(deployed: MemoryStack) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, CLOSED)
    assert "is closed, completed CONTINUE" in trouble.value.message


def test_a_command_that_always_comes_second_gives_up(deployed: MemoryStack) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, *[{"heartbeats": number} for number in range(TRIES)])
    assert f"was changed by others {TRIES} times in the meantime: try again" in trouble.value.message


def test_a_clock_that_is_ahead_moves_no_evaluation_to_a_later_time(deployed: MemoryStack) -> None:
    deployed.opened(evaluate_at=at(30))
    deployed.now = at(3000)
    assert done(deployed, *COMMANDS["hold"]).evaluate_at == at(30)


def test_a_short_hook_has_a_second_wake_up_before_its_expiry(deployed: MemoryStack) -> None:
    deployed.opened(hook=hook_terms(heartbeat_timeout=timedelta(seconds=30)), evaluate_at=at(20))
    done(deployed, *COMMANDS["hold"])
    assert [sent["DelaySeconds"] for sent in deployed.clients.sent] == [15, 0]


def test_a_queue_that_fails_delays_the_command_and_does_not_lose_it(deployed: MemoryStack) -> None:
    deployed.opened(evaluate_at=at(1000))
    deployed.clients.fault = EndpointConnectionError(endpoint_url="https://sqs")
    outcome = deployed.usher(*COMMANDS["hold"])
    assert outcome.exit_code == 0
    assert outcome.stderr.startswith("a wake-up could not be sent: ")
    assert outcome.stderr.endswith(". The change takes effect within two minutes.\n")
    assert deployed.loaded().operator_hold is not None


# Pause and resume


def test_a_pause_says_what_happens_to_open_actions_and_asks(deployed: MemoryStack) -> None:
    deployed.opened(started_at=at(-3000))
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    outcome = deployed.usher("pause", *WHY, stdin="n\n")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        "Usher will send no heartbeat and no result for 2 open actions of all hooks.\n"
        "When a heartbeat timeout expires, Auto Scaling applies the hook's default result, "
        "first in 10m (i-0f0e0d0c0b0a09080: ABANDON).\n"
        "Pause all hooks? [y/N]: n\nNothing was changed.\n"
    )
    assert deployed.records.pauses() == {}


@pytest.mark.parametrize(("option", "hook"), [([], "*"), (["--hook", "web-drain"], "web-drain")])
def test_a_pause_is_recorded_with_who_when_and_why_until_it_is_ended(
    deployed: MemoryStack, option: list[str], hook: str
) -> None:
    outcome = deployed.json("pause", "--yes", "--unknown", *option, *WHY)
    by = f"{CALLER} at 2026-03-01T12:00:00.000Z: tasks hang, ticket 7"
    assert outcome == {"paused": [{"hook": hook, "by": by}]}
    assert deployed.records.pauses() == {hook: by}
    assert deployed.json("resume", *option) == {"paused": [], "woken": 0, "not_woken": 0}
    assert deployed.records.pauses() == {}


def test_a_pause_of_somebody_else_is_replaced_only_over_it(deployed: MemoryStack) -> None:
    """One `resume` would end both, and who resumes would know of their own alone."""
    deployed.records.pause("*", "bob at 2026-03-01T11:00:00.000Z: a policy is wrong")
    assert "already, for all hooks, by bob at 2026-03-01T11:00:00.000Z: a policy is wrong. A" in refused(
        deployed.usher("pause", "--yes", *WHY)
    )
    assert deployed.usher("pause", "--yes", "--over", *WHY).exit_code == 0
    assert deployed.usher("pause", "--yes", *WHY).exit_code == 0  # our own
    assert deployed.records.pauses()["*"].startswith(f"{CALLER} at ")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param([], "Paused all hooks. `usher resume` ends it.\n", id="all hooks"),
        pytest.param(
            ["--hook", "web-drain"],
            "Paused hook web-drain. `usher resume --hook web-drain` ends it.\n",
            id="a hook",
        ),
    ],
)
def test_a_pause_names_the_command_that_ends_it(deployed: MemoryStack, option: list[str], said: str) -> None:
    assert deployed.usher("pause", "--yes", "--unknown", *option, *WHY).stdout == said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param([], "There is no open action. New ones will be", id="all hooks"),
        pytest.param(
            ["--hook", "web-drain"], "There is no open action of hook web-drain. New ones", id="a hook"
        ),
    ],
)
def test_a_pause_says_where_nothing_is_open_yet(deployed: MemoryStack, option: list[str], said: str) -> None:
    outcome = deployed.usher("pause", "--yes", "--unknown", *option, *WHY)
    assert outcome.stderr.startswith(said)


def test_a_pause_of_a_hook_counts_its_own_actions(deployed: MemoryStack) -> None:
    deployed.opened()
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    outcome = deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY)
    assert outcome.stderr.startswith(
        "Usher will send no heartbeat and no result for 1 open action of hook web-drain.\n"
    )


HOOKS_FILE = """\
version: 1
policies: {park: {until: []}}
hooks: [{name: web-drain, group: web, transition: terminating, policy: park}]
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a hooks file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("answer", [["--yes"], []], ids=["with --yes", "without"])
def test_a_hook_name_that_is_probably_mistyped_is_refused(deployed: MemoryStack, answer: list[str]) -> None:
    deployed.opened()
    deployed.items.keep(replace(ITEM, hook="web-drain"))
    line = refused(deployed.usher("pause", "--hook", "usher-drian", *answer, *WHY))
    assert line == (
        "Error: Hook usher-drian is unknown: it has no open action, Usher has not enrolled it, and no "
        "hooks.yaml here contains it. Known hooks: usher-drain, web-drain. If the name is right, "
        "add --unknown."
    )
    assert deployed.records.pauses() == {}


@pytest.mark.usefixtures("elsewhere")
def test_a_hook_that_was_enrolled_can_be_paused_before_it_has_an_action(deployed: MemoryStack) -> None:
    deployed.items.keep(replace(ITEM, hook="web-drain"))
    assert deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY).exit_code == 0


def test_a_hook_of_the_hooks_file_can_be_paused_before_it_has_an_action(
    deployed: MemoryStack, elsewhere: Path
) -> None:
    (elsewhere / "hooks.yaml").write_text(HOOKS_FILE)
    assert deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY).exit_code == 0


@pytest.mark.parametrize("name", ["", "*", "a b"], ids=["no name", "all", "no hook's name"])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_only_leaving_the_hook_out_means_all_hooks(deployed: MemoryStack, command: str, name: str) -> None:
    words = ["--yes", "--unknown", *WHY] if command == "pause" else []
    outcome = deployed.usher(command, "--hook", name, *words)
    assert outcome.exit_code == 2
    assert f"{name!r} is not a valid hook name" in outcome.stderr
    assert deployed.records.pauses() == {}


@pytest.mark.parametrize(
    ("paused", "option", "said"),
    [
        pytest.param(
            "web-drain",
            [],
            "There is no pause of all hooks. "
            "PAUSED: hook web-drain, by ann: why. `usher resume --hook web-drain` ends it.",
            id="only a hook is",
        ),
        pytest.param(
            "*",
            ["--hook", "web-drain"],
            "There is no pause of hook web-drain. PAUSED: all hooks, by ann: why. `usher resume` ends it.",
            id="all hooks are",
        ),
        pytest.param(None, [], "There is no pause of all hooks. Nothing is paused.", id="nothing is paused"),
    ],
)
def test_what_is_not_paused_cannot_be_resumed_and_what_is_is_said_with_what_ends_it(
    deployed: MemoryStack, paused: str | None, option: list[str], said: str
) -> None:
    if paused:
        deployed.records.pause(paused, "ann: why")
    assert refused(deployed.usher("resume", *option)) == f"Error: {said}"


def two_held_back(deployed: MemoryStack) -> None:
    """Of two hooks; the second action is the first to expire."""
    deployed.opened(evaluate_at=at(60), hook=hook_terms(heartbeat_timeout=timedelta(seconds=60)))
    web = hook_terms(name="web-drain", heartbeat_timeout=timedelta(seconds=30))
    deployed.opened(id="action-2", token="b" * 36, instance_id="i-2", evaluate_at=at(60), hook=web)


def test_a_resume_makes_what_was_held_back_due_at_once_with_a_wake_up_each(deployed: MemoryStack) -> None:
    two_held_back(deployed)
    deployed.records.pause("*", "ann: why")
    deployed.now = at(5)
    outcome = deployed.usher("resume")
    assert (outcome.exit_code, outcome.stderr) == (0, "Ends the pause by ann: why\n")
    assert outcome.stdout == (
        "Resumed all hooks. 2 open actions will be evaluated now; the first expires in 25s "
        "(i-2: ABANDON by default).\n"
    )
    first, second = deployed.loaded("action-2"), deployed.loaded("action-1")
    assert [(action.evaluate_at, action.version) for action in (first, second)] == [(at(5), 2)] * 2
    assert [action.evaluation_id for action in (first, second)] == [
        "operator-1",
        "operator-2",
    ]  # nearest first
    assert timeline(deployed) == [(at(5), "resumed", f"by {CALLER}")]
    assert woken(deployed) == [(action.id, action.stamp) for action in (first, second)]


def test_a_resume_also_schedules_what_already_has_its_result(deployed: MemoryStack) -> None:
    before = deployed.opened(
        phase=Phase.COMPLETING, result=Result.ABANDON, reason="gave up", evaluate_at=at(60)
    )
    deployed.records.pause("*", "ann: why")
    deployed.json("resume")
    after = deployed.loaded()
    assert (after.phase, after.result, after.evaluate_at) == (before.phase, before.result, at(0))


@pytest.mark.parametrize(
    ("paused", "option", "woken", "said"),
    [
        pytest.param(
            ["*", "web-drain"],
            [],
            ["action-1"],
            "PAUSED: hook web-drain, by ann: why. `usher resume --hook web-drain` ends it.",
            id="a hook still is",
        ),
        pytest.param(
            ["*", "web-drain"],
            ["--hook", "web-drain"],
            [],
            "PAUSED: all hooks, by ann: why. `usher resume` ends it.",
            id="all hooks still are",
        ),
        pytest.param(
            ["usher-drain", "web-drain"],
            ["--hook", "web-drain"],
            ["action-2"],
            "PAUSED: hook usher-drain, by ann: why. `usher resume --hook usher-drain` ends it.",
            id="another hook still is",
        ),
    ],
)
def test_a_resume_says_what_is_still_paused_and_leaves_that_alone(
    deployed: MemoryStack, paused: list[str], option: list[str], woken: list[str], said: str
) -> None:
    two_held_back(deployed)
    for hook in paused:
        deployed.records.pause(hook, "ann: why")
    lines = deployed.usher("resume", *option).stdout.splitlines()
    assert lines[1:] == [said]
    assert [name for name in ("action-1", "action-2") if deployed.loaded(name).version == 2] == woken


def test_what_is_only_observed_was_not_held_back(deployed: MemoryStack) -> None:
    deployed.opened(policy=a_policy(mode="observe"))
    deployed.records.pause("*", "ann: why")
    assert deployed.usher("resume").stdout == "Resumed all hooks. It held back no open action.\n"
    assert deployed.loaded().version == 1


class OneIsBusy(UnreadableStore):
    """DynamoDB does not store the second action."""

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        if action.id == "action-2":
            raise Unavailable("DynamoDB was busy")
        super().save(action, raw=raw)


def test_an_action_that_cannot_be_scheduled_is_reported_and_stops_no_other(deployed: MemoryStack) -> None:
    deployed.records = OneIsBusy(lambda: deployed.now)
    two_held_back(deployed)
    deployed.records.pause("*", "ann: why")
    outcome = deployed.usher("resume", "--json")
    assert (outcome.exit_code, json.loads(outcome.stdout)) == (
        1,
        {"paused": [], "woken": 1, "not_woken": 1},
    )
    assert outcome.stderr.splitlines() == [
        "Ends the pause by ann: why",
        (
            "i-2 (hook web-drain of workers-1) could not be scheduled; the next sweep evaluates it: "
            "DynamoDB was busy"
        ),
    ]
    assert deployed.loaded().evaluate_at == at(0)


def test_a_record_that_cannot_be_read_is_reported_and_stops_no_other(deployed: MemoryStack) -> None:
    two_held_back(deployed)
    deployed.records.unreadable = frozenset({"action-2"})
    deployed.records.pause("*", "ann: why")
    outcome = deployed.usher("resume")
    assert outcome.exit_code == 1
    assert "\nCannot read the record of open action action-2: if a newer release" in outcome.stderr
    assert deployed.loaded().evaluate_at == at(0)


def test_a_pause_counts_also_what_cannot_be_read(deployed: MemoryStack) -> None:
    two_held_back(deployed)
    deployed.records.unreadable = frozenset({"action-2"})
    warning = deployed.usher("pause", "--yes", *WHY).stderr
    assert warning.startswith("Usher will send no heartbeat and no result for 2 open actions of all hooks.\n")
    assert ", first in 1m (i-0f0e0d0c0b0a09080: ABANDON)" in warning


def test_an_action_that_ended_meanwhile_is_not_scheduled(deployed: MemoryStack) -> None:
    action = deployed.opened()
    deployed.records.save(replace(action, version=2, **CLOSED))
    assert is_scheduled(deployed.account(), action, CALLER) is False
    assert deployed.loaded().version == 2


def test_while_paused_no_result_is_accepted_and_a_hold_warns(deployed: MemoryStack) -> None:
    deployed.opened()
    deployed.records.pause("*", "ann: why")
    assert refused(deployed.usher(*COMPLETE)) == (
        "Error: Usher is paused and sends no result for i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) "
        "(paused by ann: why): run `usher resume` first."
    )
    outcome = deployed.usher(*COMMANDS["hold"])
    assert (outcome.exit_code, outcome.stderr) == (0, "PAUSED: all hooks, by ann: why\n")


@pytest.mark.parametrize(
    ("paused", "first"),
    [
        pytest.param(["usher-drain"], "run `usher resume --hook usher-drain` first.", id="its hook"),
        pytest.param(
            ["*", "usher-drain"], "run `usher resume` and `usher resume --hook usher-drain` first.", id="both"
        ),
    ],
)
def test_a_result_that_a_pause_stops_names_each_command_that_ends_the_pause(
    deployed: MemoryStack, paused: list[str], first: str
) -> None:
    deployed.opened()
    for hook in paused:
        deployed.records.pause(hook, "ann: why")
    assert refused(deployed.usher(*COMPLETE)).endswith(f"(paused by ann: why): {first}")
