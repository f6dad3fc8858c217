"""What the console reads of 5,000 open actions: counted on the calls that the table's adapters make."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from tests.factories import an_action, at
from tests.memory_account import MemoryStack
from tests.units import size_of
from usher.aws.items import state
from usher.aws.records import RecordTable
from usher.aws.table import ACTIONS_INDEX, INDEXES
from usher_cli.console.live import INTERVAL, LiveActions
from usher_cli.console.reads import ROWS
from usher_cli.console.units import ReadUnits
from usher_cli.listing import Selection
from usher_cli.open_actions import OpenActionsTable

if TYPE_CHECKING:
    from usher.aws.table import Item

OPEN: Final = 5000
A_MINUTE: Final = 1800  # the default of --units
ON_ONE_READING: Final = 190  # docs/console.md
MINUTES: Final = 6  # so long, a reading each interval would be over the bound


class OpenTable:
    """A DynamoDB client that has open actions and their rows in the index, and counts what is read."""

    def __init__(self, units: ReadUnits) -> None:
        self._units = units
        self._items: dict[str, Item] = {}
        self._rows: defaultdict[str, list[Item]] = defaultdict(list)
        self._sizes: defaultdict[str, int] = defaultdict(int)  # of the rows: each reading has all of them
        self.loaded = 0

    def add(self, item: Item) -> None:
        _, _, projected = INDEXES[ACTIONS_INDEX]
        shown = ("pk", "sk", "listed", "listed_at", *projected)
        self._items[item["pk"]["S"]] = item
        row = {name: item[name] for name in shown if name in item}
        self._rows[item["listed"]["S"]].append(row)
        self._sizes[item["listed"]["S"]] += size_of(row)

    def query(self, **asked: Any) -> dict[str, Any]:
        values = asked["ExpressionAttributeValues"]
        by = values.get(":by", {"S": ""})["S"]
        self._read(self._sizes[by], consistent=asked.get("ConsistentRead", False))
        return {"Items": self._rows[by]}

    def scan(self, **_: Any) -> dict[str, Any]:
        self._read(0, consistent=False)
        return {"Items": []}

    def get_item(self, **asked: Any) -> dict[str, Any]:
        self._read(0, consistent=asked.get("ConsistentRead", False))
        return {}

    def batch_get_item(self, **asked: Any) -> dict[str, Any]:
        ((name, of_table),) = asked["RequestItems"].items()
        found = [self._items[key["pk"]["S"]] for key in of_table["Keys"] if key["sk"]["S"] == "STATE"]
        for item in found:  # each is rounded up
            self._read(size_of(item), consistent=of_table.get("ConsistentRead", False))
        self.loaded += len(found)
        return {"Responses": {name: found}, "UnprocessedKeys": {}}

    def _read(self, size: int, *, consistent: bool) -> None:
        self._units.used(max(1, ceil(size / 4096)) * (1 if consistent else 0.5))


def test_five_thousand_open_actions_are_read_within_the_bound_and_fifty_are_loaded() -> None:
    stack = MemoryStack()
    units = ReadUnits(A_MINUTE, lambda: stack.now)
    table = OpenTable(units)
    for number in range(OPEN):
        own = {"id": f"c613620e-07e2-4ed2-a9e2-{number:012x}", "instance_id": f"i-{number:017x}"}
        action = an_action(**own, token=own["id"], started_at=at(number))
        table.add({**state.key(action.id), **state.to_item(action)})
    account = replace(
        stack.account(),
        records=RecordTable(table, "records", lambda: stack.now),  # type: ignore[arg-type]
        open_actions=OpenActionsTable(table, "records"),
    )
    live = LiveActions(account, units)
    everything = Selection(group=None, hook=None, limit=ROWS)

    page = live.page(everything)

    assert (page["open"], len(page["actions"]), table.loaded) == (OPEN, ROWS, ROWS)
    assert page["units"] <= ON_ONE_READING
    assert page["units"] > ON_ONE_READING * 0.9  # what the docs say is what it is

    readings = 0
    for _ in range(MINUTES * 60):
        stack.now += INTERVAL / 5
        before = units.total
        live.page(everything)
        readings += units.total > before
    assert units.total <= A_MINUTE * MINUTES + A_MINUTE + ON_ONE_READING
    assert readings > MINUTES * 8
