"""The template of `usher install`: the controller's own, with what its parameters switch."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.infra.aws_limits import breaches
from tests.infra.renew_golden import FOLDER
from tests.infra.stacks import actions, deployment, hook, hooks_data, resources, statements, template_of
from usher.core import configuration
from usher.core.conditions import KINDS
from usher.core.conditions.probe import Probe
from usher.provision import FILE, FROM, TABLE
from usher_cdk.installable import VERSION
from usher_cdk.merged_template import merged
from usher_cdk.parameters import CONDITIONS, PARAMETERS
from usher_cli.apply.rights import LISTS, Rights
from usher_hooksfile.size import to_ask
from usher_simulator.trials.condition_truths import CONDITIONS as CONDITIONS_OF_TRIALS

HERE = "us-east-1:111122223333"
NOTHING = object()
OPTIONS = [*CONDITIONS]
RULES = [{"when": {"instance_type": "c7g.*"}, "use": "p"}, {"use": "p"}]
TAGGED = hook(group={"tags": {"usher": "managed"}}, policy=RULES)
READS = {"until": [{"instance_status": "ok"}, {"targets": {"groups": ["any"], "state": "drained"}}]}
ASKS = {
    "HasFunctions": {"function": "f"},
    "HasDocuments": {"command": {"document": "Document"}},
    "HasClusters": {"ecs": {"state": "drained", "cluster": "c"}},
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """As it was reviewed; tests/e2e/test_dist.py holds that it is made so."""
    made: dict[str, Any] = json.loads((FOLDER / "Install.json").read_text())
    return made


def resolved(template: dict[str, Any], *true: str) -> dict[str, Any]:
    """The template as CloudFormation takes it where these conditions hold."""
    made = copy.deepcopy(template)
    held = made["Resources"]
    made["Resources"] = {
        name: one for name, one in held.items() if one.pop("Condition", None) in (None, *true)
    }
    answer: dict[str, Any] = without_if(made, true)
    return answer


def without_if(value: Any, true: tuple[str, ...]) -> Any:
    match value:
        case {"Fn::If": [condition, then, otherwise]}:
            return without_if(then if condition in true else otherwise, true)
        case {"Ref": "AWS::NoValue"}:
            return NOTHING
        case dict():
            inner = {key: without_if(each, true) for key, each in value.items() if key != "Conditions"}
            return {key: each for key, each in inner.items() if each is not NOTHING}
        case list():
            return [each for each in (without_if(one, true) for one in value) if each is not NOTHING]
    return value


@pytest.mark.parametrize("true", [(), tuple(OPTIONS)], ids=["no option", "every option"])
def test_cloudformation_takes_it(template: dict[str, Any], true: tuple[str, ...]) -> None:
    assert breaches(resolved(template, *true)) == []


def test_it_needs_no_bootstrap_and_no_asset(template: dict[str, Any]) -> None:
    assert set(template) == {"Description", "Parameters", "Conditions", "Resources", "Outputs"}
    assert "cdk-" not in json.dumps(template)
    for function in resources(template, "AWS::Lambda::Function").values():
        assert function["Code"] == {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}


def test_every_parameter_and_condition_is_used_and_every_reference_is_known(template: dict[str, Any]) -> None:
    written = json.dumps([template["Conditions"], template["Resources"], template["Outputs"]])
    for name in PARAMETERS:
        assert f'{{"Ref": "{name}"}}' in written
    for name in CONDITIONS:
        assert f'"Fn::If": ["{name}"' in written or f'"Condition": "{name}"' in written


def test_the_roles_may_what_those_of_the_cdk_may_and_delete_hooks_by_the_tag_alone(
    template: dict[str, Any],
) -> None:
    """So that what the tests of the CDK's stack say of each statement is true here, too."""
    data = hooks_data(TAGGED) | {"policies": {"p": READS}}
    of_cdk = json.loads(json.dumps(template_of(deployment(data))).replace('"managed"', '{"Ref": "TagValue"}'))
    ours = resolved(template)
    tag = {"StringEquals": {"aws:ResourceTag/usher": {"Ref": "TagValue"}}}
    for role in ("Hook", "Intake", "Wake", "Questions", "Sweep", "Provision", "Schedule"):
        expected = statements(of_cdk, f"{role}Role")
        assert expected
        for each in expected:
            if each["Action"] == "autoscaling:DeleteLifecycleHook":
                each["Condition"] = tag
        assert statements(ours, f"{role}Role") == expected
    of_sweep = statements(ours, "SweepRole")
    puts = [each for each in of_sweep if "autoscaling:PutLifecycleHook" in actions([each])]
    assert [each["Condition"] for each in puts] == [tag]


