"""A client and tables of DynamoDB for the contract suites, and a clock that tests set."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from usher.aws import table

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

_names: Final = (f"usher-{number}" for number in itertools.count())


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def a_client() -> DynamoDBClient:
    """A client that tries once."""
    client: DynamoDBClient = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return client


def a_table(client: DynamoDBClient) -> str:
    """The name of a new table."""
    name = next(_names)
    client.create_table(**table.definition(name))
    return name
