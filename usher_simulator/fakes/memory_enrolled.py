"""The items of the enrolled hooks in memory, under the same contract as those in DynamoDB."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from usher.ports.errors import Moved, NotInForce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher.core.hook_items import Enrolled, FileInForce


class MemoryEnrolledHooks:
    """Implements usher.ports.hooks.EnrolmentRecords. What `under` returns shares the items with it."""

    def __init__(
        self, clock: Callable[[], datetime], most_per_hour: int = 0, digest: str | None = None
    ) -> None:
        self._clock = clock
        self._most_per_hour = most_per_hour
        self._digest = digest
        self._records: dict[tuple[str, str, str], Enrolled] = {}
        self._taken: Counter[datetime] = Counter()
        self._file: list[FileInForce] = []  # the one that counts, where there is one

    def under(self, digest: str | None) -> MemoryEnrolledHooks:
        """The same items, for a writer that holds the hooks file of that digest."""
        other = MemoryEnrolledHooks(self._clock, self._most_per_hour, digest)
        other._records, other._taken, other._file = self._records, self._taken, self._file
        return other

    def enrolled(self) -> Sequence[Enrolled]:
        """See usher.ports.hooks.Enrolments."""
        return list(self._records.values())

    def of(self, group: str, hook: str) -> Sequence[Enrolled]:
        """See usher.ports.hooks.HookItems."""
        return [record for record in self._records.values() if record.key == (group, hook)]

    def keep(self, record: Enrolled) -> Enrolled:
        """See usher.ports.hooks.Enrolments."""
        self._check(record)
        kept = replace(record, kept_at=self._clock(), version=record.version + 1)
        self._records[record.place] = kept
        return kept

    def forget(self, record: Enrolled) -> None:
        """See usher.ports.hooks.Enrolments."""
        self._check(record)
        self._records.pop(record.place, None)

    def _check(self, record: Enrolled) -> None:
        file = self.in_force()
        if self._digest is not None and (file is None or file.is_closing or file.digest != self._digest):
            raise NotInForce
        known = self._records.get(record.place)
        if (known.version if known else 0) != record.version:
            raise Moved

    def in_force(self) -> FileInForce | None:
        """See usher.ports.hooks.HooksFile."""
        return self._file[0] if self._file else None

    def put_in_force(self, file: FileInForce) -> None:
        """See usher.ports.hooks.HooksFile."""
        self._file[:] = [file]

    def switch(self, file: FileInForce) -> bool:
        """See usher.ports.hooks.HooksFile."""
        before = self.in_force()
        if before is None or not before.gives_way_to(file):
            return False
        self.put_in_force(file)
        return True

    def left(self, moment: datetime) -> int:
        """See usher.ports.hooks.Allowance."""
        return self._most_per_hour - self._taken[_hour(moment)]

    def take(self, moment: datetime) -> bool:
        """See usher.ports.hooks.Allowance."""
        if self.left(moment) <= 0:
            return False
        self._taken[_hour(moment)] += 1
        return True

    def give_back(self, moment: datetime) -> None:
        """See usher.ports.hooks.Allowance."""
        self._taken[_hour(moment)] = max(0, self._taken[_hour(moment)] - 1)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
