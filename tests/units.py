"""Read and write units of DynamoDB, as AWS documents them: a client that counts what passes through it.

A consistent read costs one unit for each 4 KB, another half of that; a write one for each 1 KB of the larger
of what was and what is then, twice that in a transaction, also where a condition refuses it. An index writes
its own rows: one where a row comes, goes or changes, two where its key moves. (DynamoDB Developer Guide,
"DynamoDB read and write operations" and "Using Global Secondary Indexes".)
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    Item = Mapping[str, Mapping[str, Any]]

_READ: Final = 4096
_WRITE: Final = 1024


@dataclass
class Units:
    """What was used: `calls` of DynamoDB, read and write units, and those that the indexes wrote."""

    calls: int = 0
    reads: float = 0
    writes: int = 0
    index_writes: int = 0
    records: list[int] = field(default_factory=list)  # the bytes of each state of an action that was written


@dataclass
class CountingClient:
    """A client of DynamoDB whose calls are counted in what `into` names just then."""

    client: DynamoDBClient
    into: Callable[[], Units]

    def get_item(self, **asked: Any) -> Any:
        """As boto3's, as are the others."""
        answer = self.client.get_item(**asked)
        self._read([answer.get("Item", {})], asked)
        return answer

    def batch_get_item(self, **asked: Any) -> Any:
        answer = self.client.batch_get_item(**asked)
        self.into().calls += 1
        for name, of_table in asked["RequestItems"].items():
            for item in answer["Responses"].get(name, []):
                self.into().reads += _units([item], of_table)
        return answer

    def query(self, **asked: Any) -> Any:
        answer = self.client.query(**asked)
        self._read(answer["Items"], asked)
        return answer

    def scan(self, **asked: Any) -> Any:
        answer = self.client.scan(**asked)
        self._read(answer["Items"], asked)
        return answer

    def put_item(self, **asked: Any) -> Any:
        self.into().calls += 1
        with self._written([asked], times=1):
            return self.client.put_item(**asked)

    def update_item(self, **asked: Any) -> Any:
        self.into().calls += 1
        with self._written([asked], times=1):
            return self.client.update_item(**asked)

    def transact_write_items(self, **asked: Any) -> Any:
        self.into().calls += 1
        with self._written([next(iter(each.values())) for each in asked["TransactItems"]], times=2):
            return self.client.transact_write_items(**asked)

    def _read(self, items: Iterable[Item], asked: Mapping[str, Any]) -> None:
        self.into().calls += 1
        self.into().reads += _units(items, asked)

    def _written(self, writes: list[dict[str, Any]], times: int) -> _Written:
        return _Written(self.client, self.into(), writes, times)


@dataclass
class _Written:
    """Counts writes by the items before and after, whether or not they were refused."""

    client: DynamoDBClient
    units: Units
    asked: list[dict[str, Any]]
    times: int

    def __enter__(self) -> None:
        self._before = self._items()

    def __exit__(self, *_: object) -> None:
        for before, after in zip(self._before, self._items(), strict=True):
            size = max(size_of(before), size_of(after), 1)
            self.units.writes += self.times * math.ceil(size / _WRITE)
            self.units.index_writes += sum(self._of_index(each, before, after) for each in self._indexes())
            if after.get("sk") == {"S": "STATE"} and after != before:
                self.units.records.append(size_of(after))

    def _items(self) -> list[Item]:
        return [self._item(write) for write in self.asked]

    def _item(self, write: Mapping[str, Any]) -> Item:
        key = write.get("Key") or {name: write["Item"][name] for name in ("pk", "sk")}
        item: Item = self.client.get_item(TableName=write["TableName"], Key=key).get("Item", {})
        return item

    def _indexes(self) -> list[Any]:
        table = self.client.describe_table(TableName=self.asked[0]["TableName"])["Table"]
        return list(table.get("GlobalSecondaryIndexes", []))

    def _of_index(self, index: Mapping[str, Any], before: Item, after: Item) -> int:
        key = [part["AttributeName"] for part in index["KeySchema"]]
        shown = ["pk", "sk", *key, *index["Projection"].get("NonKeyAttributes", [])]
        was, now = ({name: item[name] for name in shown if name in item} for item in (before, after))
        was, now = (row if all(name in row for name in key) else {} for row in (was, now))
        if was == now:
            return 0
        size = math.ceil(max(size_of(was), size_of(now)) / _WRITE)
        moves = bool(was) and bool(now) and any(was[name] != now[name] for name in key)
        return 2 * size if moves else size


def _units(items: Iterable[Item], asked: Mapping[str, Any]) -> float:
    size = sum(map(size_of, items))
    return max(1, math.ceil(size / _READ)) * (1 if asked.get("ConsistentRead") else 0.5)


def size_of(item: Item) -> int:
    """The bytes of an item: the names of its attributes, and their values."""
    return sum(len(name.encode()) + _size_of_value(value) for name, value in item.items())


def _size_of_value(value: Mapping[str, Any]) -> int:
    ((kind, inner),) = value.items()
    with suppress(KeyError):
        return {"S": lambda: len(inner.encode()), "N": lambda: len(inner) // 2 + 2, "B": lambda: len(inner)}[
            kind
        ]()
    raise ValueError(f"no size is known of an attribute of type {kind}")
