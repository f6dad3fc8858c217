"""One DynamoDB table in DynamoDB's words: its description, keys and values, writes and reads."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from botocore.exceptions import ClientError

from usher.aws.dynamodb_answers import REFUSED, TRIES, answered, refusal, taken
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        CreateTableInputTypeDef,
        KeysAndAttributesTypeDef,
        KeySchemaElementTypeDef,
        PutItemInputTypeDef,
        PutTypeDef,
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
        UpdateItemInputTypeDef,
        UpdateTypeDef,
    )

Item: TypeAlias = "dict[str, AttributeValueTypeDef]"
T = TypeVar("T")

TTL_ATTRIBUTE: Final = "keep_until"
ACTIONS_INDEX: Final = "actions"
DUE_INDEX: Final = "due"  # of the release before: read, written no more, and gone in the next release
MOST_PK_BYTES: Final = 2048
MOST_SK_BYTES: Final = 1024

ENDED: Final = ("started_at", "outcome", "result", "reason")  # what only closed actions show in an index
# By name of an index: the attributes of its key, and what its rows show besides.
INDEXES: Final = {
    DUE_INDEX: ("due_shard", "look_at", ("action_id", "version", "expires_at")),
    ACTIONS_INDEX: (
        "listed",
        "listed_at",
        ("group", "hook", "instance_id", "expires_at", "wait", "turn", *ENDED),
    ),
}

_MOST_READS: Final = 100  # of a BatchGetItem


def definition(name: str) -> CreateTableInputTypeDef:
    """The table, as CreateTable takes it; its TTL is on TTL_ATTRIBUTE."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"}
            for name in ("pk", "sk", "due_shard", "look_at", "listed", "listed_at")
        ],
        "KeySchema": _keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _keys(by, then_by),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": shown},
            }
            for index, (by, then_by, shown) in INDEXES.items()
        ],
    }


def _keys(by: str, then_by: str) -> list[KeySchemaElementTypeDef]:
    return [{"AttributeName": by, "KeyType": "HASH"}, {"AttributeName": then_by, "KeyType": "RANGE"}]


def key(pk: str, sk: str) -> Item:
    """The key of one item. What is too long for DynamoDB is cut, and its hash keeps it apart."""
    return {"pk": text(_fitting(pk, MOST_PK_BYTES)), "sk": text(_fitting(sk, MOST_SK_BYTES))}


def _fitting(part: str, most: int) -> str:
    whole = part.encode()
    if len(whole) <= most:
        return part
    digest = hashlib.sha256(whole).hexdigest()
    return f"{whole[: most - len(digest) - 1].decode(errors='ignore')}#{digest}"


def text(of: str) -> AttributeValueTypeDef:
    """A text, as an attribute."""
    return {"S": of}


def number(of: int) -> AttributeValueTypeDef:
    """A whole number, as an attribute."""
    return {"N": str(of)}


def as_json(data: object) -> AttributeValueTypeDef:
    """JSON data, as an attribute of text."""
    return text(json.dumps(data, separators=(",", ":")))


def from_json(item: Item, attribute: str = "doc") -> Any:  # noqa: ANN401 - JSON data
    """The JSON data in an attribute of `item`."""
    return json.loads(item[attribute]["S"])


def kept_until(item: Item) -> datetime:
    """Until when the item is kept. TTL removes it days later."""
    return datetime.fromtimestamp(int(item[TTL_ATTRIBUTE]["N"]), UTC)


