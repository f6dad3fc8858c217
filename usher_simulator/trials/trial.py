"""One seed: a world, what happens in it, what goes wrong in it, and who watches.

Safety is checked all the time. Then the faults are off, nothing new begins, and everything has to
come to its end within a stated time.
"""

from __future__ import annotations

import json
import math
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from usher.core.compiled import compiled
from usher.ports.errors import TryLater, Unavailable
from usher_simulator.autoscaling.engine import Fleet
from usher_simulator.autoscaling.fast_client import ShortWire
from usher_simulator.autoscaling.latencies import CAPTURED, PROMPT
from usher_simulator.autoscaling.service import AutoScalingService
from usher_simulator.autoscaling.simulated_targets import DeliveryFaults, SimulatedOutside
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.written_store import WrittenStore
from usher_simulator.trials import drawn_hooks, faults, scenario
from usher_simulator.trials.audience import Audience
from usher_simulator.trials.checkers import CHECKERS
from usher_simulator.trials.choosers.by_seed import BySeed
from usher_simulator.trials.condition_services import Asked
from usher_simulator.trials.deployed import CALLS_PER_SECOND, TARGETS
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.effects import Effects
from usher_simulator.trials.faults import Fault, Faults, Part, Swarm, Thing
from usher_simulator.trials.faulty_door import ShakyDoor
from usher_simulator.trials.invocations import Invocations
from usher_simulator.trials.judge.left_open import came_too_late
from usher_simulator.trials.judge.scene import Scene
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.operators import People
from usher_simulator.trials.outcome import Outcome
from usher_simulator.trials.releases import Releases
from usher_simulator.trials.scenario import Scenario, Ways
from usher_simulator.trials.stack import Stack
from usher_simulator.trials.stream import Stream
from usher_simulator.trials.surroundings import HeldUp, Surroundings
from usher_simulator.trials.trial_parts import Instances, TrialTelemetry
from usher_simulator.trials.workload import EventBus, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from usher.core.compiled import Compiled
    from usher_simulator.autoscaling.groups import Instance
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind  # noqa: F401 - of a signature
    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.invocations import Invocation
    from usher_simulator.trials.judge.scene import MakeChecker

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
LASTS: Final = timedelta(hours=6)
LONGER: Final = timedelta(hours=18)
SETTLES_IN: Final = timedelta(hours=8)  # three waits of _LONGEST_WAIT one after the other, and slack
_LONGEST_WAIT: Final = timedelta(hours=2)
_SHARE_LONGER: Final = 0.02
_SHARE_OF_TURNS: Final = 0.12  # of the seeds: hooks that let only some actions begin at once
_LOOKED_AFTER: Final = timedelta(minutes=10)  # holds three passes, by which hooks are put and taken back
_LATE_LOG_S: Final = (math.log(1), math.log(600))  # a notification: evenly over the orders of magnitude
_MOST_STEPS: Final = 3_000_000


