"""Two storms under a one-hour timeout in which something is not there for minutes."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from benchmarks import storm_plan
from benchmarks.storm_plan import Storm
from benchmarks.storm_usher import FUNCTIONS, UsherInStorm, away
from usher_simulator.trials.faults import How, Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from benchmarks.storm_world import Call

_TIMEOUT: Final = timedelta(hours=1)
_APART: Final = timedelta(seconds=10)  # what expires nearer together may as well go together
_PEAK: Final = timedelta(minutes=54)  # the first heartbeats are due by then, at the full rate
_FUNCTIONS_OFF: Final = timedelta(minutes=4)
FUNCTIONS_ON_AT: Final = storm_plan.START + _PEAK + _FUNCTIONS_OFF
_TABLE_OFF: Final = timedelta(minutes=2)
_NOTIFIED: Final = timedelta(seconds=20)  # while the notifications come


def functions_off(held: int, seed: int) -> UsherInStorm:
    """A storm in which no function runs for four minutes, when most heartbeats are due."""
    storm = Storm(held=held, heartbeat_timeout=_TIMEOUT, seed=seed)
    return UsherInStorm(storm, [away(part, _PEAK, _FUNCTIONS_OFF, How.UNREACHED) for part in FUNCTIONS])


def table_off(held: int, seed: int) -> UsherInStorm:
    """A storm in which the table is unreachable for two minutes, twice."""
    storm = Storm(held=held, heartbeat_timeout=_TIMEOUT, seed=seed)
    return UsherInStorm(storm, [away(Part.STORE, begins, _TABLE_OFF) for begins in (_NOTIFIED, _PEAK)])


class Backlog:
    """What is overdue at `moment`: watches in which order it is worked off."""

    def __init__(self, run: UsherInStorm, moment: datetime) -> None:
        self._run = run
        self._moment = moment
        self._tokens: set[str] = set()
        run.clock.at(moment, self._note)

    def _note(self) -> None:
        memory = self._run.usher.memory
        overdue = (memory.load(due.action_id) for due in memory.due(self._moment))
        self._tokens = {action.token for action in overdue if action is not None and action.token is not None}

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
        for call in self._run.accepted:
            if call.at >= self._moment and call.token in self._tokens:
                first.setdefault(call.token, call)
        return list(first.values())


def share_in_order(expiries: Sequence[datetime]) -> float:
    """How many of all pairs that expire apart are served in that order; by chance it would be a half."""
    apart = [(one, other) for one, other in combinations(expiries, 2) if abs(one - other) >= _APART]
    return sum(one < other for one, other in apart) / len(apart) if apart else 1.0