@pytest.mark.parametrize("role", ["Wake", "Sweep", "Provision"])
def test_heartbeats_and_results_are_granted_on_every_group(template: dict[str, Any], role: str) -> None:
    """A group that loses its tag loses no open action."""
    (beats,) = [
        each
        for each in statements(resolved(template), f"{role}Role")
        if "autoscaling:CompleteLifecycleAction" in actions([each])
    ]
    assert beats["Resource"]["Fn::Join"][1][-1].endswith(":autoScalingGroup:*:autoScalingGroupName/*")
    assert "Condition" not in beats


@pytest.mark.parametrize("condition", ASKS)
def test_a_list_of_arns_gives_what_its_condition_asks_and_nothing_else(
    template: dict[str, Any], condition: str
) -> None:
    without = statements(resolved(template), "QuestionsRole")
    granted = statements(resolved(template, condition), "QuestionsRole")
    given = [each for each in granted if each not in without]
    data = {"version": 1, "policies": {"p": {"until": [ASKS[condition]]}}, "hooks": []}
    asked = {each for right in to_ask(configuration.parse(data)) for each in right.of.actions}
    assert actions(given) == asked - {"ec2:DescribeInstances"}  # which rules may ask of any instance
    parameter = f"{condition.removeprefix('Has').removesuffix('s')}Arns"
    for each in given:
        reads = ("ssm:List", "ssm:Get", "ec2:Describe")
        only_reads = all(action.startswith(reads) for action in actions([each]))
        assert f'{{"Ref": "{parameter}"}}' in json.dumps(each) or only_reads
    assert actions(without).isdisjoint(asked - {"ec2:DescribeInstances"})
    assert "ec2:DescribeInstances" in actions(without)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if issubclass(kind, Probe)])
def test_an_installed_stack_may_ask_what_each_condition_asks_and_apply_says_which_list_lacks_it(
    template: dict[str, Any], kind: str
) -> None:
    """Else a new kind is applied, denied at each question, and given up for."""
    always = actions(statements(resolved(template), "QuestionsRole"))
    ever = actions(statements(resolved(template, *OPTIONS), "QuestionsRole"))
    rights = Rights(parameters=dict.fromkeys(LISTS.values(), ""), inbox_arn=f"arn:aws:sqs:{HERE}:inbox")
    written = [each for each in CONDITIONS_OF_TRIALS.values() if kind in each]
    assert written
    for each in written:
        file = configuration.parse({"version": 1, "policies": {"p": {"until": [each]}}, "hooks": []})
        asked = {action for right in to_ask(file) for action in right.of.actions}
        assert asked <= ever, "grant it by a parameter: see 'Add a condition' in CONTRIBUTING.md"
        assert bool(asked - always) == bool(list(rights.lacking(file)))


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("key", [True, False])
def test_all_data_is_under_the_given_key_or_none(template: dict[str, Any], key: bool, forwards: bool) -> None:
    kinds = {
        "AWS::DynamoDB::Table",
        "AWS::SQS::Queue",
        "AWS::SNS::Topic",
        "AWS::Logs::LogGroup",
        "AWS::Lambda::Function",
        "AWS::Scheduler::Schedule",
    }
    true = [*(["HasKey"] if key else []), *(["HasForwardTo"] if forwards else [])]
    made = resolved(template, *true)["Resources"]
    holders = {name for name, each in made.items() if '{"Ref": "KeyArn"}' in json.dumps(each)}
    data = {name for name, each in made.items() if each["Type"] in kinds}
    if key:
        assert data <= holders
        assert {made[name]["Type"] for name in holders - data} == {"AWS::IAM::Policy"}
    else:
        assert holders == set()
    assert "AWS::KMS::Key" not in {each["Type"] for each in made.values()}


def test_what_is_forwarded_is_put_on_the_bus_and_goes_to_the_one_that_is_given(
    template: dict[str, Any],
) -> None:
    without, forwards = resolved(template)["Resources"], resolved(template, "HasForwardTo")["Resources"]
    added = {name: each for name, each in forwards.items() if name not in without}
    assert {name[:7] for name in added} == {"Announc", "Forward", "WatchAn"}
    changed = {forwards[name]["Type"] for name in without if without[name] != forwards[name]}
    assert changed == {"AWS::DynamoDB::Table", "Custom::UsherHooks"}, "the stream, and what comes after all"
    rules = [each["Properties"] for each in added.values() if each["Type"] == "AWS::Events::Rule"]
    assert [rule["Targets"][0]["Arn"] for rule in rules] == [{"Ref": "ForwardTo"}] * 2


