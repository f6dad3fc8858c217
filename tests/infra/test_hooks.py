"""How the hooks of the file are provisioned: by one resource of the controller's stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, cast

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match

from tests.infra.stacks import (
    ALL_WAYS,
    DEPLOYMENTS,
    OTHER_SETTINGS,
    app_of,
    deployment,
    hook,
    hooks_data,
    of_file,
    resources,
    template_of,
    templates,
)
from usher.core import compiled
from usher_cdk.configuration import Deployment

DEMO: Final = Path(__file__).parents[2] / "infra" / "usher_cdk" / "demo.hooks.yaml"
# What makes CloudFormation put another resource in the place of one (its user guide, resource types).
REPLACED_BY: Final = {
    "AWS::SQS::Queue": {"QueueName", "FifoQueue"},
    "AWS::SNS::Topic": {"TopicName", "FifoTopic"},
    "AWS::Lambda::Function": {"FunctionName", "PackageType"},
    "AWS::IAM::Role": {"RoleName", "Path"},
}


def test_the_resource_of_the_hooks_has_the_compiled_file() -> None:
    data = hooks_data(hook(group="web"), hook(group="mine"))
    (made,) = resources(template_of(deployment(data, own_groups=("mine",))), "Custom::UsherHooks").values()
    file = compiled.read(made["File"])
    assert (file.file, file.own_groups) == (json.loads(json.dumps(data)), ("mine",))


@pytest.mark.parametrize("given", [["web", "api"], "web,api"], ids=["in cdk.json", "on the command line"])
def test_own_groups_are_a_list_or_text_with_commas(tmp_path: Path, given: object) -> None:
    (tmp_path / "hooks.yaml").write_text(DEMO.read_text(encoding="utf-8"))
    app = cdk.App(context={"own_groups": given})
    assert Deployment.from_context(app.node, tmp_path).own_groups == ("web", "api")


@pytest.mark.parametrize("from_table", [False, True])
def test_where_the_file_is_applied_own_groups_are_warned_of(from_table: bool) -> None:
    """They would count for nothing, and the hook of such a group's own template as Usher's."""
    of = deployment(hooks_data(hook(group="mine")), own_groups=("mine",), hooks_from_table=from_table)
    stack = cast("cdk.Stack", app_of(of).node.find_child("Usher"))
    warned = Annotations.from_stack(stack).find_warning(
        "*", Match.string_like_regexp("usher apply --own-group")
    )
    assert len(warned) == from_table


def test_the_group_of_the_demo_holds_its_own_hooks() -> None:
    of = of_file(DEMO, demo=True)
    assert of.file.own_groups == ("usher-demo",)


def test_the_output_tells_what_became_of_the_hooks() -> None:
    outputs = templates("default")["Usher"]["Outputs"]
    assert outputs["Hooks"]["Value"]["Fn::GetAtt"][1] == "Report"


OTHERS: Final = {
    "no hook at all": deployment(hooks_data()),
    "one way in": deployment(hooks_data(hook(notify="eventbridge", heartbeat_timeout="10m"))),
    "raw delivery": deployment(ALL_WAYS, sns_raw_delivery=True),
    "other settings": OTHER_SETTINGS,
}


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    ours = [templates(name)["Usher"] for name in DEPLOYMENTS]
    return [*ours, *(template_of(each) for each in OTHERS.values())]


@pytest.mark.parametrize("output", ["InboxArn", "TopicArn", "IntakeArn", "HookRoleArn"])
def test_what_hooks_point_at_is_never_replaced(made: list[dict[str, Any]], output: str) -> None:
    """A hook on its way out points there still, and falls to its default result where that is gone."""
    found: set[str] = set()
    for template in made:
        value = template["Outputs"][output]["Value"]
        name = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
        resource = template["Resources"][name]
        assert not REPLACED_BY[resource["Type"]] & resource.get("Properties", {}).keys()
        found.add(name)
    assert len(found) == 1


def test_a_direct_target_may_be_invoked_by_the_service_linked_role_alone() -> None:
    template = templates("all four ways in")["Usher"]
    granted = resources(template, "AWS::Lambda::Permission").values()
    (permission,) = [each for each in granted if "AWSServiceRoleForAutoScaling" in str(each["Principal"])]
    assert permission["Action"] == "lambda:InvokeFunction"
    failures = resources(template, "AWS::Lambda::EventInvokeConfig").values()
    (invoke,) = [each for each in failures if each["FunctionName"]["Ref"].startswith("Intake")]
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0].startswith("InboxQueue")


@pytest.mark.parametrize("raw", [False, True])
def test_a_topic_brings_its_messages_with_or_without_their_envelope(raw: bool) -> None:
    template = template_of(deployment(ALL_WAYS, sns_raw_delivery=raw))
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert subscription.get("RawMessageDelivery", False) is raw
