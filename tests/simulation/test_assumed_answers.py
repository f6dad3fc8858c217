"""Replay of policies that ask AWS: when the work is taken to be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.conditions import ASKED, samples_of
from tests.recorded import BEGAN, read
from tests.simulation.test_replay import START, TOKEN, entry, event, message, terminated
from usher.core import configuration
from usher_cli import traffic
from usher_cli.main import main
from usher_cli.report import report
from usher_simulator.replay.assumed_answers import Source
from usher_simulator.replay.replay import Entry, replay

if TYPE_CHECKING:
    from pathlib import Path

    from usher.core.policy import Configuration
    from usher_simulator.replay.assumed_answers import WorkDone

SECOND_TOKEN = "22222222-2222-4333-8444-555555555555"
INSTANCE = "i-0123456789abcdef0"

DRAINED: dict[str, Any] = {"ecs": "drained"}
SURE_S = 1  # what may change its mind is asked once more before it counts
PROBES: list[Any] = [
    pytest.param(sample.written, SURE_S if sample.condition.takes_two_answers else 0, id=kind)
    for kind in ASKED
    for sample in samples_of(kind)[:1]
]


def hooks(*until: dict[str, Any], **policy: Any) -> Configuration:
    terms = {"group": "web-1", "transition": "terminating", "heartbeat_timeout": "5m", "policy": "p"}
    return configuration.parse(
        {
            "version": 1,
            "policies": {"p": {"until": list(until), "give_up_after": "2h", **policy}},
            "hooks": [{"name": "drain", **terms}],
        }
    )


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def waits(seconds: float = 0, token: str = TOKEN, received_s: float | None = None) -> Entry:
    """The hook's message of a wait that begins then."""
    body = message(LifecycleActionToken=token, Time=at(seconds))
    return entry(body, seconds + 1 if received_s is None else received_s)


def ended(seconds: float, began_s: float = 0) -> Entry:
    """The outcome event of a move."""
    outcome = terminated(at(seconds))
    outcome["detail"] |= {"ActivityId": f"activity-{seconds}", "StartTime": at(began_s - 1)}
    return entry(outcome, seconds + 20)


def signals(seconds: float, status: str = "done", **of: str) -> Entry:
    detail = {"Signal": "finished", "Status": status} | (of or {"InstanceId": INSTANCE})
    return entry(event(detail, "Usher Signal", at(seconds), "usher.signal"), seconds + 20)


def told(configuration: Configuration, work_done: WorkDone | None, *entries: Entry) -> dict[str, Any]:
    return report(replay(entries, configuration, work_done=work_done), [])


def the_action(configuration: Configuration, work_done: WorkDone | None, *entries: Entry) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = told(configuration, work_done, *entries)["actions"]
    return found


def held_s(action: dict[str, Any]) -> float:
    return (
        datetime.fromisoformat(action["closed_at"]) - datetime.fromisoformat(action["started_at"])
    ).total_seconds()


@pytest.mark.parametrize(("condition", "sure_s"), PROBES)
@pytest.mark.parametrize(
    ("work_done", "expected_s"),
    [
        pytest.param(Source.OUTCOME, 1800.0, id="at the outcome"),
        pytest.param(Source.SIGNAL, 900.0, id="at the done signal"),
        pytest.param(timedelta(minutes=10), 600.0, id="after a duration"),
    ],
)
def test_a_condition_that_asks_aws_begins_to_hold_when_the_work_is_done(
    condition: dict[str, Any], sure_s: float, work_done: WorkDone, expected_s: float
) -> None:
    entries = waits(), signals(300, "progress"), signals(900), ended(1800)

    action = the_action(hooks(condition), work_done, *entries)

    assert (action["outcome"], action["result"]) == ("completed", "CONTINUE")
    assert held_s(action) == expected_s + sure_s
    assert action["work_done_at"] == at(expected_s)
    assert "assumed from" in action["reason"]


@pytest.mark.parametrize(("condition", "_"), PROBES)
def test_without_a_word_on_the_work_it_is_unknown_and_the_report_says_so(
    condition: dict[str, Any], _: float
) -> None:
    found = told(hooks(condition), None, waits(), signals(900))

    (action,) = found["actions"]
    assert action["reason"] == "gave up after 2h"
    said = [line["detail"] for line in action["timeline"] if line["event"] == "found"]
    assert [detail.partition(": ")[2] for detail in said] == ["unknown: not in the messages; try --work-done"]
    assert found["assumed"]["work_done"] is None
    assert found["assumed"]["conditions"] == [said[0].partition(": ")[0]]
    assert "work_done_at" not in action


