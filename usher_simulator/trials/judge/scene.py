"""What a checker may look at, and how it reports that a promise was broken."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from usher_simulator.trials.deployed import CALLS_PER_SECOND
from usher_simulator.trials.effects import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.announce import Announcement
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lifecycle_actions import Wait, Waits
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.fakes.memory_store import MemoryStore
    from usher_simulator.trials.condition_services import Asked
    from usher_simulator.trials.deployment import SweepRun
    from usher_simulator.trials.faults import Faults
    from usher_simulator.trials.judge.terms import InForce, Terms
    from usher_simulator.trials.policy_model import Said, Written
    from usher_simulator.trials.queue import SimulatedQueue

_FACTS_TAKE: Final = timedelta(minutes=4)  # the time for the question, and for the choice after it
STAMPS: Final = 1 << 32  # the version stands in the lower bits of a stamp, and its evaluation in those above
HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
COMPLETE: Final = "CompleteLifecycleAction"
PUT_HOOK: Final = "PutLifecycleHook"
DELETE_HOOK: Final = "DeleteLifecycleHook"
_WITHOUT_MEMORY: Final = "58"  # the promises that hold whatever words and signals a restored table lost
_TIMELINE: Final = "7"
_DEPLOYING: Final = timedelta(seconds=60)  # so long an invocation goes on under the old configuration


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A promise that was broken."""

    promise: str
    at: datetime
    text: str
    action_id: str | None = None

    def __str__(self) -> str:
        """As a run reports it."""
        of_action = f" ({self.action_id})" if self.action_id else ""
        return f"{self.promise}{of_action}: {self.text}"


@dataclass(kw_only=True)
class Words:
    """What operators ordered of one action, as far as it is stored."""

    is_held: bool = False
    held_until: datetime | None = None  # when a hold ended
    extended_to: datetime | None = None
    operator_result_by: str | None = None
    ordered_at: datetime | None = None


@dataclass(kw_only=True)
class Paused:
    """A pause of one hook, or of all of them (`*`)."""

    hook: str
    since: datetime
    until: datetime | None = None


