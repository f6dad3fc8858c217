"""What `usher history` reads of 100,000 closed actions of 30 days: counted on the index's own queries."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import an_action, as_closed, at
from tests.memory_account import MemoryStack
from usher.aws.items import actions_index, state
from usher.aws.records import RecordTable
from usher.aws.table import ACTIONS_INDEX, INDEXES

if TYPE_CHECKING:
    from usher.aws.table import Item

ACTIONS: Final = 100_000
DAYS: Final = 30
SHOWN: Final = 50
HALF_UNIT: Final = 4096  # bytes of a query on an index, whose reads are eventually consistent


class ClosedIndex:
    """A DynamoDB client that has the rows of closed actions in its index, and counts what is read."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, list[tuple[str, Item]]] = defaultdict(list)
        self.reset()

    def reset(self) -> None:
        self.queries, self.rows, self.units = 0, 0, 0.0

    def add(self, item: Item) -> None:
        self._rows[item["listed"]["S"]].append((item["listed_at"]["S"], item))

    def sort(self) -> None:
        for rows in self._rows.values():
            rows.sort(key=lambda row: row[0])

    def query(self, **asked: Any) -> dict[str, Any]:
        assert asked["IndexName"] == ACTIONS_INDEX
        by, first, last = (
            asked["ExpressionAttributeValues"][name]["S"] for name in (":by", ":first", ":last")
        )
        rows = self._rows.get(by, [])
        begin = bisect_left(rows, first, key=lambda row: row[0])
        end = bisect_right(rows, last, key=lambda row: row[0])
        found = [item for _, item in rows[begin:end]]
        if not asked.get("ScanIndexForward", True):
            found.reverse()
        start = asked.get("ExclusiveStartKey", {"at": 0})["at"]
        page = found[start : start + asked.get("Limit", len(found))]
        self.queries += 1
        self.rows += len(page)
        self.units += max(1, -(-len(json.dumps(page)) // HALF_UNIT)) / 2
        more = {"LastEvaluatedKey": {"at": start + len(page)}} if start + len(page) < len(found) else {}
        return {"Items": page, **more}


@pytest.fixture(scope="module")
def index() -> ClosedIndex:
    """The rows that the store writes, of one action in each 26 seconds."""
    made = ClosedIndex()
    _, _, shown = INDEXES[ACTIONS_INDEX]
    for number in range(ACTIONS):
        closed_at = at(0) - timedelta(days=DAYS) * number / ACTIONS
        if number < 100:
            written = state.to_item(closed(number, closed_at))
            pattern = {name: written[name] for name in ("listed", "listed_at", *shown) if name in written}
        row = pattern | actions_index.closed_at(f"action-{number}", closed_at)
        made.add({"pk": {"S": f"ACTION#action-{number}"}, "sk": {"S": "STATE"}, **row})
    made.sort()
    return made


def closed(number: int, closed_at: Any) -> Any:
    began = closed_at - timedelta(minutes=10)
    end = as_closed(closed_at=closed_at)
    return an_action(id=f"action-{number}", started_at=began, first_seen_at=began, **end)


@pytest.fixture
def account(index: ClosedIndex) -> MemoryStack:
    stack = MemoryStack(dynamodb=index)
    stack.records = RecordTable(index, "records", lambda: stack.now)  # type: ignore[arg-type, assignment] # it queries
    index.reset()
    return stack


def test_the_first_page_reads_as_much_as_it_shows(account: MemoryStack, index: ClosedIndex) -> None:
    """In proportion to the page: each shard of the day is read one row ahead, or a few."""
    data = account.json("history", "--from", "24h", "--limit", str(SHOWN))
    assert (len(data["actions"]), data["more"]) == (SHOWN, True)
    assert index.queries <= 4 * actions_index.CLOSED_SHARDS
    assert index.rows <= 2 * SHOWN + 4 * actions_index.CLOSED_SHARDS
    assert index.units <= 10

    read = index.rows
    index.reset()
    account.json("history", "--from", "24h", "--limit", str(4 * SHOWN))
    assert read < index.rows <= 5 * read


def test_the_first_page_costs_the_same_however_long_the_period_is(
    account: MemoryStack, index: ClosedIndex
) -> None:
    read = []
    for period in ("24h", "7d", "30d"):
        index.reset()
        account.json("history", "--from", period)
        read.append((index.queries, index.rows, index.units))
    assert read[0] == read[1] == read[2]


def test_the_totals_of_a_day_read_that_day_alone(account: MemoryStack, index: ClosedIndex) -> None:
    data = account.json("history", "--from", "24h", "--totals")
    assert data["totals"]["actions"] == pytest.approx(ACTIONS / DAYS, abs=1)
    assert index.rows == pytest.approx(ACTIONS / DAYS, abs=1)
    assert index.units <= 400
