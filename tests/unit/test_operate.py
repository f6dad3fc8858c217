"""The operators' commands: recorded with who and why, refused where it is too late, never lost in a race."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, at, hook_terms
from tests.unit.test_account import REGION, Deployed, client, cloud, deployed, refused
from usher.aws import messages
from usher.aws.enrolled import EnrolledHooks
from usher.aws.records import RecordTable
from usher.core import duration
from usher.core.action import OperatorNote, Outcome, Phase, Result, Signal, Status, Transition
from usher.core.decide import Complete, Wait, decide
from usher.core.hook_items import Enrolled, HookSettings
from usher.core.operators import CommandRefused, extend, name_of
from usher.evaluation.record_writer import TRIES
from usher.ports.errors import Unavailable
from usher_cli.account import Place, Trouble, open_account
from usher_cli.change import changed
from usher_cli.pause import _held_back, _is_woken

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from usher.core.action import Action
    from usher.ports.records import Raw

__all__ = ["cloud", "deployed"]  # fixtures

INSTANCE = "i-0f0e0d0c0b0a09080"
MOTO = "arn:aws:sts::123456789012:user/moto"
WHY = ["--reason", "tasks hang, ticket 7"]
COMPLETE = ["complete", INSTANCE, "--result", "CONTINUE", "--yes", *WHY]
WORDS = {
    "hold": ["hold", INSTANCE, *WHY],
    "extend": ["extend", INSTANCE, "--by", "30m", *WHY],
    "complete": COMPLETE,
    "signal": ["signal", INSTANCE, "jobs-finished", *WHY],
}
CLOSED: dict[str, Any] = {
    "phase": Phase.CLOSED,
    "look_at": None,
    "outcome": Outcome.COMPLETED,
    "result": Result.CONTINUE,
    "reason": "done",
    "closed_at": at(90),
}


def done(deployed: Deployed, *arguments: str) -> Action:
    """The record after a command that succeeds."""
    outcome = deployed.usher(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return deployed.loaded()


def woken(deployed: Deployed) -> list[tuple[str, int]]:
    return [(body["action_id"], body["version"]) for body in deployed.messages("WakeUpsUrl")]


def told(deployed: Deployed) -> list[tuple[datetime, str, str]]:
    return [(line.at, line.event, line.detail) for line in deployed.records.timeline("action-1")]


# What each word does


def test_a_hold_is_recorded_with_who_when_and_why_and_looked_at_at_once(deployed: Deployed) -> None:
    deployed.opened(look_at=at(1000))
    deployed.now = at(60)
    action = done(deployed, *WORDS["hold"])
    assert action.operator_hold == OperatorNote(who=MOTO, at=at(60), reason="tasks hang, ticket 7")
    assert (action.look_at, action.version) == (at(60), 2)
    assert told(deployed) == [(at(60), "operator", f"{MOTO}: hold: tasks hang, ticket 7")]
    assert woken(deployed) == [("action-1", action.stamp)]
    assert isinstance(decide(action, at(60)), Wait)


def test_a_hold_is_ended_by_off(deployed: Deployed) -> None:
    deployed.opened(operator_hold=OperatorNote(who="ann", at=at(0), reason="why"))
    action = done(deployed, "hold", INSTANCE, "--off", *WHY)
    assert action.operator_hold is None
    assert told(deployed)[0][2] == f"{MOTO}: hold off: tasks hang, ticket 7"


def test_a_hold_says_until_when(deployed: Deployed) -> None:
    deployed.opened()
    assert deployed.usher(*WORDS["hold"]).stdout == (
        "Held: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1), until complete or hold --off, "
        "at the latest until 2026-03-03T11:55:00.000Z.\n"
    )


@pytest.mark.parametrize(
    ("option", "until"),
    [
        pytest.param(["--by", "30m"], at(45 * 60 + 30 * 60), id="by a span"),
        pytest.param(["--to", "2026-03-01T14:00:00+01:00"], at(3600), id="to a time"),
        pytest.param(["--to", "2026-03-03T11:55:00Z"], at(48 * 3600 - 300), id="to the limit"),
    ],
)
def test_an_extension_moves_the_time_at_which_it_gives_up(
    deployed: Deployed, option: list[str], until: datetime
) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"))
    action = done(deployed, "extend", INSTANCE, *option, *WHY)
    assert (action.extended_to, action.give_up_at) == (until, until)
    (line,) = told(deployed)
    assert line[2].startswith(f"{MOTO}: extend to 2026-03-0")


def test_an_extension_of_a_time_that_is_up_counts_from_now(deployed: Deployed) -> None:
    deployed.opened(
        policy=a_policy(give_up_after="45m"), operator_hold=OperatorNote(who="ann", at=at(0), reason="why")
    )
    deployed.now = at(3600)
    assert done(deployed, *WORDS["extend"]).give_up_at == at(3600 + 1800)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param(
            ["--by", "48h"],
            "can wait until 2026-03-03T11:55:00.000Z, just before the global timeout of the hook, and not "
            "until 2026-03-03T12:45:00.000Z.",
            id="beyond the limit",
        ),
        pytest.param(
            ["--to", "2026-03-01T12:30:00Z"],
            "gives up at 2026-03-01T12:45:00.000Z already: name a later time.",
            id="earlier than it does",
        ),
        pytest.param(
            ["--by", "0s"],
            "gives up at 2026-03-01T12:45:00.000Z already: name a later time.",
            id="by nothing",
        ),
    ],
)
def test_an_extension_beyond_the_limit_or_to_no_later_time_is_refused_by_name(
    deployed: Deployed, option: list[str], said: str
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
    word = OperatorNote(who="ann", at=at(age_s), reason="why")
    try:
        after = extend(word, timedelta(seconds=by_s), None)(action, at(age_s))
    except CommandRefused:
        longest = action.decide_by - max(action.give_up_at, at(age_s))
        assert by_s == 0 or timedelta(seconds=by_s) > longest
    else:
        assert max(action.give_up_at, at(age_s)) < after.give_up_at <= action.decide_by < action.ends_at


@pytest.mark.parametrize("result", list(Result))
def test_an_order_is_recorded_and_decides_the_next_look(deployed: Deployed, result: Result) -> None:
    deployed.opened(look_at=at(1000))
    deployed.now = at(60)
    action = done(deployed, "complete", INSTANCE, "--result", result, "--yes", *WHY)
    assert action.operator_result_by == OperatorNote(who=MOTO, at=at(60), reason="tasks hang, ticket 7")
    decision = decide(action, at(61))
    assert isinstance(decision, Complete)
    assert (decision.result, decision.reason) == (result, f"ordered by {MOTO}: tasks hang, ticket 7")
    assert told(deployed)[0][2] == f"{MOTO}: complete {result}: tasks hang, ticket 7"


def test_a_completion_shows_what_it_is_about_to_end_and_asks(deployed: Deployed) -> None:
    before = deployed.opened()
    deployed.now = at(65)
    outcome = deployed.usher("complete", INSTANCE, "--result", "ABANDON", *WHY, stdin="n\n")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        "i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1), terminating, waits since 1m5s for: "
        "no signal jobs-finished (pending)\n"
        "End this wait with ABANDON? [y/N]: n\nNothing was changed.\n"
    )
    assert deployed.loaded() == before


def test_a_completion_goes_on_where_the_answer_is_yes(deployed: Deployed) -> None:
    deployed.opened()
    outcome = deployed.usher("complete", INSTANCE, "--result", "ABANDON", *WHY, stdin="y\n")
    assert outcome.exit_code == 0
    assert deployed.loaded().operator_result is Result.ABANDON


def test_a_result_may_be_written_in_lower_case(deployed: Deployed) -> None:
    deployed.opened()
    assert deployed.usher("complete", INSTANCE, "--result", "abandon", "--yes", *WHY).exit_code == 0
    assert deployed.loaded().operator_result is Result.ABANDON


@pytest.mark.parametrize("command", ["complete", "pause"])
def test_where_nobody_is_there_to_be_asked_yes_is_asked_for(deployed: Deployed, command: str) -> None:
    before = deployed.opened()
    arguments = {"complete": COMPLETE, "pause": ["pause", "--yes", *WHY]}[command]
    outcome = deployed.usher(*(each for each in arguments if each != "--yes"), stdin="")
    assert outcome.exit_code == 2
    assert outcome.stderr.endswith(
        "[y/N]: \nError: Nobody is there to answer: add --yes, and it is done without a question.\n"
    )
    assert (deployed.loaded(), deployed.records.pauses()) == (before, {})


def test_a_signal_goes_over_the_bus_as_documented_with_who_in_its_message(deployed: Deployed) -> None:
    before = deployed.opened()
    outcome = deployed.json("signal", INSTANCE, "jobs-finished", "--status", "failed", *WHY)
    (event,) = deployed.messages("InboxUrl")
    heard = messages.read(event)
    assert isinstance(heard, Signal)
    assert (heard.name, heard.status, heard.instance_id, heard.token, heard.message) == (
        "jobs-finished",
        Status.FAILED,
        INSTANCE,
        before.token,
        f"{MOTO}: tasks hang, ticket 7",
    )
    assert outcome["event_id"] == heard.event_id
    assert deployed.loaded() == before


def test_an_adopted_action_is_signalled_by_its_instance(deployed: Deployed) -> None:
    deployed.opened(token=None)
    assert deployed.usher(*WORDS["signal"]).exit_code == 0
    (event,) = deployed.messages("InboxUrl")
    assert event["detail"].keys() == {"InstanceId", "Signal", "Status", "Message"}


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
    deployed: Deployed, arguments: list[str], policy: dict[str, Any], said: str
) -> None:
    deployed.opened(policy=a_policy(**policy))
    assert said in refused(deployed.usher("signal", INSTANCE, *arguments, *WHY))
    assert deployed.messages("InboxUrl") == []


def test_any_progress_is_a_signal_where_the_policy_counts_it(deployed: Deployed) -> None:
    deployed.opened(policy=a_policy(stalled_after="10m"))
    assert deployed.usher("signal", INSTANCE, "alive", "--status", "progress", *WHY).exit_code == 0


@pytest.mark.parametrize("command", ["hold", "extend", "complete"])
def test_json_shows_the_action_as_the_list_does(deployed: Deployed, command: str) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"))
    told = deployed.json(*WORDS[command])
    assert [told] == deployed.json("list")["actions"]


# Where it is too late, or not clear


@pytest.mark.parametrize("command", WORDS)
def test_a_closed_action_takes_no_word(deployed: Deployed, command: str) -> None:
    deployed.records.save(replace(deployed.opened(), version=2, **CLOSED))
    assert refused(deployed.usher(*WORDS[command])) == (
        "Error: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) is closed, "
        "completed CONTINUE at 2026-03-01T12:01:30.000Z: done."
    )
    assert deployed.loaded().version == 2


@pytest.mark.parametrize("command", WORDS)
def test_an_action_whose_result_is_decided_takes_no_word(deployed: Deployed, command: str) -> None:
    deployed.opened(phase=Phase.COMPLETING, result=Result.ABANDON, reason="gave up after 45m")
    assert refused(deployed.usher(*WORDS[command])) == (
        "Error: i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) is completing, "
        "ABANDON is decided and may have been sent: gave up after 45m."
    )


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        pytest.param({}, ["hold", INSTANCE, "--off", *WHY], " is not held.", id="no hold to end"),
        pytest.param(
            {"started_at": at(-48 * 3600 + 300)},
            ["hold", INSTANCE, *WHY],
            " cannot be held any longer: its last moment has come.",
            id="the last moment",
        ),
        pytest.param(
            {
                "operator_result_by": OperatorNote(who="ann", at=at(0), reason="why"),
                "operator_result": Result.ABANDON,
            },
            COMPLETE,
            "ABANDON is ordered by ann already for ",
            id="an order before",
        ),
        pytest.param(
            {"policy": a_policy(mode="observe")},
            COMPLETE,
            " is only observed, Usher sends nothing for it: `aws autoscaling complete-lifecycle-action`",
            id="only observed",
        ),
        pytest.param(
            {}, ["hold", INSTANCE, "--hook", "x", *WHY], "never waited in hook x", id="no such hook"
        ),
    ],
)
def test_what_leads_nowhere_is_refused_and_changes_nothing(
    deployed: Deployed, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    before = deployed.opened(**changes)
    assert said in refused(deployed.usher(*arguments))
    assert deployed.loaded() == before


def test_where_an_instance_waits_in_two_hooks_the_operator_says_which(deployed: Deployed) -> None:
    deployed.opened()
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    line = refused(deployed.usher(*WORDS["hold"]))
    assert line == f"Error: {INSTANCE} waits in 2 hooks: say which by --hook (usher-drain, web-drain)."
    assert done(deployed, *WORDS["hold"], "--hook", "usher-drain").operator_hold is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["hold", INSTANCE], "Missing option '--reason'", id="no reason"),
        pytest.param(["hold", INSTANCE, "--reason", " "], "say why, in 1 to 500", id="an empty reason"),
        pytest.param(["hold", INSTANCE, "--reason", "x" * 501], "say why, in 1 to 500", id="a long reason"),
        pytest.param(
            ["hold", INSTANCE, "--reason", "\x1b[2Jgone"],
            r"without control characters, got '\\x1b[2Jgone'",
            id="a reason that a terminal obeys",
        ),
        pytest.param(["hold", "", *WHY], "Say which: an instance id, a token, or an action's id", id="no id"),
        pytest.param(["complete", INSTANCE, *WHY], "Missing option '--result'", id="no result"),
        pytest.param(["extend", INSTANCE, *WHY], "Say either --by or --to", id="no extent"),
        pytest.param(
            ["extend", INSTANCE, "--by", "1h", "--to", "2026-03-01T12:00:00Z", *WHY],
            "Say either --by or --to",
            id="two extents",
        ),
        pytest.param(["extend", INSTANCE, "--by", "1 h", *WHY], "'1 h' is not a duration", id="no span"),
        pytest.param(["extend", INSTANCE, "--to", "2026-03-01T12:00:00", *WHY], "with a zone", id="no zone"),
        pytest.param(["extend", INSTANCE, "--to", "noon", *WHY], "is not a time with a zone", id="no time"),
        pytest.param(["pause", "--yes"], "Missing option '--reason'", id="a pause without a reason"),
    ],
)
def test_wrong_usage_is_refused(deployed: Deployed, arguments: list[str], said: str) -> None:
    outcome = deployed.usher(*arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr


# Racing with the functions


def race(deployed: Deployed, action: Action, *meanwhile: Any) -> Action:
    """Store a hold on `action`, as it was read; each look of the functions comes just before a store."""
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    looks = iter(meanwhile)

    def change(newest: Action, now: datetime) -> Action:
        look = next(looks, None)
        if look is not None:
            looked = replace(newest, version=newest.version + 1, look_id=f"look-{newest.version}", **look)
            deployed.records.save(looked)
        word = OperatorNote(who=MOTO, at=now, reason="why")
        return replace(newest, operator_hold=word).noted(now, "operator", "hold")

    return changed(account, action, change)


def test_a_word_is_stored_on_top_of_what_a_look_stored_meanwhile(deployed: Deployed) -> None:
    action = deployed.opened()
    after = race(deployed, action, {"heartbeats": 1, "beaten_at": at(50)}, {"heartbeats": 2})
    assert (after.version, after.heartbeats, after.beaten_at) == (4, 2, at(50))
    assert after == deployed.loaded()


def test_a_word_that_comes_after_the_result_is_refused(deployed: Deployed) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, {"phase": Phase.COMPLETING, "result": Result.CONTINUE, "reason": "done"})
    assert "is completing, CONTINUE is decided" in trouble.value.message
    assert deployed.loaded().operator_hold is None


def test_a_word_that_comes_after_the_end_is_refused(deployed: Deployed) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, CLOSED)
    assert "is closed, completed CONTINUE" in trouble.value.message


def test_a_word_that_always_comes_second_gives_up_and_says_so(deployed: Deployed) -> None:
    action = deployed.opened()
    with pytest.raises(Trouble) as trouble:
        race(deployed, action, *[{"heartbeats": number} for number in range(TRIES)])
    assert f"changed {TRIES} times meanwhile: try again" in trouble.value.message


def test_a_clock_that_is_ahead_moves_no_look_to_a_later_time(deployed: Deployed) -> None:
    deployed.opened(look_at=at(30))
    deployed.now = at(3000)
    assert done(deployed, *WORDS["hold"]).look_at == at(30)


def test_a_short_hook_has_a_second_wake_up_before_its_expiry(deployed: Deployed) -> None:
    deployed.opened(hook=hook_terms(heartbeat_timeout=timedelta(seconds=30)), look_at=at(20))
    done(deployed, *WORDS["hold"])
    url = deployed.outputs["WakeUpsUrl"]
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    assert [attributes[count] for count in counts] == ["1", "1"]


def test_a_queue_that_is_gone_costs_time_and_not_the_word(deployed: Deployed) -> None:
    deployed.opened(look_at=at(1000))
    client("sqs").delete_queue(QueueUrl=deployed.outputs["WakeUpsUrl"])
    outcome = deployed.usher(*WORDS["hold"])
    assert outcome.exit_code == 0
    assert outcome.stderr.startswith("a wake-up was not sent, so it takes effect within two minutes: ")
    assert deployed.loaded().operator_hold is not None


# Pause and resume


def test_a_pause_says_what_becomes_of_open_actions_and_asks(deployed: Deployed) -> None:
    deployed.opened(started_at=at(-3000))
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    outcome = deployed.usher("pause", *WHY, stdin="n\n")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        "2 open actions of all hooks will get no heartbeat and no result from Usher:\n"
        "each falls to the default result of its hook when its heartbeat timeout runs out,\n"
        "the first in 10m (i-0f0e0d0c0b0a09080: ABANDON).\n"
        "Pause all hooks? [y/N]: n\nNothing was changed.\n"
    )
    assert deployed.records.pauses() == {}


@pytest.mark.parametrize(("option", "hook"), [([], "*"), (["--hook", "web-drain"], "web-drain")])
def test_a_pause_is_recorded_with_who_when_and_why_until_it_is_ended(
    deployed: Deployed, option: list[str], hook: str
) -> None:
    outcome = deployed.json("pause", "--yes", "--unknown", *option, *WHY)
    by = f"{MOTO} at 2026-03-01T12:00:00.000Z: tasks hang, ticket 7"
    assert outcome == {"paused": [{"hook": hook, "by": by}]}
    assert deployed.records.pauses() == {hook: by}
    assert deployed.json("resume", *option) == {"paused": [], "woken": 0, "not_woken": 0}
    assert deployed.records.pauses() == {}


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
def test_a_pause_names_the_command_that_ends_it(deployed: Deployed, option: list[str], said: str) -> None:
    assert deployed.usher("pause", "--yes", "--unknown", *option, *WHY).stdout == said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param([], "No action is open; new ones will be", id="all hooks"),
        pytest.param(["--hook", "web-drain"], "No action of hook web-drain is open; new ones", id="a hook"),
    ],
)
def test_a_pause_says_where_nothing_is_open_yet(deployed: Deployed, option: list[str], said: str) -> None:
    outcome = deployed.usher("pause", "--yes", "--unknown", *option, *WHY)
    assert outcome.stderr.startswith(said)


def test_a_pause_of_a_hook_counts_its_own_actions(deployed: Deployed) -> None:
    deployed.opened()
    deployed.opened(id="action-2", token="b" * 36, hook=hook_terms(name="web-drain"))
    outcome = deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY)
    assert outcome.stderr.startswith("1 open action of hook web-drain will get no heartbeat and no result")


HOOKS_FILE = """\
version: 1
policies: {park: {until: []}}
hooks: [{name: web-drain, group: web, transition: terminating, policy: park}]
"""


def an_enrolled_hook(deployed: Deployed) -> None:
    settings = HookSettings(
        transition=Transition.TERMINATING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.CONTINUE,
    )
    record = Enrolled(group="web-1", group_arn="arn", hook="web-drain", settings=settings, source="")
    EnrolledHooks(client("dynamodb"), deployed.outputs["TableName"], lambda: at(0), 0).keep(record)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a hooks file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("answer", [["--yes"], []], ids=["with --yes", "without"])
def test_a_typo_does_not_pass_as_a_pause(deployed: Deployed, answer: list[str]) -> None:
    deployed.opened()
    an_enrolled_hook(deployed)
    line = refused(deployed.usher("pause", "--hook", "usher-drian", *answer, *WHY))
    assert line == (
        "Error: Hook usher-drian is not known: no action of it is open, none of its name was enrolled, and "
        "no hooks.yaml here has it; known are usher-drain, web-drain. If the name is right, add --unknown."
    )
    assert deployed.records.pauses() == {}


@pytest.mark.usefixtures("elsewhere")
def test_a_hook_that_was_enrolled_can_be_paused_before_it_has_an_action(deployed: Deployed) -> None:
    an_enrolled_hook(deployed)
    assert deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY).exit_code == 0


def test_a_hook_of_the_hooks_file_can_be_paused_before_it_has_an_action(
    deployed: Deployed, elsewhere: Path
) -> None:
    (elsewhere / "hooks.yaml").write_text(HOOKS_FILE)
    assert deployed.usher("pause", "--hook", "web-drain", "--yes", *WHY).exit_code == 0


@pytest.mark.parametrize("name", ["", "*", "a b"], ids=["no name", "all", "no hook's name"])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_only_leaving_the_hook_out_means_all_hooks(deployed: Deployed, command: str, name: str) -> None:
    words = ["--yes", "--unknown", *WHY] if command == "pause" else []
    outcome = deployed.usher(command, "--hook", name, *words)
    assert outcome.exit_code == 2
    assert f"{name!r} is no hook's name" in outcome.stderr
    assert deployed.records.pauses() == {}


@pytest.mark.parametrize(
    ("paused", "option", "said"),
    [
        pytest.param(
            "web-drain",
            [],
            "No pause of all hooks is in force. "
            "PAUSED: hook web-drain, by ann: why. `usher resume --hook web-drain` ends it.",
            id="only a hook is",
        ),
        pytest.param(
            "*",
            ["--hook", "web-drain"],
            "Hook web-drain is not paused by its name. "
            "PAUSED: all hooks, by ann: why. `usher resume` ends it.",
            id="all hooks are",
        ),
        pytest.param(
            None, [], "No pause of all hooks is in force. Nothing is paused.", id="nothing is paused"
        ),
    ],
)
def test_what_is_not_paused_cannot_be_resumed_and_what_is_is_said_with_what_ends_it(
    deployed: Deployed, paused: str | None, option: list[str], said: str
) -> None:
    if paused:
        deployed.records.pause(paused, "ann: why")
    assert refused(deployed.usher("resume", *option)) == f"Error: {said}"


def two_held_back(deployed: Deployed) -> None:
    """Of two hooks; the second action is the first to expire."""
    deployed.opened(look_at=at(60), hook=hook_terms(heartbeat_timeout=timedelta(seconds=60)))
    web = hook_terms(name="web-drain", heartbeat_timeout=timedelta(seconds=30))
    deployed.opened(id="action-2", token="b" * 36, instance_id="i-2", look_at=at(60), hook=web)


def test_a_resume_makes_what_was_held_back_due_at_once_with_a_wake_up_each(deployed: Deployed) -> None:
    two_held_back(deployed)
    deployed.records.pause("*", "ann: why")
    deployed.now = at(5)
    outcome = deployed.usher("resume")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        "Resumed all hooks. It woke 2 open actions, the first expires in 25s (i-2: ABANDON by default).\n"
    )
    first, second = deployed.loaded("action-2"), deployed.loaded("action-1")
    assert [(action.look_at, action.version) for action in (first, second)] == [(at(5), 2)] * 2
    assert [action.look_id for action in (first, second)] == ["operator-1", "operator-2"]  # nearest first
    assert told(deployed) == [(at(5), "resumed", f"by {MOTO}")]
    assert woken(deployed) == [(action.id, action.stamp) for action in (first, second)]


def test_a_resume_wakes_also_what_has_its_result_already(deployed: Deployed) -> None:
    before = deployed.opened(phase=Phase.COMPLETING, result=Result.ABANDON, reason="gave up", look_at=at(60))
    deployed.records.pause("*", "ann: why")
    deployed.json("resume")
    after = deployed.loaded()
    assert (after.phase, after.result, after.look_at) == (before.phase, before.result, at(0))


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
    deployed: Deployed, paused: list[str], option: list[str], woken: list[str], said: str
) -> None:
    two_held_back(deployed)
    for hook in paused:
        deployed.records.pause(hook, "ann: why")
    lines = deployed.usher("resume", *option).stdout.splitlines()
    assert lines[1:] == [said]
    assert [name for name in ("action-1", "action-2") if deployed.loaded(name).version == 2] == woken


def test_what_is_only_observed_was_not_held_back(deployed: Deployed) -> None:
    deployed.opened(policy=a_policy(mode="observe"))
    deployed.records.pause("*", "ann: why")
    assert deployed.usher("resume").stdout == "Resumed all hooks. It woke no open action.\n"
    assert deployed.loaded().version == 1


class OneIsBusy(RecordTable):
    """DynamoDB does not store the first action."""

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        if action.id == "action-2":
            raise Unavailable("DynamoDB was busy")
        super().save(action, raw=raw)


def test_an_action_that_cannot_be_woken_is_told_and_stops_no_other(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    two_held_back(deployed)
    records = OneIsBusy(client("dynamodb"), deployed.outputs["TableName"], lambda: deployed.now)
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    account = replace(account, records=records)
    woken = [_is_woken(account, action, MOTO) for action in _held_back(account, None, {})]
    assert woken == [False, True]
    assert capsys.readouterr().err == (
        "i-2 (hook web-drain of workers-1) was not woken, a sweep comes to it: DynamoDB was busy\n"
    )
    assert deployed.loaded().look_at == at(0)


def test_an_action_that_ended_meanwhile_is_not_woken(deployed: Deployed) -> None:
    action = deployed.opened()
    deployed.records.save(replace(action, version=2, **CLOSED))
    account = open_account(Place(region=REGION, stack=deployed.stack), deployed.machine())
    assert _is_woken(account, action, MOTO) is False
    assert deployed.loaded().version == 2


def test_while_paused_no_order_is_taken_and_a_hold_says_so(deployed: Deployed) -> None:
    deployed.opened()
    deployed.records.pause("*", "ann: why")
    assert refused(deployed.usher(*COMPLETE)) == (
        "Error: Usher is paused and sends nothing for i-0f0e0d0c0b0a09080 (hook usher-drain of workers-1) "
        "(ann: why): `usher resume` first."
    )
    outcome = deployed.usher(*WORDS["hold"])
    assert (outcome.exit_code, outcome.stderr) == (0, "PAUSED: all hooks, by ann: why\n")


@pytest.mark.parametrize(
    ("paused", "first"),
    [
        pytest.param(["usher-drain"], "`usher resume --hook usher-drain` first.", id="its hook"),
        pytest.param(
            ["*", "usher-drain"], "`usher resume` and `usher resume --hook usher-drain` first.", id="both"
        ),
    ],
)
def test_an_order_that_a_pause_stops_names_each_command_that_ends_it(
    deployed: Deployed, paused: list[str], first: str
) -> None:
    deployed.opened()
    for hook in paused:
        deployed.records.pause(hook, "ann: why")
    assert refused(deployed.usher(*COMPLETE)).endswith(f"(ann: why): {first}")


@pytest.mark.parametrize("command", ["hold", "extend", "complete", "signal"])
def test_every_word_names_its_caller(deployed: Deployed, command: str) -> None:
    deployed.opened(policy=a_policy(give_up_after="45m"))
    assert deployed.usher(*WORDS[command]).exit_code == 0
    said = [line[2] for line in told(deployed)] or [
        json.dumps(message) for message in deployed.messages("InboxUrl")
    ]
    assert all(f"{MOTO}: " in each for each in said)
    assert len(said) == 1
