"""Makes the stacks for tests: a deployment from plain data, and the templates, with no bundling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
from aws_cdk.assertions import Template

from app import make
from usher.core import configuration
from usher_cdk.configuration import Deployment
from usher_hooksfile.load import examine

if TYPE_CHECKING:
    from collections.abc import Iterable

HOOKS: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {"p": {"until": [{"signal": "done"}]}},
    "hooks": [
        {"name": "gate", "group": "web-prod", "transition": "launching", "policy": "p"},
        {
            "name": "drain",
            "group": "jobs-*",
            "transition": "terminating",
            "heartbeat_timeout": "5m",
            "default_result": "CONTINUE",
            "metadata": "owner=jobs",
            "policy": "p",
        },
    ],
}


def hook(**changes: Any) -> dict[str, Any]:
    """A hook of a named group, with changes."""
    return {"name": "h", "group": "g", "transition": "terminating", "policy": "p"} | changes


def hooks_data(*hooks: dict[str, Any]) -> dict[str, Any]:
    """A hooks file with these hooks."""
    return HOOKS | {"hooks": list(hooks)}


def deployment(data: dict[str, Any] = HOOKS, **settings: Any) -> Deployment:
    """A deployment of `data`."""
    return Deployment(configuration=configuration.parse(data), hooks_data=data, **settings)


def template_of(of: Deployment) -> dict[str, Any]:
    """The template of the controller; nobody changes it."""
    return all_templates(of)["Usher"]


def app_of(of: Deployment) -> cdk.App:
    """The app as `app.py` makes it, which bundles nothing."""
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    make(app, of)
    return app


_made: Final[dict[str, dict[str, dict[str, Any]]]] = {}


def all_templates(of: Deployment) -> dict[str, dict[str, Any]]:
    """The templates of all stacks, by name: made once for equal deployments, so nobody changes them."""
    if (key := repr(of)) not in _made:
        _made[key] = made_templates(of)
    return _made[key]


def made_templates(of: Deployment) -> dict[str, dict[str, Any]]:
    """The same, made anew and not kept."""
    stacks = [each for each in app_of(of).node.children if isinstance(each, cdk.Stack)]
    return {each.stack_name: dict(Template.from_stack(each).to_json()) for each in stacks}


def of_file(path: Path, **settings: Any) -> Deployment:
    """The deployment of a hooks file."""
    examined = examine(path)
    return Deployment(configuration=examined.configuration, hooks_data=examined.data, **settings)


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by logical id."""
    found = template.get("Resources", {}).items()
    return {name: each.get("Properties", {}) for name, each in found if each["Type"] == kind}


def statements(template: dict[str, Any], policy: str = "") -> list[dict[str, Any]]:
    """Every statement of the policies of roles whose ids begin so."""
    policies = resources(template, "AWS::IAM::Policy").items()
    found = [each for name, each in policies if name.startswith(policy)]
    return [statement for each in found for statement in each["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    """A list, also of what CloudFormation writes without one where it is alone."""
    return value if isinstance(value, list) else [value]


def actions(of: Iterable[dict[str, Any]]) -> set[str]:
    """Those of all these statements."""
    return {action for each in of for action in listed(each["Action"])}


_WAYS: Final = [
    hook(name=way, group=f"by-{way}", notify=way, heartbeat_timeout="10m")
    for way in ("sqs", "sns", "eventbridge", "lambda")
]
ALL_WAYS: Final = hooks_data(
    *_WAYS, hook(name="glob", group="jobs-*"), hook(name="tags", group={"tags": {"team": "web"}})
)
WITH_KEY: Final = deployment(ALL_WAYS, customer_key=True, alarm_email="ops@example.com")
OTHER_SETTINGS: Final = deployment(
    calls_per_second=1, log_retention_days=1, enrolments_per_hour=1, wake_concurrency=60, dashboard=False
)
# What the rules of linters are held against.
DEPLOYMENTS: Final = {
    "default": deployment(),
    "all four ways in": deployment(ALL_WAYS),
    "a customer key": WITH_KEY,
    "events out": deployment(announce=True),
    "the demo": of_file(Path(__file__).parents[2] / "infra" / "usher_cdk" / "demo.hooks.yaml", demo=True),
}


def templates(name: str) -> dict[str, dict[str, Any]]:
    """Of all stacks of one of DEPLOYMENTS; nobody changes them."""
    return all_templates(DEPLOYMENTS[name])
