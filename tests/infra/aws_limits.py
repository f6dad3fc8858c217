"""What AWS takes of a template: an independent reckoning, from the template alone.

It shares nothing with the code that makes templates or refuses hooks files.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST: Final = {
    "characters of a managed policy": 6_144,  # without white space; IAM's quotas, aws-facts 11.3
    "managed policies of a role": 10,  # where nobody has asked for more; aws-facts 11.3
    "inline characters of a role": 10_240,  # of all its policies; aws-facts 11.3
    "characters of a trust policy": 2_048,  # IAM's quotas
    "characters no policy takes": 0,  # beyond U+00FF: PolicyDocument of IAM's API
    "resources": 500,  # CloudFormation's quotas
    "outputs": 200,
    "bytes of the template": 1_000_000,  # from S3
    "bytes of a description": 1_024,
    "characters of a pattern": 2_048,  # EventBridge, aws-facts 11.3
    "wildcards of a rule": 10,  # taken; twelve were refused, aws-facts 11.3
    "consecutive wildcards": 0,  # aws-facts 11.3
    "targets of a rule": 5,
    "rules": 300,  # of a bus
    "bytes of an environment": 4_096,  # Lambda's quotas
    "bytes of a custom resource's request": 1_000_000,  # an asynchronous invocation of Lambda
    "characters of a queue's policy": 8_192,  # SQS's quotas
    "statements of a queue's policy": 20,
    "characters of a key's policy": 32_768,  # KMS's quotas
}

_LONGEST: Final = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-isof-south-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "x" * 128,
    "AWS::StackId": "x" * 200,
}
_OF_CLOUDFORMATION: Final = 16_000  # of a custom resource's request, besides what the template says


def breaches(template: Mapping[str, Any]) -> list[str]:
    """What AWS would refuse, in words."""
    used = usage(template)
    return [f"{what}: {used[what]:,} of {most:,}" for what, most in MOST.items() if used[what] > most]


def usage(template: Mapping[str, Any]) -> dict[str, int]:
    """The most of each kind that there is in the template."""
    found = dict.fromkeys(MOST, 0)
    for what, count in _all(template):
        found[what] = max(found[what], count)
    return found


def rendered(value: Any) -> Any:
    """What CloudFormation makes of it, at its longest: 64 characters for a name it gives, 128 for an ARN."""
    match value:
        case {"Ref": str(name)}:
            return _LONGEST.get(name, "x" * 64)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(rendered(part) for part in parts)
        case {"Fn::GetAtt": _}:
            return "x" * 128
        case dict():
            return {key: rendered(one) for key, one in value.items()}
        case list():
            return [rendered(one) for one in value]
    return value


def granted(template: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    """The statements of a role's policies; `role` is the beginning of its logical id."""
    for each in _of(template, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        if any(str(one.get("Ref", "")).startswith(role) for one in each["Roles"]):
            yield from each["PolicyDocument"]["Statement"]


def _all(template: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield "resources", len(template["Resources"])
    yield "outputs", len(template.get("Outputs", {}))
    yield "bytes of the template", len(json.dumps(template, indent=1, ensure_ascii=False).encode())
    yield "bytes of a description", len(template.get("Description", "").encode())
    yield from _of_policies(template)
    yield from _of_rules(template)
    yield from _of_functions(template)
    for each in _of(template, "AWS::SQS::QueuePolicy"):
        yield "characters of a queue's policy", _characters(each["PolicyDocument"])
        yield "statements of a queue's policy", len(each["PolicyDocument"]["Statement"])
    for each in _of(template, "AWS::KMS::Key"):
        yield "characters of a key's policy", _characters(each["KeyPolicy"])


def _of_policies(template: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    managed, inline = defaultdict[str, int](int), defaultdict[str, int](int)
    for each in _of(template, "AWS::IAM::ManagedPolicy"):
        yield "characters of a managed policy", _characters(each["PolicyDocument"])
        for role in each.get("Roles", []):
            managed[json.dumps(role)] += 1
    for each in _of(template, "AWS::IAM::Policy"):
        for role in each["Roles"]:
            inline[json.dumps(role)] += _characters(each["PolicyDocument"])
    for name, role in template["Resources"].items():
        if role["Type"] == "AWS::IAM::Role":
            properties = role["Properties"]
            managed[json.dumps({"Ref": name})] += len(properties.get("ManagedPolicyArns", []))
            inline[json.dumps({"Ref": name})] += sum(
                _characters(each["PolicyDocument"]) for each in properties.get("Policies", [])
            )
            yield "characters of a trust policy", _characters(properties["AssumeRolePolicyDocument"])
    yield from (("managed policies of a role", count) for count in managed.values())
    yield from (("inline characters of a role", count) for count in inline.values())
    for each in _of(template, "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        text = json.dumps(each["PolicyDocument"], ensure_ascii=False)
        yield "characters no policy takes", len(re.findall(r"[^\x09\x0a\x0d\x20-\xff]", text))


def _of_rules(template: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    rules = list(_of(template, "AWS::Events::Rule"))
    yield "rules", len(rules)
    for rule in rules:
        pattern = rule.get("EventPattern")
        wild = [str(each) for each in _values_of("wildcard", pattern)]
        yield "characters of a pattern", _characters(pattern)
        yield "wildcards of a rule", sum(each.count("*") for each in wild)
        yield "consecutive wildcards", sum("**" in each for each in wild)
        yield "targets of a rule", len(rule.get("Targets", []))


def _of_functions(template: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for each in _of(template, "AWS::Lambda::Function"):
        variables = rendered(each.get("Environment", {}).get("Variables", {}))
        yield (
            "bytes of an environment",
            sum(len(f"{name}{value}".encode()) for name, value in variables.items()),
        )
    for each in template["Resources"].values():
        if each["Type"].startswith("Custom::"):
            said = len(json.dumps(rendered(each["Properties"])))
            # An update brings the old properties and the new ones.
            yield "bytes of a custom resource's request", 2 * said + _OF_CLOUDFORMATION


def _of(template: Mapping[str, Any], *kinds: str) -> Iterator[dict[str, Any]]:
    return (each["Properties"] for each in template["Resources"].values() if each["Type"] in kinds)


def _values_of(key: str, value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for name, inner in value.items():
                if name == key:
                    yield inner
                yield from _values_of(key, inner)
        case list():
            for inner in value:
                yield from _values_of(key, inner)


def _characters(document: Any) -> int:
    """As IAM counts, without white space between values. What is escaped counts as that, to be safe."""
    return len(json.dumps(rendered(document), separators=(",", ":")))
