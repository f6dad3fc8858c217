from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import a_finding, a_policy, an_action, at, hook_terms
from usher.core import configuration
from usher.core.conditions.command import Command
from usher.core.conditions.placeholders import PLAIN
from usher.core.decide import Complete, Wait, decide
from usher.core.field import ConfigurationRefused
from usher.core.policies import parse_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.finding import Finding
    from usher.core.policy import Policy

TOKEN = "c613620e-07e2-4ed2-a9e2-ef8258911ade"
WORKER = '{"role": "worker", "zone": "Z1", "a.b": "dotted"}'


def policy(*texts: str) -> Policy:
    return a_policy([{"command": {"document": "D-1", "parameters": {"commands": list(texts)}}}])


def sent(text: str, **of: Any) -> list[str] | None:
    """What reaches SSM of a parameter; None where nothing is asked of it."""
    action = an_action(policy=policy(text), **of)
    (asked,) = action.policy.until[0].asks(action, at(0)) or (None,)
    if asked is None:
        return None
    texts: list[str] = asked.ask(action, {}, at(0)).parameters["Parameters"]["commands"]
    return texts


def sent_of(policy: Policy) -> Mapping[str, list[str]]:
    """The parameters of the command that is all that `policy` waits for."""
    action = an_action(policy=policy)
    (asked,) = policy.until[0].asks(action, at(0))
    parameters: Mapping[str, list[str]] = asked.ask(action, {}, at(0)).parameters["Parameters"]
    return parameters


def refused_because(text: str, **of: Any) -> str:
    """Why the action failed before anything was sent."""
    action = an_action(policy=policy(text), **of)
    assert sent(text, **of) is None
    decided = decide(action, at(1))
    assert isinstance(decided, Complete)
    assert decided.result == "ABANDON"
    return decided.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stop {{instance_id}}", "stop i-0f0e0d0c0b0a09080"),
        ("{{group}}/{{hook}}", "workers-1/usher-drain"),
        ("{{ token }}", TOKEN),
        ("{{metadata.role}} in {{metadata.zone}}, {{metadata.role}}", "worker in Z1, worker"),
        ("{{metadata.a.b}}", "dotted"),
    ],
)
def test_a_placeholder_is_filled(text: str, expected: str) -> None:
    assert sent(text, metadata=WORKER) == [expected]


def test_metadata_that_are_no_json_are_filled_in_whole() -> None:
    assert sent("{{metadata}}", metadata="team:web/a@b") == ["team:web/a@b"]


@pytest.mark.parametrize(
    "text",
    ["{{ssm:/app/key}}", "docker ps --format '{{.Names}}'", "${HOME} {instance_id}", "{{}} {{ }}", "$(id)"],
)
def test_what_is_no_placeholder_of_usher_is_sent_as_it_is(text: str) -> None:
    assert sent(text) == [text]


@pytest.mark.parametrize(
    ("text", "of", "why"),
    [
        ("{{token}}", {"token": None}, "{{token}} has no value for this action"),
        ("{{metadata}}", {}, "{{metadata}} has no value for this action"),
        ("{{metadata.team}}", {"metadata": WORKER}, "{{metadata.team}} has no value for this action"),
        ("{{metadata.role}}", {"metadata": "worker"}, "{{metadata.role}} has no value for this action"),
        (
            "{{metadata}}",
            {"metadata": "$(id)"},
            f"{{{{metadata}}}} must match {PLAIN} to be put",
        ),
        ("{{group}}", {"hook": hook_terms(group="a b")}, "the value of {{group}} must match"),
    ],
)
def test_a_command_fails_in_words_where_a_placeholder_cannot_be_filled(
    text: str, of: dict[str, Any], why: str
) -> None:
    assert why in refused_because(f"a {text} b", **of)


def test_a_long_value_is_shown_in_part() -> None:
    reason = refused_because("{{metadata}}", metadata="$" * 4000)
    assert reason.endswith(f"got '{'$' * 59}...")


EVIL = st.sampled_from(
    ["$(reboot)", "`id`", "{{ssm:/secret}}", "a; b", 'a"b', "a'b", "a b", "\n", "é", "", "$"]
)


@given(value=st.text(max_size=30) | EVIL)
@example(value="worker\n")
@example(value="{{instance_id}}")
def test_nothing_but_plain_characters_reaches_a_command(value: str) -> None:
    for text, metadata in (("x {{metadata}}", value), ("x {{metadata.k}}", json.dumps({"k": value}))):
        parameters = sent(text, metadata=metadata)
        if re.fullmatch("[A-Za-z0-9_.:/@-]+", value):
            assert parameters == [f"x {value}"]
        else:
            assert parameters is None
            assert isinstance(decide(an_action(policy=policy(text), metadata=metadata), at(1)), Complete)


def begun(action: Action) -> Finding:
    """The command was sent."""
    (command,) = action.policy.leaves
    assert isinstance(command, Command)
    memory = {"since": at(0).isoformat(), "command_id": "c-1"}
    return a_finding(condition=command.name, asked_at=at(10), ask_again_at=at(20), memory=memory)


def test_a_command_that_was_sent_is_followed_whatever_its_placeholders_say_by_now() -> None:
    unsent = an_action(policy=policy("{{metadata}}"))
    action = replace(unsent, findings=(begun(unsent),))
    assert isinstance(decide(action, at(15)), Wait)
    assert action.policy.until[0].asks(action, at(20)) == action.policy.until


@pytest.mark.parametrize(
    "written",
    [
        "{{instanceid}}",
        "{{ zone }}",
        "{{metadata.}}",
        "{{metadata-zone}}",
        "{{{instance_id}}}",
        "{{{{metadata}}}}",
        "{{ssm:{{metadata}}}}",
        "{{Metadata}}",
    ],
)
def test_a_file_with_an_unknown_placeholder_is_refused_and_a_record_is_not(written: str) -> None:
    command = {"document": "D-1", "parameters": {"commands": ["ok", f"a {written} b"]}}
    until = [{"signal": "done"}, {"any": [{"command": command}, {"elapsed": "5m"}]}]
    data = {"version": 1, "policies": {"p": {"until": until}}, "hooks": []}
    with pytest.raises(ConfigurationRefused) as refused:
        configuration.parse(data)

    (problem,) = refused.value.problems
    assert problem.field == "policies.p.until[1]"
    assert "which is no placeholder; known are instance_id, group, hook, token, metadata" in problem.rule
    kept = parse_policy("p", json.dumps({"until": [{"command": command}]}))
    assert sent_of(kept)["commands"] == ["ok", f"a {written} b"]
