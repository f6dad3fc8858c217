"""Usher in the storm: the production handlers between simulated Auto Scaling, queues and schedule.

Store and budget are those in memory; each of their operations takes the time of a DynamoDB request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from benchmarks import storm_plan
from benchmarks.storm_auto_scaling import Client, LimitedCalls
from benchmarks.storm_lambda import Function, GatedQueue, Sweeps, Tasks
from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.queues import delay_s
from usher.aws.waiting import WaitingApi
from usher.core.action import Result
from usher.core.pacing import Pace
from usher.core.queue_messages import wake_up_body
from usher.evaluation.evaluator import Evaluator
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.intake.intake import Intake
from usher.outage.without_table import Memory, WithoutTable
from usher.ports.errors import Denied, NoAnswer
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Waits
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryBudget, MemoryLimits
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.parts import sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoQuestions
from usher_simulator.trials.queue import EventSourceMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from benchmarks.storm_plan import Storm
    from usher.core.action import Action, Signal
    from usher.core.evidence import Kept
    from usher.core.held_wait import HeldWait
    from usher.invocation import Handler
    from usher.ports.records import Due, Evidence, Raw
    from usher_simulator.autoscaling.lifecycle_actions import Wait

STORE: Final = "MemoryStore and MemoryBudget"
_REQUEST_TAKES: Final = timedelta(milliseconds=5)  # to DynamoDB or SQS
_UNANSWERED_TAKES: Final = timedelta(seconds=3)  # two attempts, each to its time-out, and a pause
_COLD_START: Final = timedelta(seconds=1)
_SWEEP_AT_ONCE: Final = 8  # as usher.wiring has it
_INBOX: Final = {"batch_size": 10, "most_at_once": 20}  # these four as usher_cdk.controller has them
_WAKE_UPS: Final = {"batch_size": 1, "most_at_once": 50}
_INBOX_VISIBILITY: Final = timedelta(seconds=30)
_WAKE_UPS_VISIBILITY: Final = timedelta(seconds=360)
_LONGEST_AFTER: Final = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """From `begins` after the start of the storm. `denies`: the table says no, and at once."""

    begins: timedelta
    lasts: timedelta
    denies: bool = False

    @property
    def from_moment(self) -> datetime:
        """When it begins."""
        return storm_plan.START + self.begins

    @property
    def to_moment(self) -> datetime:
        """When it is over."""
        return self.from_moment + self.lasts


class Table:
    """The way to DynamoDB: takes its time, or does not answer."""

    def __init__(self, tasks: Tasks, outages: Collection[Outage]) -> None:
        self._tasks = tasks
        self._outages = outages

    def reach(self) -> None:
        """One request. Raises NoAnswer while the table is unreachable, Denied while it says no."""
        now = self._tasks.clock()
        on = [outage for outage in self._outages if outage.from_moment <= now < outage.to_moment]
        if on and not on[0].denies:
            self._tasks.take(_UNANSWERED_TAKES)
            raise NoAnswer("the table did not answer")
        self._tasks.take(_REQUEST_TAKES)
        if on:
            raise Denied("DynamoDB refuses: AccessDeniedException")


class SlowStore(MemoryStore):
    """The store in memory, as far away as a table."""

    def __init__(self, clock: VirtualClock, table: Table) -> None:
        super().__init__(clock)
        self._table = table

    def open(self, action: Action, raw: Raw | None) -> Action:
        """See usher.ports.records.Records."""
        self._table.reach()
        return super().open(action, raw)

    def load(self, action_id: str) -> Action | None:
        """See usher.ports.records.Records."""
        self._table.reach()
        return super().load(action_id)

    def save(self, action: Action, *, raw: Raw | None = None) -> None:
        """See usher.ports.records.Records."""
        self._table.reach()
        super().save(action, raw=raw)

    def of_token(self, token: str) -> Action | None:
        """See usher.ports.records.ActionLookup."""
        self._table.reach()
        return super().of_token(token)

    def of_instance(self, instance_id: str) -> Iterable[Action]:
        """See usher.ports.records.ActionLookup."""
        self._table.reach()
        return super().of_instance(instance_id)

    def due(self, until: datetime) -> Iterable[Due]:
        """See usher.ports.records.ActionLookup."""
        self._table.reach()
        return list(super().due(until))

    def overdue(self, now: datetime) -> list[str]:
        """The tokens of the actions whose look is due; asked by the benchmark, so it takes no time."""
        known = (super(SlowStore, self).load(due.action_id) for due in super().due(now))
        return [action.token for action in known if action is not None and action.token is not None]

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""
        self._table.reach()
        return super().keep_signal(signal)

    def evidence(self, action: Action) -> Evidence:
        """See usher.ports.records.EvidenceStore."""
        self._table.reach()
        return super().evidence(action)


class SlowBudget(MemoryBudget):
    """The budget in memory, as far away as a table."""

    def __init__(self, calls_per_second: float, table: Table) -> None:
        super().__init__(calls_per_second)
        self._table = table

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """See usher.ports.budget.Budget."""
        self._table.reach()
        return super().book(first, best, last, now)

    def give_back(self, booked: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._table.reach()
        super().give_back(booked)

    def throttled(self, now: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._table.reach()
        super().throttled(now)


class WakeUpQueue:
    """Implements usher.ports.queues.WakeUps."""

    def __init__(self, tasks: Tasks, queue: GatedQueue) -> None:
        self._tasks = tasks
        self._queue = queue

    def send(self, action_id: str, version: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """See usher.ports.queues.WakeUps."""
        self._tasks.take(_REQUEST_TAKES)
        self._queue.send(wake_up_body(action_id, version, wait), timedelta(seconds=delay_s(delay)))


class NoDeadLetters:
    """Implements usher.ports.queues.DeadLetters: nothing here is misunderstood."""

    def put(self, body: str, reason: str) -> None:
        """See usher.ports.queues.DeadLetters."""
        raise AssertionError(f"{reason}: {body}")


class UsherInStorm:
    """Runs one storm. `functions_off` and `table_off` say when what is not there."""

    def __init__(
        self,
        storm: Storm,
        *,
        functions_off: Collection[Outage] = (),
        table_off: Collection[Outage] = (),
    ) -> None:
        self.storm = storm
        self.clock = VirtualClock(storm_plan.START)
        self.tasks = Tasks(self.clock)
        self.random = Random(storm.seed)  # noqa: S311 - a benchmark's own data
        self.defaulted: list[str] = []  # the tokens of the actions that no call ended
        self.waits = Waits(self.clock, self._note)
        self.auto_scaling = LimitedCalls(self.tasks, self.waits, storm.rate)
        self.table = Table(self.tasks, table_off)
        self.store = SlowStore(self.clock, self.table)
        self.budget = SlowBudget(storm.rate, self.table)
        self.recorder = Recorder()
        self.inbox = GatedQueue(self.clock, visibility_timeout=_INBOX_VISIBILITY)
        self.wake_ups = GatedQueue(self.clock, visibility_timeout=_WAKE_UPS_VISIBILITY)
        self.wake_up_queue = WakeUpQueue(self.tasks, self.wake_ups)
        self._ids = count(1)
        self.looks = self._looks()
        self.sweeps = Sweeps(self.tasks, self._sweep_handler, self.random)
        self._connect()
        self._plan()
        for outage in functions_off:
            self.clock.at(outage.from_moment, lambda: self._switch(on=False))
            self.clock.at(outage.to_moment, lambda: self._switch(on=True))

    def _new_id(self) -> str:
        return f"id-{next(self._ids):08d}"

    def _looks(self) -> Evaluator:
        client = cast(Any, Client(self.auto_scaling))
        same_wait = StaleWaitGuard(
            calls=AutoScalingApi(client),
            activities=WaitingApi(client),
            budget=self.budget,
            clock=self.clock,
        )
        return Evaluator(
            store=self.store,
            auto_scaling=same_wait,
            budget=self.budget,
            limits=MemoryLimits(),
            questions=NoQuestions(),
            wake_ups=self.wake_up_queue,
            telemetry=self.recorder,
            clock=self.clock,
            new_id=self._new_id,
        )

    def _sweep_handler(self) -> Handler:
        return sweep_of(self.looks, work=self.tasks.at_once(_SWEEP_AT_ONCE)).handle

    def _connect(self) -> None:
        intake = Intake(
            configuration=self.storm.configuration,
            items=FileItems(self.storm.configuration),
            store=self.store,
            wake_ups=self.wake_up_queue,
            questions=self.looks.questions,
            dead_letters=NoDeadLetters(),
            telemetry=self.recorder,
            clock=self.clock,
            new_id=self._new_id,
        )
        taking = Function(self.tasks, lambda: handlers.intake_handler(intake))
        waking = Function(
            self.tasks, lambda: handlers.wake_handler(self.looks, NoDeadLetters(), self._without_table())
        )
        for queue, function, settings in (
            (self.inbox, taking, _INBOX),
            (self.wake_ups, waking, _WAKE_UPS),
        ):
            EventSourceMapping(self.clock, queue, function.invoke, cold_start=_COLD_START, **settings)
        self.sweeps.start()

    def _without_table(self) -> WithoutTable:
        """With the memory of one container. What is configured stands, so no hook is described."""
        return WithoutTable(
            holds=AutoScalingApi(cast(Any, Client(self.auto_scaling))),
            hooks=None,
            wake_ups=self.wake_up_queue,
            telemetry=self.recorder,
            clock=self.clock,
            memory=Memory(pace=Pace(calls_per_second=self.storm.rate)),
        )

    def _plan(self) -> None:
        for held in self.storm.instances:
            self.clock.at(held.started_at, self._beginning(self.storm.wait_of(held)))
            self._deliver(held.started_at, 0.3, 1.5, storm_plan.notification(held))
            self._deliver(held.started_at, 3.5, 130, storm_plan.event(held))  # aws-facts 9.1
            self._deliver(held.done_at, 0.5, 5, storm_plan.signal(held))

    def _beginning(self, wait: Wait) -> Callable[[], None]:
        return lambda: self.waits.begin(wait)

    def _deliver(self, moment: datetime, least_s: float, most_s: float, body: str) -> None:
        late = timedelta(seconds=self.random.uniform(least_s, most_s))
        self.clock.at(moment + late, lambda: self.inbox.send(body))

    def _switch(self, *, on: bool) -> None:
        self.sweeps.on = self.inbox.polled = self.wake_ups.polled = on
        if on:
            self.inbox.on_visible()
            self.wake_ups.on_visible()

    def _note(self, wait: Wait) -> None:
        if wait.ended_by is not EndedBy.CALL:
            self.defaulted.append(wait.token)

    @property
    def lost(self) -> int:
        """How many actions were not recorded, or not completed as their signal asks."""
        done = [action for action in self.store.actions() if action.result is Result.CONTINUE]
        return self.storm.held - len(done)

    def run(self) -> None:
        """Until all is closed, or nothing more will be."""
        end = storm_plan.START + 2 * self.storm.half
        self.clock.run_until(end)
        while self.store.open_actions() and self.clock() < end + _LONGEST_AFTER:
            self.clock.step()
