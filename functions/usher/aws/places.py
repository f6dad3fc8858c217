"""The places of hooks with `at_once`, in the table of the actions.

pk                sk
AT_ONCE#places    PLACES    who has a place and since when, and who waits; under a version
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.core import iso_time
from usher.core.places import NONE, Places, Waiting

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

_KEPT: Final = timedelta(days=4)  # twice the longest wait


class PlaceTable:
    """Implements usher.ports.budget.PlacesKept."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._table = table.Table(client, table_name)

    def places(self, name: str) -> Places:
        """See usher.ports.budget.PlacesKept."""
        item = self._table.get(_key(name))
        if item is None:
            return NONE
        data = table.from_json(item)
        return Places(
            held={one: iso_time.parse(since) for one, since in data["held"].items()},
            waiting={
                one: Waiting(ends_at=iso_time.parse(ends), asked_at=iso_time.parse(asked))
                for one, (ends, asked) in data["waiting"].items()
            },
            version=int(item["version"]["N"]),
        )

    def keep_places(self, name: str, after: Places, now: datetime) -> bool:
        """See usher.ports.budget.PlacesKept."""
        data = {
            "held": {one: iso_time.stored(since) for one, since in after.held.items()},
            "waiting": {
                one: [iso_time.stored(each.ends_at), iso_time.stored(each.asked_at)]
                for one, each in after.waiting.items()
            },
        }
        contents: Item = {"version": table.number(after.version), "doc": table.as_json(data)}
        condition, values = "version = :was", {":was": table.number(after.version - 1)}
        if after.version == 1:
            condition, values = "attribute_not_exists(version)", {}
        return self._table.store(_key(name), contents, now + _KEPT, condition, values)


def _key(name: str) -> Item:
    return table.key(f"AT_ONCE#{name}", "PLACES")
