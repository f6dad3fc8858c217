"""What happens to the groups of a scenario, one thing at a time, and what others meddle with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.notifications import hook_message
from usher_simulator.trials.drawn_hooks import TAG
from usher_simulator.trials.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group, Instance
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.faults import Faults
    from usher_simulator.trials.judge.scene import Scene
    from usher_simulator.trials.workload import EventBus


def tag_of(group: str) -> dict[str, Any]:
    """The tag that hooks select a group by."""
    return {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": TAG, "Value": group}


@dataclass(frozen=True, kw_only=True, slots=True)
class Happenings:
    """What people, EC2 and others do to one group. `ask` is somebody's call to Auto Scaling."""

    random: Dice
    fleet: Fleet
    faults: Faults
    scene: Scene
    bus: EventBus
    to_inbox: Callable[[str], None]
    ask: Callable[..., None]

    @property
    def weights(self) -> Mapping[Callable[[Group], None], int]:
        """How often each happens, in proportion."""
        return {
            self.scale: 10,
            self.terminate: 3,
            self.sicken: 2,
            self.end_in_ec2: 2,
            self.stop: 2,
            self.refresh: 1,
            self.retag: 1,
            self.noise: 2,
        }

    def scale(self, group: Group, random: Dice | None = None) -> None:
        """Somebody wishes for another number of instances."""
        wanted = (random or self.random).choice(
            [size for size in range(group.max_size + 1) if size != group.desired] or [1]
        )
        self.ask("SetDesiredCapacity", AutoScalingGroupName=group.name, DesiredCapacity=wanted)

    def terminate(self, group: Group) -> None:
        """Somebody terminates an instance."""
        instance = self._instance(group)
        if instance is not None:
            self.ask(
                "TerminateInstanceInAutoScalingGroup",
                InstanceId=instance.id,
                ShouldDecrementDesiredCapacity=self.random.chance(0.5),
            )

    def sicken(self, group: Group) -> None:
        """Somebody takes an instance for unhealthy."""
        instance = self._instance(group)
        if instance is not None:
            self.ask("SetInstanceHealth", InstanceId=instance.id, HealthStatus="Unhealthy")

    def end_in_ec2(self, group: Group) -> None:
        """EC2 ends an instance by itself, be it one that waits; and says so."""
        instance = self._instance(group, waiting=self.random.chance(0.6))
        if instance is not None:
            self.fleet.ec2_terminated(instance.id)
            self.scene.ended_in_ec2.add(instance.id)
            self.scene.happened.add("instance ended by EC2")
            detail = {"instance-id": instance.id, "state": "terminated"}
            self.bus.say("aws.ec2", "EC2 Instance State-change Notification", detail)

    def stop(self, group: Group) -> None:
        """Somebody stops an instance that waits. In a plain termination that is its end."""
        instance = self._instance(group, waiting=True)
        if instance is not None and instance.state.endswith(":Wait"):
            self.scene.stopped.add(instance.id)
            self.scene.happened.add("instance stopped")
            detail = {"instance-id": instance.id, "state": "stopped"}
            self.bus.say("aws.ec2", "EC2 Instance State-change Notification", detail)

    def refresh(self, group: Group) -> None:
        """Somebody refreshes the instances."""
        strategy = self.random.choice(("Rolling", "ReplaceRootVolume"))
        self.ask("StartInstanceRefresh", AutoScalingGroupName=group.name, Strategy=strategy)

    def retag(self, group: Group) -> None:
        """Somebody takes the tag of a group away, and puts it back later."""
        tags = [tag_of(group.name)]
        self.scene.untagged.setdefault(group.name, self.fleet.clock())
        self.scene.happened.add("tags changed")
        self.ask("DeleteTags", Tags=tags)
        again_at = self.fleet.clock() + timedelta(minutes=self.random.uniform(1, 40))
        self.scene.tagged_again_at = max(self.scene.tagged_again_at or again_at, again_at)
        self.fleet.clock.at(again_at, lambda: self.ask("CreateOrUpdateTags", Tags=tags))

    def noise(self, group: Group) -> None:
        """Messages that say nothing, and one that speaks of another action's token in capitals."""
        body = self.random.choice(
            (
                "",
                "null",
                "[]",
                '{"Event": 1}',
                "{" * 500,
                '{"LifecycleTransition": "sideways"}',
                "\ud83d",
                '"i-1"',
            )
        )
        self.scene.garbage.add(body)
        self.to_inbox(body)
        waits = [wait for one in group.instances.values() for wait in (one.move.waits if one.move else [])]
        if waits:
            wait = self.random.choice(waits)
            hook = group.hooks.get(wait.hook)
            if hook is not None:
                forged = hook_message(wait, hook, "forged") | {"LifecycleActionToken": wait.token.upper()}
                forged["EC2InstanceId"] = "i-0123456789abcdef0"
                self.to_inbox(json.dumps(forged))

    def _instance(self, group: Group, *, waiting: bool = False) -> Instance | None:
        members = [
            one
            for one in group.instances.values()
            if one.state.endswith(":Wait") or (one.state == "InService" and not waiting)
        ]
        return self.random.choice(members) if members else None

    def meddle(self, group: Group) -> None:
        """Someone else changes what Usher looks after."""
        self.faults.met(Fault.MEDDLED, self.fleet.clock())
        instance = self._instance(group, waiting=True)
        match self.random.randrange(5):
            case 0 | 1 if instance is not None and instance.move is not None and instance.move.waits:
                wait = self.random.choice(instance.move.waits)
                operation = self.random.choice(("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"))
                result = {"LifecycleActionResult": "CONTINUE"} if operation.startswith("Complete") else {}
                self.ask(
                    operation,
                    AutoScalingGroupName=wait.group,
                    LifecycleHookName=wait.hook,
                    LifecycleActionToken=wait.token,
                    **result,
                )
            case 2 if group.hooks:
                self.take_out_hook(group, self.random)
            case 3 if group.hooks:
                self.change_hook(group, self.random)
            case 4 if len(self.fleet.groups) > 2:  # noqa: PLR2004 - so that something is left
                self.scene.happened.add("group deleted")
                self.ask("DeleteAutoScalingGroup", AutoScalingGroupName=group.name, ForceDelete=True)
            case _:
                pass

    def take_out_hook(self, group: Group, random: Dice) -> None:
        """Somebody deletes one of its hooks."""
        name = random.choice(list(group.hooks))
        self.ask("DeleteLifecycleHook", AutoScalingGroupName=group.name, LifecycleHookName=name)

    def change_hook(self, group: Group, random: Dice) -> None:
        """Somebody gives one of its hooks another timeout."""
        name = random.choice(list(group.hooks))
        self.scene.changed_by_others.add((group.name, name))
        self.ask(
            "PutLifecycleHook",
            AutoScalingGroupName=group.name,
            LifecycleHookName=name,
            HeartbeatTimeout=random.choice((30, 60, 3600)),
        )
