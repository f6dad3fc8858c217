"""The template of `usher install`: the controller's own, for CloudFormation alone, with parameters.

It is made from the same constructs as the CDK's stacks. What a parameter switches is synthesised with
and without it, and the difference stands under a condition.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

import aws_cdk as cdk

from usher.core import configuration
from usher_cdk.configuration import Deployment
from usher_cdk.controller import Controller
from usher_cdk.merged_template import NO_VALUE, Template, merged, ordered
from usher_cdk.parameters import CONDITIONS, PARAMETERS, TAG_KEY
from usher_cdk.permissions import REMOVE_HOOK

VERSION: Final = "Version"  # the output

# Stand for the parameters until the template is synthesised.
_HERE: Final = "us-east-1:123456789012"
_TAG_VALUE: Final = "tag-value-of-the-parameter"
_EMAIL: Final = "of-the-parameter@example.com"
_BUS: Final = f"arn:aws:events:{_HERE}:event-bus/of-the-parameter"
_FUNCTION: Final = f"arn:aws:lambda:{_HERE}:function:of-the-parameter"
_DOCUMENT: Final = f"arn:aws:ssm:{_HERE}:document/of-the-parameter"
_CLUSTER: Final = f"arn:aws:ecs:{_HERE}:cluster/of-the-parameter"
_REFERENCES: Final = {
    _TAG_VALUE: "TagValue",
    _EMAIL: "AlarmEmail",
    _BUS: "ForwardTo",
    _FUNCTION: "FunctionArns",
    _CLUSTER: "ClusterArns",
}

_ALWAYS: Final[list[Any]] = [{"instance_status": "ok"}, {"targets": {"groups": ["any"], "state": "drained"}}]
_FORWARDED: Final[dict[str, Any]] = {"announce": True, "forward_to": _BUS}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {  # by condition: with what it is synthesised
    "HasAlarmEmail": {"alarm_email": _EMAIL},
    "HasFunctions": {"until": [{"function": _FUNCTION}]},
    "HasDocuments": {"until": [{"command": {"document": _DOCUMENT}}]},
    "HasClusters": {"until": [{"ecs": {"state": "drained", "cluster": _CLUSTER}}]},
}


def installable() -> Template:
    """The template, as plain data; the same each time."""
    base = _synthesised()
    forwarded = _synthesised(**_FORWARDED)
    made = merged(base, base, forwarded, "HasForwardTo")
    # The key is for what forwarding brings, too.
    made = merged(made, forwarded, _synthesised(customer_key=True, **_FORWARDED), "HasKey")
    for condition, option in _OPTIONS.items():
        made = merged(made, base, _synthesised(**option), condition)
    ordered(made["Resources"])
    return {
        "Description": made["Description"],
        "Parameters": PARAMETERS,
        "Conditions": CONDITIONS,
        "Resources": made["Resources"],
        "Outputs": made["Outputs"] | {VERSION: {"Value": version("usher-hooks")}},
    }


def _synthesised(*, until: list[Any] | None = None, **settings: Any) -> Template:  # noqa: ANN401 - a Deployment's
    """The controller's template, with its parameters, for a hooks file of groups with the tag."""
    rules = [{"when": {"instance_type": "*"}, "use": "any"}, {"use": "any"}]  # which EC2 is asked for
    selected = {"group": {"tags": {TAG_KEY: _TAG_VALUE}}, "transition": "terminating", "policy": rules}
    data = {
        "version": 1,
        "policies": {"any": {"until": [*_ALWAYS, *(until or [])]}},
        "hooks": [{"name": "any", **selected}],
    }
    deployment = Deployment(
        configuration=configuration.parse(data), hooks_data=data, hooks_from_table=True, **settings
    )
    needs_no_bootstrap = cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
    bundles_nothing: dict[str, list[str]] = {"aws:cdk:bundling-stacks": []}
    app = cdk.App(context=bundles_nothing, default_stack_synthesizer=needs_no_bootstrap)
    stack = Controller(app, "Usher", deployment=deployment)
    template: Template = app.synth().get_stack_by_name(stack.stack_name).template
    return _parametrised(template)


