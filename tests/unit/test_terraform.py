"""The Terraform module and its examples, as a library reads them; `make test-terraform` applies them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.bare_clone import ROOT
from tests.factories import at
from tests.terraform_files import EXAMPLES, HOOKS, MODULE, hooks, parsed, resources
from usher.core.action import Result, Transition
from usher.core.enrolment import Seen, plan
from usher.core.enrolment_steps import Conflict, Keep
from usher.core.hook_items import GroupSeen, HookSeen, HookSettings, Target
from usher.core.policy import Channel
from usher.core.wanted_hooks import Wanted
from usher_cli.install.maker import other_maker
from usher_cli.install.release import Release
from usher_hooksfile.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from usher.core.enrolment_steps import Step

MOST_LINES: Final = 80
TEMPLATE: Final = json.loads((ROOT / "tests" / "infra" / "golden" / "Install.json").read_text())
PAGE: Final = (ROOT / "docs" / "terraform.md").read_text(encoding="utf-8")
INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
TARGETS: Final = {
    Channel.SQS: Target(arn=INBOX, role_arn="arn:aws:iam::111122223333:role/usher"),
    Channel.EVENTBRIDGE: Target(arn=None),
}
FILES: Final = sorted(EXAMPLES.glob("*/main.tf"))
MADE: Final = [pytest.param(*hook, id=hook[1]) for file in FILES for hook in hooks(file)]


def steps(group: str, *found: tuple[str, HookSettings]) -> list[Step]:
    """What enrolment does on a group with these hooks that somebody else has put."""
    wanted = Wanted(hooks=load(HOOKS).hooks, targets=TARGETS)
    seen = GroupSeen(name=group, arn=f"arn:{group}", tags=(("usher", "managed"),))
    standing = [HookSeen(name=name, settings=settings) for name, settings in found]
    return [*plan(wanted, Seen(groups=[seen], hooks={group: standing}, enrolled=()), at(0))]


def test_the_module_is_short() -> None:
    lines = [line for file in MODULE.glob("*.tf") for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) <= MOST_LINES


def test_the_module_gives_every_parameter_that_the_template_demands() -> None:
    (stack,) = resources(MODULE / "main.tf", "aws_cloudformation_stack")
    demanded = {name for name, each in TEMPLATE["Parameters"].items() if "Default" not in each}
    given = re.findall(r"(\w+)\s*[=:]", re.sub(r"^.*?\{", "", stack["parameters"]))
    assert set(given) == demanded == {"CodeBucket", "CodeKey"}


def test_the_module_allows_what_the_template_makes_and_no_more() -> None:
    """A role without a name of its own needs CAPABILITY_IAM."""
    (stack,) = resources(MODULE / "main.tf", "aws_cloudformation_stack")
    roles = [each for each in TEMPLATE["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    assert roles
    assert not any("RoleName" in role["Properties"] for role in roles)
    assert stack["capabilities"] == ["CAPABILITY_IAM"]


def test_the_parameters_of_the_example_are_those_of_the_template() -> None:
    (module,) = parsed(EXAMPLES / "controller" / "main.tf")["module"]
    assert module["usher"]["parameters"].keys() <= TEMPLATE["Parameters"].keys()


def test_an_old_file_stays_until_the_stack_has_the_new_one() -> None:
    objects = resources(MODULE / "main.tf", "aws_s3_object")
    assert [each["lifecycle"] for each in objects] == [[{"create_before_destroy": True}]] * 2
    assert all("filesha256" in each["key"] for each in objects)


def test_a_stack_of_the_module_is_told_from_one_of_usher_install() -> None:
    """By the key of its code: stack tags would need the right to tag every resource."""
    (code, _) = resources(MODULE / "main.tf", "aws_s3_object")
    key = code["key"].replace("${filesha256(var.code)}", "ab" * 32).replace("${var.stack}", "Usher-2")
    assert "$" not in key
    assert other_maker("Usher-2", {"CodeBucket": "ours", "CodeKey": key}) == "Terraform"
    by_install = Release(version="0.1.0", functions=b"", template=b"").functions_key
    assert other_maker("Usher", {"CodeBucket": "ours", "CodeKey": by_install}) == ""


@pytest.mark.parametrize(("group", "name", "settings"), MADE)
def test_a_hook_of_the_examples_is_as_the_hooks_file_asks(
    group: str, name: str, settings: HookSettings
) -> None:
    """So enrolment leaves it alone, and it holds under its policy."""
    assert name not in {getattr(step, "hook", None) for step in steps(group, (name, settings))}


def test_the_examples_make_each_hook_of_their_hooks_file() -> None:
    of_group: dict[str, list[tuple[str, HookSettings]]] = {}
    for file in FILES:
        for group, name, settings in hooks(file):
            of_group.setdefault(group, []).append((name, settings))
    assert {name for found in of_group.values() for name, _ in found} == {
        hook.name for hook in load(HOOKS).hooks
    }
    assert [steps(group, *found) for group, found in of_group.items()] == [[]] * len(of_group)


@pytest.mark.parametrize(
    "change",
    [
        {"heartbeat_timeout": timedelta(minutes=11)},
        {"default_result": "other"},
        {"transition": "other"},
        {"target_arn": "arn:aws:sns:us-east-1:111122223333:theirs"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize(("group", "name", "settings"), MADE)
def test_a_hook_of_terraform_that_differs_is_a_conflict_and_stays(
    group: str, name: str, settings: HookSettings, change: dict[str, Any]
) -> None:
    others: dict[str, dict[Any, Any]] = {
        "default_result": {Result.CONTINUE: Result.ABANDON, Result.ABANDON: Result.CONTINUE},
        "transition": {
            Transition.LAUNCHING: Transition.TERMINATING,
            Transition.TERMINATING: Transition.LAUNCHING,
        },
    }
    (field,) = change
    changed = {field: others[field][getattr(settings, field)] if field in others else change[field]}
    found = [
        step for step in steps(group, (name, replace(settings, **changed))) if isinstance(step, Conflict)
    ]
    assert [(step.hook, field in step.reason) for step in found] == [(name, True)]


def test_a_hook_of_terraform_that_notifies_usher_becomes_ushers() -> None:
    (_, name, settings) = next(iter(hooks(EXAMPLES / "existing-group" / "main.tf")))
    (step,) = steps("jobs-green", (name, replace(settings, target_arn=INBOX)))
    assert not isinstance(step, Conflict)
    (step,) = _reclaimed(name)
    assert (type(step), step.word) == (Keep, "reclaimed")


def _reclaimed(name: str) -> list[Any]:
    """Where the file asks for exactly that hook, with Usher's inbox."""
    hook = next(hook for hook in load(HOOKS).hooks if hook.name == name)
    wanted = Wanted(hooks=[replace(hook, notify=Channel.SQS)], targets=TARGETS)
    group = GroupSeen(name="jobs-green", arn="arn:jobs-green")
    asked: Any = wanted.on(group)[name]
    standing = [HookSeen(name=name, settings=asked.settings)]
    return [*plan(wanted, Seen(groups=[group], hooks={"jobs-green": standing}, enrolled=()), at(0))]


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, id=file.parent.name) for file in FILES] + [pytest.param(HOOKS, id="hooks.yaml")],
)
def test_the_page_shows_the_examples_as_they_are(file: Path) -> None:
    assert f"```{'yaml' if file == HOOKS else 'hcl'}\n{file.read_text(encoding='utf-8')}```\n" in PAGE
