"""The budget of calls, the limits of results, places and the shared answers, kept in this process."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import limits, places
from usher.core.pacing import Pace, best_slot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from usher.core.limits import Sent
    from usher.core.places import Places
    from usher.ports.conditions import SharedAnswer

_ENLISTED_FOR: Final = timedelta(minutes=5)


class MemoryBudget:
    """Implements usher.ports.budget.Budget."""

    def __init__(self, calls_per_second: float) -> None:
        self._pace = Pace(calls_per_second=calls_per_second)
        self._booked: Counter[int] = Counter()

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """See usher.ports.budget.Budget."""
        slot_of = self._pace.slot
        slot = best_slot(
            self._booked.__getitem__, self._pace.room(now), slot_of(first), slot_of(best), slot_of(last)
        )
        if slot is None:
            return None
        self._booked[slot] += 1
        return self._pace.begins(slot)

    def give_back(self, booked: datetime) -> None:
        """See usher.ports.budget.Budget."""
        slot = self._pace.slot(booked)
        self._booked[slot] = max(0, self._booked[slot] - 1)

    def throttled(self, now: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._pace = self._pace.lowered(now)


class MemoryLimits:
    """Implements usher.ports.budget.ResultLimits."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        sent = self._sent.get(limit, {})
        self._sent[limit], again_at = limits.granted(sent, action_id, most, within, now)
        return again_at

    def next_at(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        return limits.granted(self._sent.get(limit, {}), action_id, most, within, now)[1]


class MemoryPlaces:
    """Implements usher.ports.budget.PlacesKept."""

    def __init__(self) -> None:
        self._kept: dict[str, Places] = {}

    def places(self, name: str) -> Places:
        """See usher.ports.budget.PlacesKept."""
        return self._kept.get(name, places.NONE)

    def keep_places(self, name: str, after: Places, now: datetime) -> bool:  # noqa: ARG002 - as PlacesKept
        """See usher.ports.budget.PlacesKept."""
        if self.places(name).version != after.version - 1:
            return False
        self._kept[name] = after
        return True


class MemoryAnswers:
    """Implements usher.ports.conditions.SharedAnswers."""

    def __init__(self) -> None:
        self._newest: dict[str, SharedAnswer] = {}
        self._enlisted: dict[str, dict[str, datetime]] = {}
        self._leased_at: dict[str, datetime] = {}

    def newest(self, question: str) -> SharedAnswer | None:
        """See usher.ports.conditions.SharedAnswers."""
        return self._newest.get(question)

    def enlist(self, question: str, member: str, now: datetime) -> None:
        """See usher.ports.conditions.SharedAnswers."""
        self._enlisted.setdefault(question, {})[member] = now + _ENLISTED_FOR

    def enlisted(self, question: str, now: datetime) -> Sequence[str]:
        """See usher.ports.conditions.SharedAnswers."""
        return sorted(member for member, until in self._enlisted.get(question, {}).items() if until > now)

    def lease(self, question: str, now: datetime, every: timedelta) -> bool:
        """See usher.ports.conditions.SharedAnswers."""
        leased_at = self._leased_at.get(question)
        if leased_at is not None and leased_at > now - every:
            return False
        self._leased_at[question] = now
        return True

    def keep(self, question: str, answer: SharedAnswer) -> None:
        """See usher.ports.conditions.SharedAnswers."""
        newest = self._newest.get(question)
        if newest is None or newest.taken_at < answer.taken_at:
            self._newest[question] = answer