@pytest.mark.parametrize(
    ("work_done", "written"),
    [(Source.OUTCOME, "outcome"), (Source.SIGNAL, "signal"), (timedelta(minutes=90), "1h30m")],
)
def test_the_report_has_what_was_assumed(work_done: WorkDone, written: str) -> None:
    found = told(hooks(DRAINED, {"instance_status": "ok"}), work_done, waits())

    assert found["assumed"] == {"work_done": written, "conditions": ["ecs drained", "instance_status ok"]}


def test_a_report_that_assumes_nothing_says_nothing_of_it() -> None:
    found = told(hooks({"elapsed": "1m"}), None, waits())

    assert "assumed" not in found


@pytest.mark.parametrize("work_done", [Source.OUTCOME, Source.SIGNAL, timedelta(hours=1)])
def test_no_outcome_ends_an_action_then(work_done: WorkDone) -> None:
    action = the_action(hooks({"elapsed": "90m"}), work_done, waits(), ended(600))

    assert (action["outcome"], held_s(action)) == ("completed", 5400)


def test_without_it_an_outcome_still_ends_one() -> None:
    action = the_action(hooks({"elapsed": "90m"}), None, waits(), ended(600))

    assert (action["outcome"], held_s(action)) == ("ended_elsewhere", 620)


@pytest.mark.parametrize(
    ("work_done", "why"),
    [
        (Source.OUTCOME, "no outcome of it is in the messages"),
        (Source.SIGNAL, "no signal of it is in the messages"),
    ],
)
def test_where_no_message_tells_of_the_work_it_is_unknown(work_done: WorkDone, why: str) -> None:
    action = the_action(hooks(DRAINED), work_done, waits())

    assert (action["reason"], action["work_done_at"]) == ("gave up after 2h", None)
    assert f"ecs drained: unknown: {why}" in [line["detail"] for line in action["timeline"]]


def test_all_other_conditions_hold_as_ever() -> None:
    policy = hooks(DRAINED, {"elapsed": "20m"}, {"signal": "finished"})

    action = the_action(policy, timedelta(minutes=10), waits(), signals(1000))

    assert held_s(action) == 1200


def test_a_message_that_comes_after_the_work_is_done_is_acted_on_at_once() -> None:
    action = the_action(hooks(DRAINED), Source.OUTCOME, waits(received_s=100), ended(60))

    assert (action["outcome"], held_s(action)) == ("completed", 100 + SURE_S)


def test_of_several_moves_of_an_instance_each_has_its_own_outcome() -> None:
    entries = waits(), ended(300), waits(3600, SECOND_TOKEN), ended(4200, 3600)

    found = told(hooks(DRAINED), Source.OUTCOME, *entries)

    assert [held_s(action) for action in found["actions"]] == [300 + SURE_S, 600 + SURE_S]


def test_the_first_done_signal_counts_for_an_action_that_began_at_most_a_minute_after_it() -> None:
    early, late = (
        the_action(hooks(DRAINED), Source.SIGNAL, signals(sent_at), waits(), signals(500))
        for sent_at in (-60, -61)
    )

    assert (held_s(early), held_s(late)) == (1 + SURE_S, 500 + SURE_S)


def test_a_signal_with_a_token_is_of_that_action_alone() -> None:
    other = signals(100, LifecycleActionToken=SECOND_TOKEN, InstanceId=INSTANCE)

    action = the_action(
        hooks(DRAINED), Source.SIGNAL, waits(), other, signals(200, LifecycleActionToken=TOKEN)
    )

    assert held_s(action) == 200 + SURE_S


def test_one_after_the_other_they_hold_at_the_same_time() -> None:
    then = DRAINED | {"then": {"command": {"document": "upload"}}}

    action = the_action(hooks(then), timedelta(minutes=10), waits())

    assert held_s(action) == 600 + SURE_S
    assert "command upload" in action["reason"]


def test_under_any_one_of_them_is_enough() -> None:
    either = {"any": [DRAINED, {"elapsed": "5m"}]}

    assert held_s(the_action(hooks(either), timedelta(minutes=10), waits())) == 300


