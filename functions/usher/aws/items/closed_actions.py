"""The closed actions, which the index finds by the day of their end."""

from __future__ import annotations

from datetime import UTC, timedelta
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Final

from usher.aws.items import actions_index, rows
from usher.aws.items.base import TableItems
from usher.core import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from usher.ports.records import ClosedRow

_INSTANT: Final = timedelta(microseconds=1)


class ClosedActionItems(TableItems):
    """Implements usher.ports.records.ClosedActions."""

    def closed(self, since: datetime, until: datetime, page_size: int) -> Iterator[Sequence[ClosedRow]]:
        """See usher.ports.records.ClosedActions. The shards of a day are merged."""
        newest_first = self._closed(since, until, -(-page_size // actions_index.CLOSED_SHARDS))
        while page := list(islice(newest_first, page_size)):
            yield page

    def _closed(self, since: datetime, until: datetime, of_shard: int) -> Iterator[ClosedRow]:
        last = until.astimezone(UTC) - _INSTANT
        bounds = iso_time.stored(since), iso_time.stored(last)
        day = last.date()
        while day >= since.astimezone(UTC).date():
            shards = actions_index.closed_rows(self._table, day.isoformat(), bounds, of_shard)
            yield from merge(
                *(map(rows.closed_row, shard) for shard in shards),
                key=lambda row: row.closed_at,
                reverse=True,
            )
            day -= timedelta(days=1)