@dataclass(kw_only=True)
class Scene:
    """Everything that the checkers may look at."""

    clock: VirtualClock
    waits: Waits
    memory: MemoryStore
    faults: Faults
    sweeps: Sequence[SweepRun]
    dead_letters: SimulatedQueue
    wake_dead_letters: SimulatedQueue
    asked: Asked
    garbage: set[str] = field(default_factory=set)  # bodies that say nothing
    deployed: list[InForce] = field(default_factory=list)
    sent: dict[str, Said] = field(default_factory=dict)  # signals, by the id of their event
    ended_in_ec2: set[str] = field(default_factory=set)  # instances
    changed_by_others: set[tuple[str, str]] = field(default_factory=set)  # hooks, by group and name
    stopped: set[str] = field(default_factory=set)  # instances, by EC2
    tags: defaultdict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))  # ever
    untagged: dict[str, datetime] = field(default_factory=dict)  # groups that lost their tag, and when first
    tagged_again_at: datetime | None = None  # when the last of these has its tag back
    words: defaultdict[str, Words] = field(default_factory=lambda: defaultdict(Words))  # by action id
    released: dict[str, datetime] = field(default_factory=dict)  # retained instances, and when it was ordered
    paused: list[Paused] = field(default_factory=list)
    happened: set[str] = field(default_factory=set)  # of what a seed may draw, in words
    groups: Mapping[str, Group] = field(default_factory=dict)  # of simulated Auto Scaling
    is_enrolled: bool = False  # whether Usher puts the hooks
    goes: Callable[[], bool] = lambda: False  # whether the stack is being deleted, or gone
    is_settled: Callable[[], bool] = lambda: True  # no change of files or hooks is under way
    announced: Sequence[Announcement] | None = None  # on the event bus; None: events out are off
    calls_per_second: float = CALLS_PER_SECOND  # of Usher to Auto Scaling, at most
    drains_for: timedelta = timedelta(0)  # load balancers, before the hooks of a termination begin
    restored_at: datetime | None = None  # what was stored in the time before it may be lost
    violations: list[Violation] = field(default_factory=list)

    def report(self, promise: str, text: str, action_id: str | None = None) -> None:
        """A promise was broken; what a restore of the table took away may be missed."""
        if (
            action_id is not None
            and promise[0] not in _WITHOUT_MEMORY
            and self._is_forgotten(action_id, promise)
        ):
            return
        self.violations.append(Violation(promise=promise, at=self.clock(), text=text, action_id=action_id))

    def restored(self) -> None:
        """The table is as it was some time ago: what was paused then is paused again, and nothing else."""
        self.restored_at = self.clock()
        for each in self.paused:
            each.until = each.until or self.clock()
        self.paused += [Paused(hook=hook, since=self.clock()) for hook in self.memory.pauses()]
        self.happened.add("table restored")

    def _is_forgotten(self, action_id: str, promise: str) -> bool:
        """Whether something may have been stored of its instance's waits that was lost.

        Of a forged notice no wait shows whether it came before, too: its timeline may lack that.
        """
        action = self.memory.load(action_id)
        if self.restored_at is None or action is None:
            return self.restored_at is not None
        own = self.waits.of_token(action.token) if action.token else None
        waits = [own] if own else self.waits.of_instance(action.instance_id)
        if not waits:
            return promise.startswith(_TIMELINE)
        return any(one.started_at < self.restored_at for one in waits)

    def action_of(self, parameters: Mapping[str, Any]) -> Action | None:
        """The record that a call is about: of its token, or the newest of its instance and hook."""
        token = parameters.get("LifecycleActionToken")
        if token is not None:
            return self.memory.of_token(token)
        hook = (parameters.get("AutoScalingGroupName"), parameters.get("LifecycleHookName"))
        of_instance = self.memory.of_instance(parameters.get("InstanceId", ""))
        return next(
            (one for one in reversed(list(of_instance)) if (one.hook.group, one.hook.name) == hook), None
        )

    def launch_failed(self, wait: Wait) -> bool:
        """Whether the instance of a termination never came into service: its launch was abandoned.

        Or the replacement of its root volume: what the cause says then is not documented (aws-facts 8).
        """
        before = [one for one in self.waits.of_instance(wait.instance_id) if _leads_into_service(one)]
        return wait.transition == "terminating" and any(one.result == "ABANDON" for one in before)

    def policies(self, action: Action, wait: Wait, terms: Terms) -> list[Written]:
        """The policies under which an action may be."""
        known = not self._facts_may_lack(action)
        return terms.policies(wait, launch_failed=self.launch_failed(wait), facts_known=known)

    def _facts_may_lack(self, action: Action) -> bool:
        """Whether something may have kept Usher from hearing in time what EC2 tells of the instance."""
        since = action.first_seen_at
        met = self.faults.between(action.id, since, since + _FACTS_TAKE)
        is_paused = self.was_paused(action.hook.name, since)
        return self.asked.is_faulty or bool(self.faults.swarm.downs or met) or is_paused or self.goes()

    def was_paused(self, hook: str, since: datetime) -> bool:
        """Whether a hook was paused at any time since then."""
        return any(
            each.hook in (hook, "*") and (each.until is None or each.until >= since) for each in self.paused
        )

    def in_force(self, since: datetime | None = None) -> list[InForce]:
        """The configurations that may be in force just now, or at any time `since` then: at a deploy two."""
        until = (since or self.clock()) - _DEPLOYING
        last = max((one.since for one in self.deployed if one.since <= until), default=None)
        return [one for one in self.deployed if last is None or one.since >= last]


def _leads_into_service(wait: Wait) -> bool:
    return wait.transition == "launching" or wait.destination == "AutoScalingGroup"


MakeChecker: TypeAlias = "Callable[[Scene], Checker]"


class Checker(Watch):
    """Is told everything, and does nothing with it: each checker listens to what it needs."""

    promise = ""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def broken(self, text: str, action: Action | None = None) -> None:
        """Report that the promise was broken."""
        self.scene.report(self.promise, text, action.id if action else None)

    def wait_ended(self, wait: Wait) -> None:
        """Simulated Auto Scaling ended a lifecycle action, whoever asked for it."""

    def acknowledged(self, body: str) -> None:
        """A message was taken from the inbox for good."""

    def finished(self) -> None:
        """The run is over, and everything has had its time."""
