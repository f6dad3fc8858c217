"""Usher's functions in a trial: put together as usher.wiring does, on parts in memory that meet faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core.compiled import InEffect
from usher.core.file_versions import NOTICE, FileVersion, Schedule
from usher.core.notifications import Home
from usher.core.pacing import Pace
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.hook_timeouts import HookTimeouts
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.hooks_source import ByVersion, VersionsInEffect
from usher.outage.heartbeat_news import HeartbeatNews
from usher.outage.live_holds import LiveHolds
from usher.outage.without_table import Memory, WithoutTable
from usher.passes.silent_groups import SilentGroups
from usher.ports.hooks import AllHookItems
from usher.ports.records import ReconcileStore
from usher.provision import Provision
from usher.questions.asking import questions_handler
from usher.questions.probing import Prober
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryAnswers, MemoryBudget, MemoryLimits, MemoryPlaces
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.memory_versions import MemoryVersions
from usher_simulator.fakes.parts import (
    asking_of,
    enrolment_of,
    evaluator_of,
    intake_of,
    reconcile_of,
    release_of,
    sweep_of,
)
from usher_simulator.trials.deployed import (
    CALLS_PER_SECOND,
    ENROLMENTS_PER_HOUR,
    HOOK_TARGETS,
    INTAKE,
    QUESTIONS,
    WAKE,
)
from usher_simulator.trials.faults import Fault, Thing
from usher_simulator.trials.faulty_queues import (
    SimulatedDeadLetters,
    SimulatedQuestions,
    SimulatedWakeUps,
    queue_of,
)
from usher_simulator.trials.faulty_store import (
    ShakyBudget,
    ShakyItems,
    ShakyLimits,
    ShakyPlaces,
    ShakyStore,
    ShakyVersions,
)
from usher_simulator.trials.queue import SimulatedQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.compiled import Compiled
    from usher.core.policy import Configuration
    from usher.evaluation.evaluator import Evaluator
    from usher.invocation import Handler, Pass
    from usher.passes.enrolment import Enrolment
    from usher.passes.reconcile import Reconcile
    from usher.ports.autoscaling import InstanceStates
    from usher.ports.conditions import Calls
    from usher.ports.telemetry import EnrolmentTelemetry
    from usher.questions.asking import Asking
    from usher_simulator.trials.effects import Effects, Watch

T = TypeVar("T")

_SWEEPS_AT_ONCE: Final = 8


class Functions:
    """Their parts, their queues, and what makes each of them anew."""

    def __init__(  # noqa: PLR0913 - the world
        self,
        file: Compiled,
        effects: Effects,
        client: AutoScalingClient,
        telemetry: EnrolmentTelemetry,
        watch: Watch,
        *,
        calls: Calls,
        instances: InstanceStates,
        calls_per_second: float = CALLS_PER_SECOND,
        store: Callable[[Callable[[], datetime]], MemoryStore] = MemoryStore,
        is_applied: bool = False,
    ) -> None:
        """What the sweep runs besides its evaluations is drawn. Without an enrolment the file is trusted.

        `is_applied`: the functions read the hooks file from the table, and this one is the first version.
        """
        self.effects = effects
        self.clock = effects.clock
        self.on_provided: Callable[[dict[str, Any]], None] = lambda _: None
        self.stack_status: Callable[[], str | None] = lambda: None
        self.is_applied = is_applied
        self._things = effects.faults.swarm.things
        self._calls_per_second = calls_per_second
        self._ids = count(1)
        self._telemetry = telemetry
        self._instances = instances
        self._make_queues()
        now = effects.invocations.now
        self.memory = store(now)
        self._store = self.beside(cast(ReconcileStore, ShakyStore(effects, self.memory, watch)))
        self.budget = MemoryBudget(calls_per_second)
        self.limits, self.places, self.shared_answers = MemoryLimits(), MemoryPlaces(), MemoryAnswers()
        self._waiting = WaitingApi(client)
        self._holds = AutoScalingApi(client)
        self._groups = GroupsApi(client)
        self.enrolled = MemoryEnrolledHooks(now, ENROLMENTS_PER_HOUR)
        self._items = ShakyItems(effects, self.enrolled)
        self.versions = MemoryVersions(self.enrolled)
        self._sweep_source = self._source()
        self.sent_wake_ups = self.beside(SimulatedWakeUps(effects, self.wake_ups, watch))
        self._evaluator = self._new_evaluator()
        self._asking = self._asking_of(calls)
        if is_applied:
            self._apply_first(file)
        self.deploy(file)

    def _make_queues(self) -> None:
        self.inbox_dead_letters = SimulatedQueue(self.clock)
        self.wake_dead_letters = SimulatedQueue(self.clock)
        self.questions_dead_letters = SimulatedQueue(self.clock)
        self.inbox = queue_of(self.effects, INTAKE, self.inbox_dead_letters)
        self.wake_ups = queue_of(self.effects, WAKE, self.wake_dead_letters)
        self.questions = queue_of(self.effects, QUESTIONS, self.questions_dead_letters)

    def _new_evaluator(self) -> Evaluator:
        effects, telemetry, now = self.effects, self._telemetry, self.effects.invocations.now
        budget = self.beside(ShakyBudget(effects, self.budget))
        return evaluator_of(
            store=self._store,
            auto_scaling=StaleWaitGuard(
                calls=self._holds, activities=self._waiting, budget=budget, clock=now
            ),
            budget=budget,
            limits=ShakyLimits(effects, self.limits),
            places=ShakyPlaces(effects, self.places),
            questions=SimulatedQuestions(effects, self.questions),
            wake_ups=self.sent_wake_ups,
            telemetry=telemetry,
            clock=now,
            new_id=self._new_id,
            hook_timeouts=HookTimeouts(
                live=self._waiting,
                store=self._store,
                call_budget=CallBudget(budget=budget, telemetry=telemetry),
                telemetry=telemetry,
                clock=now,
            ),
        )

    def _asking_of(self, calls: Calls) -> Asking:
        probing = Prober(
            calls=self.beside(calls),
            answers=self.beside(self.shared_answers),
            call_budget=self._evaluator.call_budget,
            clock=self._evaluator.clock,
        )
        return asking_of(self._evaluator, probing)

    def beside(self, part: T) -> T:
        """What the functions are given as a part. A subclass has something else do, or count, the same."""
        return part

    def _new_id(self) -> str:
        return f"id-{next(self._ids):06d}"

    def _wait(self, span_s: float) -> None:
        self.effects.invocations.pause(timedelta(seconds=span_s))

    # -- the hooks file -------------------------------------------------------------------------

    def deploy(self, file: Compiled) -> None:
        """Give the functions a hooks file. Invocations that run end under the one before."""
        self.file = file
        self._handlers: dict[tuple[str, int], Handler] = {}
        self._live_holds = LiveHolds(
            configuration=file.configuration,
            items=cast(AllHookItems, self._items) if Thing.ENROLLED in self._things else None,
            live=self._waiting,
            holds=self._holds,
            news=HeartbeatNews(
                wake_ups=self._evaluator.wake_ups,
                telemetry=self._telemetry,
                clock=self._evaluator.clock,
                new_id=self._new_id,
            ),
            telemetry=self._telemetry,
            clock=self._evaluator.clock,
            wait=self._wait,
            calls_per_second=self._calls_per_second,
        )

    @property
    def configuration(self) -> Configuration:
        """Of the file that the functions have."""
        return self.file.configuration

    def _apply_first(self, file: Compiled) -> None:
        """Ahead of the deploy, as docs/apply.md has it."""
        ago, over = self.clock() - 2 * NOTICE, Schedule()
        version = FileVersion(
            number=1, file=file, applied_at=ago, effective_at=ago + NOTICE, by="somebody", reason="the first"
        )
        self.versions.apply(version, over.then(1, ago), over, ahead=True)

    def _source(self) -> VersionsInEffect:
        """With the memory of one container."""
        versions = ShakyVersions(self.effects, self.versions)
        return VersionsInEffect(versions=versions, telemetry=self._telemetry)

    def _by_file(self, source: VersionsInEffect, make: Callable[[InEffect], Handler]) -> Handler:
        """As usher.wiring.machine has it."""
        if not self.is_applied:
            return make(InEffect(file=self.file))
        return ByVersion(in_effect=source.at, make=make, clock=self._evaluator.clock)

    # -- the functions --------------------------------------------------------------------------

    def _handler(self, function: str, container: int) -> Handler:
        """A container keeps its handler; after a deploy there are new ones."""
        known = self._handlers.get((function, container))
        if known is None:
            known = self._new_handler(function)
            self._handlers[function, container] = known
        return known

    def _new_handler(self, function: str) -> Handler:
        match function:
            case "intake":
                return self._intake_handler()
            case "questions":
                dead_letters = SimulatedDeadLetters(self.effects, self.questions_dead_letters)
                return questions_handler(self._asking, dead_letters)
            case _:
                dead_letters = SimulatedDeadLetters(self.effects, self.wake_dead_letters)
                return handlers.wake_handler(self._evaluator, dead_letters, self._without_table())

    def _without_table(self) -> WithoutTable:
        """With the memory of one container."""
        return WithoutTable(
            holds=self._holds,
            hooks=self._waiting,
            wake_ups=self._evaluator.wake_ups,
            telemetry=self._telemetry,
            clock=self._evaluator.clock,
            memory=Memory(pace=Pace(calls_per_second=self._calls_per_second)),
        )

    def _intake_handler(self) -> Handler:
        return self._by_file(self._source(), self._intake_of)

    def _intake_of(self, of: InEffect) -> Handler:
        intake = intake_of(
            self._evaluator,
            of.file.configuration,
            items=self._hook_items(),
            dead_letters=SimulatedDeadLetters(self.effects, self.inbox_dead_letters),
            home=Home(account=ACCOUNT, region=REGION),
            is_certain=of.is_certain,
        )
        return handlers.intake_handler(intake)

    def _hook_items(self) -> AllHookItems:
        if Thing.ENROLLED in self._things:
            return cast(AllHookItems, self._items)
        return self.beside(FileItems(self.configuration))

    def _sweep_handler(self) -> Handler:
        work = self.effects.invocations.at_once(_SWEEPS_AT_ONCE)

        def make(of: InEffect) -> Handler:
            live_holds = replace(self._live_holds, configuration=of.file.configuration)
            passes = self._passes(of) if of.is_certain else ()
            return sweep_of(self._evaluator, *passes, work=work, live_holds=live_holds).handle

        return self._by_file(self._sweep_source, make)

    def _passes(self, of: InEffect) -> Iterator[Pass]:
        if Thing.RECONCILED in self._things:
            yield self._reconcile(of)
        if Thing.ENROLLED in self._things:
            yield self._enrolment(of)
        if Thing.SILENCE in self._things:
            hooks = of.file.configuration.hooks
            yield SilentGroups(hooks=hooks, store=self._evaluator.store, telemetry=self._telemetry)

    def _reconcile(self, of: InEffect) -> Reconcile:
        return reconcile_of(
            self._evaluator,
            of.file.configuration,
            items=self._hook_items(),
            live=self._waiting,
            instances=self._instances,
            wait=self._wait,
        )

    def _enrolment(self, of: InEffect) -> Enrolment:
        return enrolment_of(
            of,
            HOOK_TARGETS,
            groups=self._groups,
            live=self._waiting,
            records=self._items.under(of.file.digest),
            open_actions=self._store,
            call_budget=self._evaluator.call_budget,
            telemetry=self._telemetry,
            clock=self._evaluator.clock,
            wait=self._wait,
        )

    def _provision(self) -> Provision:
        return Provision(
            enrolment=lambda file: self._enrolment(InEffect(file=file)),
            release=release_of(
                self._evaluator,
                hooks=self._groups,
                live=self._waiting,
                enrolments=self._items,
                open_actions=self._store,
                targets=HOOK_TARGETS,
                wait=self._wait,
                work=self.effects.invocations.at_once(_SWEEPS_AT_ONCE),
            ),
            status=self._stack_status,
            respond=lambda _, answer: self.on_provided(answer),
            in_effect=lambda: self._source().at(self._evaluator.clock()),
        )

    def _stack_status(self, _: str) -> str | None:
        """As DescribeStacks tells it, where it answers."""
        self.effects.invocations.step()
        return None if self.effects.faults.hits(Fault.UNREACHED) else self.stack_status()
