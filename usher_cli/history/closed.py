"""The closed actions of a period: which of them to show, and figures of many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from usher.core.globs import glob_fits
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from usher.ports.records import ClosedActions, ClosedRow
    from usher_cli.time_options import Period

READ_AT_ONCE: Final = 1000  # rows, where all of a period are read
_PERCENTILES: Final = (50, 90, 99)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which closed actions; None is any. Groups and hooks may be globs."""

    group: str | None = None
    hook: str | None = None
    outcome: str | None = None
    result: str | None = None

    def has(self, row: ClosedRow) -> bool:
        """Whether an action is one of them."""
        exact = ((self.outcome, row.outcome), (self.result, row.result))
        is_exact = all(wanted is None or wanted == value for wanted, value in exact)
        return is_exact and self.selects(row.group, row.hook)

    def selects(self, group: str, hook: str) -> bool:
        """Whether both globs match."""
        globs = ((self.group, group), (self.hook, hook))
        return all(glob is None or glob_fits(glob, name) for glob, name in globs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """The newest of the closed actions that were wanted, and whether there are more in the period."""

    rows: Sequence[ClosedRow]
    more: bool


def wanted_rows(records: ClosedActions, period: Period, wanted: Wanted, at_once: int) -> Iterator[ClosedRow]:
    """The wanted ones, newest first, read `at_once` as they are taken."""
    for page in records.closed(period.since, period.until, at_once):
        yield from filter(wanted.has, page)


def newest(rows: Iterable[ClosedRow], most: int) -> Listed:
    """The first `most` of the rows; one more is read to see whether there are more."""
    found: list[ClosedRow] = []
    for row in rows:
        if len(found) == most:
            return Listed(rows=found, more=True)
        found.append(row)
    return Listed(rows=found, more=False)


def as_data(row: ClosedRow) -> dict[str, Any]:
    """One closed action, by the keys that all commands use."""
    return {
        "id": row.action_id,
        "instance_id": row.instance_id,
        "group": row.group,
        "hook": row.hook,
        "transition": row.transition,
        "outcome": row.outcome,
        "result": row.result,
        "reason": row.reason,
        "started_at": written(row.started_at),
        "closed_at": written(row.closed_at),
        "age_s": _waited_s(row),
    }


def totals(rows: Sequence[ClosedRow]) -> dict[str, Any]:
    """How they ended, how long they waited, and why they ended, the most frequent reason first."""
    waits = sorted(map(_waited_s, rows))
    reasons = Counter(map(reason_in_short, rows))
    return {
        "actions": len(rows),
        "outcomes": _counted(row.outcome for row in rows),
        "results": _counted(row.result for row in rows if row.result is not None),
        "waits_s": {
            **{f"p{percent}": _percentile(waits, percent) for percent in _PERCENTILES},
            "max": waits[-1] if waits else None,
        },
        "reasons": [
            {"reason": reason, "count": count}
            for reason, count in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        ],
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def reason_in_short(row: ClosedRow) -> str:
    """A reason up to its first detail: `failed: signal ready says failed` and others are `failed`."""
    return row.reason.partition(": ")[0] or "no reason"


def _waited_s(row: ClosedRow) -> float:
    return round((row.closed_at - row.started_at).total_seconds(), 3)


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed (the nearest rank); `values` are sorted."""
    return values[max(0, ceil(len(values) * percent / 100) - 1)] if values else None
