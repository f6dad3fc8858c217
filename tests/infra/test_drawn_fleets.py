"""Drawn fleets: what is taken keeps every limit of AWS; and the judge of that finds what breaks one.

`make drawn-fleets` draws 2,000.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.conditions import ASKED
from tests.infra import aws_limits
from tests.infra.drawn_fleets import REFUSALS, judge, other_rights, questions
from tests.infra.stacks import ALL_WAYS, deployment, hook, hooks_data, template_of
from usher_simulator.trials.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEEDS = (2, 4, 6, 7, 8)  # on both sides of two limits, and near a third


def test_a_drawn_fleet_is_taken_only_where_its_template_keeps_every_limit(tmp_path: Path) -> None:
    judged = [judge(seed, tmp_path) for seed in SEEDS]
    assert [(one.seed, one.wrong) for one in judged if one.wrong] == []
    refused = {one.refused_by for one in judged} - {None}
    assert 0 < len(refused) < len(SEEDS)
    assert refused <= set(REFUSALS.values())


def test_a_condition_of_each_kind_that_asks_aws_is_drawn() -> None:
    drawn = questions(Dice.of(1, "kinds"), 1, "name")
    assert {kind for each in drawn for kind in each} == set(ASKED)


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    groups = [hook(name=f"h{number}", group=f"g{number:016}") for number in range(60)]
    return template_of(deployment(hooks_data(*groups, *ALL_WAYS["hooks"]), customer_key=True))


def first(template: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each["Properties"] for each in template["Resources"].values() if each["Type"].startswith(kind)
    )
    return found


def longer_policy(template: dict[str, Any], kind: str, characters: int) -> None:
    first(template, kind)["PolicyDocument"]["Statement"].append({"Resource": "x" * characters})


def more_policies(template: dict[str, Any], of: str) -> None:
    made = {"Type": "AWS::IAM::ManagedPolicy", "Properties": first(template, of) | {"PolicyDocument": {}}}
    template["Resources"] |= {f"More{number}": made for number in range(10)}


def more_resources(template: dict[str, Any], count: int) -> None:
    made = {"Type": "AWS::SQS::Queue", "Properties": {}}
    template["Resources"] |= {f"More{number}": made for number in range(count)}


def a_pattern(template: dict[str, Any], *wild: str) -> None:
    names = [{"wildcard": each} for each in wild]
    first(template, "AWS::Events::Rule")["EventPattern"] = {"detail": {"AutoScalingGroupName": names}}


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "characters of a managed policy": lambda it: longer_policy(it, "AWS::IAM::ManagedPolicy", 6_000),
    "managed policies of a role": lambda it: more_policies(it, "AWS::IAM::ManagedPolicy"),
    "inline characters of a role": lambda it: longer_policy(it, "AWS::IAM::Policy", 10_000),
    "characters of a trust policy": lambda it: first(it, "AWS::IAM::Role").update(
        AssumeRolePolicyDocument={"Statement": ["x" * 2_100]}
    ),
    "characters no policy takes": lambda it: first(it, "AWS::IAM::Policy")["PolicyDocument"].update(
        Id="\u65e5"
    ),
    "resources": lambda it: more_resources(it, 450),
    "outputs": lambda it: it["Outputs"].update({f"More{number}": {} for number in range(200)}),
    "bytes of the template": lambda it: it.update(Metadata="x" * 1_000_000),
    "bytes of a description": lambda it: it.update(Description="x" * 1_025),
    "characters of a pattern": lambda it: a_pattern(it, *("x" * 100 for _ in range(20))),
    "wildcards of a rule": lambda it: a_pattern(it, *("x*" for _ in range(11))),
    "consecutive wildcards": lambda it: a_pattern(it, "x**"),
    "targets of a rule": lambda it: first(it, "AWS::Events::Rule").update(Targets=[{}] * 6),
    "rules": lambda it: it["Resources"].update(
        {f"More{number}": {"Type": "AWS::Events::Rule", "Properties": {}} for number in range(300)}
    ),
    "bytes of an environment": lambda it: first(it, "AWS::Lambda::Function")["Environment"][
        "Variables"
    ].update(MORE="x" * 4_000),
    "bytes of a custom resource's request": lambda it: first(it, "Custom::").update(File="x" * 493_000),
    "characters of a queue's policy": lambda it: longer_policy(it, "AWS::SQS::QueuePolicy", 8_000),
    "statements of a queue's policy": lambda it: first(it, "AWS::SQS::QueuePolicy").update(
        PolicyDocument={"Statement": [{}] * 21}
    ),
    "characters of a key's policy": lambda it: first(it, "AWS::KMS::Key").update(KeyPolicy="x" * 32_768),
}


def test_what_a_deployment_makes_breaks_no_limit(sound: dict[str, Any]) -> None:
    assert aws_limits.breaches(sound) == []
    assert set(BREAKS) == set(aws_limits.MOST)


@pytest.mark.parametrize("limit", BREAKS)
def test_the_judge_finds_a_template_that_breaks_a_limit(sound: dict[str, Any], limit: str) -> None:
    template = copy.deepcopy(sound)
    BREAKS[limit](template)
    assert [said.partition(":")[0] for said in aws_limits.breaches(template)] == [limit]


ASKS: dict[str, Any] = {
    "f": {"until": [{"function": "f"}]},
    "c": {"until": [{"command": {"document": "doc"}}]},
}
FILE = hooks_data(*(hook(group=group, policy="f") for group in ("a?$", "b-*", {"tags": {"team": "t"}})))
FILE |= {"policies": ASKS}


def others(**changes: Any) -> list[str]:
    """What the template of FILE lacks of another file, and has too much."""
    return list(other_rights(FILE | changes, template_of(deployment(FILE))))


def test_the_rights_of_a_deployment_are_those_of_its_file() -> None:
    assert others() == []


@pytest.mark.parametrize(
    ("changes", "role", "lacks", "too_much"),
    [
        ({"hooks": [*FILE["hooks"], hook(group="more")]}, "Sweep", "more", None),
        ({"hooks": FILE["hooks"][:-1]}, "Provision", None, '{"team": "t"}'),
        ({"hooks": [hook(group="a?x"), *FILE["hooks"][1:]]}, "Sweep", "a${?}x", "a${?}${$}"),
        ({"policies": ASKS | {"f": {"until": [{"function": "g"}]}}}, "Questions", "g", "f"),
        ({"policies": ASKS | {"c": {"until": []}}}, "Questions", None, "doc"),
    ],
    ids=["a group", "tags", "another name", "a function", "a document"],
)
def test_the_judge_finds_rights_that_are_missing_and_rights_that_nobody_asked_for(
    changes: dict[str, Any], role: str, lacks: str | None, too_much: str | None
) -> None:
    said = others(**changes)
    assert (f"{role}Role may not: {lacks}" in said) is (lacks is not None)
    assert (f"{role}Role may, unasked: {too_much}" in said) is (too_much is not None)
