"""DynamoDB for the contract suites: one account of moto for a file, one table for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from tests.contract.dynamodb import Clock, a_client, a_table
from tests.factories import at
from usher.aws.records import RecordTable
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.records import Store


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
def table(shared_client: DynamoDBClient) -> Iterator[str]:
    """It goes with its test: in each transaction moto copies all tables that there are."""
    name = a_table(shared_client)
    yield name
    shared_client.delete_table(TableName=name)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    shared_client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return RecordTable(shared_client, table, clock)


@pytest.fixture
def records(client: DynamoDBClient, table: str, clock: Clock) -> RecordTable:
    return RecordTable(client, table, clock)
