"""The waits of a group that hold no action of ours."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.aws.items.base import TableItems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from usher.aws.table import Item
    from usher.core.live_waits import ForeignWait

_TRIED: Final = "TRIED"
_TRIED_KEPT: Final = timedelta(days=3)  # no wait is longer than two
_MOST_TRIED: Final = 5000  # of a group; compressed, an item holds them


class ForeignWaitItems(TableItems):
    """Implements usher.ports.records.ForeignWaits."""

    def foreign_waits(self) -> Mapping[str, Collection[ForeignWait]]:
        """See usher.ports.records.ForeignWaits."""
        items = self._table.items(_TRIED, "GROUP#")
        return {item["group"]["S"]: _tried(item) for item in items if "tried" in item}

    def keep_foreign_waits(self, group: str, foreign_waits: Collection[ForeignWait]) -> None:
        """See usher.ports.records.ForeignWaits. Of very many some are left out, and tried again."""
        contents: Item = {}
        if foreign_waits:
            kept = json.dumps(sorted(foreign_waits)[:_MOST_TRIED], separators=(",", ":"))
            contents = {"group": table.text(group), "tried": {"B": zlib.compress(kept.encode())}}
        self._table.store(table.key(_TRIED, f"GROUP#{group}"), contents, self._clock() + _TRIED_KEPT)


def _tried(item: Item) -> frozenset[ForeignWait]:
    entries = json.loads(zlib.decompress(item["tried"]["B"]))
    return frozenset((instance, hook, wait) for instance, hook, wait in entries)
