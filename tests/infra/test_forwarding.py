"""Events out and alarms on their way to a bus of the operators' account: two rules and a role."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.infra.aws_limits import breaches
from tests.infra.stacks import deployment, resources, template_of, templates

BUS: Final = "arn:aws:events:eu-west-1:999900001111:event-bus/usher-fleet"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return template_of(deployment(announce=True, forward_to=BUS))


@pytest.fixture(scope="module")
def forwarding(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of what forwards, by logical ID."""
    found = template["Resources"].items()
    return {name: each["Properties"] for name, each in found if name.startswith("Forward")}


def written(value: Any) -> str:
    """A joined text, with its references by name."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::Join": [_, parts]}:
            return "".join(map(written, parts))
    raise AssertionError(value)


def test_cloudformation_takes_it(template: dict[str, Any]) -> None:
    assert breaches(template) == []


def test_the_role_may_put_events_on_that_bus_and_nothing_else(forwarding: dict[str, dict[str, Any]]) -> None:
    (policy,) = [each for each in forwarding.values() if "PolicyDocument" in each]
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": BUS}
    ]


def test_only_rules_of_this_account_may_assume_it(forwarding: dict[str, dict[str, Any]]) -> None:
    (role,) = [each for each in forwarding.values() if "AssumeRolePolicyDocument" in each]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert written(statement["Condition"]["ArnLike"]["aws:SourceArn"]) == (
        "arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:rule/*"
    )


def test_two_rules_send_there_what_usher_says_and_what_its_alarms_do(
    forwarding: dict[str, dict[str, Any]],
) -> None:
    rules = [each for each in forwarding.values() if "EventPattern" in each]
    for rule in rules:
        (target,) = rule["Targets"]
        assert target["Arn"] == BUS
        assert target["RoleArn"]["Fn::GetAtt"][0].startswith("ForwardRole")
        assert "EventBusName" not in rule
    events_out, alarms = sorted((rule["EventPattern"] for rule in rules), key=len)
    assert events_out == {"source": ["usher"]}
    ((prefix,),) = [[each["prefix"] for each in alarms["resources"]]]
    others = {name: wanted for name, wanted in alarms.items() if name != "resources"}
    assert others == {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
    assert written(prefix) == (
        "arn:<AWS::Partition>:cloudwatch:<AWS::Region>:<AWS::AccountId>:alarm:<AWS::StackName>-"
    )


def test_an_alarm_has_a_name_that_cloudformation_gives(template: dict[str, Any]) -> None:
    """So it begins with the stack's, and the rule hears of it."""
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    assert alarms
    assert not any("AlarmName" in each for each in alarms)


def test_by_default_nothing_is_forwarded() -> None:
    assert "Forward" not in json.dumps(templates("events out")["Usher"])
