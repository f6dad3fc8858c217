"""The templates of a large fleet keep the limits of AWS, reckoned here from the templates alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import fleet_size
from cli.hooks_file import HooksFileRefused, load
from tests.infra.stacks import deployment, hook, hooks_data, template_of
from usher.core.policy import GroupSelector

# aws-facts 11.3
MOST_OF_A_MANAGED_POLICY: Final = 6_144
MOST_INLINE_OF_A_ROLE: Final = 10_240
MOST_POLICIES_OF_A_ROLE: Final = 10
MOST_OF_A_PATTERN: Final = 2_048
MOST_RESOURCES: Final = 500
MOST_BYTES: Final = 1_000_000

LONGEST: Final = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-isof-south-1",
    "AWS::AccountId": "123456789012",
}


def rendered(value: Any) -> Any:
    """What CloudFormation makes of it, at its longest; what is not known here is short."""
    match value:
        case {"Ref": str(name)}:
            return LONGEST.get(name, "x" * 64)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(rendered(part) for part in parts)
        case {"Fn::GetAtt": _}:
            return "x" * 128
        case dict():
            return {key: rendered(one) for key, one in value.items()}
        case list():
            return [rendered(one) for one in value]
    return value


def characters(document: Any) -> int:
    return len("".join(json.dumps(rendered(document)).split()))


def keeps_the_limits(template: dict[str, Any]) -> int:
    """How many managed policies there are."""
    found = template["Resources"].values()
    managed = [each["Properties"] for each in found if each["Type"] == "AWS::IAM::ManagedPolicy"]
    inline = [each["Properties"] for each in found if each["Type"] == "AWS::IAM::Policy"]
    assert (
        max((characters(each["PolicyDocument"]) for each in managed), default=0) <= MOST_OF_A_MANAGED_POLICY
    )
    assert max(characters(each["PolicyDocument"]) for each in inline) <= MOST_INLINE_OF_A_ROLE
    attached = [json.dumps(role) for each in managed for role in each["Roles"]]
    assert max((attached.count(role) for role in attached), default=0) <= MOST_POLICIES_OF_A_ROLE
    patterns = [
        each["Properties"].get("EventPattern") for each in found if each["Type"] == "AWS::Events::Rule"
    ]
    assert all(characters(pattern) <= MOST_OF_A_PATTERN for pattern in patterns)
    assert "wildcard" not in json.dumps(patterns)  # so that no rule is too complex
    assert len(template["Resources"]) <= MOST_RESOURCES
    assert len(json.dumps(template, indent=1)) <= MOST_BYTES
    return len(managed)


def names(count: int, length: int = 16) -> list[dict[str, Any]]:
    return [hook(group=f"{number:0{length}}") for number in range(count)]


def most_names(length: int) -> int:
    """How many groups of such names are not refused, found from below."""
    each = fleet_size.rights(deployment(hooks_data(*names(1, length))).configuration)[0].characters
    few = (fleet_size.POLICY_CHARACTERS - 130) // each
    return few * fleet_size.POLICIES_OF_A_ROLE


FLEETS: Final = {
    "two groups": (hooks_data(*names(2)), 0),
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
def test_the_template_of_a_fleet_keeps_every_limit(name: str) -> None:
    data, policies = FLEETS[name]
    assert keeps_the_limits(template_of(deployment(data))) == policies


def test_both_functions_that_put_hooks_have_the_policies() -> None:
    template = template_of(deployment(hooks_data(*names(60))))
    found = template["Resources"].values()
    roles = {
        json.dumps(each["Properties"]["Roles"]) for each in found if each["Type"] == "AWS::IAM::ManagedPolicy"
    }
    (attached,) = roles
    assert "SweepRole" in attached
    assert "ProvisionRole" in attached


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
    assert said.startswith(f"{tmp_path}/hooks.yaml:{most + 4}: hooks[{most}].group: must be one of the names")
    assert f"({most} of this file): choose groups by a glob or a tag" in said


def test_1000_named_groups_are_refused_and_one_glob_of_them_is_taken(tmp_path: Path) -> None:
    with pytest.raises(HooksFileRefused):
        load(a_file(tmp_path, *(f"workers-{number:04}" for number in range(1000))))
    assert len(load(a_file(tmp_path, "workers-*")).hooks) == 1


def test_a_file_that_is_too_long_for_a_request_is_refused(tmp_path: Path) -> None:
    def until(count: int) -> str:
        return "[" + ", ".join(f"{{signal: s{number:062}}}" for number in range(count)) + "]"

    assert len(load(a_file(tmp_path, "g", until=until(2_000))).hooks) == 1
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, "g", until=until(4_000)))
    (said,) = refused.value.complaints
    assert "hooks: must compile to at most 240000 characters" in said


texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=":"), min_size=1, max_size=255
)
selectors = st.one_of(
    texts.map(lambda glob: GroupSelector(glob=glob)),
    st.dictionaries(texts, texts, min_size=1, max_size=3).map(
        lambda tags: GroupSelector(glob=None, tags=tuple(sorted(tags.items())))
    ),
)


def resource(name: str) -> str:
    region, account = LONGEST["AWS::Region"], LONGEST["AWS::AccountId"]
    return f"arn:aws-us-gov:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{name}"


def document(selectors: list[GroupSelector]) -> str:
    """A policy as IAM gets it."""
    action = {"Effect": "Allow", "Action": "autoscaling:PutLifecycleHook"}
    globs = [resource(one.glob) for one in selectors if one.glob is not None]
    statements: list[dict[str, Any]] = [{**action, "Resource": globs}] if globs else []
    for one in selectors:
        if one.glob is None:
            tags = {f"aws:ResourceTag/{key}": value for key, value in one.tags}
            statements.append({**action, "Resource": resource("*"), "Condition": {"StringEquals": tags}})
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(selectors, max_size=120, unique=True))
def test_no_policy_of_any_groups_is_too_long_and_none_is_left_out(drawn: list[GroupSelector]) -> None:
    needed = [
        fleet_size.Right(selector=one, index=0, characters=fleet_size._characters(one))  # noqa: SLF001
        for one in drawn
    ]
    policies = [[right.selector for right in few] for few in fleet_size.packed(needed)]
    assert [one for few in policies for one in few] == drawn
    assert all(len(document(few)) <= MOST_OF_A_MANAGED_POLICY for few in policies)


def test_tags_that_no_policy_holds_are_refused_with_their_line(tmp_path: Path) -> None:
    tags = ", ".join(f"k{number:0127}: {'x' * 256}" for number in range(20))
    with pytest.raises(HooksFileRefused) as refused:
        load(a_file(tmp_path, f"{{tags: {{{tags}}}}}"))
    (said,) = refused.value.complaints
    assert said.startswith(f"{tmp_path}/hooks.yaml:4: hooks[0].group: must be tags that fit into one policy")


@pytest.mark.parametrize("length", [16, 255])
def test_the_reference_tells_how_many_names_are_taken(length: int) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert re.search(rf"\b{most_names(length)}( names)? of {length}\b", page)
