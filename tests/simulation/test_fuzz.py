"""Whatever comes to a door: it is taken in or rejected with a reason, and spoils nothing else."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import fuzz, fuzz_stage
from benchmarks.fuzz import Fuzz, real_messages, run_seed, sqs
from benchmarks.fuzz_stage import Broken, Stage, is_well_said
from usher.core import messages
from usher.core.notifications import NotUnderstood
from usher_cli import story, traffic
from usher_cli.report import report
from usher_hooksfile import load
from usher_simulator.replay.replay import Entry, replay
from usher_simulator.trials.hostile_inputs import MIB, Hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.action import Action
    from usher.invocation import Context, Event

SEEDS: Final = 6  # of 250 inputs each: 1,500
MESSAGES: Final = real_messages()
LIFECYCLE: Final = next(message for message in MESSAGES if '"usher-drain"' in message)
texts: Final = st.text(st.characters(), max_size=50)  # surrogates, too
scalars: Final = st.none() | st.booleans() | st.integers() | st.floats() | texts
KEYS: Final = sorted(
    {key for message in MESSAGES for key in json.loads(message)} | {"Records", "Sns", "detail"}
)
anything: Final = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_no_input_of_a_seed_breaks_a_rule(seed: int, tmp_path: Path) -> None:
    tally = run_seed(seed, tmp_path)
    assert sum(number for name, number in tally.items() if name.startswith("door: ")) == fuzz.INPUTS_OF_A_SEED


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    drawn = [
        [hostile.message() for _ in range(300)] for hostile in (a_hostile(5), a_hostile(5), a_hostile(6))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert run_seed(5, tmp_path, 60) == run_seed(5, tmp_path, 60)


def test_bodies_of_the_very_size_that_sqs_takes_are_drawn_and_both_beside_it() -> None:
    hostile = a_hostile(1)
    sizes = {len(hostile.message().encode(errors="surrogatepass")) for _ in range(2_000)}
    assert {MIB - 1, MIB, MIB + 1} <= sizes


# What Hypothesis thinks of


def what_is_said_of(body: object) -> str:
    try:
        notice = messages.read(body)
    except NotUnderstood as error:
        return str(error)
    return type(notice).__name__


@given(body=anything | texts | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1")))
def test_a_body_says_something_or_is_not_understood_for_a_reason(body: object) -> None:
    for given_as in (body, json.dumps(body)):
        assert is_well_said(what_is_said_of(given_as))


@given(event=anything)
def test_any_event_at_all_leaves_intake_without_an_error(event: object) -> None:
    a_fuzz(MESSAGES[:1]).deliver(event, 0)


@given(body=anything.map(json.dumps) | texts)
def test_any_wake_up_at_all_leaves_wake_without_an_error(body: str) -> None:
    stage = Stage(Random(1))  # noqa: S311 - to fuzz
    assert stage.wake(sqs(body), None) == {"batchItemFailures": []}
    assert [is_well_said(letter["Reason"]) for letter in stage.dead_letters.sent] == [True]


@given(text=texts | anything.map(json.dumps))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_hooks_file_at_all_is_sound_or_complained_of(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(load.HooksFileRefused) as refused:
        load.load(file)
    assert all(is_well_said(complaint) for complaint in refused.value.complaints)


@given(content=st.binary(max_size=80) | anything.map(lambda value: json.dumps(value).encode()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_of_traffic_at_all_is_taken_apart(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "captured.jsonl"
    file.write_bytes(content)
    reasons = [found.reason for found in traffic.read((str(file),)) if isinstance(found, traffic.Unreadable)]
    assert all(map(is_well_said, reasons))


# What was found on the way; the seeds are those that find it where it is not mended


def taken(event: object) -> Fuzz:
    """What is left when intake has taken that event in, and nothing broke a rule."""
    made = a_fuzz(MESSAGES[:1])
    made.deliver(event, 1)
    return made


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ufffe"])
def test_a_dead_letter_has_only_characters_that_sqs_takes_seed_1(character: str) -> None:
    (letter,) = taken(sqs(f"{{{character}")).stage.dead_letters.sent
    assert letter["body"] == "{" + ascii(character)[1:-1]


def test_a_body_with_half_a_character_is_rejected_seed_4() -> None:
    (letter,) = taken(sqs('{"a": "\ud800')).stage.dead_letters.sent
    assert letter["body"] == '{"a": "\\ud800'


@pytest.mark.parametrize("body", [None, ["x"], 1, {}], ids=repr)
@pytest.mark.parametrize("function", ["intake", "wake"])
def test_a_record_without_a_text_is_rejected_seed_6(function: str, body: object) -> None:
    stage = Stage(Random(1))  # noqa: S311 - to fuzz
    (record,) = sqs("")["Records"]

    answer = getattr(stage, function)({"Records": [record | {"body": body}]}, None)

    assert answer == {"batchItemFailures": []}
    assert len(stage.dead_letters.sent) == 1


@pytest.mark.parametrize(
    "action_id", ["", "x" * 4_000, "\ud800", ["a"]], ids=["none", "long", "half", "a list"]
)
def test_a_wake_up_for_what_can_be_no_key_is_rejected_seed_21(action_id: object) -> None:
    stage = Stage(Random(1))  # noqa: S311 - to fuzz
    body = json.dumps({"action_id": action_id, "version": 1})
    assert stage.wake(sqs(body), None) == {"batchItemFailures": []}
    assert len(stage.dead_letters.sent) == 1


@pytest.mark.parametrize("depth", range(900, 1_001, 5))
def test_an_event_as_deep_as_python_reads_is_rejected(depth: int) -> None:
    """Reading goes a little deeper than writing."""
    event = fuzz.in_envelope("direct", "[" * depth + "]" * depth, a_hostile(1))
    assert taken(event).stage.recorder.taken[-1][0] == "rejected"


def test_a_group_name_that_a_terminal_would_obey_is_rejected_seed_17() -> None:
    message = {
        "Event": "autoscaling:TEST_NOTIFICATION",
        "AutoScalingGroupName": "web\x9b31m",
        "RequestId": "r",
    }
    made = taken(sqs(json.dumps(message | {"Time": "2026-10-05T12:00:00Z"})))
    assert made.stage.recorder.taken[-1][0] == "rejected"


def test_a_deletion_that_cannot_be_answered_releases_nothing_seed_21() -> None:
    made = a_fuzz()
    before = made.stage.store.actions()
    with pytest.raises(KeyError):
        made.stage.provision.handle({"RequestType": "Delete", "ResponseURL": "https://answers.example/"})
    assert made.stage.store.actions() == before


def test_a_wait_of_centuries_can_be_told_seed_37() -> None:
    action = {"started_at": "2026-01-01T00:00:00Z", "closed_at": "2199-01-01T00:00:00Z"}
    assert story.held(action) == "1516488h"
    story.print_story(report_of(action), Console(file=io.StringIO()))


def report_of(times: Mapping[str, str]) -> dict[str, Any]:
    """The report on one action that waited so long."""
    made = report(replay([Entry(source="a", received_at=None, body=LIFECYCLE)], fuzz_stage.settings()), [])
    (action,) = made["actions"]
    return made | {"actions": [action | times]}


# Each rule can be broken


def a_hostile(seed: int) -> Hostile:
    return Hostile(Random(seed), MESSAGES)  # noqa: S311 - to fuzz


def a_fuzz(of: Sequence[str] = MESSAGES[:40]) -> Fuzz:
    """A stage with the actions of real messages on it."""
    stage = Stage(Random(1))  # noqa: S311 - to fuzz
    made = Fuzz(stage=stage, hostile=a_hostile(1), folder=Path(), tally=Counter())
    for message in of:
        made.deliver(sqs(message), 1)
    return made


def an_open_one(stage: Stage) -> Action:
    return next(action for action in stage.store.actions() if action.is_open)


def with_a_bug(stage: Stage, bug: Callable[[Stage], None]) -> None:
    """Let intake do what it does, and then something more."""
    sound = stage.intake

    def intake(event: Event, context: Context | None = None) -> Event:
        answer = sound(event, context)
        bug(stage)
        return answer

    stage.intake = intake


def changes_another(stage: Stage) -> None:
    action = an_open_one(stage)
    stage.store.save(replace(action, version=action.version + 1, evaluation_id="another"))


def opens_what_is_not_ours(stage: Stage) -> None:
    action = an_open_one(stage)
    terms = replace(action.hook, group="somebody-else")
    raw = stage.store.raws(action.id)[0]
    stage.store.open(replace(action, id="id-other", token="0" * 36, hook=terms), raw)


def tells_a_bad_reason(stage: Stage) -> None:
    stage.recorder.message_handled("ignored", "because\nof two lines")


def tells_an_unknown_kind(stage: Stage) -> None:
    stage.recorder.message_handled("eaten", "")


def rejects_without_a_letter(stage: Stage) -> None:
    stage.recorder.message_handled("rejected", "for no reason")


BUGS: Final[list[Any]] = [
    pytest.param(changes_another, "which the input does not name", id="another action changed"),
    pytest.param(opens_what_is_not_ours, "an action of somebody-else", id="a group that is not configured"),
    pytest.param(tells_a_bad_reason, "ignored with the reason", id="a reason of two lines"),
    pytest.param(tells_an_unknown_kind, "an unknown kind eaten", id="neither taken in nor rejected"),
    pytest.param(rejects_without_a_letter, "0 dead letters", id="rejected without a dead letter"),
]


@pytest.mark.parametrize(("bug", "found"), BUGS)
def test_a_planted_bug_is_found(bug: Callable[[Stage], None], found: str) -> None:
    made = a_fuzz()
    with_a_bug(made.stage, bug)
    of_nobody = {"Event": "autoscaling:EC2_INSTANCE_LAUNCH"}
    if bug is opens_what_is_not_ours:
        of_nobody["EC2InstanceId"] = an_open_one(made.stage).instance_id
    with pytest.raises(Broken, match=found):
        made.deliver(sqs(json.dumps(of_nobody)), 1)


def test_a_message_that_is_delivered_for_ever_is_found() -> None:
    made = a_fuzz()
    made.stage.intake = lambda _event, _context: {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    with pytest.raises(Broken, match="delivered again for ever"):
        made.deliver(sqs("{}"), 1)


def test_a_message_that_is_told_of_nowhere_is_found() -> None:
    made = a_fuzz()
    made.stage.intake = lambda _event, _context: {}
    with pytest.raises(Broken, match="1 messages, 0 told of"):
        made.deliver(sqs("{}"), 1)


@pytest.mark.parametrize("key", ["", "x" * 3_000], ids=["empty", "too long"])
def test_a_key_that_dynamodb_refuses_is_refused_by_the_store(key: str) -> None:
    with pytest.raises(ValueError, match="a key of"):
        Stage(Random(1)).store.load(key)  # noqa: S311 - to fuzz
