"""A client and tables of DynamoDB for the contract suites, and a clock that tests set."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from usher.aws import table
from usher.aws.items import state
from usher.aws.packing import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

NO_ANSWER: Final = ReadTimeoutError(endpoint_url="https://dynamodb")
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
        config=Config(retries={"total_max_attempts": 1}, user_agent="tests"),  # else built anew for each call
    )
    return client


def rewrite(client: DynamoDBClient, table: str, action_id: str, change: Callable[[Any], object]) -> None:
    """Change what is packed in the item of an action, as another release would have written it."""
    item = client.get_item(TableName=table, Key=state.key(action_id))["Item"]
    data = unpacked(item["packed"]["B"])
    change(data)
    client.put_item(TableName=table, Item=item | {"packed": {"B": packed(data)}})


def a_table(client: DynamoDBClient) -> str:
    """The name of a new table."""
    name = next(_names)
    client.create_table(**table.definition(name))
    return name


def before(client: DynamoDBClient, operation: str, do: Callable[[], object] = lambda: None) -> Counter[str]:
    """Do something just before each call of `operation` is sent; returns the count of calls."""
    calls: Counter[str] = Counter()

    def called(**_: object) -> None:
        calls[operation] += 1
        do()

    client.meta.events.register(f"before-call.dynamodb.{operation}", called)
    return calls


def refuse(client: DynamoDBClient, operation: str, errors: Iterable[BaseException | None]) -> Counter[str]:
    """Answer the calls by these errors, before anything is applied; returns the count of calls."""
    left = iter(errors)

    def answer() -> None:
        error = next(left, None)
        if error is not None:
            raise error

    return before(client, operation, answer)


def lose_answers(client: DynamoDBClient, operation: str, answers: Iterable[bool]) -> None:
    """Lose the answer of each call for which `answers` says so, after it was applied."""
    left = iter(answers)

    def lose(**_: object) -> None:
        if next(left, False):
            raise NO_ANSWER

    client.meta.events.register(f"after-call.dynamodb.{operation}", lose)
