"""The templates of a large fleet keep the limits of AWS; more than AWS takes is refused, with its line."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from pathlib import Path
from typing import Any, Final

import pytest

from tests.infra import aws_limits
from tests.infra.stacks import HOOKS, deployment, hook, hooks_data, of_file, resources, template_of, templates
from usher.core.compiled import compiled
from usher_hooksfile import size
from usher_hooksfile.load import HooksFileRefused, load, read

RULE: Final = "AWS::Events::Rule"
REFERENCE: Final = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def policies_of(data: dict[str, Any]) -> int:
    """How many managed policies the template has, which keeps every limit, with the rules of any file."""
    template = template_of(deployment(data))
    assert aws_limits.breaches(template) == []
    assert resources(template, RULE) == resources(templates("default")["Usher"], RULE)
    return len(resources(template, "AWS::IAM::ManagedPolicy"))


def names(count: int, length: int = 16) -> list[dict[str, Any]]:
    return [hook(group=f"{number:0{length}}") for number in range(count)]


def most_names(length: int) -> int:
    """How many groups of such names are not refused, found from below."""
    (right,) = size.to_put(deployment(hooks_data(*names(1, length))).configuration)
    return (size.POLICY_CHARACTERS - 130) // right.characters * size.POLICIES_OF_A_ROLE


FLEETS: Final = {
    "two groups": (HOOKS, 0),
    "60 names of 16 characters": (hooks_data(*names(60)), 2),
    "300 groups with two hooks each": (
        hooks_data(*names(300), *(one | {"name": "gate", "transition": "launching"} for one in names(300))),
        6,
    ),
    "as many names of 255 characters as are taken": (hooks_data(*names(most_names(255), 255)), 10),
    "200 globs of any shape": (
        hooks_data(*(hook(name=f"h{number}", group=f"*-team{number}-*-workers-**") for number in range(200))),
        5,
    ),
    "100 tags": (
        hooks_data(
            *(hook(name=f"h{number}", group={"tags": {"team": f"t{number}"}}) for number in range(100))
        ),
        4,
    ),
}


@pytest.mark.parametrize("name", FLEETS)
def test_the_template_of_a_fleet_keeps_every_limit_and_has_the_rules_of_any_other(name: str) -> None:
    data, policies = FLEETS[name]
    assert policies_of(data) == policies


def test_both_functions_that_put_hooks_have_the_policies() -> None:
    template = template_of(deployment(hooks_data(*names(60))))
    found = template["Resources"].values()
    roles = {
        json.dumps(each["Properties"]["Roles"]) for each in found if each["Type"] == "AWS::IAM::ManagedPolicy"
    }
    (attached,) = roles
    assert "SweepRole" in attached
    assert "ProvisionRole" in attached


@pytest.mark.parametrize(
    ("name", "hooks"), [("colliding-names", 2), ("eleven-globs", 11), ("double-star", 1)]
)
def test_what_was_refused_in_the_field_is_deployable(field: Path, name: str, hooks: int) -> None:
    data: Any = read(field / f"{name}.yaml")
    assert len(data["hooks"]) == hooks
    assert policies_of(data) == 0


def a_file(folder: Path, *groups: str, until: str = "[]") -> Path:
    lines = [f"  - {{name: h, group: {group}, transition: terminating, policy: p}}" for group in groups]
    file = folder / "hooks.yaml"
    file.write_text("\n".join(["version: 1", f"policies: {{p: {{until: {until}}}}}", "hooks:", *lines]))
    return file


def test_what_the_policies_of_a_role_hold_is_taken_and_one_more_is_refused_with_its_line(
    tmp_path: Path,
) -> None:
    most = most_names(16)
    groups = [f"g{number:015}" for number in range(most + 1)]
    assert len(load(a_file(tmp_path, *groups[:most])).hooks) == most
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, *groups))
    (said,) = refused.value.complaints
    assert said.startswith(f"{tmp_path}/hooks.yaml:{most + 4}: hooks[{most}].group: must be one of")
    assert f"at most {most} names, globs and tags of this file" in said
    assert "select groups by a shared glob or tag" in said


def test_a_file_is_taken_up_to_what_a_request_holds_and_one_signal_more_is_refused(tmp_path: Path) -> None:
    def signals(count: int) -> list[dict[str, str]]:
        return [{"signal": f"s{number:062}"} for number in range(count)]

    def compiled_to(count: int) -> int:
        return len(json.dumps(compiled(data | {"policies": {"p": {"until": signals(count)}}}).text))

    data: Any = read(a_file(tmp_path, "g"))
    most = bisect_right(range(4_000), size.FILE_CHARACTERS, key=compiled_to) - 1
    file = a_file(tmp_path, "g", until=json.dumps(signals(most)))
    assert aws_limits.breaches(template_of(of_file(file))) == []
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, "g", until=json.dumps(signals(most + 1))))
    (said,) = refused.value.complaints
    assert "hooks: must compile to at most 240000 characters" in said


def files_of(folder: Path, conditions: list[str]) -> Path:
    """A hooks file with a policy for each condition."""
    policies = [f"  p{number}: {{until: [{each}]}}" for number, each in enumerate(conditions)]
    file = folder / "hooks.yaml"
    hook = "  - {name: h, group: g, transition: terminating, policy: p0}"
    file.write_text("\n".join(["version: 1", "policies:", *policies, "hooks:", hook]))
    return file


ASKING: Final = {
    "functions": ("function: n{:063}", 300),
    "documents": ("command: {{document: n{:0127}}}", 200),
    "clusters": ("ecs: {{state: drained, cluster: n{:0254}}}", 60),
}


@pytest.mark.parametrize("kind", ASKING)
def test_what_conditions_ask_is_taken_up_to_ten_policies_and_the_next_is_refused_with_its_line(
    tmp_path: Path, kind: str
) -> None:
    condition, too_many = ASKING[kind]
    conditions = [condition.format(number) for number in range(too_many)]
    with pytest.raises(HooksFileRefused) as refused:
        load(files_of(tmp_path, conditions))
    (said,) = refused.value.complaints
    line, _, rule = said.removeprefix(f"{tmp_path}/hooks.yaml:").partition(": ")
    taken = int(line) - 3
    assert rule.startswith(f"policies.p{taken}.until: must be one of at most")
    template = template_of(of_file(files_of(tmp_path, conditions[:taken])))
    assert aws_limits.breaches(template) == []
    assert len(resources(template, "AWS::IAM::ManagedPolicy")) == 10
    assert re.search(rf"\b{taken} {kind}\b", REFERENCE)


def test_few_rights_to_ask_stand_among_the_others_of_the_role() -> None:
    policies = {f"p{number}": {"until": [{"function": f"f{number}"}]} for number in range(8)}
    assert policies_of(hooks_data(hook(policy="p0")) | {"policies": policies}) == 0


@pytest.mark.parametrize(("name", "in_iam"), [("a?b", "a${?}b"), ("${aws:x}", "${$}{aws:x}"), ("[a]", "[a]")])
def test_what_means_something_to_iam_is_written_as_itself(name: str, in_iam: str) -> None:
    assert size.in_iam(name, is_pattern=True) == in_iam


def test_to_a_tag_a_question_mark_is_itself() -> None:
    assert size.in_iam("a?$", is_pattern=False) == "a?${$}"


def test_a_name_that_iam_takes_in_no_policy_is_refused_with_its_line(tmp_path: Path) -> None:
    assert len(load(a_file(tmp_path, "büro-ÿ")).hooks) == 1
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, "g", "日本"))
    (said,) = refused.value.complaints
    assert said.startswith(f"{tmp_path}/hooks.yaml:5: hooks[1].group: must have no character beyond ÿ")


def test_tags_are_taken_up_to_what_one_policy_holds_and_a_character_more_is_refused_with_its_line(
    tmp_path: Path,
) -> None:
    def tags(length: int) -> str:
        many = {f"k{number:0127}": "x" * 256 for number in range(14)}
        return json.dumps({"tags": many | {"last": "x" * length}})

    file = a_file(tmp_path, tags(117))
    assert aws_limits.breaches(template_of(of_file(file))) == []
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, tags(118)))
    (said,) = refused.value.complaints
    assert said.startswith(f"{tmp_path}/hooks.yaml:4: hooks[0].group: must be tags that fit into one policy")


@pytest.mark.parametrize("length", [16, 255])
def test_the_reference_tells_how_many_names_are_taken(length: int) -> None:
    assert re.search(rf"\b{most_names(length)}( names)? of {length}\b", REFERENCE)
