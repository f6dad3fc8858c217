"""Every value and key of a hooks file that cannot be: refused with its field, rule and value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hooks_data import GONE, TAGS, changed, hook, hooks_on, problems, rows, steps
from usher.core import configuration
from usher.core.conditions import KINDS
from usher.core.globs import fits_both, glob_fits, globs_meet

HOOK_NAME = "must be 1 to 255 of A-Z a-z 0-9 - _ /"
POLICY_NAME = SIGNAL_NAME = "must be a name of 1 to 64 of A-Z a-z 0-9 . _ -"
WAIT = "must be a duration from 1s to 48h, such as 90s or 1h30m"
STANDS_TWICE = "must not have a condition of a later `then` stage a second time in the policy"
TIMEOUT = "must be a duration from 30s to 2h, such as 90s or 1h30m"
LIMIT = "must be a whole number from 1 to 1000"
PLACES = "must be a whole number from 1 to 50"
GROUP = "must be a name or glob of 1 to 255 characters without a colon"
SELECTOR = "must be a name, a glob, or tags: {KEY: VALUE}"
METADATA = "must be 1 to 1023 printable ASCII characters"
TAG_VALUE = "must be a tag value of at most 256 characters"
TAG_KEY = "must be a tag key of 1 to 128 characters"
RULES = "must be the name of a policy, or a list of at least one rule"
RESULT = "must be one of CONTINUE, ABANDON"
PLACE = "must be one of EC2, AutoScalingGroup, WarmPool"
TRANSITION = "must be one of launching, terminating"
ONE_KEY = "must be a mapping with exactly one key, of " + ", ".join([*KINDS, "any", "not"])
DEFINED = "must be a policy of this file (defined: go, wait)"
UNKNOWN = "is not a known key here; known are "
MAPPING = "must be a mapping"
SHARED = "must not be the name of another hook on the same group"
TOO_MANY = "must be one of at most 50 hooks on a group (51 here)"
QUOTES = ", in quotes where it looks like something else"

WHEN_KEYS = "origin, destination, transition, group, after, metadata"
# Of each field: the rule that refuses it, and the values that are refused by it.
UNSOUND: tuple[tuple[Any, ...], ...] = (
    ("version", "must be 1", 0, 2, "1", True, 1.0, None),
    ("hook", UNKNOWN + "version, policies, hooks", []),
    ("policies", MAPPING, None, [], 7),
    ("hooks", "must be a list", None, {}, "drain"),
    ("policies.spare", MAPPING, None, []),
    ("policies.spare", "must have until", {}),
    ("policies.wait.untill", UNKNOWN, []),
    ("policies.wait.until", "must be a list", None, "elapsed", {"elapsed": "90s"}),
    ("policies.wait.until[0]", ONE_KEY, None, "elapsed", {}),
    ("policies.wait.until[1]", ONE_KEY, {"elapsed": "90s", "signal": "x"}),
    ("policies.wait.until[0].elapsed", WAIT, 90, True, "90", "0s", "48h1s"),
    ("policies.wait.until[1].signal", SIGNAL_NAME, None, "", "a b", "jobs\n", "x" * 65),
    ("policies.wait.until[1].signal", SIGNAL_NAME + QUOTES, 7, True),
    ("policies.wait.give_up_after", WAIT, "48h1s", "0s", 30, None),
    ("policies.wait.stalled_after", WAIT, "0s", ["10m"]),
    ("policies.wait.on_success", RESULT, "continue"),
    ("policies.wait.on_failure", RESULT, None),
    ("policies.wait.on_give_up", RESULT, False),
    ("policies.wait.mode", "must be one of enforce, observe", "dry", None),
    ("hooks[0].timeout", UNKNOWN + "name, group, transition", "5m"),
    ("hooks[0].name", HOOK_NAME, "", "x" * 256, "a.b", "a\n", "drain it", "é", None, ["a"]),
    ("hooks[0].name", HOOK_NAME + QUOTES, 7),
    ("hooks[0].group", GROUP, "", "a:b", "a\tb", "x" * 256),
    ("hooks[0].group", SELECTOR, 12, None, ["web"]),
    ("hooks[0].group", "must have tags", {}),
    ("hooks[0].group.tags", "must name at least one tag", {}),
    ("hooks[0].group.tags", MAPPING, ["a"], None),
    ("hooks[0].group.tags.team", TAG_VALUE, None, "x" * 257),
    ("hooks[0].group.tags.team", TAG_VALUE + QUOTES, 1),
    ("hooks[0].transition", TRANSITION, "launch", ["launching"], None),
    ("hooks[0].heartbeat_timeout", TIMEOUT, "29s", "2h1s", 300, None),
    (
        "policies.go.until",
        STANDS_TWICE,
        [{"instance_status": "ok", "then": [{"function": "warm"}, {"instance_status": "ok"}]}],
        [{"instance_status": "ok"}, {"function": "warm", "then": {"instance_status": "ok"}}],
        [{"any": [{"function": "f"}, {"signal": "x"}]}, {"signal": "x", "then": {"function": "f"}}],
    ),
    ("hooks[0].default_result", RESULT, "no"),
    ("hooks[0].notify", "must be one of sqs, sns, eventbridge, lambda", "SQS"),
    ("hooks[0].metadata", METADATA, "", None, "x" * 1024, "é"),
    ("hooks[0].limits", MAPPING, None),
    ("hooks[0].limits.per_day", UNKNOWN + "abandon_per_hour, complete_per_minute, at_once, at_once_per", 1),
    ("hooks[0].limits.abandon_per_hour", LIMIT, 0, True, "5"),
    ("hooks[0].limits.complete_per_minute", LIMIT, 1001, None),
    ("hooks[0].limits.at_once", PLACES, 0, 51),
    ("hooks[0].limits.at_once_per", "needs at_once beside it: how many actions may begin at once", "hook"),
    ("hooks[0].policy", DEFINED, "none"),
    ("hooks[0].policy", "must be the name of a policy", ""),
    ("hooks[0].policy", RULES, None, [], 7, {"use": "go"}),
    ("hooks[0].policy[0]", MAPPING, "go"),
    ("hooks[0].policy[0].then", UNKNOWN + "when, use", "go"),
    ("hooks[0].policy[0].use", DEFINED, "none"),
    ("hooks[0].policy[1].use", "must be the name of a policy" + QUOTES, 7),
    ("hooks[0].policy[1].use", "must be the name of a policy", None),
    ("hooks[0].policy[1]", "is the last rule, so it must have no", {"when": {"origin": "EC2"}, "use": "go"}),
    ("hooks[0].policy[0]", "has no `when`, so the rules after it would never be used", {"use": "go"}),
    ("hooks[0].policy[0].when", "must have at least one of " + WHEN_KEYS, {}),
    ("hooks[0].policy[0].when", MAPPING, None),
    ("hooks[0].policy[0].when.from", UNKNOWN + WHEN_KEYS, "EC2"),
    ("hooks[0].policy[0].when.origin", PLACE, "warmpool"),
    ("hooks[0].policy[0].when.destination", PLACE, ["EC2"]),
    ("hooks[0].policy[0].when.transition", TRANSITION, "launch"),
    ("hooks[0].policy[0].when.group", GROUP, "a:b"),
    ("hooks[0].policy[0].when.group", GROUP + QUOTES, 5),
    ("hooks[0].policy[0].when.after", "must be one of launch_failed", "launch"),
    ("hooks[0].policy[0].when.metadata", "must be text of 1 to 4000 characters", ""),
    ("hooks[0].policy[0].when.metadata", MAPPING, 5),
    ("hooks[0].policy[0].when.metadata", "must be the whole text of the metadata, or a mapping", {}),
    ("hooks[0].policy[0].when.metadata.count", "must be text of at most 4000 characters" + QUOTES, 3),
    ("hooks[0].policy[0].when.metadata.role", "must be text of at most 4000 characters", "a\0"),
)
REFUSED = rows(*((field, value, rule) for field, rule, *values in UNSOUND for value in values))


def test_at_once_counts_for_a_group_or_for_the_hook() -> None:
    (problem,) = problems(changed(("hooks[0].limits", {"at_once": 1, "at_once_per": "account"})))
    assert (problem.field, problem.rule) == ("hooks[0].limits.at_once_per", "must be one of group, hook")


@pytest.mark.parametrize(("field", "value", "rule"), REFUSED)
def test_an_unsound_value_is_refused_with_its_field_rule_and_value(
    field: str, value: object, rule: str
) -> None:
    (problem,) = problems(changed((field, value)))

    assert (problem.field, problem.value) == (field, value)
    assert problem.rule.startswith(rule)
    assert problem.rule.endswith(QUOTES) == rule.endswith(QUOTES)


@pytest.mark.parametrize("value", [None, [], "hooks", 1, True, 1.5])
def test_a_file_that_is_no_mapping_is_refused(value: object) -> None:
    assert [str(found) for found in problems(value)] == [f"the file: must be a mapping, got {value!r}"]


@pytest.mark.parametrize(
    ("around", "key", "field", "rule"),
    [
        pytest.param("policies", "a b", "policies['a b']", POLICY_NAME, id="policy name: a space"),
        pytest.param("policies", "", "policies['']", POLICY_NAME, id="policy name: empty"),
        pytest.param(
            "policies", "x" * 65, f"policies['{'x' * 65}']", POLICY_NAME, id="policy name: 65 characters"
        ),
        pytest.param("policies", 5, "policies.5", "must be text", id="policy name: a number"),
        pytest.param("policies", True, "policies.True", "must be text", id="policy name: a boolean"),
        pytest.param("policies", None, "policies.None", "must be text", id="policy name: null"),
        pytest.param("policies.go", 5, "policies.go.5", "must be text", id="policy: a number as key"),
        pytest.param("hooks[0]", True, "hooks[0].True", "must be text", id="hook: a boolean as key"),
        pytest.param("hooks[0].limits", 5, "hooks[0].limits.5", "must be text", id="limits: a number as key"),
    ],
)
def test_an_unsound_key_is_refused(around: str, key: Any, field: str, rule: str) -> None:
    data = changed((f"{around}.spare", {"until": []}))
    place = data
    for step in steps(around):
        place = place[step]
    place[key] = place.pop("spare")

    (problem,) = problems(data)

    assert (problem.field, problem.value) == (field, key)
    assert rule in problem.rule


@pytest.mark.parametrize(
    ("tags", "field", "rule", "value"),
    [
        pytest.param({"": "x"}, "['']", TAG_KEY, "", id="empty"),
        pytest.param({"x" * 129: "x"}, f"['{'x' * 116}...]", TAG_KEY, "x" * 129, id="129 characters"),
        pytest.param({7: "x", "a": "b"}, ".7", "must be text: put this key in quotes", 7, id="a number"),
    ],
)
def test_an_unsound_tag_key_is_refused(tags: object, field: str, rule: str, value: object) -> None:
    found = problems(changed(("hooks[0].group.tags", tags)))

    assert [(one.field, one.rule, one.value) for one in found] == [
        (f"hooks[0].group.tags{field}", rule, value)
    ]


@pytest.mark.parametrize(
    ("condition", "field", "rule"),
    [
        pytest.param(
            {"sginal": "x"},
            "policies.go.until[0].sginal",
            UNKNOWN + ", ".join([*KINDS, "any", "not"]),
            id="unknown",
        ),
        pytest.param(
            {5: "x"}, "policies.go.until[0].5", "must be text: put this key in quotes", id="a number"
        ),
    ],
)
def test_an_unknown_kind_of_condition_is_refused_once(condition: object, field: str, rule: str) -> None:
    found = problems(changed(("policies.go.until", [condition])))

    assert [(one.field, one.rule) for one in found] == [(field, rule)]


@pytest.mark.parametrize(
    ("key", "field"),
    [
        pytest.param("version", "the file", id="version"),
        pytest.param("policies", "the file", id="policies"),
        pytest.param("hooks", "the file", id="hooks"),
        pytest.param("hooks[0].name", "hooks[0]", id="name"),
        pytest.param("hooks[0].group", "hooks[0]", id="group"),
        pytest.param("hooks[0].transition", "hooks[0]", id="transition"),
        pytest.param("hooks[0].policy", "hooks[0]", id="policy"),
        pytest.param("policies.go.until", "policies.go", id="until"),
        pytest.param("hooks[0].policy[0].use", "hooks[0].policy[0]", id="use"),
    ],
)
def test_a_missing_key_is_missed_where_it_belongs(key: str, field: str) -> None:
    found = problems(changed((key, GONE)))

    assert [(one.field, one.rule) for one in found] == [(field, f"must have {steps(key)[-1]}")]


def test_all_missing_keys_are_missed_at_once() -> None:
    assert [found.rule for found in problems(changed(("hooks[1]", {})))] == [
        "must have name, group, transition, policy"
    ]


@pytest.mark.parametrize("way", ["eventbridge", "lambda"])
def test_a_way_that_may_be_late_is_refused_below_ten_minutes(way: str) -> None:
    found = problems(changed(("hooks[1].notify", way), ("hooks[1].heartbeat_timeout", "9m59s")))

    assert [(problem.field, problem.value) for problem in found] == [("hooks[1].notify", way)]
    assert "must be sqs or sns if heartbeat_timeout is 9m59s" in found[0].rule
    assert "needs at least 10m" in found[0].rule


@pytest.mark.parametrize(
    ("timeout", "give_up_after", "limit"),
    [
        pytest.param("30s", "50m1s", "50m", id="a hundred timeouts"),
        pytest.param("28m", "46h40m1s", "46h40m", id="a hundred timeouts, nearly two days"),
    ],
)
def test_a_policy_that_outlasts_the_global_limit_is_refused_where_a_hook_uses_it(
    timeout: str, give_up_after: str, limit: str
) -> None:
    found = problems(
        changed(("hooks[0].heartbeat_timeout", timeout), ("policies.wait.give_up_after", give_up_after))
    )

    assert [problem.field for problem in found] == ["hooks[0].policy"]
    assert f"uses wait, whose give_up_after {give_up_after} must not exceed" in found[0].rule
    assert f"the global timeout of this hook, {limit}" in found[0].rule


SHARED_NAMES = [
    pytest.param("web", "web", id="the same name"),
    pytest.param("web-*", "web-*", id="the same glob"),
    pytest.param("web-*", "web-1", id="a glob and a name that fits"),
    pytest.param("web-1", "web-*", id="a name and a glob that it fits"),
    pytest.param("web-*", "*-blue", id="globs that meet"),
    pytest.param("*", "web", id="everything and a name"),
    pytest.param("a*b*c", "ab*bc", id="globs that meet in the middle"),
    pytest.param({"tags": {"team": "web"}}, {"tags": {"team": "web"}}, id="the same tags"),
    pytest.param(
        {"tags": {"team": "web", "env": "prod"}},
        {"tags": {"env": "prod", "team": "web"}},
        id="the same tags in another order",
    ),
    pytest.param("a" * 254 + "*", "*" + "a" * 254, id="the longest globs"),
]


@pytest.mark.parametrize(("one", "other"), SHARED_NAMES)
def test_one_name_for_two_hooks_of_a_group_is_refused(one: object, other: object) -> None:
    found = problems(changed(("hooks", [hook("same", one), hook("same", other)])))

    (told,) = found
    assert (told.field, told.value) == ("hooks[1].name", "same")
    assert told.rule.startswith(SHARED)


@pytest.mark.parametrize(
    ("one", "other", "example"),
    [
        ("web", "*b", "web"),
        ("*-team0-*", "*-team1-*", "-team0--team1-"),
        ("web-*-prod", "web-eu-*", "web-eu--prod"),
    ],
)
def test_where_globs_meet_a_group_is_told_that_fits_both(one: str, other: str, example: str) -> None:
    (told,) = problems(changed(("hooks", [hook("same", one), hook("same", other)])))
    assert told.rule == f"{SHARED}: {example} matches {one} and {other}"


@given(*[st.text("ab*", min_size=1, max_size=8)] * 2)
def test_the_example_of_two_globs_that_meet_fits_both(one: str, other: str) -> None:
    if globs_meet(one, other):
        example = fits_both(one, other)
        assert glob_fits(one, example)
        assert glob_fits(other, example)


def test_each_further_hook_of_one_name_is_refused_once() -> None:
    found = problems(changed(("hooks", [hook("same", "web") for _ in range(3)])))

    assert [problem.field for problem in found] == ["hooks[1].name", "hooks[2].name"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("web", "api", id="other names"),
        pytest.param("web-*", "api-*", id="globs that do not meet at the start"),
        pytest.param("*-blue", "*-red", id="globs that do not meet at the end"),
        pytest.param("web-*", "web", id="a glob and a name that does not fit"),
        pytest.param("web", "Web", id="another case"),
        pytest.param({"tags": {"team": "web"}}, {"tags": {"team": "api"}}, id="other tags"),
        pytest.param({"tags": {"team": "web"}}, "web", id="tags and a name: said at enrolment"),
    ],
)
def test_one_name_for_hooks_of_different_groups_is_taken(one: object, other: object) -> None:
    found = configuration.parse(changed(("hooks", [hook("same", one), hook("same", other)])))

    assert [kept.name for kept in found.hooks] == ["same", "same"]


@pytest.mark.parametrize(
    ("groups", "first_refused"),
    [
        pytest.param(["web"] * 51, 0, id="by name"),
        pytest.param(["web-*"] * 51, 0, id="by glob"),
        pytest.param(["web-*"] * 50 + ["web-1"], 50, id="by glob, and one by name"),
        pytest.param(["*"] * 25 + ["web-*"] * 25 + ["web-1"], 50, id="by two globs, and one by name"),
        pytest.param(["web-*"] * 25 + ["web-blue-*"] * 26, 25, id="by a glob within a glob"),
        pytest.param([TAGS] * 51, 0, id="by tags"),
        pytest.param([TAGS] * 50 + [{"tags": {"team": "web", "env": "a"}}], 50, id="by tags, and more tags"),
    ],
)
def test_more_than_fifty_hooks_on_a_group_are_refused(groups: list[object], first_refused: int) -> None:
    found = problems(changed(("hooks", hooks_on(*groups))))

    assert [(problem.field, problem.rule) for problem in found] == [(f"hooks[{first_refused}]", TOO_MANY)]
