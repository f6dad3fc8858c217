"""What happens in one seed: groups under a drawn hooks file, and what is done to both.

A scenario knows what it does and nothing of what should come of it: the checkers judge that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher.core.compiled import compiled
from usher.core.field import ConfigurationRefused
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.trials.broken_hooks import broken
from usher_simulator.trials.condition_truths import kinds_in
from usher_simulator.trials.deployed import ROLE, TARGETS
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.drawn_hooks import TAG, changed, changes, groups_of
from usher_simulator.trials.faults import Fault, Thing
from usher_simulator.trials.happenings import Happenings, tag_of
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.policy_model import seconds
from usher_simulator.trials.workload import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.compiled import Compiled
    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.service import AutoScalingService
    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.faults import Faults
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.policy_model import Written
    from usher_simulator.trials.stack import Stack
    from usher_simulator.trials.surroundings import Surroundings
    from usher_simulator.trials.workload import EventBus, Workload

    Data = dict[str, Any]

FOREIGN: Final = "others-1"
_TRANSITIONS: Final = {
    "launching": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "terminating": "autoscaling:EC2_INSTANCE_TERMINATING",
}
LEAST_ACTIONS: Final = 20
_MOST_ACTIONS: Final = 40  # about: what has begun goes on, with its replacements and terminations
_MOST_INSTANCES: Final = 4
_BROKEN_FILES: Final = 20
_TAMPERED: Final = 4  # times
_HURRIED: Final = 3  # groups that are scaled while an update takes long


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How a scenario reaches Usher."""

    stack: Stack
    deploy: Callable[[Compiled], None]
    to_inbox: Callable[[str], None]
    bus: EventBus
    hold_up_around: Callable[[datetime], None]  # notifications


_OF_INSTANCE: Final = frozenset({"availability_zone", "instance_type", "tags"})  # fields of `when`


