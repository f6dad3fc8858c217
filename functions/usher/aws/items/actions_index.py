"""The sparse index of actions: the open ones by time of their next evaluation, the closed ones by their end.

Its partitions are shards, so that none of them is hot (ADR 31):

listed                listed_at
O and a shard         when an open action is to be evaluated
Q and a shard         when a turn of questions is the sweep's business
C, a day and a shard  when an action was closed, on that day
"""

from __future__ import annotations

import zlib
from itertools import chain
from typing import TYPE_CHECKING, Final

from usher.aws.table import ACTIONS_INDEX, DUE_INDEX, text
from usher.core import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from usher.aws.table import Item, Table

SHARDS: Final = 16
CLOSED_SHARDS: Final = 4  # of a day: an action is closed once, and whoever reads a day reads all of them
OPEN: Final = "O"
QUESTIONS: Final = "Q"
_PAGE: Final = 250  # rows: as parsed they take 20 times the memory that they take as text
_FIRST: Final = "0"  # sorts before all times


def open_since(action_id: str, at: datetime) -> Item:
    """What lists an open action."""
    return _listed(f"{OPEN}{_shard(action_id, SHARDS):02}", at)


def asks_since(action_id: str, at: datetime) -> Item:
    """What lists the questions of an action, for the sweep."""
    return _listed(f"{QUESTIONS}{_shard(action_id, SHARDS):02}", at)


def closed_at(action_id: str, at: datetime) -> Item:
    """What lists a closed action."""
    return _listed(_day(iso_time.stored(at)[:10], _shard(action_id, CLOSED_SHARDS)), at)


def rows(of: Table, kind: str, until: datetime) -> Iterator[Item]:
    """The rows of all shards of OPEN or QUESTIONS up to `until`, read page by page; it may lag by moments."""
    for shard in range(SHARDS):
        yield from _read(of, f"{kind}{shard:02}", (_FIRST, iso_time.stored(until)))


def rows_before(of: Table, kind: str, until: datetime) -> Iterator[Item]:
    """The same of what the release before has listed in its own index: each leaves it when it is stored.

    All of it is read, in one call where nothing is left. Nothing where the index is gone.
    """
    for item in chain.from_iterable(of.scanned(DUE_INDEX)):
        is_of_kind = item["due_shard"]["S"].startswith(QUESTIONS) == (kind == QUESTIONS)
        if is_of_kind and item["look_at"]["S"] <= iso_time.stored(until):
            yield item


def closed_rows(of: Table, day: str, bounds: tuple[str, str], page_size: int) -> list[Iterator[Item]]:
    """The rows of what was closed on a day within `bounds`, by shard, newest first, so many in a page."""
    return [_read(of, _day(day, shard), bounds, newest_first=page_size) for shard in range(CLOSED_SHARDS)]


def _read(of: Table, listed: str, bounds: tuple[str, str], newest_first: int = 0) -> Iterator[Item]:
    question: QueryInputTypeDef = {
        "TableName": of.name,
        "IndexName": ACTIONS_INDEX,
        "KeyConditionExpression": "listed = :by AND listed_at BETWEEN :first AND :last",
        "ExpressionAttributeValues": {
            ":by": text(listed),
            ":first": text(bounds[0]),
            ":last": text(bounds[1]),
        },
    }
    question |= {"ScanIndexForward": False, "Limit": newest_first} if newest_first else {"Limit": _PAGE}
    return chain.from_iterable(of.pages(question))


def _listed(listed: str, at: datetime) -> Item:
    return {"listed": text(listed), "listed_at": text(iso_time.stored(at))}


def _day(day: str, shard: int) -> str:
    return f"C{day}#{shard}"


def _shard(action_id: str, shards: int) -> int:
    """Where the rows of an action lie."""
    return zlib.crc32(action_id.encode()) % shards
