"""The open actions, which the index finds by the time of their next evaluation."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from usher.aws.items import actions_index, rows, state
from usher.aws.items.actions import readable
from usher.aws.items.base import TableItems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from usher.core.action import Action
    from usher.ports.records import Due, OpenRow

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_LOADED_AT_ONCE: Final = 100


class OpenActionItems(TableItems):
    """Implements usher.ports.records.OpenActions."""

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup. A row that moves while the index is read is read twice.

        The index of the release before is read first: what leaves it meanwhile is in the new one then.
        """
        found: dict[str, Due] = {}
        for item in chain(
            actions_index.rows_before(self._table, actions_index.OPEN, until),
            actions_index.rows(self._table, actions_index.OPEN, until),
        ):
            row = rows.due(item)
            known = found.setdefault(row.action_id, row)
            if row.evaluate_at < known.evaluate_at:
                found[row.action_id] = row
        return list(found.values())

    def open_rows(self) -> Iterator[OpenRow]:
        """See usher.ports.records.OpenActions. In the order of `due`, and for the same reason."""
        before = actions_index.rows_before(self._table, actions_index.OPEN, _EVER)
        while keys := [state.key(rows.due(item).action_id) for item in islice(before, _LOADED_AT_ONCE)]:
            yield from map(rows.open_row_before, filter(state.is_open, self._table.get_all(keys)))
        yield from map(rows.open_row, actions_index.rows(self._table, actions_index.OPEN, _EVER))

    def open_of(self, action_ids: Iterable[str]) -> Iterator[Action]:
        """See usher.ports.records.ReconcileStore."""
        left = iter(dict.fromkeys(action_ids))
        while keys := [state.key(action_id) for action_id in islice(left, _LOADED_AT_ONCE)]:
            yield from (action for action in readable(self._table.get_all(keys)) if action.is_open)

    def hooks_in_use(self) -> Mapping[tuple[str, str], int]:
        """See usher.ports.records.OpenActions."""
        return Counter((row.group, row.hook) for row in self.open_rows())
