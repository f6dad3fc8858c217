"""A hooks file as data: what is taken, with its defaults, and how its problems are told."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.hooks_data import TAGS, Word, changed, hook, hooks_on, problems, rows, sound
from usher.core import configuration
from usher.core.action import Result, Transition
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.signalled import Signalled
from usher.core.field import Problem
from usher.core.limits import Limits
from usher.core.policies import parse_policy
from usher.core.policy import Channel, GroupSelector, Mode


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(["web"] * 50, id="fifty by name"),
        pytest.param(["web-*"] * 49 + ["web-1"], id="fifty by glob and name"),
        pytest.param(["web"] * 50 + ["api"] * 50, id="fifty on each of two groups"),
        pytest.param(["web-*"] * 50 + ["web"], id="a glob that the name does not fit"),
        pytest.param(["web-*"] * 26 + ["*-blue"] * 25, id="globs that meet, maybe in no group"),
        pytest.param([TAGS] * 50 + ["web"], id="tags, which may be on no such group"),
    ],
)
def test_fifty_hooks_on_a_group_are_taken(groups: list[object]) -> None:
    assert len(configuration.parse(changed(("hooks", hooks_on(*groups)))).hooks) == len(groups)


ACCEPTED = rows(
    ("hooks[0].heartbeat_timeout", "30s"),
    ("hooks[0].heartbeat_timeout", "2h"),
    ("hooks[0].heartbeat_timeout", "7200s"),
    ("hooks[0].name", "x"),
    ("hooks[0].name", "x" * 255),
    ("hooks[0].name", "a/b_C-9"),
    ("hooks[0].group", "x" * 255),
    ("hooks[0].group", "a b/é\U0001f600~"),
    ("hooks[0].group", "*"),
    ("hooks[0].group.tags", {"x" * 128: "y" * 256, "flag": ""}),
    ("hooks[0].metadata", "x" * 1023),
    ("hooks[0].metadata", "a: b\n\tc"),
    ("hooks[0].limits", {}),
    ("hooks[0].limits", {"abandon_per_hour": 1, "complete_per_minute": 1000}),
    ("hooks[0].limits", {"at_once": 1}),
    ("hooks[0].limits", {"at_once": 50, "at_once_per": "hook"}),
    ("hooks[0].transition", Word.LAUNCHING),
    ("hooks[0].policy", [{"use": "go"}]),
    ("hooks[0].policy", ({"use": "go"},)),
    ("hooks", []),
    ("policies.wait.until", [{"elapsed": "1s"}, {"elapsed": "48h"}]),
    ("policies.wait.until", [{"signal": "x" * 64}, {"signal": "A-z_0.9"}]),
    ("policies['a.b']", {"until": []}),
    ("policies.wait.give_up_after", "1s"),
    ("policies.wait.stalled_after", "48h"),
)


@pytest.mark.parametrize(("field", "value"), ACCEPTED)
def test_a_value_at_the_edge_is_taken(field: str, value: object) -> None:
    assert configuration.parse(changed((field, value))).policies.keys() >= {"wait", "go"}


@pytest.mark.parametrize("way", ["eventbridge", "lambda"])
def test_a_way_that_may_be_late_is_taken_from_ten_minutes_on(way: str) -> None:
    found = configuration.parse(changed(("hooks[1].notify", way), ("hooks[1].heartbeat_timeout", "10m")))

    assert found.hooks[1].notify == way


@pytest.mark.parametrize(
    ("timeout", "give_up_after"),
    [
        pytest.param("30s", "50m", id="a hundred timeouts"),
        pytest.param("28m48s", "48h", id="a hundred timeouts are two days"),
        pytest.param("2h", "48h", id="two days"),
    ],
)
def test_a_policy_may_last_to_the_global_limit(timeout: str, give_up_after: str) -> None:
    found = configuration.parse(
        changed(("hooks[0].heartbeat_timeout", timeout), ("policies.wait.give_up_after", give_up_after))
    )

    assert found.policies["wait"].give_up_after


def test_a_policy_that_no_hook_uses_may_outlast_any_hook() -> None:
    spare = {"until": [], "give_up_after": "48h"}

    assert "spare" in configuration.parse(changed(("policies.spare", spare))).policies


def test_what_is_not_said_has_the_documented_default() -> None:
    found = configuration.parse(sound())
    boot, go = found.hooks[1], found.policies["go"]

    assert (boot.heartbeat_timeout, boot.default_result, boot.notify) == (
        timedelta(hours=1),
        Result.ABANDON,
        Channel.SQS,
    )
    assert (boot.metadata, boot.limits) == (None, Limits())
    assert (go.on_success, go.on_failure, go.on_give_up) == (Result.CONTINUE, Result.ABANDON, None)
    assert (go.give_up_after, go.stalled_after, go.mode) == (None, None, Mode.ENFORCE)


def test_everything_that_is_said_is_kept() -> None:
    policy = {
        "until": [{"elapsed": "90s"}, {"signal": "done"}],
        "give_up_after": "45m",
        "on_success": "ABANDON",
        "on_failure": "CONTINUE",
        "on_give_up": "ABANDON",
        "stalled_after": "10m",
        "mode": "observe",
    }
    full = hook(
        "full",
        {"tags": {"team": "web", "env": "prod"}},
        transition="terminating",
        heartbeat_timeout="10m",
        default_result="CONTINUE",
        notify="lambda",
        metadata="owner=jobs",
        limits={"abandon_per_hour": 5, "complete_per_minute": 20},
        policy=[{"when": {"origin": "WarmPool", "group": "web-*"}, "use": "go"}, {"use": "wait"}],
    )

    found = configuration.parse(changed(("policies.wait", policy), ("hooks", [full])))
    wait, kept = found.policies["wait"], found.hooks[0]

    assert wait.until == (Elapsed(after=timedelta(seconds=90)), Signalled(name="done"))
    assert (wait.name, wait.give_up_after, wait.stalled_after, wait.mode) == (
        "wait",
        timedelta(minutes=45),
        timedelta(minutes=10),
        Mode.OBSERVE,
    )
    assert (wait.on_success, wait.on_failure, wait.on_give_up) == (
        Result.ABANDON,
        Result.CONTINUE,
        Result.ABANDON,
    )
    assert kept.group == GroupSelector(glob=None, tags=(("env", "prod"), ("team", "web")))
    assert (kept.name, kept.transition, kept.heartbeat_timeout, kept.default_result) == (
        "full",
        Transition.TERMINATING,
        timedelta(minutes=10),
        Result.CONTINUE,
    )
    assert (kept.notify, kept.metadata) == (Channel.LAMBDA, "owner=jobs")
    assert kept.limits == Limits(abandon_per_hour=5, complete_per_minute=20)
    assert [(rule.when, rule.use.name) for rule in kept.rules] == [
        ((("origin", "WarmPool"), ("group", "web-*")), "go"),
        ((), "wait"),
    ]


def test_all_problems_of_a_file_are_refused_at_once() -> None:
    data = {
        "version": 3,
        "policies": {
            "late": {"until": [{"elapsed": 90}, {"esc": "active"}], "give_up_after": 30, "mode": "dry"},
            "b d": {"until": None, "on_success": "YES"},
        },
        "hooks": [
            {
                "name": "x y",
                "group": {"tags": {"team": 1}},
                "transition": "launch",
                "heartbeat_timeout": 30,
                "default_result": "go",
                "notify": "mail",
                "metadata": 5,
                "limits": {"abandon_per_hour": "5", "complete_per_minute": 0},
                "policy": [{"use": "late"}, {"when": {"origin": "here"}, "use": "lost"}],
                "extra": 1,
            },
        ],
        "more": None,
    }

    assert sorted(found.field for found in problems(data)) == sorted(
        [
            "more",
            "version",
            "policies.late.until[0].elapsed",
            "policies.late.until[1].esc",
            "policies.late.give_up_after",
            "policies.late.mode",
            "policies['b d']",
            "policies['b d'].until",
            "policies['b d'].on_success",
            "hooks[0].name",
            "hooks[0].group.tags.team",
            "hooks[0].transition",
            "hooks[0].heartbeat_timeout",
            "hooks[0].default_result",
            "hooks[0].notify",
            "hooks[0].metadata",
            "hooks[0].limits.abandon_per_hour",
            "hooks[0].limits.complete_per_minute",
            "hooks[0].policy[0]",
            "hooks[0].policy[1]",
            "hooks[0].policy[1].when.origin",
            "hooks[0].policy[1].use",
            "hooks[0].extra",
        ]
    )


def test_a_bad_policy_is_refused_once_and_not_again_where_it_is_used() -> None:
    found = problems(changed(("policies.go.mode", "dry"), ("hooks[0].policy[1].use", "lost")))

    assert [problem.field for problem in found] == ["policies.go.mode", "hooks[0].policy[1].use"]
    assert "(defined: go, wait)" in found[1].rule


def test_a_policy_name_that_is_refused_breaks_no_other_complaint_into_lines() -> None:
    (_, lost) = problems(changed(("policies['a\rb']", {"until": []}), ("hooks[1].policy", "lost")))

    assert lost.rule == "must be a policy of this file (defined: go, wait)"


def test_where_there_are_no_policies_their_uses_are_not_refused_as_well() -> None:
    found = problems(changed(("policies", "none"), ("hooks[1].name", "")))

    assert [problem.field for problem in found] == ["policies", "hooks[1].name"]


def test_hooks_with_bad_tags_are_not_taken_for_hooks_of_one_group() -> None:
    found = problems(changed(("hooks", [hook("same", {"tags": {"a": 1}}), hook("same", {"tags": {"b": 2}})])))

    assert [problem.field for problem in found] == ["hooks[0].group.tags.a", "hooks[1].group.tags.b"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param((), "the file", id="the whole"),
        pytest.param(("hooks", 0, "name"), "hooks[0].name", id="keys and indexes"),
        pytest.param(("policies", "a.b", "until"), "policies['a.b'].until", id="a key with a dot"),
        pytest.param(("a\nb",), "['a\\nb']", id="a key with a line break"),
        pytest.param(("\x1b[31m",), "['\\x1b[31m']", id="a key that would colour the terminal"),
    ],
)
def test_a_field_is_written_as_a_path_in_one_line(path: tuple[str | int, ...], expected: str) -> None:
    assert Problem(path=path, rule="must be", value=None).field == expected


def test_a_long_value_is_shown_by_its_beginning() -> None:
    problem = Problem(path=("hooks",), rule="must be short", value="x" * 500)

    assert str(problem) == f"hooks: must be short, got '{'x' * 116}..."


def test_a_record_may_have_a_policy_that_a_file_may_not_have_any_more() -> None:
    again = [{"instance_status": "ok", "then": [{"function": "warm"}, {"instance_status": "ok"}]}]
    assert len(parse_policy("go", json.dumps({"until": again})).leaves) == 3