class Trial:
    """The world of one seed. `tells`: keep a trace of everything. `watched`: by which checkers.

    `hooks`, `swarm` and `surroundings` take the place of what the seed draws, and `things` go on besides.
    """

    deployment: ClassVar[type[Deployment]] = Deployment

    def __init__(
        self,
        seed: int,
        *,
        tells: bool = False,
        watched: Sequence[MakeChecker] = CHECKERS,
        hooks: dict[str, Any] | None = None,
        swarm: Swarm | None = None,
        surroundings: Surroundings | None = None,
        things: Collection[Thing] = (),
    ) -> None:
        self.seed = seed
        self.clock = VirtualClock(START)
        self.audience = Audience(self.clock, tells=tells)
        dice = Dice.of(seed, "scenario")
        self._lasts = LONGER if dice.chance(_SHARE_LONGER) else LASTS
        self.surroundings = surroundings or Surroundings.draw(Dice.of(seed, "surroundings"))
        swarm = swarm or self._draw_swarm()
        self.faults = Faults(faults.with_things(swarm, things), self._chooser(Dice.of(seed, "faults")))
        self.audience.tell("swarm", self.faults.swarm)
        self.effects = self._make_effects(Dice.of(seed, "steps"))
        answers = Dice.of(seed, "answers")
        self.asked = Asked(self.effects, answers, self._chooser(answers), self.audience.tell)
        self.held_up = HeldUp(Dice.of(seed, "held up"))
        self.audience.tell("surroundings", self.surroundings)
        self.fleet = self._make_fleet(dice)
        self.asked.launched = lambda: [one.id for one in self._instances()]
        self.telemetry = TrialTelemetry(self)
        hooks = self._draw_hooks(dice, hooks)
        self.audience.tell("hooks", json.dumps(hooks))
        self.usher = self._make_usher(hooks)
        self.scene = Scene(
            clock=self.clock,
            waits=self.fleet.waits,
            memory=self.usher.memory,
            faults=self.faults,
            sweeps=self.usher.sweeps,
            dead_letters=self.usher.inbox_dead_letters,
            wake_dead_letters=self.usher.wake_dead_letters,
            asked=self.asked,
            groups=self.fleet.groups,
            is_enrolled=Thing.ENROLLED in self.faults.swarm.things,
        )
        self.stream = Stream(self.clock, Dice.of(seed, "stream"), self.faults, self.telemetry)
        self.scene.calls_per_second = self.surroundings.calls_per_second or CALLS_PER_SECOND
        self.scene.drains_for = self.surroundings.drains_for or timedelta(0)
        self.scene.announced = self.stream.told if self.surroundings.announces else None
        self.stack = Stack(
            self.usher, self.clock, Dice.of(seed, "stack"), self.scene, self.surroundings.update_takes
        )
        self.scene.goes = lambda: self.stack.goes
        self.scene.is_settled = lambda: self.stack.is_settled
        self.people = People(self.usher, self.clock, Dice.of(seed, "people"), self.scene, self.audience)
        self.releases = Releases(self.usher, self.clock, Dice.of(seed, "releases"), self.scene, self.service)
        self.scene.deployed.append(InForce(since=self.clock(), file=hooks))
        self.audience.checkers = [make(self.scene) for make in watched]
        self.audience.stream = self.stream if self.surroundings.announces else None
        self.scenario = self._make_scenario(hooks, dice)

    def _chooser(self, dice: Dice) -> Chooser:
        """Who makes the choices for which there are these dice. A subclass has somebody else choose."""
        return BySeed(dice)

    def _make_effects(self, dice: Dice) -> Effects:
        return Effects(self.clock, Invocations(self.clock, self._cut), self.faults, self._chooser(dice))

    def _draw_swarm(self) -> Swarm:
        seed, lasts = self.seed, self._lasts
        swarm = faults.draw(Dice.of(seed, "swarm"), START, lasts)
        swarm = faults.with_outage(swarm, Dice.of(seed, "outages"), START, lasts)
        swarm = faults.with_long_outage(swarm, Dice.of(seed, "long outages"), START, lasts)
        swarm = faults.with_things(swarm, [Thing.LASTING] if self.surroundings.lasts else [])
        return faults.with_lies(swarm, Dice.of(seed, "lies")) if self.surroundings.doubts else swarm

    def _draw_hooks(self, dice: Dice, hooks: dict[str, Any] | None) -> dict[str, Any]:
        drawn = hooks or drawn_hooks.draw_hooks(dice)
        if Thing.ENROLLED in self.faults.swarm.things:
            drawn = drawn_hooks.selecting(dice, drawn)
        if hooks is None and self.surroundings.doubts:
            drawn = drawn_hooks.asking(Dice.of(self.seed, "questions"), drawn)
        if hooks is None and self.surroundings.talks:
            drawn = drawn_hooks.saying(Dice.of(self.seed, "words"), drawn)
        turns = Dice.of(self.seed, "one after the other")
        if hooks is None and turns.chance(_SHARE_OF_TURNS):
            drawn = drawn_hooks.taking_turns(turns, drawn)
        if hooks is None and Thing.LASTING in self.faults.swarm.things:
            drawn = drawn_hooks.lasting(Dice.of(self.seed, "lasting"), drawn)
        return drawn

    # -- the world ----------------------------------------------------------------------------

    def _make_fleet(self, dice: Dice) -> Fleet:
        ids = Dice.of(self.seed, "ids")
        rates, things = self.faults.swarm.rates, self.faults.swarm.things
        self._outside = SimulatedOutside(
            clock=self.clock,
            random=Dice.of(self.seed, "outside"),
            bus=self._deliver_from_bus,
            faults=DeliveryFaults(
                lost=rates.get(
                    Fault.NOTICE_LOST, self.surroundings.loses if Thing.RECONCILED in things else 0.0
                ),
                doubled=rates.get(Fault.NOTICE_DOUBLED, 0.0),
            ),
        )
        self._outside.targets |= {
            TARGETS["sqs"]: self._deliver,
            TARGETS["sns"]: self._deliver,
            TARGETS["lambda"]: self._invoke,
        }
        return Fleet(
            clock=self.clock,
            outside=self._outside,
            latencies=self.surroundings.latencies(dice.choice((PROMPT, CAPTURED))),
            new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4)),
            new_instance_id=lambda: f"i-0{ids.getrandbits(64):016x}",
            began=self._wait_began,
            ended=self._wait_ended,
        )

    def _make_usher(self, hooks: dict[str, Any]) -> Deployment:
        self.service = AutoScalingService(self.fleet)
        wire = _wire()
        wire.answer = self._make_door()
        usher = self.deployment(
            self._compiled(hooks),
            self.effects,
            wire.client,
            self.telemetry,
            self.audience,
            calls=self.asked,
            instances=Instances(self),
            calls_per_second=self.surroundings.calls_per_second or CALLS_PER_SECOND,
            store=WrittenStore if self.surroundings.is_written else MemoryStore,
            is_applied=self.surroundings.is_applied and Thing.ENROLLED in self.faults.swarm.things,
        )
        usher.on_acknowledged = self.audience.acknowledged
        return usher

    def _make_door(self) -> Callable[[Request], Mapping[str, Any]]:
        return ShakyDoor(self.effects, self.service, self.audience, self._action_of)

    def _compiled(self, hooks: dict[str, Any]) -> Compiled:
        return compiled(hooks)

    def _make_scenario(self, hooks: dict[str, Any], dice: Dice) -> Scenario:
        bus = EventBus(clock=self.clock, outside=self._outside)
        words = Dice.of(self.seed, "said") if self.surroundings.talks else None
        workload = Workload(random=dice, clock=self.clock, bus=bus, scene=self.scene, words=words)
        self.asked.command_ended = workload.command_ended
        return Scenario(
            hooks,
            random=dice,
            clock=self.clock,
            fleet=self.fleet,
            service=self.service,
            faults=self.faults,
            scene=self.scene,
            ways=Ways(
                stack=self.stack,
                deploy=self.usher.deploy,
                to_inbox=self.usher.inbox.send,
                bus=bus,
                hold_up_around=self.held_up.around,
            ),
            workload=workload,
            surroundings=self.surroundings,
            lasts=self._lasts,
        )

    def _action_of(self, parameters: Mapping[str, Any]) -> str | None:
        action = self.scene.action_of(parameters)
        return action.id if action else None

    def _deliver(self, body: str) -> None:
        """To the inbox, now or late."""
        at = self.held_up.until(self.clock())
        if at is None and self.faults.hits(Fault.NOTICE_LATE):
            at = self.clock() + timedelta(seconds=math.exp(self.effects.chooser.number(*_LATE_LOG_S)))
        if at is None:
            self.usher.inbox.send(body)
        else:
            self.clock.at(at, lambda: self.usher.inbox.send(body))

    def _deliver_from_bus(self, event: Mapping[str, object]) -> None:
        """EventBridge delivers what it has, once it is back."""
        body, back_at = json.dumps(event), self.faults.up_again_at(Part.BUS, self.clock())
        if back_at is None:
            self._deliver(body)
        else:
            self.clock.at(back_at, lambda: self._deliver(body))

    def _invoke(self, body: str) -> None:
        self.usher.invoke_intake(body)

    # -- the run ------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Until something is violated, or all is over."""
        self.scenario.begin()
        self.people.begin(self.faults.swarm.things)
        if Thing.OPERATED in self.faults.swarm.things:
            self.releases.begin()
        self._will_restore()
        self._run_until(START + self._lasts)
        longest = START + 12 * self._lasts
        while self._lacks_actions and self.clock() < longest:
            self._run_until(self.clock() + timedelta(hours=1))
        self._settle()
        if not self.scene.violations:
            self.audience.finished()
        return self._outcome()

    def _will_restore(self) -> None:
        """Somebody puts a backup of the table in its place, and loses what came after it."""
        if self.surroundings.restores_at is None:
            return
        at = START + self._lasts * self.surroundings.restores_at
        lost_since = max(START, at - self.surroundings.restores)

        def restore(backup: Mapping[str, object]) -> None:
            if self.stack.goes:
                return  # and its table with it
            self.audience.tell("table", "restored to", lost_since)
            self.usher.memory.restore(backup)
            self.scene.restored()

        def back_up() -> None:
            backup = self.usher.memory.backup()
            self.clock.at(at, lambda: restore(backup))

        self.clock.at(lost_since, back_up)

    @property
    def _lacks_actions(self) -> bool:
        has_few = self.scenario.actions < scenario.LEAST_ACTIONS
        return has_few and not self.scene.violations and not self.stack.goes

    def _run_until(self, moment: datetime) -> None:
        steps = 0
        while not self.scene.violations and (self.clock.next_at or moment) < moment:
            self.clock.step()
            steps += 1
            if steps > _MOST_STEPS:
                self.scene.report("convergence", f"{steps} steps without an end")

    def _settle(self) -> None:
        """Faults off, and no new things: all must be quiet within the stated time."""
        self.faults.on = False
        self._outside.faults = DeliveryFaults()
        self.people.end()
        self.releases.end()
        self.scenario.end()
        self.audience.tell("faults are off")
        in_turn = Counter(
            one.hook.name for one in self.usher.memory.actions() if one.is_open and one.awaits_turn
        )
        settles_in = SETTLES_IN + max(0, max(in_turn.values(), default=0) - 2) * _LONGEST_WAIT
        until = self.clock() + settles_in
        was_quiet = not self.scene.is_enrolled  # a hook goes some passes after the last wait in it
        while self.clock() < until and not self.scene.violations:
            self._run_until(self.clock() + _LOOKED_AFTER)
            is_told = self.stream.is_empty or self.stack.goes
            is_settled = self.stack.is_settled and self.clock() >= (self.scene.tagged_again_at or START)
            is_over = self.usher.is_quiet or self._is_left_alone()
            is_quiet = is_over and is_told and not self._has_waits() and is_settled
            if is_quiet and was_quiet:
                return
            was_quiet = was_quiet or is_quiet
        if not self.scene.violations:
            self._report_unrest(settles_in)

    def _is_left_alone(self) -> bool:
        """Whether nobody is left to close what is open."""
        usher, opened_at = self.usher, self.audience.opened_at
        is_gone = usher.is_removed and usher.is_idle
        return is_gone and came_too_late(usher.memory.actions(), opened_at, self.fleet.waits)

    def _instances(self) -> list[Instance]:
        return [one for group in self.fleet.groups.values() for one in group.instances.values()]

    def _has_waits(self) -> bool:
        return any(one.state.endswith((":Wait", ":Proceed", "Terminating")) for one in self._instances())

    def _report_unrest(self, settles_in: timedelta) -> None:
        usher = self.usher
        still = [f"{usher.memory.open_actions()} actions open", f"{len(usher.inbox)} messages in the inbox"]
        still += [f"{len(usher.wake_ups)} wake-ups", f"{self._has_waits()} that instances wait"]
        self.scene.report("convergence", f"after {settles_in} without faults: {', '.join(still)}")

    def _outcome(self) -> Outcome:
        actions = self.usher.memory.actions()
        waits = [wait for wait in (self.fleet.waits.of_token(one.token or "") for one in actions) if wait]
        hours = (
            sum(((wait.ended_at or self.clock()) - wait.started_at).total_seconds() for wait in waits) / 3600
        )
        kinds: dict[str, int] = {}
        for wait in waits:
            kind = f"{wait.transition} {int(wait.heartbeat_timeout.total_seconds())} s"
            kinds[kind] = kinds.get(kind, 0) + 1
        return Outcome(
            seed=self.seed,
            swarm=str(self.faults.swarm),
            violations=self.scene.violations,
            trace=self.audience.trace,
            evaluations=self.audience.evaluations,
            decisions=self.telemetry.decisions.total(),
            actions=self.scenario.actions,
            action_hours=hours,
            faults=self.faults.count,
            hooks=kinds,
            happened=frozenset(self.scene.happened),
        )

    # -- what everyone is told -------------------------------------------------------------------

    def _cut(self, invocation: Invocation, how: str) -> None:
        """A function was cut off: that touches all that it was busy with."""
        self.audience.tell("cut", invocation, how)
        invocation.faults += 1
        for who in (invocation.function, *sorted(invocation.actions)):
            self.faults.met(Fault.CUT, self.clock(), who)

    def _wait_began(self, wait: Wait) -> None:
        self.audience.wait_began(wait)
        self.scenario.wait_began(wait)

    def _wait_ended(self, wait: Wait) -> None:
        self.audience.wait_ended(wait)
        self.scenario.wait_ended(wait)

    def trouble(self, what: str, error: Exception) -> None:
        """Something failed in production code: a fault, or a bug."""
        self.audience.tell("trouble", what, type(error).__name__, error)
        if not isinstance(error, (Unavailable, TryLater)):
            self.scene.report("no bug", f"{what}: {type(error).__name__}: {error}")


@cache
def _wire() -> ShortWire:
    """One for all trials of a process: they run one after the other."""
    return ShortWire()
