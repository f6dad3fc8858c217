"""Usher as it is deployed, on the virtual clock: its functions, queues, schedule and records."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core.compiled import InEffect
from usher.core.file_versions import NOTICE, FileVersion, Schedule
from usher.core.notifications import Home
from usher.core.pacing import Pace
from usher.core.wanted_hooks import Wanted
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.evaluator import Evaluator
from usher.evaluation.hook_timeouts import HookTimeouts
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.hooks_source import ByVersion, VersionsInEffect
from usher.intake.intake import Intake
from usher.invocation import Handler, Pass, has_time
from usher.outage.heartbeat_news import HeartbeatNews
from usher.outage.live_holds import LiveHolds
from usher.outage.without_table import Memory, WithoutTable
from usher.passes.enrolment import Enrolment
from usher.passes.reconcile import Reconcile
from usher.passes.silent_groups import SilentGroups
from usher.ports.hooks import AllHookItems, EnrolmentRecords
from usher.ports.records import ReconcileStore
from usher.provision import Provision
from usher.questions.asking import Asking, questions_handler
from usher.questions.probing import Prober
from usher_simulator.autoscaling.notifications import ACCOUNT, REGION
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryAnswers, MemoryBudget, MemoryLimits, MemoryPlaces
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.memory_versions import MemoryVersions
from usher_simulator.fakes.parts import release_of, sweep_of
from usher_simulator.trials.batch_events import asked_in, depth_of, failed_in, sqs_record
from usher_simulator.trials.deployed import (
    CALLS_PER_SECOND,
    ENROLMENTS_PER_HOUR,
    HOOK_TARGETS,
    INTAKE,
    PROVISION,
    QUESTIONS,
    SWEEP,
    WAKE,
    Deployed,
)
from usher_simulator.trials.faults import Fault, How, Part, Thing
from usher_simulator.trials.faulty_queues import (
    SimulatedDeadLetters,
    SimulatedQuestions,
    SimulatedWakeUps,
)
from usher_simulator.trials.faulty_store import (
    ShakyBudget,
    ShakyItems,
    ShakyLimits,
    ShakyPlaces,
    ShakyStore,
    ShakyVersions,
)
from usher_simulator.trials.invocations import Cut, Invocation
from usher_simulator.trials.queue import EventSourceMapping, SimulatedQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.compiled import Compiled
    from usher.core.policy import Configuration
    from usher.ports.autoscaling import InstanceStates
    from usher.ports.conditions import Calls
    from usher.ports.telemetry import EnrolmentTelemetry
    from usher_simulator.trials.effects import Effects, Watch
    from usher_simulator.trials.invocations import TimeLeft
    from usher_simulator.trials.queue import Batch, Ended

T = TypeVar("T")

MOST_DEPTH: Final = 16  # what Lambda's loop detection lets pass
MINUTE: Final = timedelta(minutes=1)
_SWEEPS_AT_ONCE: Final = 8
_LATEST_STEP: Final = 25  # at which a function is cut off
_LAG_S: Final = (0.01, 0.6)  # after its delay a message is seen, and polled
_LAMBDA_TRIES_AFTER: Final = (timedelta(minutes=1), timedelta(minutes=2))


_PARTS: Final = {"intake": Part.INTAKE, "wake": Part.WAKE, "questions": Part.WAKE, "sweep": Part.SWEEP}


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRun:
    """One run of the sweep that returned."""

    began_at: datetime
    ended_at: datetime
    faults: int


class Deployment:
    """Runs Usher. Whatever comes to it from outside goes into `inbox`, or to `invoke_intake`."""

    cold_start: ClassVar[timedelta] = timedelta(milliseconds=900)

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
        self.memory = store(effects.invocations.now)
        self.inbox_dead_letters = SimulatedQueue(self.clock)
        self.wake_dead_letters = SimulatedQueue(self.clock)
        self.inbox = _queue(effects, INTAKE, self.inbox_dead_letters)
        self.wake_ups = _queue(effects, WAKE, self.wake_dead_letters)
        self.questions_dead_letters = SimulatedQueue(self.clock)
        self.questions = _queue(effects, QUESTIONS, self.questions_dead_letters)
        self.sweeps: list[SweepRun] = []
        self.on_acknowledged: Callable[[str], None] = lambda _: None
        self.on_provided: Callable[[dict[str, Any]], None] = lambda _: None
        self.stack_status: Callable[[], str | None] = lambda: None
        self.is_removed = False
        self._things = effects.faults.swarm.things
        self._calls_per_second = calls_per_second
        self._ids = count(1)
        self._telemetry = telemetry
        self._handlers: dict[tuple[str, int], Handler] = {}
        self._store = self.beside(cast(ReconcileStore, ShakyStore(effects, self.memory, watch)))
        self.budget = MemoryBudget(calls_per_second)
        self.limits, self.places, self.shared_answers = MemoryLimits(), MemoryPlaces(), MemoryAnswers()
        budget = self.beside(ShakyBudget(effects, self.budget))
        now = effects.invocations.now
        self._waiting = WaitingApi(client)
        self._holds = AutoScalingApi(client)
        self._groups = GroupsApi(client)
        self._wait = lambda span_s: effects.invocations.pause(timedelta(seconds=span_s))
        self.enrolled = MemoryEnrolledHooks(now, ENROLMENTS_PER_HOUR)
        self._items = ShakyItems(effects, self.enrolled)
        self.is_applied = is_applied
        self.versions = MemoryVersions(self.enrolled)
        self._sweep_source = self._source()
        self._instances = instances
        self.sent_wake_ups = SimulatedWakeUps(effects, self.wake_ups, watch)
        self._looks = Evaluator(
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
        self._asking = Asking(
            store=self._store,
            probing=Prober(
                calls=self.beside(calls),
                answers=self.beside(self.shared_answers),
                call_budget=self._looks.call_budget,
                clock=now,
            ),
            questions=self._looks.questions,
            wake_ups=self._looks.wake_ups,
            telemetry=telemetry,
            clock=now,
        )
        if is_applied:
            self._apply_first(file)
        self.deploy(file)
        self._map(self.inbox, INTAKE)
        self._map(self.wake_ups, WAKE)
        self._map(self.questions, QUESTIONS)
        self._sweep_at(self.clock())

    def beside(self, part: T) -> T:
        """What the functions are given as a part. A subclass has something else do, or count, the same."""
        return part

    def deploy(self, file: Compiled) -> None:
        """Give the functions a hooks file. Invocations that run end under the one before."""
        self.file = file
        self._handlers.clear()
        self._live_holds = LiveHolds(
            configuration=file.configuration,
            items=cast(AllHookItems, self._items) if Thing.ENROLLED in self._things else None,
            live=self._waiting,
            holds=self._holds,
            news=HeartbeatNews(
                wake_ups=self._looks.wake_ups,
                telemetry=self._telemetry,
                clock=self._looks.clock,
                new_id=self._new_id,
            ),
            telemetry=self._telemetry,
            clock=self._looks.clock,
            wait=self._wait,
            calls_per_second=self._calls_per_second,
        )

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
        return ByVersion(in_effect=source.at, make=make, clock=self._looks.clock)

    def remove(self) -> None:
        """The stack is gone: nothing runs any more. What its queues hold is gone with them."""
        self.is_removed = True

    @property
    def configuration(self) -> Configuration:
        """Of the file that the functions have."""
        return self.file.configuration

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is open, under way or waiting."""
        waits = self.memory.open_actions() or len(self.inbox) or len(self.wake_ups)
        return not waits and not self.effects.invocations.running

    def invoke_intake(self, body: str, tries: int = 0) -> None:
        """A direct invocation, by Auto Scaling: tried three times, then it goes to the inbox."""
        if self.is_removed:
            return

        def ended(returned: object, error: BaseException | None) -> None:
            if error is None and returned is not None:
                self.on_acknowledged(body)
            elif tries < len(_LAMBDA_TRIES_AFTER):
                again_at = self.clock() + _LAMBDA_TRIES_AFTER[tries]
                self.clock.at(again_at, lambda: self.invoke_intake(body, tries + 1))
            else:
                payload = json.loads(body)
                self.inbox.send(json.dumps({"requestContext": {}, "requestPayload": payload}))

        if self.effects.faults.is_down(Part.INTAKE, self.clock()):
            ended(None, None)
            return
        handler = self._intake_handler()
        self._invoke(INTAKE, lambda time_left: handler(json.loads(body), time_left), ended)

    def invoke_provision(self, event: dict[str, Any], tries: int = 0) -> None:
        """CloudFormation invokes it, which Lambda tries three times."""
        provision = Provision(
            enrolment=lambda file: self._enrolment(InEffect(file=file)),
            release=release_of(
                self._looks,
                hooks=self._groups,
                live=self._waiting,
                enrolments=cast(EnrolmentRecords, self._items),
                open_actions=self._store,
                targets=HOOK_TARGETS,
                wait=self._wait,
                work=self.effects.invocations.at_once(_SWEEPS_AT_ONCE),
            ),
            status=self._stack_status,
            respond=lambda _, answer: self.on_provided(answer),
            in_effect=lambda: self._source().at(self._looks.clock()),
        )

        def work(time_left: TimeLeft) -> bool:
            provision.handle(event, lambda: has_time(time_left))
            return True

        def ended(returned: object, error: BaseException | None) -> None:
            if (error is not None or returned is None) and tries < len(_LAMBDA_TRIES_AFTER):
                again_at = self.clock() + _LAMBDA_TRIES_AFTER[tries]
                self.clock.at(again_at, lambda: self.invoke_provision(event, tries + 1))

        self._invoke(PROVISION, work, ended)

    def _stack_status(self, _: str) -> str | None:
        """As DescribeStacks tells it, where it answers."""
        self.effects.invocations.step()
        return None if self.effects.faults.hits(Fault.UNREACHED) else self.stack_status()

    # -- functions ----------------------------------------------------------------------------

    def _map(self, queue: SimulatedQueue, settings: Deployed) -> None:
        faults, part = self.effects.faults, _PARTS[settings.function]
        mapping = EventSourceMapping(
            self.clock,
            queue,
            lambda batch, ended: self._take_batch(settings, batch, ended),
            batch_size=settings.batch_size,
            most_at_once=settings.most_at_once,
            cold_start=self.cold_start,
            is_on=lambda: faults.how_down(part, self.clock()) is not How.UNREACHED,
        )
        for down in faults.swarm.downs:
            if down.part is part and down.how is How.UNREACHED:
                self.clock.at(down.until, mapping.poll_soon)

    def _take_batch(self, settings: Deployed, batch: Batch, ended: Ended) -> None:
        faults = self.effects.faults
        if self.is_removed:
            ended(())
            return
        if faults.is_down(_PARTS[settings.function], self.clock()):
            self._tell_of(settings, batch, f"{settings.function} down")
            ended(None)
            return
        if faults.how_down(Part.QUEUES, self.clock()) is How.UNREACHED:
            self._tell_of(settings, batch, "queues down")
            ended(None)
            return
        if depth_of(batch) >= MOST_DEPTH and not settings.feeds_itself:
            ended(())  # Lambda's loop detection drops the batch
            return
        if faults.hits(Fault.TWICE):
            self._run_batch(settings, batch, -batch.container, lambda _: None)
        self._run_batch(settings, batch, batch.container, ended)

    def _run_batch(self, settings: Deployed, batch: Batch, container: int, ended: Ended) -> None:
        handler = self._handler(settings.function, container)
        event = {"Records": [sqs_record(message) for message in batch.messages]}

        def done(returned: Mapping[str, Any] | None, error: BaseException | None) -> None:
            failed = None if error is not None else failed_in(returned)
            if settings is INTAKE:
                self._acknowledge(batch, failed)
            ended(failed)

        self._invoke(settings, lambda time_left: handler(event, time_left), done, batch)

    def _acknowledge(self, batch: Batch, failed: Collection[str] | None) -> None:
        for message in batch.messages if failed is not None else ():
            if failed is not None and message.id not in failed:
                self.on_acknowledged(message.body)

    def _invoke(
        self,
        settings: Deployed,
        work: Callable[[TimeLeft], Any],
        ended: Callable[[Any, BaseException | None], None],
        batch: Batch | None = None,
    ) -> Invocation:
        faults = self.effects.faults
        asked = asked_in(settings, batch)
        invocation = Invocation(
            function=settings.function,
            timeout=settings.timeout,
            skew=faults.skew(),
            cut_at=int(self.effects.chooser.number(1, _LATEST_STEP)) if faults.hits(Fault.CUT) else 0,
            actions={each["action_id"] for each in asked},
            sent_for=frozenset((each["action_id"], each["version"]) for each in asked if "version" in each),
            depth=depth_of(batch) if batch else 0,
        )
        self.effects.invocations.start(invocation, work, ended)
        return invocation

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
                return handlers.wake_handler(self._looks, dead_letters, self._without_table())

    def _without_table(self) -> WithoutTable:
        """With the memory of one container."""
        return WithoutTable(
            holds=self._holds,
            hooks=self._waiting,
            wake_ups=self._looks.wake_ups,
            telemetry=self._telemetry,
            clock=self._looks.clock,
            memory=Memory(pace=Pace(calls_per_second=self._calls_per_second)),
        )

    def _intake_handler(self) -> Handler:
        return self._by_file(self._source(), self._intake_of)

    def _intake_of(self, of: InEffect) -> Handler:
        intake = Intake(
            configuration=of.file.configuration,
            items=self._hook_items(),
            store=self._looks.store,
            wake_ups=self._looks.wake_ups,
            questions=self._looks.questions,
            dead_letters=SimulatedDeadLetters(self.effects, self.inbox_dead_letters),
            telemetry=self._telemetry,
            clock=self._looks.clock,
            new_id=self._new_id,
            home=Home(account=ACCOUNT, region=REGION),
            is_certain=of.is_certain,
        )
        return handlers.intake_handler(intake)

    def _hook_items(self) -> AllHookItems:
        if Thing.ENROLLED in self._things:
            return cast(AllHookItems, self._items)
        return self.beside(FileItems(self.configuration))

    def _enrolment(self, of: InEffect) -> Enrolment:
        file = of.file
        return Enrolment(
            wanted=Wanted(
                hooks=file.configuration.hooks, targets=HOOK_TARGETS, own_groups=frozenset(file.own_groups)
            ),
            file=of.in_force,
            groups=self._groups,
            live=self._waiting,
            records=cast(EnrolmentRecords, self._items.under(file.digest)),
            open_actions=self._store,
            call_budget=self._looks.call_budget,
            telemetry=self._telemetry,
            clock=self._looks.clock,
            wait=self._wait,
        )

    def _reconcile(self, of: InEffect) -> Reconcile:
        return Reconcile(
            configuration=of.file.configuration,
            items=self._hook_items(),
            live=self._waiting,
            instances=self._instances,
            auto_scaling=self._looks.auto_scaling,
            store=self._store,
            call_budget=self._looks.call_budget,
            wake_ups=self._looks.wake_ups,
            telemetry=self._telemetry,
            clock=self._looks.clock,
            wait=self._wait,
            new_id=self._new_id,
        )

    def _new_id(self) -> str:
        return f"id-{next(self._ids):06d}"

    # -- the schedule ---------------------------------------------------------------------------

    def _sweep_at(self, minute: datetime) -> None:
        """The run of one minute: at some second of it, or not at all."""
        jitter = timedelta(seconds=self.effects.chooser.number(0.0, 59.0))
        self.clock.at(minute + jitter, self._run_sweep)
        self.clock.at(minute + MINUTE, lambda: self._sweep_at(minute + MINUTE))

    def _run_sweep(self) -> None:
        faults = self.effects.faults
        if self.is_removed:
            return
        if faults.is_down(Part.SWEEP, self.clock()) or faults.hits(Fault.SWEEP_MISSED):
            faults.met(Fault.SWEEP_MISSED, self.clock())
            return
        work = self.effects.invocations.at_once(_SWEEPS_AT_ONCE)

        def make(of: InEffect) -> Handler:
            live_holds = replace(self._live_holds, configuration=of.file.configuration)
            passes = self._passes(of) if of.is_certain else ()
            return sweep_of(self._looks, *passes, work=work, live_holds=live_holds).handle

        handler = self._by_file(self._sweep_source, make)
        began_at = self.clock()

        def ended(_: object, error: BaseException | None) -> None:
            if not isinstance(error, Cut):
                run = SweepRun(began_at=began_at, ended_at=self.clock(), faults=invocation.faults)
                self.sweeps.append(run)

        invocation = self._invoke(SWEEP, lambda time_left: handler({}, time_left), ended)

    def _passes(self, of: InEffect) -> Iterator[Pass]:
        if Thing.RECONCILED in self._things:
            yield self._reconcile(of)
        if Thing.ENROLLED in self._things:
            yield self._enrolment(of)
        if Thing.SILENCE in self._things:
            hooks = of.file.configuration.hooks
            yield SilentGroups(hooks=hooks, store=self._looks.store, telemetry=self._telemetry)

    def _tell_of(self, settings: Deployed, batch: Batch, fault: str) -> None:
        for action_id in sorted({each["action_id"] for each in asked_in(settings, batch)}):
            self.effects.meets(fault, action_id)


def _queue(effects: Effects, settings: Deployed, dead_letters: SimulatedQueue) -> SimulatedQueue:
    return SimulatedQueue(
        effects.clock,
        visibility_timeout=settings.visibility_timeout,
        most_receives=settings.most_receives,
        dead_letters=dead_letters,
        lag=lambda: timedelta(seconds=effects.chooser.number(*_LAG_S)),
    )
