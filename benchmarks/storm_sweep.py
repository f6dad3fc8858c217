"""What a sweep costs with 100 evaluations due, among few open actions and among many.

The evaluations that are due are heartbeats, which are accepted. The time is that of the processor.
"""

from __future__ import annotations

import gc
from datetime import timedelta
from functools import cache
from itertools import count
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.storm_plan import START
from usher.core import configuration
from usher.core.action import Action, HookTerms, Result, Transition
from usher.evaluation.evaluator import Evaluator
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.records import Raw
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryBudget, MemoryLimits, MemoryPlaces
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from usher.core.policy import Policy
    from usher.ports.records import Due, Evidence

DUE: Final = 100
FEW, MANY = 1_000, 100_000
_ROUNDS: Final = 20
_TIMEOUT: Final = timedelta(hours=1)
_MARGIN: Final = timedelta(minutes=5)  # of that timeout


def sweep_costs() -> dict[str, Any]:
    """The reads and the time of a sweep at both sizes; the best of some rounds, in turn."""
    few, many = Sweeping(FEW), Sweeping(MANY)
    gc.collect()
    gc.freeze()  # what is open is not to be walked through by the collector, either
    few_cost, many_cost = few.sweep(), many.sweep()
    for _ in range(_ROUNDS):
        few_cost, many_cost = _better(few_cost, few.sweep()), _better(many_cost, many.sweep())
    gc.unfreeze()
    return {
        "due": DUE,
        "open": [FEW, MANY],
        "reads": [few_cost[0], many_cost[0]],
        "ms": [round(few_cost[1] * 1e3, 1), round(many_cost[1] * 1e3, 1)],
        "reads_ratio": round(many_cost[0] / few_cost[0], 2),
        "time_ratio": round(many_cost[1] / few_cost[1], 2),
    }


def _better(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return max(one[0], other[0]), min(one[1], other[1])


class Sweeping:
    """A store with so many open actions, and the sweep over it."""

    def __init__(self, open_actions: int) -> None:
        self._clock = VirtualClock(START)
        self._store = CountingStore(self._clock)
        self._ids = count(1)
        self._sweep = sweep_of(self._evaluator()).handle
        for _ in range(open_actions):
            self._open(started_at=START)

    def sweep(self) -> tuple[int, float]:
        """The store's reads and the seconds of one sweep, with as many due as it says."""
        for _ in range(DUE):
            self._open(started_at=START - _TIMEOUT + _MARGIN)
        self._store.reads = 0
        began = process_time()
        done = self._sweep({}, None)
        took = process_time() - began
        if (done["overdue"], done["evaluated"]) != (DUE, DUE):
            raise AssertionError(f"the sweep was to look at {DUE}, and came to {done}")
        return self._store.reads, took

    def _open(self, *, started_at: datetime) -> None:
        number = next(self._ids)
        action = _action(number, started_at)
        self._store.open(action, Raw(received_at=START, body="{}"))

    def _evaluator(self) -> Evaluator:
        return Evaluator(
            store=self._store,
            auto_scaling=Accepts(),
            budget=MemoryBudget(1_000_000),
            limits=MemoryLimits(),
            places=MemoryPlaces(),
            questions=NoQuestions(),
            wake_ups=NoQueue(),
            telemetry=Recorder(),
            clock=self._clock,
            new_id=lambda: f"id-{next(self._ids)}",
        )


def _action(number: int, started_at: datetime) -> Action:
    terms = HookTerms(
        name="drain",
        group="workers",
        transition=Transition.TERMINATING,
        heartbeat_timeout=_TIMEOUT,
        default_result=Result.ABANDON,
    )
    beat_at = started_at + _TIMEOUT - _MARGIN
    return Action(
        id=f"action-{number}",
        token=f"token-{number}",
        instance_id=f"i-{number:017x}",
        hook=terms,
        policy=_policies()["job"],
        origin="AutoScalingGroup",
        destination="EC2",
        started_at=started_at,
        first_seen_at=started_at,
        evaluate_at=beat_at,
        booked_at=beat_at,
    )


@cache
def _policies() -> Mapping[str, Policy]:
    data = {"version": 1, "policies": {"job": {"until": [{"signal": "done"}]}}, "hooks": []}
    return configuration.parse(data).policies


class CountingStore(MemoryStore):
    """Counts what is read: actions, evidence, and the rows of the index."""

    reads = 0

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        self.reads += 1
        return super().load(action_id)

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        self.reads += 1
        return super().evidence(action)

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup."""
        rows = list(super().due(until))
        self.reads += 1 + len(rows)
        return rows


class Accepts:
    """Implements usher.ports.autoscaling.AutoScaling: all is well."""

    def heartbeat(self, action: Action) -> Answer:  # noqa: ARG002
        """See usher.ports.autoscaling.AutoScaling."""
        return Answer(kind=AnswerKind.ACCEPTED, text="")

    def complete(self, action: Action, result: Result) -> Answer:  # noqa: ARG002
        """See usher.ports.autoscaling.AutoScaling."""
        return Answer(kind=AnswerKind.ACCEPTED, text="")

    def ongoing(self, action: Action) -> None:
        """See usher.ports.autoscaling.AutoScaling."""
        raise AssertionError(f"{action.id} has a token")


class NoQueue(OneByOne):
    """Implements usher.ports.queues.WakeUps: who listens is not measured here."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:
        """See usher.ports.queues.WakeUps."""
