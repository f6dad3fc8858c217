"""Whole records, many at a time: what one request each would tell, in few requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from tests.contract.dynamodb import a_client
from tests.factories import a_finding, a_policy, an_action, at
from usher.aws import table
from usher.aws.records import RecordTable
from usher.core.action import MOST_RECENT
from usher.core.finding import Findings
from usher_cli.history.stories import StoriesTable, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action


@pytest.fixture
def client() -> Iterator[DynamoDBClient]:
    with mock_aws():
        made = a_client()
        made.create_table(**table.definition("records"))
        yield made


def recorded(records: RecordTable, number: int, lines: int, **changes: Any) -> Action:
    """A record with so many lines, stored as evaluations store them: a few at a time."""
    action = an_action(id=f"action-{number}", token=f"{number:036}", instance_id=f"i-{number}", **changes)
    action = records.open(action.noted(at(0), "notified", "by sqs; policy drain-workers"), None)
    for line in range(1, lines):
        action = replace(action.noted(at(line), "wait", f"waits: {line}"), version=action.version + 1)
        records.save(action)
        action = action.as_stored
    return action


def test_stories_are_what_the_store_tells_of_each_action(client: DynamoDBClient) -> None:
    records = RecordTable(client, "records", lambda: at(0))
    asks = a_policy([{"ecs": "drained"}])
    long = recorded(records, 1, 3 * MOST_RECENT)
    short = recorded(records, 2, 3)
    asking = recorded(records, 3, 2, policy=asks)
    finding = a_finding(detail="2 tasks", asked_at=at(1), ask_again_at=at(60))
    kept = Findings(turn=1, found=(finding,)).noted(at(0.5), "found", "ecs drained: pending: 2 tasks")
    records.keep_findings(asking, kept)

    read = StoriesTable(client, "records").read(["action-1", "action-2", "action-3", "gone"])

    expected = {
        action.id: (records.with_findings([action])[0], list(records.timeline(action.id)))
        for action in (records.load(each.id) for each in (long, short, asking))
        if action is not None
    }
    assert {story.action.id: (story.action, list(story.timeline)) for story in read.stories} == expected
    assert len(expected["action-1"][1]) == 3 * MOST_RECENT
    assert [line.event for line in expected["action-3"][1]] == ["notified", "found", "wait"]
    assert read.unreadable == []


def test_many_records_are_read_a_hundred_at_once(client: DynamoDBClient) -> None:
    records = RecordTable(client, "records", lambda: at(0))
    for number in range(3):
        recorded(records, number, 2)
    calls = Counter[str]()
    client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
    ids = [f"action-{number}" for number in range(250)]  # most are gone
    read = [story for part in in_turn(StoriesTable(client, "records"), ids) for story in part.stories]
    assert len(read) == 3
    assert calls == {"BatchGetItem": 3}


def test_a_record_of_a_newer_release_hides_no_other(client: DynamoDBClient) -> None:
    records = RecordTable(client, "records", lambda: at(0))
    recorded(records, 1, 2)
    recorded(records, 2, 2)
    client.update_item(
        TableName="records",
        Key=table.key("ACTION#action-1", "STATE"),
        UpdateExpression="SET packed = :none",
        ExpressionAttributeValues={":none": {"B": b"?"}},
    )
    read = StoriesTable(client, "records").read(["action-1", "action-2"])
    assert ([story.action.id for story in read.stories], read.unreadable) == (["action-2"], ["action-1"])