def test_under_not_it_is_the_end_that_comes_when_the_work_is_done() -> None:
    healthy = {"targets": {"groups": ["web"], "state": "healthy"}}

    action = the_action(hooks({"not": healthy}), timedelta(minutes=10), waits())

    assert held_s(action) == 601  # and a second answer
    assert "assumed until 12:10:00" in action["reason"]


def test_nothing_is_started() -> None:
    action = the_action(hooks({"command": {"document": "upload"}}), timedelta(minutes=1), waits())

    assert {line["event"] for line in action["timeline"]} == {
        "notified",
        "found",
        "wait",
        "complete",
        "answer",
        "closed",
    }


def test_what_is_unknown_for_long_costs_few_evaluations() -> None:
    replayed = replay([waits()], hooks(DRAINED, give_up_after="8h"))

    assert sum(replayed.world.recorder.decisions.values()) < 8 * 60 // 4


# Of the recorded terminations (lifecycle_main), by their places, each with the end of its activity.
@pytest.mark.parametrize(("place", "done_s"), [(2, 195.931), (4, 248.347), (6, 394.449)])
def test_a_recorded_termination_is_done_at_its_outcome(place: int, done_s: float, tmp_path: Path) -> None:
    recorded = read("lifecycle_main")
    terms = {"group": recorded.group, "transition": "terminating", "policy": "p"}
    parsed = configuration.parse(
        {"version": 1, "policies": {"p": {"until": [DRAINED]}}, "hooks": [{"name": "terminate", **terms}]}
    )
    found = traffic.read((str(recorded.written(tmp_path)),))

    actions = told(parsed, Source.OUTCOME, *(one for one in found if isinstance(one, Entry)))["actions"]

    (action,) = (one for one in actions if one["token"] == recorded.ids.tokens[place - 1])
    done_at = datetime.fromisoformat(action["work_done_at"])
    assert (action["outcome"], done_at) == ("completed", BEGAN + timedelta(seconds=done_s))
    late = datetime.fromisoformat(action["closed_at"]) - done_at
    assert (
        timedelta(0) <= late - timedelta(seconds=SURE_S) < timedelta(seconds=1)
    )  # wake-ups have whole seconds


# The command

YAML = """\
version: 1
policies: {p: {until: [ecs: drained], give_up_after: 2h}}
hooks: [{name: drain, group: web-1, transition: terminating, heartbeat_timeout: 5m, policy: p}]
"""


def command(folder: Path, *options: str) -> Any:
    (folder / "hooks.yaml").write_text(YAML)
    (folder / "traffic.json").write_text(waits().body)
    arguments = ["replay", str(folder / "traffic.json"), "--hooks", str(folder / "hooks.yaml"), *options]
    return CliRunner().invoke(main, arguments)


def test_the_story_says_what_is_unknown(tmp_path: Path) -> None:
    said = "Unknown: ecs drained. The messages do not contain AWS's answers; try --work-done."

    assert said in command(tmp_path).stdout.splitlines()


def test_the_story_says_what_was_assumed(tmp_path: Path) -> None:
    outcome = command(tmp_path, "--work-done", "10m")

    said = (
        "Assumed by --work-done 10m: the time from which these conditions hold: ecs drained. "
        "No outcome event in the messages ended an action."
    )
    assert said in outcome.stdout.splitlines()
    assert "completed CONTINUE: done: ecs drained: assumed from 12:10:00 on" in outcome.stdout


@pytest.mark.parametrize("value", ["", "10", "soon", "-5m", "1.5h", "Outcome"])
def test_another_value_is_wrong_usage(tmp_path: Path, value: str) -> None:
    outcome = command(tmp_path, "--work-done", value)

    assert outcome.exit_code == 2
    assert f"must be outcome, signal, or a duration such as 10m, got {value!r}" in " ".join(
        outcome.stderr.split()
    )


def test_both_sides_of_a_comparison_assume_the_same(tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(YAML.replace("ecs: drained", "instance_status: ok"))

    outcome = command(tmp_path, "--work-done", "10m", "--against", str(old))

    assert outcome.exit_code == 0
    first, *others = outcome.stdout.splitlines()
    assert ": the time from which these conditions hold: ecs drained; instance_status ok. " in first
    assert others[-1] == "1 action: 1 differ, 0 of them in the result."
