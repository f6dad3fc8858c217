"""What once stopped every evaluation, notice or pass for good, over the store in DynamoDB."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.dynamodb import rewrite
from tests.contract.stores import a_raw, after, closed, loaded
from tests.factories import a_policy, a_signal, an_action, at, hook_terms
from usher.aws.result_limits import SentResults
from usher.core import evidence
from usher.core.action import Status, Transition
from usher.core.conditions.ecs import Ecs, TaskState
from usher.core.conditions.probe import Reply, ReplyKind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.records import RecordTable


@pytest.mark.parametrize(
    ("count", "message"),
    [pytest.param(4500, "working", id="many"), pytest.param(45, "\U0001f600" * 1000, id="long")],
)
def test_an_evaluation_that_hears_many_or_long_signals_is_stored(
    records: RecordTable, count: int, message: str
) -> None:
    """Fault 01: the lines of the timeline were more than a transaction, or larger than an item."""
    action = records.open(an_action(policy=a_policy(stalled_after="1h")), a_raw())
    heard = [
        a_signal(event_id=f"e{n}", at=at(n), status=Status.PROGRESS, message=f"{n} {message}")
        for n in range(count)
    ]

    records.save(after(evidence.with_signals(action, heard, at(1))))

    assert loaded(records).version == 2


def test_a_notice_is_not_kept_from_its_record_by_a_neighbour_of_a_newer_release(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    """Fault 05: after a rollback one closed launch that could not be read stopped its termination."""
    gate = hook_terms(name="gate", transition=Transition.LAUNCHING)
    records.open(closed(an_action(id="launch", token="9" * 36, hook=gate)), a_raw())
    records.open(an_action(), a_raw())
    of_tomorrow = '{"until":[{"http":"https://x"}]}'
    rewrite(client, table, "launch", lambda data: data["policy"].update(source=of_tomorrow))

    assert [action.id for action in records.of_instance(an_action().instance_id)] == ["action-1"]


def test_what_a_notice_reads_does_not_grow_with_the_history_of_its_instance(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    """Fault 19: every action of 30 days was read."""
    for number in range(80):
        action = an_action(id=f"a{number}", token=f"{number:036}", started_at=at(number))
        records.open(closed(action), a_raw())
    read: list[int] = []

    def note(parsed: dict[str, Any], **_: object) -> None:
        read.append(len(parsed.get("Items", ())) + len(parsed.get("Responses", {}).get(table, ())))

    for operation in ("Query", "BatchGetItem"):
        client.meta.events.register(f"after-call.dynamodb.{operation}", note)
    found = [action.id for action in records.of_instance(an_action().instance_id)]

    assert sum(read) <= 150
    assert found[-1] == "a79"


def test_the_search_of_an_ecs_instance_remembers_few_of_very_many_clusters() -> None:
    """Fault 18: the ARNs of all clusters stood in the record."""
    condition, action = Ecs(state=TaskState.DRAINED), an_action()
    memory: dict[str, Any] = {}
    arns = [f"arn:aws:ecs:us-east-1:111122223333:cluster/{number:050}" for number in range(4500)]
    call = condition.ask(action, memory, at(200))
    reply = Reply(kind=ReplyKind.ANSWERED, data={"clusterArns": arns})

    found = condition.hear(action, memory, call, reply, at(200))

    assert len(json.dumps(dict(found.memory))) < 20_000


def test_the_results_of_a_hook_with_long_tags_are_counted(client: DynamoDBClient, table: str) -> None:
    """Long tags overflowed the key of a limit, and failed every evaluation."""
    limit = "drain of tags " + ", ".join(f"{number}={'v' * 250}" for number in range(50))
    assert SentResults(client, table).grant(limit, "a-1", 1, at(3600) - at(0), at(0)) is None
