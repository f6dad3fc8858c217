"""The world: the production handlers, between simulated Auto Scaling, queues, schedule and store."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, cast

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.queues import delay_s
from usher.aws.waiting import WaitingApi
from usher.core.queue_messages import question_body, wake_up_body
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.questions.asking import questions_handler
from usher_simulator.autoscaling.direct_calls import DirectCalls
from usher_simulator.autoscaling.lifecycle_actions import Waits
from usher_simulator.autoscaling.lifecycle_calls import LifecycleCalls
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.dead_letter_list import DeadLetterList
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import asking_of, evaluator_of, intake_of, sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.sqs_record import sqs_record
from usher_simulator.replay.assumed_answers import AssumedProbing, nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.held_wait import HeldWait
    from usher.core.notifications import Home
    from usher.core.policy import Configuration
    from usher_simulator.replay.assumed_answers import Finder

SWEEP_INTERVAL: Final = timedelta(minutes=1)
VISIBILITY_TIMEOUT: Final = timedelta(minutes=3)
LONGEST_WAIT: Final = timedelta(hours=49)  # 48 h, and time to close
CALLS_PER_SECOND: Final = 10.0


class NeverEnds(Exception):  # noqa: N818 - it reads as what happened
    """An action stays open beyond all limits: a bug of Usher's."""


class World:
    """Runs Usher on a virtual clock. Nothing in it asks the machine for time or chance.

    `found` says what the probe conditions find.
    """

    def __init__(
        self, configuration: Configuration, start: datetime, found: Finder = nothing, home: Home | None = None
    ) -> None:
        self.clock = VirtualClock(start)
        self.waits = Waits(self.clock)
        self.store = MemoryStore(self.clock)
        self.recorder = Recorder()
        self.dead_letters = DeadLetterList()
        wake_ups, questions = WakeUpLine(self), QuestionLine(self)
        ids = count(1)
        client = cast("AutoScalingClient", DirectCalls(LifecycleCalls(self.waits)))
        evaluator = evaluator_of(
            store=self.store,
            auto_scaling=StaleWaitGuard(
                calls=AutoScalingApi(client),
                activities=WaitingApi(client),
                budget=MemoryBudget(1000),
                clock=self.clock,
            ),
            budget=MemoryBudget(CALLS_PER_SECOND),
            questions=questions,
            wake_ups=wake_ups,
            telemetry=self.recorder,
            clock=self.clock,
        )
        intake = intake_of(evaluator, configuration, dead_letters=self.dead_letters, home=home)
        asking = asking_of(evaluator, AssumedProbing(found, self.clock))
        self._message_ids = ids
        self._intake = handlers.intake_handler(intake)
        self._wake = handlers.wake_handler(evaluator, self.dead_letters)
        self._questions = questions_handler(asking, self.dead_letters)
        self._sweep = sweep_of(evaluator).handle
        self.clock.at(start, self._run_sweep)

    def deliver_at(self, moment: datetime, body: str, then: Callable[[], None] = lambda: None) -> None:
        """Bring a message to the intake at `moment`, as an SQS batch of one; call `then` after it."""

        def deliver() -> None:
            self._deliver(self._intake, body)
            then()

        self.clock.at(moment, deliver)

    def wake_at(self, moment: datetime, body: str) -> None:
        """Bring a wake-up to the wake function at `moment`."""
        self.clock.at(moment, lambda: self._deliver(self._wake, body))

    def ask_at(self, moment: datetime, body: str) -> None:
        """Bring a question to the function `questions` at `moment`."""
        self.clock.at(moment, lambda: self._deliver(self._questions, body))

    def run_to_end(self, last: datetime) -> None:
        """Run until `last`, and on until every action is closed."""
        self.clock.run_until(last)
        while self.store.open_actions():
            if self.clock() > last + LONGEST_WAIT:
                raise NeverEnds(f"{self.store.open_actions()} actions are open at {self.clock()}")
            self.clock.step()

    def _deliver(self, handler: Callable[[dict[str, Any], None], dict[str, Any]], body: str) -> None:
        """One SQS batch of one record; what the handler reports is delivered again later."""
        event = {"Records": [sqs_record(f"message-{next(self._message_ids):08d}", body)]}
        failures = handler(event, None).get("batchItemFailures")
        self.recorder.raise_bugs()
        if failures:
            again_at = self.clock() + VISIBILITY_TIMEOUT
            self.clock.at(again_at, lambda: self._deliver(handler, body))

    def _run_sweep(self) -> None:
        self._sweep({}, None)
        self.recorder.raise_bugs()
        self.clock.at(self._next_sweep_at(), self._run_sweep)

    def _next_sweep_at(self) -> datetime:
        """In a minute; where nothing is open, in the minute in which the next thing happens."""
        next_at = self.clock() + SWEEP_INTERVAL
        if self.store.open_actions() or self.clock.next_at is None:
            return next_at
        return next_at + max(0, (self.clock.next_at - next_at) // SWEEP_INTERVAL) * SWEEP_INTERVAL


class WakeUpLine(OneByOne):
    """Implements usher.ports.queues.WakeUps on the virtual clock, with the whole seconds of SQS."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """Deliver after the delay. The table always answers here, so `wait` is left out."""
        del wait
        moment = self._world.clock() + timedelta(seconds=delay_s(delay))
        self._world.wake_at(moment, wake_up_body(action_id, stamp))


class QuestionLine:
    """Implements usher.ports.queues.Questions in the same way."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """Deliver after the delay."""
        moment = self._world.clock() + timedelta(seconds=delay_s(delay))
        self._world.ask_at(moment, question_body(action_id, turn))
