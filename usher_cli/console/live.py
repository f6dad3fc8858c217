"""The open actions for pages that ask every few seconds: read no oftener than the units allow."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from usher_cli.account import Trouble
from usher_cli.listing import listed, waits_for

if TYPE_CHECKING:
    from datetime import datetime

    from usher_cli.account import Account
    from usher_cli.console.units import ReadUnits
    from usher_cli.listing import Selection

INTERVAL: Final = timedelta(seconds=5)
_MOST_KEPT: Final = 20  # selections: a person looks at a few


class LiveActions:
    """What `usher list` shows, shared by all pages that ask for the same."""

    def __init__(self, account: Account, units: ReadUnits) -> None:
        self._account = account
        self._units = units
        self._lock = Lock()
        self._pages: dict[Selection, tuple[datetime, dict[str, Any]]] = {}

    def page(self, selection: Selection) -> dict[str, Any]:
        """The newest page: read now, if it is time, else as it was read. Raises Trouble if none may be."""
        with self._lock:
            kept = self._pages.get(selection)
            wait = self._wait(kept)
            if wait and kept is None:
                raise Trouble(f"The console reads at most {self._bound()}: again in {wait.seconds + 1}s.")
            if not wait:
                kept = self._read(selection)
            assert kept is not None  # noqa: S101 - it was read, or was there
            return kept[1] | {"next_in_s": max(self._wait(kept), timedelta(seconds=1)).total_seconds()}

    def forget(self) -> None:
        """Somebody changed something: what was read is old."""
        with self._lock:
            self._pages.clear()

    def _wait(self, kept: tuple[datetime, dict[str, Any]] | None) -> timedelta:
        since = timedelta(0) if kept is None else INTERVAL - (self._account.machine.clock() - kept[0])
        return max(timedelta(0), since, self._units.wait())

    def _read(self, selection: Selection) -> tuple[datetime, dict[str, Any]]:
        before = self._units.total
        page = listed(self._account, selection)
        for action in page["actions"]:
            action["waits_for"] = waits_for(action)
        page["units"] = self._units.total - before
        if len(self._pages) == _MOST_KEPT:
            self._pages.clear()
        self._pages[selection] = (self._account.machine.clock(), page)
        return self._pages[selection]

    def _bound(self) -> str:
        return f"{self._units.per_minute} units a minute"
