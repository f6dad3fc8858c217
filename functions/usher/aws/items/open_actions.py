"""The open actions, which the index finds by the time of their next evaluation."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from usher.aws.items import due_index, state
from usher.aws.items.actions import readable
from usher.aws.items.base import TableItems
from usher.core import iso_time
from usher.ports.records import Due

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from usher.aws.table import Item
    from usher.core.action import Action

_EVER: Final = datetime.max.replace(tzinfo=UTC)


class OpenActionItems(TableItems):
    """Implements usher.ports.records.OpenActions."""

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup. A row that moves while the index is read is read twice."""
        rows = [
            _due(item)
            for shard in range(due_index.SHARDS)
            for item in self._table.due(due_index.looks(shard), iso_time.stored(until))
        ]
        newest = {row.action_id: row for row in sorted(rows, key=lambda row: row.version)}
        return list(newest.values())

    def all_open(self) -> Iterable[Action]:
        """See usher.ports.records.ReconcileStore."""
        return [action for action in readable(self._open_items()) if action.is_open]

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """See usher.ports.records.OpenActions."""
        return Counter(state.hook_of(item) for item in self._open_items() if state.is_open(item))

    def _open_items(self) -> Iterable[Item]:
        """Found by the index, which may be behind, and loaded a hundred at once."""
        return self._table.get_all([state.key(due.action_id) for due in self.due(_EVER)])


def _due(item: Item) -> Due:
    return Due(
        action_id=item["action_id"]["S"],
        version=int(item["version"]["N"]),
        look_at=iso_time.parse(item["look_at"]["S"]),
        expires_at=iso_time.parse(item["expires_at"]["S"]),
    )