def _parametrised(template: Template) -> Template:
    resources: dict[str, Any] = template["Resources"]
    keys = {name for name, each in resources.items() if each["Type"] == "AWS::KMS::Key"}
    outputs = _with_references(template["Outputs"], keys)
    for name, output in outputs.items():
        output["Export"] = {"Name": {"Fn::Sub": f"${{AWS::StackName}}-{name}"}}
    outputs["CallsPerSecond"]["Value"] = {"Ref": "CallsPerSecond"}
    kept = {name: _with_references(each, keys) for name, each in resources.items() if name not in keys}
    for each in kept.values():
        _set_parameters(each)
    return template | {"Resources": kept, "Outputs": outputs}


def _set_parameters(resource: dict[str, Any]) -> None:
    """What the parameters say of a resource, by its type."""
    properties = resource.get("Properties", {})
    if resource.get("DeletionPolicy") == "Retain":
        resource["DeletionPolicy"] = "RetainExceptOnCreate"  # a failed creation leaves nothing behind
    match resource["Type"]:
        case "AWS::Lambda::Function":
            properties["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
            variables = properties.get("Environment", {}).get("Variables", {})
            if "USHER_CALLS_PER_SECOND" in variables:
                variables["USHER_CALLS_PER_SECOND"] = {"Ref": "CallsPerSecond"}
        case "AWS::Logs::LogGroup":
            properties["RetentionInDays"] = {"Ref": "LogRetentionDays"}
        case "AWS::IAM::Role":
            boundary = {"Ref": "PermissionsBoundary"}
            properties["Path"] = {"Ref": "RolePath"}
            properties["PermissionsBoundary"] = {"Fn::If": ["HasPermissionsBoundary", boundary, NO_VALUE]}
        case "AWS::IAM::Policy":
            document = properties["PolicyDocument"]
            document["Statement"] = [_statement(each) for each in document["Statement"]]
        case "AWS::CloudWatch::Dashboard":
            resource["Condition"] = "HasDashboard"


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    """Hooks are deleted by the tag alone; what is of clusters is bound to those of the list."""
    resource = statement["Resource"]
    if statement["Action"] == REMOVE_HOOK:
        tag = {f"aws:ResourceTag/{TAG_KEY}": {"Ref": "TagValue"}}
        return statement | {"Condition": {"StringEquals": tag}}
    if isinstance(resource, str) and resource.startswith(
        "arn:aws:ecs:"
    ):  # of instances or tasks of a cluster
        kind = resource.rpartition(":")[2].partition("/")[0]
        arns = {"Fn::Sub": f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:{kind}/*"}
        in_list = {"ArnLike": {"ecs:cluster": {"Ref": "ClusterArns"}}}
        return statement | {"Resource": arns, "Condition": in_list}
    if isinstance(resource, list) and _DOCUMENT in resource:
        return statement | {"Resource": _spliced("DocumentArns", resource[1:])}
    return statement


def _spliced(parameter: str, others: list[Any]) -> dict[str, Any]:
    """One list of a list parameter and others."""
    listed = {"Fn::Join": [",", {"Ref": parameter}]}
    return {"Fn::Split": [",", {"Fn::Join": [",", [listed, *others]]}]}


def _with_references(value: Any, keys: set[str]) -> Any:  # noqa: ANN401 - any value of a template
    """References to parameters instead of what stands for them, and of the CDK's own key."""
    match value:
        case {"Fn::GetAtt": [str(name), "Arn"]} | {"Ref": str(name)} if name in keys:
            return {"Ref": "KeyArn"}
        case dict():
            return {key: _with_references(each, keys) for key, each in value.items()}
        case list():
            return [_with_references(each, keys) for each in value]
        case str() if value in _REFERENCES:
            return {"Ref": _REFERENCES[value]}
    return value
