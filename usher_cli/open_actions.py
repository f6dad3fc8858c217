"""The open actions of a table, as its index has them; one that cannot be read hides no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from usher.aws import table
from usher.aws.items import actions_index, rows, state
from usher.aws.record_format import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.action import Action

_EVER: Final = datetime.max.replace(tzinfo=UTC)
NEWER_RELEASE: Final = "if a newer release of Usher stored it, use `usher` of that release"


@dataclass(kw_only=True, slots=True)
class Loaded:
    """Open actions, nearest expiry first, and the ids of those that cannot be read."""

    actions: list[Action] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class OpenActions(Protocol):
    """What the commands read of the open actions."""

    def ids(self) -> Sequence[str]:
        """The ids of all open actions, nearest expiry first."""
        ...

    def load(self, ids: Sequence[str]) -> Loaded:
        """Those of these ids that are open now."""
        ...


class OpenActionsTable:
    """Implements OpenActions on DynamoDB."""

    def __init__(self, dynamodb: Any, table_name: str) -> None:  # noqa: ANN401 - a client of boto3
        self._table = table.Table(dynamodb, table_name)

    def ids(self) -> Sequence[str]:
        """See OpenActions."""
        found = {
            row.action_id: row.expires_at
            for read in (actions_index.rows, actions_index.rows_before)
            for row in map(rows.due, read(self._table, actions_index.OPEN, _EVER))
        }
        return sorted(found, key=lambda action_id: (found[action_id], action_id))

    def load(self, ids: Sequence[str]) -> Loaded:
        """See OpenActions."""
        keys = [table.key(f"ACTION#{action_id}", "STATE") for action_id in ids]
        loaded = Loaded()
        for item in self._table.get_all(keys):
            try:
                action = state.from_item(item)
            except UNREADABLE:
                loaded.unreadable.append(item["pk"]["S"].removeprefix("ACTION#"))
                continue
            if action.is_open:
                loaded.actions.append(action)
        loaded.actions.sort(key=lambda action: (action.expires_at, action.id))
        loaded.unreadable.sort()
        return loaded


def unread(named: str) -> str:
    """What to say where a record of what was named cannot be read."""
    return f"Cannot read a record of {named}: {NEWER_RELEASE}."


def unreadable_text(ids: Sequence[str], what: str = "open action") -> str:
    """What to say about actions that cannot be read; empty if there are none."""
    if not ids:
        return ""
    if len(ids) == 1:
        return f"Cannot read the record of {what} {ids[0]}: {NEWER_RELEASE}."
    return f"Cannot read the records of {len(ids)} {what}s ({', '.join(ids)}): {NEWER_RELEASE}."