def in_parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`whole` in parts of at most `size`."""
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _kept(until: datetime | None) -> Item:
    return {} if until is None else {TTL_ATTRIBUTE: _epoch(until)}


def _epoch(moment: datetime) -> AttributeValueTypeDef:
    return number(int(moment.timestamp()))


class Table:
    """What to write, in transactions, and what to read, as it is now."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self.name = name

    def put(
        self,
        key: Item,
        attributes: Item,
        keep_until: datetime | None,
        condition: str = "",
        values: Item | None = None,
    ) -> TransactWriteItemTypeDef:
        """A write for `transact`. A refused condition shows the item that was in its way.

        Without `keep_until` it stays for good.
        """
        put: PutTypeDef = {"TableName": self.name, "Item": {**key, **attributes, **_kept(keep_until)}}
        if condition:
            put["ConditionExpression"] = condition
            put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if values:
            put["ExpressionAttributeValues"] = values
        return {"Put": put}

    def update(
        self, key: Item, changes: str, values: Item, keep_until: datetime, condition: str = ""
    ) -> TransactWriteItemTypeDef:
        """A write for `transact` that makes the item where there is none."""
        update: UpdateTypeDef = {
            "TableName": self.name,
            "Key": key,
            "UpdateExpression": f"SET {changes}, {TTL_ATTRIBUTE} = :keep_until",
            "ExpressionAttributeValues": {**values, ":keep_until": _epoch(keep_until)},
        }
        if condition:
            update["ConditionExpression"] = condition
        return {"Update": update}

    def check(self, key: Item, condition: str, values: Item) -> TransactWriteItemTypeDef:
        """For `transact`: it writes nothing, and refuses all of it where the condition does not hold."""
        return {
            "ConditionCheck": {
                "TableName": self.name,
                "Key": key,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def transact(self, writes: Sequence[TransactWriteItemTypeDef]) -> dict[int, Any]:
        """Write all of it, or nothing: then this tells which conditions refused, by position."""
        try:
            answered(partial(self._client.transact_write_items, TransactItems=writes))
        except ClientError as error:
            reasons = enumerate(error.response.get("CancellationReasons", ()))
            refusals = {place: reason for place, reason in reasons if reason.get("Code") == REFUSED}
            if not refusals:
                raise
            return refusals
        return {}

    def put_alone(self, write: TransactWriteItemTypeDef) -> dict[int, Any]:
        """Do one `put`, for half of what it costs in a transaction; answers as `transact` does."""
        refused = refusal(partial(self._client.put_item, **cast("PutItemInputTypeDef", write["Put"])))
        return {} if refused is None else {0: refused}

    def keep(self, key: Item, attributes: Item, keep_until: datetime) -> None:
        """Put an item, unless it is there already."""
        self.store(key, attributes, keep_until, "attribute_not_exists(pk)")

    def store(
        self,
        key: Item,
        attributes: Item,
        keep_until: datetime | None,
        condition: str = "",
        values: Item | None = None,
    ) -> bool:
        """Put one item; False where the condition refuses. Without `keep_until` it stays for good."""
        put: PutItemInputTypeDef = {
            "TableName": self.name,
            "Item": {**key, **attributes, **_kept(keep_until)},
        }
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = values
        return taken(partial(self._client.put_item, **put))

    def change(
        self, key: Item, changes: str, values: Item, keep_until: datetime | None, condition: str
    ) -> bool:
        """Update one item, made where there is none; False where the condition refuses.

        Without `keep_until` it is kept as before. Apart from any transaction, which others would refuse.
        """
        if keep_until is not None:
            changes = f"{changes}, {TTL_ATTRIBUTE} = :keep_until"
            values = {**values, ":keep_until": _epoch(keep_until)}
        update: UpdateItemInputTypeDef = {
            "TableName": self.name,
            "Key": key,
            "UpdateExpression": f"SET {changes}",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        return taken(partial(self._client.update_item, **update))

    def get(self, key: Item) -> Item | None:
        """One item, as it is now."""
        found = answered(partial(self._client.get_item, TableName=self.name, Key=key, ConsistentRead=True))
        return found.get("Item")

    def get_all(self, keys: Sequence[Item]) -> list[Item]:
        """Those of the items that are there, as they are now, each once, in any order."""
        once = list({(key["pk"]["S"], key["sk"]["S"]): key for key in keys}.values())
        return [item for part in in_parts(once, _MOST_READS) for item in self._get_part(part)]

    def _get_part(self, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        for _ in range(TRIES):
            asked: dict[str, KeysAndAttributesTypeDef] = {self.name: {"Keys": keys, "ConsistentRead": True}}
            answer = answered(partial(self._client.batch_get_item, RequestItems=asked))
            found += answer["Responses"].get(self.name, [])
            if self.name not in answer["UnprocessedKeys"]:
                return found
            keys = answer["UnprocessedKeys"][self.name]["Keys"]
        raise Unavailable(f"DynamoDB left {len(keys)} keys unread")

    def items(self, pk: str, prefix: str) -> list[Item]:
        """The items of a partition whose sort key begins with `prefix`, in order, as they are now."""
        return self._query(
            {
                "TableName": self.name,
                "ConsistentRead": True,
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {":pk": text(pk), ":prefix": text(prefix)},
            }
        )

    def last(self, pk: str, prefix: str, most: int) -> list[Item]:
        """The last `most` items of a partition whose sort key begins with `prefix`, the last one first."""
        question: QueryInputTypeDef = {
            "TableName": self.name,
            "ConsistentRead": True,
            "ScanIndexForward": False,
            "Limit": most,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": text(pk), ":prefix": text(prefix)},
        }
        return self._query(question, most)[:most]

    def between(
        self,
        pk: str,
        bounds: tuple[str, str],
        only: str = "",
        values: Item | None = None,
        *,
        consistent: bool,
    ) -> list[Item]:
        """The items of a partition with sort keys within `bounds`, for which the filter `only` holds."""
        first, last = bounds
        question: QueryInputTypeDef = {
            "TableName": self.name,
            "ConsistentRead": consistent,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":pk": text(pk),
                ":first": text(first),
                ":last": text(last),
                **(values or {}),
            },
        }
        if only:
            question["FilterExpression"] = only
        return self._query(question)

    def _query(self, question: QueryInputTypeDef, most: float = math.inf) -> list[Item]:
        found: list[Item] = []
        for page in self.pages(question):
            found += page
            if len(found) >= most:
                break
        return found

    def pages(self, question: QueryInputTypeDef) -> Iterator[list[Item]]:
        """What a question finds, one page after the other, each read when it is asked for."""
        return _pages(self._client.query, question)

    def scanned(self, index: str) -> Iterator[list[Item]]:
        """All of an index; nothing where it is gone, as only the text of DynamoDB's refusal says."""
        try:
            yield from _pages(self._client.scan, {"TableName": self.name, "IndexName": index})
        except ClientError as error:
            if "does not have the specified index" not in str(error):
                raise


def _pages(read: Callable[..., Any], question: Mapping[str, Any]) -> Iterator[list[Item]]:
    while True:
        page = answered(partial(read, **question))
        yield page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        question = {**question, "ExclusiveStartKey": page["LastEvaluatedKey"]}
