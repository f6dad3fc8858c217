"""A small world: its hooks file, what happens in it, and which faults may hit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

from usher.core.compiled import compiled
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults
from usher_simulator.trials.calm import Calm
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.dice import Fixed
from usher_simulator.trials.effects import Takes
from usher_simulator.trials.faults import Fault, Swarm, Thing
from usher_simulator.trials.small.abreast import Abreast, ToldEffects
from usher_simulator.trials.small.people import Ordered
from usher_simulator.trials.surroundings import Surroundings
from usher_simulator.trials.trial import START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.compiled import Compiled
    from usher.ports.records import ReconcileStore
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.deployed import Deployed
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.effects import Effects
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.queue import Batch, Ended

# What may go wrong at a step, and with a message. A clock that is off, an index that lags and an answer to a
# question that is odd change what is seen, not the order.
OF_STEPS: Final = (
    Fault.CUT,
    Fault.STORE_BUSY,
    Fault.STORE_ANSWER_LOST,
    Fault.QUEUE_BUSY,
    Fault.QUEUE_ANSWER_LOST,
    Fault.UNREACHED,
    Fault.CONTENDED,
    Fault.SERVER_ERROR,
    Fault.ANSWER_LOST,
    Fault.SLOW,
)
OF_MESSAGES: Final = (
    Fault.NOTICE_LOST,
    Fault.NOTICE_DOUBLED,
    Fault.NOTICE_LATE,
    Fault.WAKE_UP_LOST,
    Fault.WAKE_UP_DOUBLED,
    Fault.WAKE_UP_LATE,
    Fault.TWICE,
    Fault.SWEEP_MISSED,
)
_SETTLES_IN: Final = timedelta(minutes=30)  # a message comes again after six minutes


@dataclass(frozen=True, kw_only=True)
class World:
    """What is the same in each of its schedules. `script` says at which moments something happens.

    `most_faults`: so many hit in a schedule, of these `faults`, at steps from `faults_from` on. `has_bus`:
    whether events come by EventBridge, too. `comes_twice`: whether each notice invokes intake, too.
    `answers`: the conditions that AWS is asked about, which hold. `is_quick`: `make test` runs all of it.
    `every_fault`: also those of which one stands for another (steps.py beside this).
    """

    name: str
    about: str
    hooks: Mapping[str, Any]
    script: Callable[[SmallTrial], None]
    lasts: timedelta
    faults: Sequence[Fault] = (*OF_STEPS, *OF_MESSAGES)
    most_faults: int = 1
    faults_from: timedelta = timedelta(0)
    has_bus: bool = False
    is_quick: bool = False
    comes_twice: bool = False
    answers: Sequence[str] = ()
    things: frozenset[Thing] = field(default_factory=frozenset)
    is_applied: bool = False
    every_fault: bool = False


class SmallDeployment(Deployment):
    """Names what it makes by the invocation that makes it, whatever the order of the steps."""

    cold_start = timedelta(0)
    sweeps_run = True

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - as Deployment
        self._made: dict[int, int] = {}
        self._is_second = False  # the batch that it is given runs already: that one acknowledges it
        super().__init__(*given, **named)

    def _invoke(self, *given: Any, **named: Any) -> Invocation:  # noqa: ANN401 - as Deployment
        batch: Batch | None = next((each for each in given[3:] if each), named.get("batch"))
        invocation = super()._invoke(*given, **named)
        messages = batch.messages if batch else ()
        abreast = cast("Abreast", self.effects.invocations)
        abreast.given[invocation.number] = repr(sorted((each.body, each.receives) for each in messages))
        if self._is_second:
            abreast.seconds.add(invocation.number)
        return invocation

    def _run_batch(self, settings: Deployed, batch: Batch, container: int, ended: Ended) -> None:
        self._is_second = container < 0
        super()._run_batch(settings, batch, container, ended)
        self._is_second = False

    def _run_sweep(self) -> None:
        if self.sweeps_run:
            super()._run_sweep()

    @property
    def store(self) -> ReconcileStore:
        """As the functions reach it."""
        return self._store

    def next_id(self) -> str:
        """As the functions make them."""
        return self._new_id()

    def _new_id(self) -> str:
        by = self.effects.invocation
        number = by.number if by else 0
        self._made[number] = self._made.get(number, 0) + 1
        return f"id-{by or 'user'}-{self._made[number]}"


class SmallTrial(Calm):
    """One schedule of a small world."""

    deployment = SmallDeployment
    usher: SmallDeployment

    def __init__(self, world: World, chooser: Chooser, *, tells: bool = False) -> None:
        self.world = world
        self.chooser = chooser
        self._held_until = START
        self.notices: list[str] = []  # what came to the inbox, as Auto Scaling sent it
        swarm = Swarm(rates=dict.fromkeys(world.faults, 1.0), things=world.things)
        super().__init__(
            dict(world.hooks),
            swarm=swarm,
            surroundings=Surroundings(is_applied=world.is_applied),
            tells=tells,
        )
        self.abreast.every_fault = world.every_fault
        self.abreast.stored = self.usher.memory.load
        self.abreast.are_closed = lambda: not self.usher.memory.open_actions()
        self.abreast.are_over = lambda: (
            not any(wait.is_open for waits in self.waits.values() for wait in waits)
        )
        self.audience.checkers.insert(0, Ordered(self.scene))
        world.script(self)

    # -- what a world has of its own

    def _chooser(self, dice: Dice) -> Chooser:  # noqa: ARG002 - one for all
        return self.chooser

    def _make_effects(self, dice: Dice) -> Effects:  # noqa: ARG002 - as above
        self.abreast = Abreast(self.clock, self._cut, self.chooser, self.faults)
        takes = Takes(step_s=(0.0, 0.0), call_s=(0.0, 0.0))
        return ToldEffects(self.clock, self.abreast, self.faults, self.chooser, takes)

    def _draw_hooks(self, dice: Dice, hooks: dict[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002 - none drawn
        return hooks or {}

    def _make_fleet(self, dice: Dice) -> Any:  # noqa: ANN401 - as Trial
        fleet = super()._make_fleet(dice)
        fleet.latencies = PROMPT
        self._outside.random = Fixed(0.0)
        self._outside.faults = DeliveryFaults()
        return fleet

    def _compiled(self, hooks: dict[str, Any]) -> Compiled:
        return _compiled(json.dumps(hooks))

    def _make_door(self) -> Callable[[Request], Mapping[str, Any]]:
        door = super()._make_door()

        def told(request: Request) -> Mapping[str, Any]:
            try:
                answer = door(request)
            except Exception as error:
                self.abreast.is_told(error)
                raise
            self.abreast.is_told(answer)
            return answer

        return told

    def _wait_began(self, wait: Wait) -> None:
        super()._wait_began(wait)
        self.asked.begins(wait, self.world.answers, timedelta(0))

    def _deliver_from_bus(self, event: Mapping[str, object]) -> None:
        if self.world.has_bus:  # the events have a queue of their own, so it is another invocation
            at = max(self.clock(), self._held_until)
            self.clock.at(at, partial(self.usher.invoke_intake, json.dumps(event)))

    def _deliver(self, body: str) -> None:
        self.notices.append(body)
        held = self._held_until - self.clock()
        if held > timedelta(0) and '"LifecycleTransition"' in body:
            self.clock.at(self._held_until, lambda: self.usher.inbox.send(body))
            return
        if self.faults.hits(Fault.NOTICE_LOST):
            self.faults.met(Fault.NOTICE_LOST, self.clock())
            return
        if self.faults.hits(Fault.NOTICE_DOUBLED):
            super()._deliver(body)
        super()._deliver(body)
        if self.world.comes_twice:
            self.usher.invoke_intake(body)

    # -- what a script says

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something so long after the start."""
        self.clock.at(START + timedelta(seconds=seconds), do)

    def again(self) -> None:
        """The first notice comes once more, by another way."""
        self.usher.inbox.send(next(body for body in self.notices if '"LifecycleTransition"' in body))

    def held_up_until(self, seconds: float) -> None:
        """Every notice comes so long after the start, at the earliest."""
        self._held_until = START + timedelta(seconds=seconds)

    def no_sweeps(self, until: float | None = None) -> None:
        """The schedule is off, for good or until so long after the start."""
        self.usher.sweeps_run = False
        if until is not None:
            self.at(until, lambda: setattr(self.usher, "sweeps_run", True))

    def wake_again(self) -> None:
        """The next wake-up comes twice, and now."""
        first = min(self.usher.wake_ups.messages, key=lambda each: each.visible_at, default=None)
        if first is not None:
            self.usher.wake_ups.send(first.body)

    def ask_again(self) -> None:
        """Every message for questions comes once more, and now."""
        for message in self.usher.questions.messages:
            self.usher.questions.send(message.body)

    def says(self, name: str, status: str = "done") -> None:
        """What runs on the first instance sends a signal, which comes by an invocation of its own."""
        waits = [wait for waits in self.waits.values() for wait in waits]
        if waits:
            self.usher.invoke_intake(self._signalled(waits[0].instance_id, name, status))

    # -- the run

    @property
    def is_over(self) -> bool:
        """Whether nothing is open, under way or waiting."""
        return self.usher.is_quiet and not self._has_waits() and self.stack.is_settled

    def advance(self) -> bool:
        """A step: a line's, where one can go on, else what is next by the clock. False: that is all."""
        if self.scene.violations:
            return False
        self.faults.on = self.clock() - START >= self.world.faults_from and not self.is_over
        if self.clock.next_at is None or self.clock.next_at > self.clock():
            ready = self.abreast.ready()
            if ready:
                self.abreast.advance(ready)
                return True
            now = self.clock() - START
            if (self.is_over and now >= self.world.lasts) or now > self.world.lasts + _SETTLES_IN:
                self._finish()
                return False
        self.clock.step()
        return True

    def _finish(self) -> None:
        if self.is_over:
            self.audience.finished()
        else:
            self._report_unrest(_SETTLES_IN)


@cache
def _compiled(hooks: str) -> Compiled:
    """One for all schedules of a world."""
    return compiled(json.loads(hooks))
