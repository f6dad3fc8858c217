"""What lives of actions cost, counted: exact on any machine. `tests/lives.py` counts, and says how.

`tests/simulation/test_cost_of_a_drain.py` holds the same lives to their exact figures.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure
from tests.lives import KINDS, PERIOD, lived

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOW: Final = "counted"
_BOUNDS: Final = {"b": (20.0, 125.0), "c": (None, 400.0)}  # invocations, dollars for a million
_WORDS: Final = {"a": "at_once", "b": "half_an_hour", "c": "half_an_hour_ecs", "d": "ten_minutes_of_30_s"}


def figures() -> Iterator[Figure]:
    """The lives that docs/performance.md describes."""
    for kind, words in _WORDS.items():
        life = lived(KINDS[kind])
        invocations, dollars = _BOUNDS.get(kind, (None, None))
        yield Figure(name=f"{words}_invocations", value=life.invoked, bound=invocations, how=_HOW)
        yield Figure(name=f"{words}_store_and_queue_calls", value=life.store_and_queue_calls, how=_HOW)
        yield Figure(name=f"{words}_dollars_a_million", value=life.dollars, bound=dollars, how="reckoned")
        yield Figure(
            name=f"{words}_record_bytes",
            value=max(life.units.records),
            bound=1023,
            how=f"{_HOW}, the largest",
        )
    few, more = (
        lived(replace(KINDS["b"], lasts=lasts))
        for lasts in (timedelta(minutes=18), timedelta(minutes=18) + PERIOD)
    )
    calls = more.store_and_queue_calls - few.store_and_queue_calls
    yield Figure(name="heartbeat_period_store_and_queue_calls", value=calls, bound=9, how=_HOW)
