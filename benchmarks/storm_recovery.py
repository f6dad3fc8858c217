"""Two storms under a one-hour timeout in which something is not there for minutes."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from benchmarks.storm_plan import Storm
from benchmarks.storm_usher import Outage, UsherInStorm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from benchmarks.storm_auto_scaling import Call

_TIMEOUT: Final = timedelta(hours=1)
_APART: Final = timedelta(seconds=10)  # what expires nearer together may as well go together
_PEAK: Final = timedelta(minutes=54)  # the first heartbeats are due by then, at the full rate
FUNCTIONS_OFF: Final = Outage(begins=_PEAK, lasts=timedelta(minutes=4))
_TABLE_OFF: Final = (
    Outage(begins=timedelta(seconds=20), lasts=timedelta(minutes=2)),  # while the notifications come
    Outage(begins=_PEAK, lasts=timedelta(minutes=2)),
)


def functions_off(held: int, seed: int) -> UsherInStorm:
    """A storm in which no function runs for four minutes, when most heartbeats are due."""
    storm = Storm(held=held, heartbeat_timeout=_TIMEOUT, seed=seed)
    return UsherInStorm(storm, functions_off=(FUNCTIONS_OFF,))


def table_off(held: int, seed: int) -> UsherInStorm:
    """A storm in which the table is unreachable for two minutes, twice."""
    storm = Storm(held=held, heartbeat_timeout=_TIMEOUT, seed=seed)
    return UsherInStorm(storm, table_off=_TABLE_OFF)


class Backlog:
    """What is overdue at `moment`: watches in which order it is worked off."""

    def __init__(self, run: UsherInStorm, moment: datetime) -> None:
        self._run = run
        self._moment = moment
        self._tokens: set[str] = set()
        run.clock.at(moment, self._note)

    def _note(self) -> None:
        self._tokens = set(self._run.store.overdue(self._moment))

    def told(self) -> dict[str, Any]:
        """How many there were, how soon they were served, and how far in the order of their expiry."""
        calls = self._first_calls()
        margins = [(call.expires_at - call.at).total_seconds() for call in calls]
        return {
            "backlog": len(self._tokens),
            "served_in_s": round((calls[-1].at - self._moment).total_seconds()),
            "in_order": round(share_in_order([call.expires_at for call in calls]), 4),
            "least_margin_s": round(min(margins), 1),
        }

    def _first_calls(self) -> list[Call]:
        first: dict[str, Call] = {}
        for call in self._run.auto_scaling.accepted:
            if call.at >= self._moment and call.token in self._tokens:
                first.setdefault(call.token, call)
        return list(first.values())


def share_in_order(expiries: Sequence[datetime]) -> float:
    """How many of all pairs that expire apart are served in that order; by chance it would be a half."""
    apart = [(one, other) for one, other in combinations(expiries, 2) if abs(one - other) >= _APART]
    return sum(one < other for one, other in apart) / len(apart) if apart else 1.0
