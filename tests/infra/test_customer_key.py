"""With `customer_key` everything at rest is under one key, and whoever writes or reads may use it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.stacks import actions, listed, resources, statements, templates

SEND = {"kms:Decrypt", "kms:GenerateDataKey"}  # SQS Developer Guide, key management
READ = {"kms:Decrypt"}
TABLE = {  # DynamoDB Developer Guide, encryption usage notes
    "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
}  # fmt: skip


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return templates("a customer key")["Usher"]


@pytest.fixture(scope="module")
def policy(template: dict[str, Any]) -> list[dict[str, Any]]:
    (key,) = resources(template, "AWS::KMS::Key").values()
    return list(key["KeyPolicy"]["Statement"])


def is_the_key(value: Any) -> bool:
    return str(value["Fn::GetAtt"][0]).startswith("Key") if isinstance(value, dict) else False


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::Lambda::Function", "KmsKeyArn"),
        ("AWS::Scheduler::Schedule", "KmsKeyArn"),
    ],
)
def test_everything_at_rest_is_under_the_key(template: dict[str, Any], kind: str, field: str) -> None:
    found = resources(template, kind).values()
    assert found
    assert all(is_the_key(each[field]) for each in found)


def test_the_table_is_under_the_key(template: dict[str, Any]) -> None:
    (table,) = resources(template, "AWS::DynamoDB::Table").values()
    assert is_the_key(table["SSESpecification"]["KMSMasterKeyId"])


@pytest.mark.parametrize(
    ("service", "source"),
    [
        pytest.param("events.amazonaws.com", ":rule/*", id="EventBridge to the inbox and its dead letters"),
        pytest.param("sns.amazonaws.com", ":*", id="SNS to the inbox and its dead letters"),
        pytest.param("cloudwatch.amazonaws.com", ":alarm:*", id="alarms to their topic"),
    ],
)
def test_a_service_that_writes_to_us_may_use_the_key_for_this_account(
    policy: list[dict[str, Any]], service: str, source: str
) -> None:
    (statement,) = [each for each in policy if each["Principal"] == {"Service": service}]
    assert set(statement["Action"]) == SEND
    arn = statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1]
    assert {"Ref": "AWS::AccountId"} in arn
    assert arn[-1] == source


def test_logs_may_use_the_key_for_log_groups_of_this_account(policy: list[dict[str, Any]]) -> None:
    (statement,) = [each for each in policy if "logs." in str(each["Principal"])]
    arn = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]["Fn::Join"][1]
    assert arn[-1] == ":log-group:*"
    assert {"Ref": "AWS::AccountId"} in arn
    region = {"Ref": "AWS::Region"}  # and the end of the name differs by the partition
    assert statement["Principal"]["Service"]["Fn::Join"][1] == [
        "logs.",
        region,
        ".",
        {"Ref": "AWS::URLSuffix"},
    ]


def test_nobody_else_stands_in_the_policy_of_the_key(policy: list[dict[str, Any]]) -> None:
    """The account itself is there, so that IAM may grant; no service is without its condition."""
    account, *services = policy
    assert ":root" in str(account["Principal"]["AWS"])
    assert len(services) == 4
    assert all(each["Principal"].keys() == {"Service"} and each["Condition"] for each in services)


@pytest.mark.parametrize(
    ("role", "needs"),
    [
        pytest.param("HookRole", SEND, id="Auto Scaling, to the inbox and the topic"),
        pytest.param("ScheduleRole", SEND, id="Scheduler: reads its input, sends to its dead letters"),
        pytest.param("IntakeRole", SEND | READ | TABLE, id="intake: queues, failures, table, environment"),
        pytest.param("WakeRole", SEND | READ | TABLE, id="wake"),
        pytest.param("QuestionsRole", SEND | READ | TABLE, id="questions"),
        pytest.param("SweepRole", SEND | READ | TABLE, id="sweep"),
        pytest.param("ProvisionRole", SEND | READ | TABLE, id="provision"),
    ],
)
def test_each_role_may_use_the_key_for_what_it_does_and_no_more(
    template: dict[str, Any], role: str, needs: set[str]
) -> None:
    found = statements(template, f"{role}Default")
    on_key = [each for each in found if any(action.startswith("kms:") for action in listed(each["Action"]))]
    assert actions(on_key) == needs
    assert all(is_the_key(each["Resource"]) for each in on_key)


def test_the_key_outlives_its_stack_and_rotates(template: dict[str, Any]) -> None:
    (key,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::KMS::Key"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert key["Properties"]["EnableKeyRotation"] is True


def test_the_id_of_the_key_never_changes(template: dict[str, Any]) -> None:
    """Another logical id is another key, which cannot read what the first one encrypted."""
    assert list(resources(template, "AWS::KMS::Key")) == ["Key961B73FD"]
