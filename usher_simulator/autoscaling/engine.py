"""The engine: instances move between EC2, groups and warm pools, and hooks hold them on the way.

Every behaviour has a row in docs/simulator.md: modelled, simplified or assumed, with its source. What
is assumed stands in `Assumptions`, where it can be switched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usher_simulator.autoscaling import capacity, moves
from usher_simulator.autoscaling.activities import Activities
from usher_simulator.autoscaling.groups import BY_USER
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Waits
from usher_simulator.autoscaling.movement import Movement
from usher_simulator.autoscaling.notifications import written_in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from usher_simulator.autoscaling.groups import Activity, Group, Instance
    from usher_simulator.autoscaling.latencies import Latencies
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind
    from usher_simulator.autoscaling.outside import Outside
    from usher_simulator.autoscaling.virtual_clock import VirtualClock


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What AWS documents nowhere and no capture shows (aws-facts 8). Each can be switched."""

    update_sends_test: bool = True  # PutLifecycleHook on an existing hook sends a test message again
    token_wins: bool = True  # of a token and an instance id that name different actions
    expiry_of_retained_is_silent: bool = True  # no event was received of the one that was captured


@dataclass(kw_only=True)
class Fleet:
    """All groups of one account and Region. `began` and `ended` are told of every lifecycle action."""

    clock: VirtualClock
    outside: Outside
    latencies: Latencies
    new_id: Callable[[], str]
    new_instance_id: Callable[[], str]
    assumptions: Assumptions = field(default_factory=Assumptions)
    groups: dict[str, Group] = field(default_factory=dict)
    began: Callable[[Wait], None] = lambda _: None
    ended: Callable[[Wait], None] = lambda _: None
    is_operated: bool = False  # whether any group ever had an operator

    def __post_init__(self) -> None:
        self.activities = Activities(self.clock, self.new_id)
        self.movement = Movement(self)
        self.waits = Waits(self.clock, self.movement.wait_ended)

    def add_group(self, group: Group) -> None:
        """A new group; its instances are launched by and by."""
        self.groups[group.name] = group
        self.is_operated = self.is_operated or group.operator is not None
        self.wish(group, "")

    def wish(self, group: Group, why: str) -> None:
        """Someone asked for a change of capacity: answer it after a while."""
        if why:
            group.wishes.append(f"At {self.now_in_seconds()} {why}.")
        self.reconcile_soon(group, self.latencies.notice)

    def instance(self, instance_id: str) -> Instance | None:
        """The instance of that id, if it is in a group or warm pool."""
        found = (group.instances.get(instance_id) for group in self.groups.values())
        return next((instance for instance in found if instance and instance.state), None)

    def begin(self, instance: Instance, kind: MoveKind, cause: str) -> Activity:
        """Begin a move of an instance, in place of any that goes on."""
        return self.movement.begin(instance, kind, cause)

    def terminate(self, instance: Instance, cause: str, *, replaced_at_once: bool = False) -> Activity:
        """Take an instance out for good, through the termination hooks; once, if it is on its way.

        Its replacement is launched when it is gone or retained, as captured, or at once.
        """
        move, group = instance.move, self.groups[instance.group]
        if move is not None and move.kind.destination == "EC2":
            return move.activity
        is_wanted = instance.counts and len(group.counting) + len(group.leaving) <= group.desired
        activity = self.take_out(instance, f"At {self.now_in_seconds()} {cause}.")
        if instance.move is not None:
            instance.move.keeps_place = is_wanted and not replaced_at_once
        return activity

    def take_out(self, instance: Instance, cause: str) -> Activity:
        """An instance leaves the group or pool in which it is; what holds it where it is ends."""
        self.movement.cut_off(instance)
        pooled = instance.state.startswith("Warmed:")
        return self.begin(instance, moves.TERMINATE_FROM_POOL if pooled else moves.TERMINATE, cause)

    def set_health(self, instance: Instance, *, healthy: bool, health_check: str = BY_USER) -> None:
        """The health that someone reports. Only what is in service is replaced for it (aws-facts 2.4)."""
        instance.healthy, instance.health_check = healthy, health_check
        if not healthy:
            self.reconcile_soon(self.groups[instance.group], self.latencies.replace)

    def ec2_terminated(self, instance_id: str) -> None:
        """EC2 ended an instance by itself: one that waits in a hook goes on waiting (aws-facts 2.5)."""
        instance = self.instance(instance_id)
        if instance is not None:
            why = "an EC2 health check indicating it has been terminated or stopped"
            self.set_health(instance, healthy=False, health_check=why)

    def end_hook(self, group: Group, name: str) -> None:
        """A hook goes: launches that it holds are abandoned, terminations go on (aws-facts 1.1)."""
        del group.hooks[name]
        for instance in list(group.instances.values()):
            for wait in instance.move.waits if instance.move else []:
                if wait.is_open and wait.hook == name:
                    result = "ABANDON" if wait.transition == "launching" else "CONTINUE"
                    self.waits.end(wait, result, EndedBy.DELETED)

    def force_delete(self, group: Group) -> None:
        """Every instance goes, by and by (aws-facts 11.2).

        A termination that waits is let go at once; what does not terminate yet waits in its hooks, for as
        long as they say (9.15).
        """
        # One capture, of a group that had to have an instance, lacks the beginning of the cause.
        asked_for, before = group.desired > 0 and group.min_size == 0, group.desired
        group.deleting = True
        group.min_size = group.max_size = group.desired = 0
        why = (
            f"At {self.now_in_seconds()} a user request force deleted AutoScaling group changing the desired "
            f"capacity from {before} to 0."
        )
        for instance in [one for one in group.instances.values() if one.state]:
            if instance.move is not None and instance.move.kind.destination == "EC2":
                self.movement.let_go(instance)
            elif instance.is_retained:
                self._take_out_later(instance, self.latencies.force_delete_retained, "")
            else:
                self._take_out_later(instance, self.latencies.force_delete, why if asked_for else "")
        self._forget_when_empty(group)

    def _take_out_later(self, instance: Instance, after: timedelta, why: str) -> None:
        """An instance of a group that is force deleted, unless it is on its way out by then."""

        def take_out() -> None:
            if not instance.state or (instance.move and instance.move.kind.destination == "EC2"):
                return  # where it was detached as the last one, its group is gone too
            group, now = self.groups[instance.group], self.now_in_seconds()
            if instance.is_retained:
                gone = f"instance {instance.id} was taken out of service in response to a group deletion"
                cause = f"At {now} {gone}."
            else:
                cause = capacity.joined(why, capacity.shrinking(self, instance, max(1, len(group.counting))))
            self.take_out(instance, cause)

        self.clock.at(self.clock() + after, take_out)

    def end_pool(self, group: Group) -> None:
        """The warm pool goes, with all in it, at the next look at the capacity (aws-facts 11.2)."""
        pool = group.pool
        if pool is None:
            return
        most = "null" if pool.max_prepared is None else pool.max_prepared
        pool.deleting, pool.min_size, pool.max_prepared = True, 0, 0
        self.wish(
            group,
            f"a user request update of WarmPool MaxGroupPreparedCapacity from max: {most} to max: 0 changing "
            f"the capacity of WarmPool from {len(group.warm)} to 0",
        )

    def replace_root_volume(self, instance: Instance) -> None:
        """A root volume is replaced in place, between a termination and a launch hook (aws-facts 2.9)."""
        instance.volume_is_new = False
        cause = f"At {self.now_in_seconds()} an instance refresh replaced the root volume."
        self.begin(instance, moves.REPLACE_ROOT_VOLUME, cause)

    def reconcile_soon(self, group: Group, after: timedelta) -> None:
        """Look at the capacity of a group after a while, unless that is on its way."""
        if group.is_due:
            return
        group.is_due = True

        def reconcile() -> None:
            group.is_due = False
            if self.groups.get(group.name) is group and not group.deleting:
                capacity.reconcile(self, group)
                self._forget_when_empty(group)

        self.clock.at(self.clock() + after, reconcile)

    def after_a_move(self, group: Group) -> None:
        """A move has ended: there may be a gap, or nothing left of a group that is being deleted."""
        self._forget_when_empty(group)
        if self.groups.get(group.name) is group:
            self.reconcile_soon(group, self.latencies.replace)

    def _forget_when_empty(self, group: Group) -> None:
        """A group that is being deleted goes with its last instance."""
        if group.deleting and not any(instance.state for instance in group.instances.values()):
            self.groups.pop(group.name, None)
            self.activities.keep(group)

    def now_in_seconds(self) -> str:
        """The time as causes have it."""
        return written_in_seconds(self.clock())
