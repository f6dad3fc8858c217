"""What operators paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.aws.items.base import TRACE_KEPT, TableItems

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAUSED: Final = "PAUSED"


class PauseItems(TableItems):
    """Implements usher.ports.records.Pauses."""

    def pause(self, hook: str, by: str) -> None:
        """See usher.ports.records.Pauses."""
        key = table.key(_PAUSED, f"HOOK#{hook}")
        contents = {"hook": table.text(hook), "by": table.text(by)}
        self._table.store(key, contents, keep_until=None)

    def resume(self, hook: str) -> None:
        """See usher.ports.records.Pauses. Nothing is deleted: what says nothing any more is left to TTL."""
        self._table.store(table.key(_PAUSED, f"HOOK#{hook}"), {}, self._clock() + TRACE_KEPT)

    def pauses(self) -> Mapping[str, str]:
        """See usher.ports.records.Pauses."""
        items = self._table.items(_PAUSED, "HOOK#")
        return {item["hook"]["S"]: item["by"]["S"] for item in items if "hook" in item}
