"""With which heartbeat timeouts the hooks of a group stood when it was last described."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws import table
from usher.aws.items.base import TRACE_KEPT, TableItems
from usher.aws.record_format import UNREADABLE
from usher.core import hook_timeouts, iso_time
from usher.core.hook_timeouts import Described

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.aws.json_data import Data
    from usher.aws.table import Item

_DESCRIBED_KEPT: Final = hook_timeouts.COUNTS_FOR + timedelta(days=2)
_DESCRIBING_FOR: Final = timedelta(seconds=15)  # until its slot comes, and a call is answered


class DescribedHookItems(TableItems):
    """Implements usher.ports.records.DescribedHooks."""

    def described(self, group: str) -> Described | None:
        """See usher.ports.records.DescribedHooks."""
        item = self._table.get(table.key(f"GROUP#{group}", "DESCRIBED"))
        with suppress(*UNREADABLE):
            return described_from_data(table.from_json(item)) if item else None
        return None

    def keep_described(self, group: str, described: Described) -> None:
        """See usher.ports.records.DescribedHooks."""
        at = table.text(iso_time.stored(described.at))
        doc = table.as_json(described_to_data(described))
        condition = "attribute_not_exists(described_at) OR described_at < :at"
        key = table.key(f"GROUP#{group}", "DESCRIBED")
        contents: Item = {"described_at": at, "doc": doc}
        self._table.store(key, contents, described.at + _DESCRIBED_KEPT, condition, {":at": at})

    def claim_describe(self, group: str, now: datetime) -> bool:
        """See usher.ports.records.DescribedHooks."""
        return self._table.store(
            table.key(f"GROUP#{group}", "DESCRIBING"),
            {"claimed_at": table.text(iso_time.stored(now))},
            now + TRACE_KEPT,
            "attribute_not_exists(claimed_at) OR claimed_at <= :before",
            {":before": table.text(iso_time.stored(now - _DESCRIBING_FOR))},
        )


def described_to_data(described: Described) -> Data:
    """All of what a describe showed of a group."""
    timeouts_s = {name: timeout.total_seconds() for name, timeout in described.timeouts.items()}
    return {"at": iso_time.stored(described.at), "timeouts_s": timeouts_s}


def described_from_data(data: Mapping[str, Any]) -> Described:
    """What `described_to_data` wrote."""
    timeouts = {name: timedelta(seconds=timeout_s) for name, timeout_s in data["timeouts_s"].items()}
    return Described(at=iso_time.parse(data["at"]), timeouts=timeouts)
