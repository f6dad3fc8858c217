"""No deploy deletes a hook: CloudFormation would end whatever waits in it (aws-facts 1.1)."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.infra.stacks import DEPLOYMENTS, all_templates, deployment, hook, hooks_data, templates

HOOK: Final = "AWS::AutoScaling::LifecycleHook"
GATE: Final = hook(name="gate", group="web", transition="launching")
OTHER: Final = hook(name="gate", group="api", transition="launching")
GLOB: Final = hook(name="drain", group="jobs-*")


def shape(*hooks: dict[str, Any]) -> dict[str, str]:
    """The resources of all stacks, by name and kind."""
    made = all_templates(deployment(hooks_data(*hooks)))
    return {
        f"{stack}/{name}": each["Type"]
        for stack, template in made.items()
        for name, each in template.get("Resources", {}).items()
    }


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_resource_of_cloudformation_is_a_hook(name: str) -> None:
    kinds = {
        each["Type"]
        for template in templates(name).values()
        for each in template.get("Resources", {}).values()
    }
    assert HOOK not in kinds


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([OTHER, GLOB], id="one of two named hooks goes"),
        pytest.param([GATE | {"group": "web-*"}, OTHER, GLOB], id="a name becomes a glob"),
        pytest.param([], id="the last hook goes"),
        pytest.param([GATE | {"name": "hold"}, OTHER, GLOB], id="a hook is renamed"),
    ],
)
def test_a_change_of_the_hooks_file_takes_no_resource_away(after: list[dict[str, Any]]) -> None:
    """What went was deleted, or told that all of Usher was going: then every open action was let go."""
    gone = shape(GATE, OTHER, GLOB).keys() - shape(*after).keys()
    assert gone == set()