class Scenario:
    """Creates the groups with their hooks, and then lets things happen to them until `ends_at`."""

    def __init__(  # noqa: PLR0913 - the world
        self,
        hooks: Data,
        *,
        random: Dice,
        clock: VirtualClock,
        fleet: Fleet,
        service: AutoScalingService,
        faults: Faults,
        scene: Scene,
        ways: Ways,
        workload: Workload,
        surroundings: Surroundings,
        lasts: timedelta,
    ) -> None:
        self._hooks = hooks
        self._random = random
        self._clock = clock
        self._fleet = fleet
        self._service = service
        self._faults = faults
        self._scene = scene
        self._ways = ways
        self._workload = workload
        self._surroundings = surroundings
        self._broken = Dice(f"broken files of {json.dumps(hooks)}")
        self._rush = Dice(f"rush around deploys of {json.dumps(hooks)}")
        self._tampering = Dice(f"hooks tampered with of {json.dumps(hooks)}")
        self._began_at = clock()
        self._lasts = lasts
        self._events = 0
        self._happenings = Happenings(
            random=random,
            fleet=fleet,
            faults=faults,
            scene=scene,
            bus=ways.bus,
            to_inbox=ways.to_inbox,
            ask=self._ask,
        )
        self._former: list[Data] = []  # the hooks files of before
        self.actions = 0  # lifecycle actions of ours that began
        self.has_ended = False

    def begin(self) -> None:
        """Groups, hooks and instances; deploys to come."""
        for name in dict.fromkeys([*groups_of(self._hooks), FOREIGN]):
            self._create(name)
        if self._scene.is_enrolled:
            self._ways.stack.create()
        else:
            for hook in self._hooks["hooks"]:
                self._put_hook(hook)
        theirs = {"name": "theirs", "transition": "terminating", "heartbeat_timeout": "5m", "notify": "sqs"}
        for name in list(self._fleet.groups):
            if name == FOREIGN or self._random.chance(0.3):
                self._put_hook({**theirs, "group": name})
        for group in self._fleet.groups.values():
            self._happenings.scale(group)
        for number in range(self._faults.swarm.deploys):
            later = self._lasts * (number + self._random.random()) / max(1, self._faults.swarm.deploys)
            self._clock.at(self._clock() + later, self._deploy)
            self._ways.hold_up_around(self._clock() + later)
        if Thing.REMOVED in self._faults.swarm.things:
            later = self._lasts * self._random.uniform(0.6, 1)
            self._clock.at(self._clock() + later, self._ways.stack.delete)
        is_tampered = Thing.RECONCILED in self._faults.swarm.things and self._surroundings.is_tampered
        for _ in range(_TAMPERED if is_tampered else 0):
            self._clock.at(self._clock() + self._lasts * self._tampering.random(), self._tamper)
        self._next()

    def end(self) -> None:
        """Nothing new begins: all groups shrink to nothing, and what goes on comes to its end."""
        self.has_ended = True
        for group in self._fleet.groups.values():
            group.suspended["Launch"] = self._fleet.clock()
            group.min_size = group.desired = 0
            self._fleet.end_pool(group)
            self._fleet.wish(group, "")

    def _create(self, name: str) -> None:
        policy: Data = {}
        if self._random.chance(0.15):
            self._scene.happened.add("instances retained")
            policy = {"InstanceLifecyclePolicy": {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}}
        self._ask(
            "CreateAutoScalingGroup",
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=_MOST_INSTANCES,
            Tags=[tag_of(name)],
            **ANY_SOURCE,
            **policy,
        )
        self._scene.tags[name].add((TAG, name))
        if self._random.chance(0.25) and name != FOREIGN:
            self._ask(
                "PutWarmPool",
                AutoScalingGroupName=name,
                MinSize=0,
                MaxGroupPreparedCapacity=2,
                PoolState="Stopped",
                InstanceReusePolicy={"ReuseOnScaleIn": self._random.chance(0.5)},
            )

    def _put_hook(self, hook: Data) -> None:
        target = TARGETS.get(hook["notify"], "")
        self._ask(
            "PutLifecycleHook",
            AutoScalingGroupName=hook["group"],
            LifecycleHookName=hook["name"],
            LifecycleTransition=_TRANSITIONS[hook["transition"]],
            HeartbeatTimeout=int(seconds(hook["heartbeat_timeout"]).total_seconds()),
            DefaultResult=hook.get("default_result", "ABANDON"),
            NotificationTargetARN=target,
            RoleARN=ROLE,
            **({"NotificationMetadata": hook["metadata"]} if "metadata" in hook else {}),
        )

    def _ask(self, operation: str, **parameters: object) -> None:
        """Someone else's call: what is refused is no matter here."""
        self._events += 1
        request = Request(operation=operation, parameters=parameters, request_id=f"other-{self._events:06d}")
        try:
            self._service(request)
        except ApiError as refusal:
            self._refused = refusal

    # -- what happens -------------------------------------------------------------------------

    def _next(self) -> None:
        """The next thing comes in some minutes; in seconds, where a run would end with too little."""
        since = self._clock() - self._began_at
        if since > self._lasts and self.actions >= LEAST_ACTIONS:
            return
        lags = self.actions < LEAST_ACTIONS * (since / self._lasts)
        minutes = self._random.uniform(0.3, 4) if lags else self._random.uniform(2, 50)
        self._clock.at(self._clock() + timedelta(minutes=minutes), self._happen)

    def _happen(self) -> None:
        if self.has_ended:
            return
        groups = list(self._fleet.groups.values())
        group = self._random.choice(groups)
        weights = self._happenings.weights
        happening = self._random.choices(list(weights), list(weights.values()))[0]
        happening(group)
        if self._faults.hits(Fault.MEDDLED):
            self._happenings.meddle(group)
            self._clock.at(self._clock() + timedelta(minutes=self._random.uniform(5, 60)), self._mend)
        self._next()

    def _mend(self) -> None:
        """Somebody puts back what others took away."""
        if self.has_ended:
            return
        for name in groups_of(self._hooks):
            if name not in self._fleet.groups:
                self._create(name)
        for hook in self._hooks["hooks"] if not self._scene.is_enrolled else ():
            group = self._fleet.groups.get(hook["group"])
            if group is not None and hook["name"] not in group.hooks and not group.deleting:
                self._put_hook(hook)

    def _tamper(self) -> None:
        """Somebody changes or deletes a hook that Usher looks after; a deletion is put right later."""
        groups = [group for group in self._fleet.groups.values() if group.hooks and group.name != FOREIGN]
        if self.has_ended or not groups:
            return
        self._faults.met(Fault.MEDDLED, self._clock())
        group = self._tampering.choice(groups)
        if self._tampering.chance(0.5):
            self._happenings.change_hook(group, self._tampering)
        else:
            self._happenings.take_out_hook(group, self._tampering)
            self._clock.at(self._clock() + timedelta(minutes=self._tampering.uniform(5, 60)), self._mend)

    def _deploy(self) -> None:
        """Another hooks file in the middle; the stack changes the hooks that it names."""
        if self.has_ended:
            return
        self._refuse_broken()
        before, self._hooks = self._hooks, changed(self._random, self._hooks, self._former)
        self._former.append(before)
        self._scene.happened |= {"deploy", *changes(before, self._hooks)}
        self._hurry()
        if self._scene.is_enrolled:
            self._ways.stack.update(compiled(self._hooks))
            return
        self._scene.deployed.append(InForce(since=self._clock(), file=self._hooks))
        self._ways.deploy(compiled(self._hooks))
        kept = {(hook["group"], hook["name"]) for hook in self._hooks["hooks"]}
        for hook in self._hooks["hooks"]:
            self._put_hook(hook)
        for hook in before["hooks"]:
            if (hook["group"], hook["name"]) not in kept and self._random.chance(0.5):
                self._ask(
                    "DeleteLifecycleHook",
                    AutoScalingGroupName=hook["group"],
                    LifecycleHookName=hook["name"],
                )

    def _hurry(self) -> None:
        """While an update takes long the groups go on: what begins then begins between two files."""
        takes = self._surroundings.update_takes
        for _ in range(_HURRIED if takes else 0):
            group = self._rush.choice(list(self._fleet.groups.values()))
            at = self._clock() + (takes or timedelta(0)) * self._rush.uniform(0.1, 1)
            self._clock.at(at, partial(self._scale_in_a_rush, group))

    def _scale_in_a_rush(self, group: Group) -> None:
        if not self.has_ended:
            self._happenings.scale(group, self._rush)

    def _refuse_broken(self) -> None:
        """Somebody tries files that are no good. A refusal says why, and changes nothing."""
        for _ in range(_BROKEN_FILES):
            try:
                compiled(broken(self._broken, self._hooks)).configuration  # noqa: B018 - it is read there
            except ConfigurationRefused:
                self._scene.happened.add("deploy: file refused")

    # -- the waits ----------------------------------------------------------------------------

    def wait_began(self, wait: Wait) -> None:
        """One of ours: what it waits for takes its course, and what runs on its instance speaks."""
        file = self._scene.deployed[-1]
        hooks = file.hooks_on(wait.group, wait.hook, self._scene.tags[wait.group])
        if not hooks:
            return
        self.actions += 1
        policies = file.policies_of(hooks[0])
        self._scene.asked.begins(wait, kinds_in(policies), patience(policies[0]))
        self._note_kinds(wait, hooks[0], policies)
        self._workload.begins(wait, policies[0])

    def _note_kinds(self, wait: Wait, hook: Written, policies: Sequence[Written]) -> None:
        """What kind of wait it is, for whoever counts what the seeds have drawn."""
        happened = self._scene.happened
        happened.update(f"asks: {kind}" for kind in kinds_in(policies))
        text = json.dumps([policy["until"] for policy in policies])
        happened.update(
            f"condition {kind}" for kind in ("any", "not", "then", "elapsed") if f'"{kind}"' in text
        )
        happened.update(key for key in ("stalled_after", "when_stopped", "mode") if key in policies[0])
        happened.update(["limits"] if "limits" in hook else [])
        if isinstance(hook["policy"], list):
            happened.add("rules")
            fields = {field for rule in hook["policy"] for field in rule.get("when", ())}
            happened.update(["rules by what EC2 tells"] if fields & _OF_INSTANCE else [])
        if "WarmPool" in (wait.origin, wait.destination):
            happened.add("warm pool")
        waits = [one for one in self._scene.waits.of_instance(wait.instance_id) if one.is_open]
        if len(waits) > 1:
            happened.add("several hooks on a transition")

    def wait_ended(self, wait: Wait) -> None:
        """Auto Scaling launches no more for a while where launches fail (aws-facts 2.4)."""
        group = self._fleet.groups.get(wait.group)
        failed = (wait.transition, wait.result) == ("launching", "ABANDON")
        if group is not None and (failed or self._is_busy):
            self._pause_launches(group)

    @property
    def _is_busy(self) -> bool:
        """Whether more has happened than this part of the run has room for."""
        share = min(1.0, (self._clock() - self._began_at) / self._lasts)
        return self.actions > _MOST_ACTIONS * (0.3 + 0.7 * share)

    def _pause_launches(self, group: Group) -> None:
        if "Launch" in group.suspended:
            return
        group.suspended["Launch"] = self._fleet.clock()
        after = timedelta(minutes=self._random.uniform(10, 60))
        self._clock.at(self._clock() + after, lambda: self._resume(group))

    def _resume(self, group: Group) -> None:
        if self.has_ended:
            return
        group.suspended.pop("Launch", None)
        if self._is_busy:
            self._pause_launches(group)
        else:
            self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
