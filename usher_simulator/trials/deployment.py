"""Usher as it is deployed, on the virtual clock: how Lambda, SQS and the schedule run its functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from usher.invocation import has_time
from usher_simulator.trials.batch_events import asked_in, depth_of, failed_in, record_of
from usher_simulator.trials.deployed import INTAKE, PROVISION, QUESTIONS, SWEEP, WAKE, Deployed
from usher_simulator.trials.faults import Fault, How, Part
from usher_simulator.trials.functions import Functions
from usher_simulator.trials.invocations import Cut, Invocation
from usher_simulator.trials.queue import EventSourceMapping, SimulatedQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from usher_simulator.trials.invocations import TimeLeft
    from usher_simulator.trials.queue import Batch, Ended

MOST_DEPTH: Final = 16  # what Lambda's loop detection lets pass
MINUTE: Final = timedelta(minutes=1)
_LATEST_STEP: Final = 25  # at which a function is cut off
_LAMBDA_TRIES_AFTER: Final = (timedelta(minutes=1), timedelta(minutes=2))


_PARTS: Final = {"intake": Part.INTAKE, "wake": Part.WAKE, "questions": Part.WAKE, "sweep": Part.SWEEP}


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRun:
    """One run of the sweep that returned."""

    began_at: datetime
    ended_at: datetime
    faults: int


class Deployment(Functions):
    """Runs Usher. Whatever comes to it from outside goes into `inbox`, or to `invoke_intake`."""

    cold_start: ClassVar[timedelta] = timedelta(milliseconds=900)

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - as Functions
        super().__init__(*given, **named)
        self.sweeps: list[SweepRun] = []
        self.on_acknowledged: Callable[[str], None] = lambda _: None
        self.is_removed = False
        self._map(self.inbox, INTAKE)
        self._map(self.wake_ups, WAKE)
        self._map(self.questions, QUESTIONS)
        self._sweep_at(self.clock())

    def remove(self) -> None:
        """The stack is gone: nothing runs any more. What its queues hold is gone with them."""
        self.is_removed = True

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is open, under way or waiting."""
        return self.is_idle and not self.memory.open_actions()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waiting."""
        return not (self.effects.invocations.running or len(self.inbox) or len(self.wake_ups))

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
        provision = self._provision()

        def work(time_left: TimeLeft) -> bool:
            provision.handle(event, lambda: has_time(time_left))
            return True

        def ended(returned: object, error: BaseException | None) -> None:
            if (error is not None or returned is None) and tries < len(_LAMBDA_TRIES_AFTER):
                again_at = self.clock() + _LAMBDA_TRIES_AFTER[tries]
                self.clock.at(again_at, lambda: self.invoke_provision(event, tries + 1))

        self._invoke(PROVISION, work, ended)

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
        event = {"Records": [record_of(message) for message in batch.messages]}

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
        handler = self._sweep_handler()
        began_at = self.clock()

        def ended(_: object, error: BaseException | None) -> None:
            if not isinstance(error, Cut):
                run = SweepRun(began_at=began_at, ended_at=self.clock(), faults=invocation.faults)
                self.sweeps.append(run)

        invocation = self._invoke(SWEEP, lambda time_left: handler({}, time_left), ended)

    def _tell_of(self, settings: Deployed, batch: Batch, fault: str) -> None:
        for action_id in sorted({each["action_id"] for each in asked_in(settings, batch)}):
            self.effects.meets(fault, action_id)