def test_every_role_has_the_path_and_the_boundary(template: dict[str, Any]) -> None:
    bounded = resources(resolved(template, "HasPermissionsBoundary"), "AWS::IAM::Role").values()
    assert {json.dumps(each["PermissionsBoundary"]) for each in bounded} == {'{"Ref": "PermissionsBoundary"}'}
    assert {json.dumps(each["Path"]) for each in bounded} == {'{"Ref": "RolePath"}'}
    free = resources(resolved(template), "AWS::IAM::Role").values()
    assert not any("PermissionsBoundary" in each for each in free)


def test_a_failed_creation_leaves_nothing_behind_and_a_deletion_keeps_the_data(
    template: dict[str, Any],
) -> None:
    """Retain would keep a table and seven queues of a stack that never stood."""
    kept = {name: each for name, each in template["Resources"].items() if "DeletionPolicy" in each}
    assert {each["DeletionPolicy"] for each in kept.values()} == {"Delete", "RetainExceptOnCreate"}
    assert {each["UpdateReplacePolicy"] for each in kept.values()} == {"Delete", "Retain"}
    assert [each["DeletionPolicy"] for each in resources_of_type(template, "AWS::DynamoDB::Table")] == [
        "RetainExceptOnCreate"
    ]


def resources_of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in template["Resources"].values() if each["Type"] == kind]


def test_it_brings_no_hooks_file_and_reads_it_from_the_table(template: dict[str, Any]) -> None:
    (provisioned,) = resources(template, "Custom::UsherHooks").values()
    assert (provisioned.get(FILE), provisioned[FROM]) == (None, TABLE)
    for function in resources(resolved(template), "AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["USHER_HOOKS_FROM"] == "table"


@pytest.mark.parametrize("true", [(), tuple(OPTIONS)], ids=["no option", "all options"])
def test_what_waits_is_released_before_anything_that_is_there_goes(
    template: dict[str, Any], true: tuple[str, ...]
) -> None:
    """Until then alarms ring, the mail is subscribed, and events are forwarded."""
    there = resolved(template, *true)["Resources"]
    ((name, hooks),) = ((name, each) for name, each in there.items() if each["Type"] == "Custom::UsherHooks")
    optional = {each["Ref"] for each in hooks["Metadata"]["DependsOn"]}
    assert {*hooks["DependsOn"], *optional} == there.keys() - {name}


def test_two_stacks_of_an_account_do_not_meet(template: dict[str, Any]) -> None:
    named = {"FunctionName", "RoleName", "TableName", "QueueName", "TopicName", "LogGroupName", "AlarmName"}
    for each in template["Resources"].values():
        of_another = each["Type"] in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig")
        assert of_another or named.isdisjoint(each.get("Properties", {}))
    exports = [each["Export"]["Name"] for name, each in template["Outputs"].items() if name != VERSION]
    assert all(each["Fn::Sub"].startswith("${AWS::StackName}-") for each in exports)


def test_what_an_option_changes_stands_under_its_condition() -> None:
    without = {"Resources": {"A": {"Kept": 1, "Changed": 1, "Gone": 1, "List": [1, 2]}}}
    with_option = {
        "Resources": {"A": {"Kept": 1, "Changed": 2, "New": {"Ref": "X"}, "List": [1, 3]}, "B": {"Kept": 1}}
    }
    made = merged(without, without, with_option, "Is")
    assert resolved(made) == without
    assert resolved(made, "Is") == with_option


def test_an_option_may_bring_the_first_properties_of_a_resource() -> None:
    """CloudFormation takes no function in place of all properties."""
    without: dict[str, Any] = {"Resources": {"A": {"Type": "T"}}}
    with_option = {"Resources": {"A": {"Type": "T", "Properties": {"New": 1}}}}
    made = merged(without, without, with_option, "Is")
    assert set(made["Resources"]["A"]["Properties"]) == {"New"}
    assert resolved(made, "Is") == with_option


def test_functions_stand_where_cloudformation_takes_them(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        besides = {key: each for key, each in resource.items() if key not in ("Properties", "Metadata")}
        assert "Fn::If" not in resource.get("Properties", {})
        assert "Fn::If" not in json.dumps(besides)


def test_two_options_change_one_list() -> None:
    def of(*values: int) -> dict[str, Any]:
        return {"Resources": {"A": {"List": [*values]}}}

    made = merged(merged(of(1), of(1), of(1, 2), "Two"), of(1), of(1, 3), "Three")
    assert [resolved(made, *true) for true in ((), ("Two",), ("Three",), ("Two", "Three"))] == [
        of(1),
        of(1, 2),
        of(1, 3),
        of(1, 2, 3),
    ]
