"""The world of a storm: a group whose instances begin to wait, and Auto Scaling that takes so many calls."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from benchmarks import storm_plan
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.engine import Fleet
from usher_simulator.autoscaling.groups import Group, Hook, Instance
from usher_simulator.autoscaling.latencies import Latencies
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.service import AutoScalingService
from usher_simulator.autoscaling.simulated_targets import SimulatedOutside
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.trials.choosers.by_seed import BySeed
from usher_simulator.trials.deployed import TARGETS
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.effects import Effects, Takes, Watch
from usher_simulator.trials.faults import Faults, Swarm, Thing
from usher_simulator.trials.faulty_door import ShakyDoor
from usher_simulator.trials.invocations import Invocations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from benchmarks.storm_plan import Held, Storm
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import Request
    from usher_simulator.trials.effects import Call as MadeCall
    from usher_simulator.trials.faults import Down

Door: TypeAlias = "Callable[[Request], Mapping[str, Any]]"

_TAKES: Final = Takes(step_s=(0.005, 0.005), call_s=(0.125, 0.125), no_answer_s=3.0)
_AT_ONCE: Final = timedelta(0)
_NEVER: Final = timedelta(days=7)  # nobody fills the gaps
_LATENCIES: Final = Latencies(
    notice=_NEVER,
    to_wait=dict.fromkeys(moves.KINDS, _AT_ONCE),
    to_end=dict.fromkeys(moves.KINDS, _AT_ONCE),
    after_abandon=_AT_ONCE,
    replace=_NEVER,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call on a lifecycle action that was accepted."""

    at: datetime
    operation: str
    token: str
    expires_at: datetime  # just before it


class StormWorld(Watch):
    """Begins the waits of a storm, and counts what comes of them. `downs`: what is not there for a while."""

    things: ClassVar[frozenset[Thing]] = frozenset()  # what else goes on
    takes: ClassVar[Takes] = _TAKES

    def __init__(self, storm: Storm, downs: Sequence[Down] = ()) -> None:
        self.storm = storm
        self.clock = VirtualClock(storm_plan.START)
        self.random = Dice.of(storm.seed, "storm")
        self.calls = 0
        self.throttled = 0
        self.accepted: list[Call] = []
        self.waits: dict[str, Wait] = {}  # by instance
        self.defaulted: list[str] = []  # the tokens of the actions that no call ended
        swarm = Swarm(downs=downs, calls_per_second=storm.rate, things=self.things)
        chooser = BySeed(self.random)
        faults = Faults(swarm, chooser)
        self.invocations = self._make_invocations()
        self.effects = Effects(self.clock, self.invocations, faults, chooser, self.takes)
        self.fleet = self._make_fleet()
        self._service = AutoScalingService(self.fleet)
        self.door = self._door_before(ShakyDoor(self.effects, self._answered, self, lambda _: None))
        for held in storm.instances:
            self.clock.at(held.started_at, lambda held=held: self.begins(held))  # type: ignore[misc]

    def _make_invocations(self) -> Invocations:
        return Invocations(self.clock, lambda *_: None)

    def _door_before(self, door: Door) -> Door:
        """What callers come to first."""
        return door

    def _make_fleet(self) -> Fleet:
        ids = Dice.of(self.storm.seed, "ids")
        fleet = Fleet(
            clock=self.clock,
            outside=SimulatedOutside(
                clock=self.clock,
                random=self.random,
                bus=lambda event: self.delivered(json.dumps(event)),
                targets={TARGETS["sqs"]: self.delivered},
            ),
            latencies=_LATENCIES,
            new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4)),
            new_instance_id=lambda: "",  # nothing is launched
            began=self._began,
            ended=self._ended,
        )
        size = self.storm.held
        group = Group(
            name=storm_plan.GROUP,
            arn=f"arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:0:{storm_plan.GROUP}",
            created_at=storm_plan.START,
            min_size=0,
            max_size=size,
            desired=size,
            settings={},
        )
        group.hooks[storm_plan.HOOK] = Hook(
            name=storm_plan.HOOK,
            transition="terminating",
            heartbeat_timeout=self.storm.heartbeat_timeout,
            target_arn=TARGETS["sqs"],
        )
        for held in self.storm.instances:
            group.instances[held.instance_id] = Instance(
                id=held.instance_id,
                group=group.name,
                zone="us-east-1a",
                subnet="subnet-1",
                states=[(storm_plan.START, "InService")],
            )
        fleet.groups[group.name] = group
        return fleet

    def begins(self, held: Held) -> None:
        """An instance is terminated, and waits."""
        instance = self.fleet.groups[storm_plan.GROUP].instances[held.instance_id]
        self.fleet.begin(instance, moves.TERMINATE, "the storm")

    def delivered(self, body: str) -> None:
        """A notification, or an event, is there."""

    def _began(self, wait: Wait) -> None:
        self.waits[wait.instance_id] = wait

    def _ended(self, wait: Wait) -> None:
        if wait.ended_by is not EndedBy.CALL:
            self.defaulted.append(wait.token)

    def _answered(self, request: Request) -> Mapping[str, Any]:
        named = request.parameters
        wait = self.fleet.waits.of_token(named.get("LifecycleActionToken", ""))
        wait = wait or self.waits.get(named.get("InstanceId", ""))
        before = wait.expires_at if wait is not None else None
        answer = self._service(request)
        if wait is not None and before is not None:
            self.accepted.append(
                Call(at=self.clock(), operation=request.operation, token=wait.token, expires_at=before)
            )
        return answer

    def called(self, call: MadeCall) -> None:
        """See Watch."""
        self.calls += 1
        self.throttled += call.refusal is not None and call.refusal.code == "Throttling"

    @property
    def beats(self) -> list[Call]:
        """The heartbeats that were accepted."""
        return [call for call in self.accepted if call.operation == "RecordLifecycleActionHeartbeat"]
