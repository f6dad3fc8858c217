"""Bugs of operators' words and of pauses."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bugs.bug import Bug
from usher import operators
from usher.core import decide, evidence
from usher.core import operators as words
from usher.core.action import Action, Result
from usher.evaluation import evaluator
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.judge.in_time import InTime
from usher_simulator.trials.judge.never_early import NeverEarly

if TYPE_CHECKING:
    from datetime import datetime

    from usher.ports.records import Evidence


def _until_the_next_beat(decided: Any) -> Any:
    def decides(action: Action, now: datetime) -> Any:
        return decided(replace(action, operator_hold=None) if action.heartbeats else action, now)

    return decides


def _unordered(word: Any) -> Any:
    return lambda action: word(replace(action, operator_result_by=None, operator_result=None))


def _not_released(with_release: Any) -> Any:  # noqa: ARG001 - it takes its place
    """An order to release a retained instance changes nothing."""
    return lambda action, order, now: action  # noqa: ARG005 - that is the bug


def _opposite(word: Any) -> Any:
    def said(action: Action) -> Any:
        found = word(action)
        if found is None or action.operator_result_by is None:
            return found
        return next(result for result in Result if result is not found[0]), found[1]

    return said


def _not_extended(give_up_at: Any) -> Any:
    return property(lambda self: give_up_at.fget(replace(self, extended_to=None)))


def _unheld(_: Any) -> Any:
    return lambda word: lambda action, now: action.noted(now, "operator", word.reason)


def _not_due(made: Any) -> Any:
    def replaced(action: Any, **changes: Any) -> Any:
        return made(
            action, **(changes | {"evaluate_at": action.evaluate_at} if "evaluate_at" in changes else changes)
        )

    return replaced


def _unpaused(evidence: Any) -> Any:
    def read(self: MemoryStore, action: Action) -> Evidence:
        found: Evidence = evidence(self, action)
        return replace(found, paused=None)

    return read


_operated = partial(Bug, things=frozenset({Thing.OPERATED}))

BUGS: Final = (
    _operated(
        name="hold: ends at the next heartbeat",
        place=evaluator,
        attribute="decide",
        made=_until_the_next_beat,
        found_by=NeverEarly,
    ),
    _operated(
        name="hold: is noted and not kept", place=words, attribute="hold", made=_unheld, found_by=NeverEarly
    ),
    _operated(
        name="complete: is forgotten", place=decide, attribute="_word", made=_unordered, found_by=InTime
    ),
    _operated(
        name="release: is forgotten",
        place=evidence,
        attribute="with_release",
        made=_not_released,
        found_by=NeverEarly,
    ),
    _operated(
        name="complete: sends the other result",
        place=decide,
        attribute="_word",
        made=_opposite,
        found_by=NeverEarly,
    ),
    _operated(
        name="complete: waits for the next evaluation",
        place=operators,
        attribute="replace",
        made=_not_due,
        found_by=InTime,
    ),
    _operated(
        name="extend: moves nothing",
        place=Action,
        attribute="give_up_at",
        made=_not_extended,
        found_by=NeverEarly,
    ),
    Bug(
        name="pause: is not read",
        place=MemoryStore,
        attribute="evidence",
        made=_unpaused,
        found_by=NeverEarly,
        things=frozenset({Thing.PAUSED}),
    ),
)
