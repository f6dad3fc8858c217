"""DynamoDB for the contract suites: one account of moto for a file, one table for a test."""

from __future__ import annotations

from collections import defaultdict
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any, Final

import pytest
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

from tests.contract.dynamodb import Clock, a_client, a_table
from tests.factories import at
from usher.aws.records import RecordTable
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.records import Store


_moto_updates: Final = DynamoDBBackend.update_item


@pytest.fixture(scope="module", autouse=True)
def _transactions_copy_no_items() -> Iterator[None]:
    """For each item of one moto copies the whole table, to put it back.

    Here it does so without the items, which none but an update changes in place: that has a copy of its own.
    """
    with pytest.MonkeyPatch.context() as moto:
        moto.setattr(Table, "__deepcopy__", _copied, raising=False)
        moto.setattr(DynamoDBBackend, "update_item", _updated)
        yield


def _copied(table: Any, _: object) -> Any:
    copied = copy(table)
    copied.items = defaultdict(dict, {pk: dict(items) for pk, items in table.items.items()})
    return copied


def _updated(backend: Any, table_name: str, key: Any, *args: Any, **kwargs: Any) -> Any:
    table = backend.get_table(table_name)
    pk, sk = backend.get_keys_value(table, key)
    if table.get_item(pk, sk) is not None:
        table.items[pk][sk] = deepcopy(table.items[pk][sk])
    return _moto_updates(backend, table_name, key, *args, **kwargs)


@pytest.fixture
def clock() -> Clock:
    return Clock(at(0))


@pytest.fixture(scope="module")
def account() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def shared_client(account: None) -> DynamoDBClient:  # noqa: ARG001 - stands around it
    return a_client()


@pytest.fixture
def client(account: None) -> DynamoDBClient:  # noqa: ARG001 - stands around it
    """A client of the test's own, which may break."""
    return a_client()


@pytest.fixture
def table(shared_client: DynamoDBClient) -> str:
    return a_table(shared_client)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    shared_client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return RecordTable(shared_client, table, clock)


@pytest.fixture
def records(client: DynamoDBClient, table: str, clock: Clock) -> RecordTable:
    return RecordTable(client, table, clock)
