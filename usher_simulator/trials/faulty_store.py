"""The store, the items, the budget, the limits and the places, reached step by step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.evidence import Kept
from usher_simulator.trials.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from usher.core.action import Action, Signal
    from usher.core.file_versions import FileVersion, Schedule
    from usher.core.places import Places
    from usher.ports.budget import Budget, PlacesKept, ResultLimits
    from usher.ports.file_versions import FileVersions
    from usher.ports.records import Due, Evidence, Raw
    from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
    from usher_simulator.fakes.memory_store import MemoryStore
    from usher_simulator.trials.effects import Effects, Watch

_INDEX_LAG: Final = timedelta(seconds=1)


class ShakyStore:
    """Implements usher.ports.records.Store on a MemoryStore that is reached step by step.

    What has no method here is handed on as it is, as one step.
    """

    def __init__(self, effects: Effects, memory: MemoryStore, watch: Watch) -> None:
        self._effects = effects
        self._memory = memory
        self._watch = watch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other method of the store's."""
        method = getattr(self._memory, name)

        def step(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            return self._effects.of_store(lambda: method(*given, **named), what=name)

        self.__dict__[name] = step
        return step

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.records.Records."""
        self._effects.busy_with(action.id)

        def do() -> Action:
            known = self._memory.load(action.id)
            stored = self._memory.open(action, raw)
            if stored.id == action.id and known is None:
                self._watch.stored(None, stored, self._effects.invocation)
            return stored

        return self._effects.of_store(do, action.id, "open")

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        if self._effects.invocation is not None:
            self._effects.invocation.reads_since = self._effects.clock()
        action = self._effects.of_store(lambda: self._memory.load(action_id), action_id, "load")
        if action is not None:
            self._effects.busy_with(action_id)
            self._watch.read(action, self._effects.invocation)
        return action

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        self._change(action, lambda: self._memory.save(action, raw=raw))

    def join(self, action: Action, raw: Raw) -> None:
        """See usher.ports.records.Records."""
        self._change(action, lambda: self._memory.join(action, raw))

    def _change(self, action: Action, change: Callable[[], None]) -> None:
        self._effects.busy_with(action.id)
        self._effects.saves(action)

        def do() -> None:
            before = self._memory.load(action.id)
            change()
            after = self._memory.load(action.id)
            if after is not None and after is not before:
                self._watch.stored(before, after, self._effects.invocation)

        self._effects.of_store(do, action.id, "save")

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        evidence = self._effects.of_store(lambda: self._memory.evidence(action), action.id, "evidence")
        self._watch.heard(action, evidence, self._effects.invocation)
        return evidence

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""

        def do() -> Kept:
            change = self._memory.keep_signal(signal)
            if change is not Kept.REFUSED:
                self._watch.kept(signal)
            return change

        return self._effects.of_store(do, what="keep_signal")

    def keep_instance_end(self, instance_id: str, ended_at: datetime) -> None:
        """See usher.ports.records.EvidenceStore."""

        def do() -> None:
            self._memory.keep_instance_end(instance_id, ended_at)
            self._watch.ended(instance_id)

        self._effects.of_store(do, what="keep_instance_end")

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup. The index may lag behind the table: a row is missing."""
        rows = self._effects.of_store(lambda: self._memory.due(until), what="due")
        return [row for row in rows if not self._is_missing(row)]

    def _is_missing(self, row: Due) -> bool:
        if not self._effects.faults.hits(Fault.STALE_INDEX):
            return False
        stored = self._memory.load(row.action_id)
        last = stored.last_entry if stored else None
        is_new = last is not None and self._effects.clock() - last.last_at < _INDEX_LAG
        if is_new:
            self._effects.meets(Fault.STALE_INDEX, row.action_id)
        return is_new


class ShakyItems:
    """Implements usher.ports.hooks.EnrolmentRecords on items that are reached step by step."""

    def __init__(self, effects: Effects, items: MemoryEnrolledHooks) -> None:
        self._effects = effects
        self._items = items

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any method of the items."""
        method = getattr(self._items, name)

        def step(*given: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            return self._effects.of_store(lambda: method(*given), what=name)

        self.__dict__[name] = step
        return step

    def under(self, digest: str | None) -> ShakyItems:
        """The same items, for a writer that holds the hooks file of that digest."""
        return ShakyItems(self._effects, self._items.under(digest))


class ShakyVersions:
    """Implements usher.ports.file_versions.FileVersions: a step of the store's each."""

    def __init__(self, effects: Effects, versions: FileVersions) -> None:
        self._effects = effects
        self._versions = versions

    def schedule(self) -> Schedule:
        """See usher.ports.file_versions.FileVersions."""
        return self._effects.of_store(self._versions.schedule, what="schedule")

    def version(self, number: int) -> FileVersion:
        """See usher.ports.file_versions.FileVersions."""
        return self._effects.of_store(lambda: self._versions.version(number), what="version")


class ShakyBudget:
    """Implements usher.ports.budget.Budget: a step of the store's each."""

    def __init__(self, effects: Effects, budget: Budget) -> None:
        self._effects = effects
        self._budget = budget

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """See usher.ports.budget.Budget."""
        return self._effects.of_store(lambda: self._budget.book(first, best, last, now), what="book")

    def give_back(self, booked: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._effects.of_store(lambda: self._budget.give_back(booked), what="give_back")

    def throttled(self, now: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._effects.of_store(lambda: self._budget.throttled(now), what="throttled")


class ShakyLimits:
    """Implements usher.ports.budget.ResultLimits: a step of the store's each."""

    def __init__(self, effects: Effects, limits: ResultLimits) -> None:
        self._effects = effects
        self._limits = limits

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        return self._effects.of_store(
            lambda: self._limits.grant(limit, action_id, most, within, now), action_id, "grant"
        )

    def next_at(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        return self._effects.of_store(
            lambda: self._limits.next_at(limit, action_id, most, within, now), action_id, "next_at"
        )


class ShakyPlaces:
    """Implements usher.ports.budget.PlacesKept: a step of the store's each."""

    def __init__(self, effects: Effects, kept: PlacesKept) -> None:
        self._effects = effects
        self._kept = kept

    def places(self, name: str) -> Places:
        """See usher.ports.budget.PlacesKept."""
        return self._effects.of_store(lambda: self._kept.places(name), what="places")

    def keep_places(self, name: str, after: Places, now: datetime) -> bool:
        """See usher.ports.budget.PlacesKept."""
        return self._effects.of_store(lambda: self._kept.keep_places(name, after, now), what="keep_places")
