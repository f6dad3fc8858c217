"""The budgets that all functions share: Auto Scaling calls, the results of a hook, and its places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from usher.core.places import Places


class Budget(Protocol):
    """The calls that Auto Scaling accepts of this account, in slots of one second, over all functions.

    All moments are rounded down to the second in which a slot begins.
    """

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """Book the latest slot with room from `best` back to `first`.

        Where there is none, in the earliest one after `best`, up to `last`. None: all are full.
        A slot is returned by its beginning.
        """
        ...

    def give_back(self, booked: datetime) -> None:
        """Give back a booked slot whose call is not made."""
        ...

    def throttled(self, now: datetime) -> None:
        """Auto Scaling turned a call away: book less for a while."""
        ...


class ResultLimits(Protocol):
    """How many results the hooks with `limits` sent lately."""

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """Count the result of an action on `limit`, at most `most` in any `within`; once per action.

        One that asks again counts from then. None: it may be sent. Else when the next one may be.
        """
        ...

    def next_at(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """What `grant` would answer now; nothing is counted."""
        ...


class PlacesKept(Protocol):
    """Who has a place of a hook with `at_once`, and who waits; `name` says whose places they are."""

    def places(self, name: str) -> Places:
        """What is stored; none of it: version 0."""
        ...

    def keep_places(self, name: str, after: Places, now: datetime) -> bool:
        """Store the version after `after.version - 1`; False where another version stands."""
        ...
