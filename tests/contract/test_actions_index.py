"""The index of the actions: its rows, over both stores; then which items of DynamoDB are in it, and when."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast
from uuid import UUID

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.dynamodb import a_table
from tests.contract.stores import INSTANCE, LATER, after, closed, due_ids, items, loaded, opened, state_item
from tests.factories import an_action, at, hook_terms
from tests.units import size_of
from usher.aws import table as dynamodb
from usher.aws.records import RecordTable
from usher.core import iso_time
from usher.core.action import Phase
from usher.core.finding import Findings
from usher.core.wait_moves import WaitKind
from usher.ports.records import ClosedRow, OpenRow, ReconcileStore, Unasked
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.contract.dynamodb import Clock
    from usher.ports.records import Store


def test_open_rows_say_what_waits_where_and_closed_ones_how_it_ended(store: Store) -> None:
    rows = cast(ReconcileStore, store)
    action = opened(store, timeout_assumed=True, evaluate_at=at(90))
    assert list(rows.open_rows()) == [
        OpenRow(
            action_id=action.id,
            group=action.hook.group,
            hook=action.hook.name,
            instance_id=INSTANCE,
            expires_at=action.expires_at,
            wait=WaitKind.of(action),
        )
    ]
    assert list(rows.closed(at(0), LATER, 10)) == []

    store.save(replace(closed(after(action)), reason="done: no conditions"))

    assert list(rows.open_rows()) == []
    assert list(rows.closed(at(0), LATER, 10)) == [
        [
            ClosedRow(
                action_id=action.id,
                group=action.hook.group,
                hook=action.hook.name,
                transition=action.hook.transition,
                instance_id=INSTANCE,
                started_at=action.started_at,
                closed_at=at(300),
                outcome="completed",
                result="CONTINUE",
                reason="done: no conditions",
            )
        ]
    ]
    assert loaded(store).reason == "done: no conditions"


def test_a_reopened_action_is_open_again_and_closed_no_more(store: Store) -> None:
    rows = cast(ReconcileStore, store)
    action = opened(store)
    store.save(closed(after(action)))
    store.save(
        replace(after(loaded(store), "evaluation-3"), phase=Phase.OPEN, evaluate_at=at(400), closed_at=None)
    )

    assert [row.action_id for row in rows.open_rows()] == [action.id]
    assert list(rows.closed(at(0), LATER, 10)) == []


@given(
    ends=st.lists(st.integers(0, 4 * 86_400), unique=True, max_size=12),
    span=st.tuples(st.integers(0, 4 * 86_400), st.integers(0, 4 * 86_400)).map(sorted),
    page_size=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_closed_actions_come_in_pages_newest_first_over_all_days(
    shared_client: DynamoDBClient, clock: Clock, ends: list[int], span: list[int], page_size: int
) -> None:
    since, until = map(at, span)
    for store in (MemoryStore(clock), RecordTable(shared_client, a_table(shared_client), clock)):
        for end in ends:
            action = store.open(an_action(id=f"{end}", token=f"{end:036}"), None)
            store.save(replace(closed(after(action)), closed_at=at(end)))

        pages = list(store.closed(since, until, page_size))

        expected = [end for end in sorted(ends, reverse=True) if since <= at(end) < until]
        assert [row.closed_at for page in pages for row in page] == list(map(at, expected))
        assert all(len(page) == page_size for page in pages[:-1])
        assert all(pages)


# DynamoDB only


def test_an_action_is_listed_by_its_next_evaluation_and_then_by_the_day_of_its_end(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    action = opened(records)
    item = state_item(client, table)
    assert item["listed"]["S"][0] == "O"
    assert item["listed_at"] == item["look_at"]

    records.save(closed(after(action)))

    item = state_item(client, table)
    assert item["listed"]["S"].startswith(f"C{at(300):%Y-%m-%d}#")
    assert item["listed_at"]["S"] == iso_time.stored(at(300))


def test_what_the_release_before_listed_in_its_own_index_is_found_until_it_is_stored_again(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    action = opened(records, evaluate_at=at(90))
    records.keep_findings(action, Findings(turn=1, ask_at=at(40), sweep_at=at(80)))
    for item in items(client, table):
        list_as_before(client, table, item)

    assert due_ids(records, at(90)) == [action.id]
    assert due_ids(records, at(89)) == []
    (row,) = records.open_rows()
    assert (row.group, row.hook, row.instance_id) == (action.hook.group, action.hook.name, INSTANCE)
    assert row.wait is not None
    assert row.wait.heartbeat_timeout == action.hook.heartbeat_timeout
    assert list(records.unasked(at(80))) == [Unasked(action_id=action.id, turn=1, sweep_at=at(80))]

    assert records.put_off(action.id, 1, at(85))
    records.save(after(action, evaluate_at=at(100)))

    assert list(records.unasked(at(85))) == [Unasked(action_id=action.id, turn=1, sweep_at=at(85))]
    assert due_ids(records, at(99)) == []
    assert due_ids(records, at(100)) == [action.id]
    assert not [item for item in items(client, table) if "due_shard" in item]


class MovesBetween:
    """A client through which something is stored between the reads of the two indexes."""

    def __init__(self, client: DynamoDBClient, move: Callable[[], object]) -> None:
        self._client = client
        self._moves = [move]
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def told(**question: Any) -> Any:
            self._read |= {name} & {"scan", "query"}
            if len(self._read) > 1 and self._moves:
                self._moves.pop()()
            return call(**question)

        return told


def test_an_action_that_goes_from_one_index_to_the_other_is_in_use_meanwhile(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    """Promise 8: a retiring hook is deleted once nothing is in it; promise 3: the sweep finds what is due."""
    action = opened(records, evaluate_at=at(90))
    for item in items(client, table):
        list_as_before(client, table, item)
    as_before = items(client, table)

    def between() -> RecordTable:
        for item in as_before:
            client.put_item(TableName=table, Item=item)
        moves = MovesBetween(client, lambda: records.save(after(action, evaluate_at=at(91))))
        return RecordTable(cast("DynamoDBClient", moves), table, lambda: at(0))

    assert set(between().hooks_in_use()) == {(action.hook.group, action.hook.name)}
    assert due_ids(between(), at(100)) == [action.id]


def test_where_the_index_of_the_release_before_is_gone_the_new_one_is_read(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    """ADR 31: the next release deletes it, while functions of this one may still run."""
    action = opened(records, evaluate_at=at(90))
    client.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "due"}}])

    assert due_ids(records, at(100)) == [action.id]
    assert len(list(records.open_rows())) == 1


class Refuses:
    """A client that DynamoDB refuses to scan for."""

    def scan(self, **question: Any) -> NoReturn:
        error = {"Code": "ValidationException", "Message": f"Invalid {sorted(question)}"}
        raise ClientError({"Error": error}, "Scan")


def test_a_scan_that_is_refused_for_another_reason_is_no_index_without_rows(table: str) -> None:
    """What cannot be read is unknown: nothing is due by it, and no hook is free."""
    with pytest.raises(ClientError, match="Invalid"):
        list(dynamodb.Table(cast("DynamoDBClient", Refuses()), table).scanned("due"))


def list_as_before(client: DynamoDBClient, table: str, item: dict[str, Any]) -> None:
    if "listed" not in item:
        return
    listed = item["listed"]["S"]
    before = {name: value for name, value in item.items() if name not in ("listed", "wait", "turn")}
    before["due_shard"] = {"S": listed.removeprefix("O")}
    before["look_at"] = before.pop("listed_at")
    client.put_item(TableName=table, Item=before)


def test_a_row_that_a_newer_release_wrote_is_told_without_its_wait(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    opened(records)
    item = state_item(client, table)
    client.put_item(TableName=table, Item=item | {"wait": {"S": "Z9,sleeping"}})

    (row,) = records.open_rows()

    assert (row.action_id, row.wait) == ("action-1", None)


def test_a_page_of_closed_actions_costs_little_of_very_many(
    client: DynamoDBClient, records: RecordTable
) -> None:
    for number in range(100):
        token = f"{number:036}"
        action = opened(records, id=f"action-{number}", token=token)
        records.save(replace(closed(after(action)), closed_at=at(number)))
    read: Counter[str] = Counter()

    def count(parsed: dict[str, Any], **_: object) -> None:
        read["calls"] += 1
        read["rows"] += len(parsed["Items"])

    client.meta.events.register("after-call.dynamodb.Query", count)
    page = next(records.closed(at(0), at(1000), 8))

    assert [row.action_id for row in page] == [f"action-{number}" for number in range(99, 91, -1)]
    assert read["rows"] <= 2 * 8
    assert read["calls"] <= 8


def test_a_row_of_an_open_action_is_small(client: DynamoDBClient, table: str, records: RecordTable) -> None:
    """100,000 of them are read in 3,500 read units."""
    name = "a-name-of-30-letters-or-so-web"
    opened(records, id=str(UUID(int=1)), hook=hook_terms(group=name, name=name))
    (row,) = client.scan(TableName=table, IndexName=dynamodb.ACTIONS_INDEX)["Items"]

    assert size_of(row) * 100_000 / 4096 / 2 <= 3500
