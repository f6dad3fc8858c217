"""The retained instances of a group. The stream of the table tells the event bus which are new."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.aws.items.base import TableItems
from usher.aws.record_format import UNREADABLE
from usher.core import iso_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.aws.table import Item

SK: Final = "RETAINED"
_KEPT: Final = timedelta(days=400)  # from the last one on that was new


class RetainedItems(TableItems):
    """Implements usher.ports.records.RetainedInstances."""

    def retained(self, group: str) -> Mapping[str, datetime] | None:
        """See usher.ports.records.RetainedInstances."""
        item = self._table.get(table.key(f"GROUP#{group}", SK))
        with suppress(*UNREADABLE):
            return from_item(item) if item else {}
        return None

    def keep_retained(self, group: str, first_seen: Mapping[str, datetime]) -> None:
        """See usher.ports.records.RetainedInstances."""
        written = json.dumps({one: iso_time.stored(at) for one, at in first_seen.items()})
        contents: Item = {"group": table.text(group), "retained": {"B": zlib.compress(written.encode())}}
        self._table.store(table.key(f"GROUP#{group}", SK), contents, self._clock() + _KEPT)


def from_item(item: Item) -> Mapping[str, datetime]:
    """When each was first seen."""
    written = json.loads(zlib.decompress(item["retained"]["B"]))
    return {one: iso_time.parse(at) for one, at in written.items()}
