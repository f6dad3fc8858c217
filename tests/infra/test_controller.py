"""The template that the app makes, and that it agrees with the code that runs on it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from infra.controller import Controller
from usher.aws.table import TTL_ATTRIBUTE, definition


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return dict(Template.from_stack(Controller(cdk.App(), "Usher")).to_json())


def of_type(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [each for each in template["Resources"].values() if each["Type"] == kind]
    assert found
    return found


def test_the_table_has_the_keys_that_the_records_are_written_with(template: dict[str, Any]) -> None:
    (table,) = of_type(template, "AWS::DynamoDB::Table")
    made = table["Properties"]
    wanted = definition("records")
    assert made["KeySchema"] == wanted["KeySchema"]
    by_name = {each["AttributeName"]: each for each in made["AttributeDefinitions"]}
    assert by_name == {each["AttributeName"]: each for each in wanted["AttributeDefinitions"]}
    (index,), (wanted_index,) = made["GlobalSecondaryIndexes"], wanted["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["KeySchema"]) == (wanted_index["IndexName"], wanted_index["KeySchema"])
    assert set(index["Projection"]["NonKeyAttributes"]) == set(wanted_index["Projection"]["NonKeyAttributes"])
    assert made["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_the_table_outlives_its_stack_and_can_be_put_back_to_any_second(template: dict[str, Any]) -> None:
    (table,) = of_type(template, "AWS::DynamoDB::Table")
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    recovery = table["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


def test_every_queue_has_dead_letters_or_is_for_them_and_redrive_is_wider_than_an_outage(
    template: dict[str, Any],
) -> None:
    queues = {
        name: each["Properties"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::SQS::Queue"
    }
    for_dead_letters = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    assert len(queues) == 2 * len(for_dead_letters) == 4
    for name, queue in queues.items():
        if name not in for_dead_letters:
            receives = queue["RedrivePolicy"]["maxReceiveCount"]
            assert receives * queue["VisibilityTimeout"] >= 6 * 3600
        assert queue["SqsManagedSseEnabled"] is True
