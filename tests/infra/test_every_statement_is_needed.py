"""Every right in the template of `usher install` is that of a call, and no wider than IAM lets it be.

`make e2e` also removes each of them, and looks for the refusal (tests/e2e/deployed/test_permissions.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest
from botocore import xform_name

from tests.infra.stacks import actions, statements
from tests.infra.test_installable import OPTIONS, resolved

CODE: Final = "\n".join(
    file.read_text(encoding="utf-8")
    for file in sorted((Path(__file__).parents[2] / "functions" / "usher").rglob("*.py"))
)
TEMPLATE: Final = json.loads((Path(__file__).parent / "golden" / "Install.json").read_text())
# Actions whose names are not those of their calls.
CALLS: Final = {"dynamodb:ConditionCheckItem": "ConditionCheck", "lambda:InvokeFunction": "Invoke"}
# Calls that no code of Usher makes, and who makes them with its roles.
OF_SERVICES: Final = {
    "dynamodb:DescribeStream": "Lambda's event source mapping",
    "dynamodb:GetRecords": "likewise",
    "dynamodb:GetShardIterator": "likewise",
    "dynamodb:ListStreams": "likewise",
    "iam:PassRole": "checked where a hook with a role is put",
    "kms:Decrypt": "SQS and DynamoDB, for data under a key of the user's",
    "kms:DescribeKey": "likewise",
    "kms:Encrypt": "likewise",
    "kms:GenerateDataKey": "likewise",
    "kms:GenerateDataKeyWithoutPlaintext": "likewise",
    "kms:ReEncryptFrom": "likewise",
    "kms:ReEncryptTo": "likewise",
    "logs:CreateLogStream": "Lambda",
    "logs:PutLogEvents": "Lambda",
    "sns:Publish": "Auto Scaling, with the role of a hook",
    "sqs:ChangeMessageVisibility": "Lambda's event source mapping",
    "sqs:DeleteMessage": "Lambda's event source mapping",
    "sqs:GetQueueAttributes": "Lambda's event source mapping",
    "sqs:GetQueueUrl": "Auto Scaling, with the role of a hook",
    "sqs:ReceiveMessage": "Lambda's event source mapping",
    "xray:PutTelemetryRecords": "Lambda",
    "xray:PutTraceSegments": "Lambda",
}
# By IAM's service authorization reference these cannot be confined to a resource.
UNCONFINED: Final = re.compile(
    r"(autoscaling|ec2|elasticloadbalancing):Describe\w+|xray:Put\w+|dynamodb:ListStreams"
    r"|ssm:(List\w+|GetCommandInvocation)"
)
# Elsewhere a * stands in place of a name alone, in an ARN of this account and Region.
OF_THE_ACCOUNT: Final = (
    "autoScalingGroup:*:autoScalingGroupName/*",
    "container-instance/*",
    "task/*",
    "instance/*",
)


# With every option.
ALLOWED: Final = [each for each in statements(resolved(TEMPLATE, *OPTIONS)) if each["Effect"] == "Allow"]
ACTIONS: Final = sorted(actions(ALLOWED))


@pytest.mark.parametrize("action", [each for each in ACTIONS if each not in OF_SERVICES])
def test_an_action_is_that_of_a_call_in_the_functions(action: str) -> None:
    operation = CALLS.get(action, action.partition(":")[2])
    calls = rf'\.{xform_name(operation)}\b|"{operation}"'
    assert re.search(calls, CODE), f"nothing in functions/usher calls {operation}"


def test_what_services_call_is_granted_or_not_on_the_list() -> None:
    assert set(OF_SERVICES) <= set(ACTIONS)


def test_nothing_is_granted_by_a_pattern_of_actions() -> None:
    assert [action for action in ACTIONS if "*" in action] == []


def test_only_what_iam_cannot_confine_is_granted_on_everything() -> None:
    on_all = actions(each for each in ALLOWED if each["Resource"] == "*")
    assert sorted(action for action in on_all if not UNCONFINED.fullmatch(action)) == []


def test_a_pattern_of_resources_stays_in_the_account_and_region() -> None:
    for each in ALLOWED:
        for text in re.findall(r'"([^"]*)"', json.dumps(each["Resource"])):
            if "*" in text and text != "*":
                place = text.removeprefix("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:")
                assert place.lstrip(":").removeprefix("ec2:") in OF_THE_ACCOUNT, text
                assert "AWS::AccountId" in json.dumps(each["Resource"]), text


def test_of_resources_that_others_have_a_condition_confines_what_changes_them() -> None:
    """Instances of a cluster and groups with the tag; heartbeats and results alone go to every group."""
    wide = [each for each in ALLOWED if "*" in json.dumps(each["Resource"]) and "Condition" not in each]
    assert {action for action in actions(wide) if not UNCONFINED.fullmatch(action)} == {
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
        "ssm:SendCommand",  # of the documents in the list, on instances of the account
    }
