"""The records of the enrolled hooks in memory, under the same contract as those in DynamoDB."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from usher.ports import Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher.core.enrolment import Enrolled, Key


class MemoryEnrolledHooks:
    """Implements usher.ports.EnrolmentRecords."""

    def __init__(self, clock: Callable[[], datetime], most_per_hour: int) -> None:
        self._clock = clock
        self._most_per_hour = most_per_hour
        self._records: dict[Key, Enrolled] = {}
        self._taken: Counter[datetime] = Counter()

    def enrolled(self) -> Sequence[Enrolled]:
        """See usher.ports.Enrolments."""
        return list(self._records.values())

    def keep(self, record: Enrolled) -> Enrolled:
        """See usher.ports.Enrolments."""
        self._check(record)
        kept = replace(record, kept_at=self._clock(), version=record.version + 1)
        self._records[record.key] = kept
        return kept

    def forget(self, record: Enrolled) -> None:
        """See usher.ports.Enrolments."""
        self._check(record)
        self._records.pop(record.key, None)

    def _check(self, record: Enrolled) -> None:
        known = self._records.get(record.key)
        if (known.version if known else 0) != record.version:
            raise Moved

    def left(self, moment: datetime) -> int:
        """See usher.ports.Allowance."""
        return self._most_per_hour - self._taken[_hour(moment)]

    def take(self, moment: datetime) -> bool:
        """See usher.ports.Allowance."""
        if self.left(moment) <= 0:
            return False
        self._taken[_hour(moment)] += 1
        return True

    def close(self, moment: datetime) -> None:
        """See usher.ports.Allowance."""
        for hours in (-1, 0, 1):
            hour = moment + timedelta(hours=hours)
            self._taken[_hour(hour)] = 10**9

    def give_back(self, moment: datetime) -> None:
        """See usher.ports.Allowance."""
        self._taken[_hour(moment)] = max(0, self._taken[_hour(moment)] - 1)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
