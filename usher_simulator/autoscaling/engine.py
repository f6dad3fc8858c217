"""The engine: instances move between EC2, groups and warm pools, and hooks hold them on the way.

Every behaviour has a row in docs/simulator.md: modelled, simplified or assumed, with its source. What
is assumed stands in `Assumptions`, where it can be switched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from usher_simulator.autoscaling import capacity, moves
from usher_simulator.autoscaling.groups import Activity, OngoingMove
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Waits, action_of
from usher_simulator.autoscaling.notifications import (
    Outcome,
    abandoned,
    hook_message,
    lifecycle_event,
    outcome_event,
    written_in_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from typing import Any

    from usher_simulator.autoscaling.groups import Group, Hook, Instance
    from usher_simulator.autoscaling.latencies import Latencies
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind
    from usher_simulator.autoscaling.virtual_clock import VirtualClock


class Undeliverable(Exception):  # noqa: N818 - it reads as what happened
    """A notification target does not take a message."""


class Outside(Protocol):
    """What Auto Scaling speaks to."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Put an event on the default bus."""
        ...

    def notify(self, hook: Hook, body: Mapping[str, Any], subject: str) -> None:
        """Send to the target of a hook, with its role. Raises Undeliverable."""
        ...

    def register(self, group: Group, instance_id: str) -> None:
        """Add an instance to the load balancers of its group."""
        ...

    def deregister(self, group: Group, instance_id: str) -> None:
        """Take an instance from the load balancers of its group."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What AWS documents nowhere and no capture shows (aws-facts 8). Each can be switched."""

    update_sends_test: bool = True  # PutLifecycleHook on an existing hook sends a test message again
    token_wins: bool = True  # of a token and an instance id that name different actions
    expiry_of_retained_is_silent: bool = True  # no event was received of the one that was captured


@dataclass(kw_only=True)
class Fleet:
    """All groups of one account and Region."""

    clock: VirtualClock
    outside: Outside
    latencies: Latencies
    new_id: Callable[[], str]
    new_instance_id: Callable[[], str]
    assumptions: Assumptions = field(default_factory=Assumptions)
    groups: dict[str, Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waits = Waits(self.clock, self._wait_ended)

    # -- what the operations and the outside world do ------------------------------------------

    def add_group(self, group: Group) -> None:
        """A new group; its instances are launched by and by."""
        self.groups[group.name] = group
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

    def terminate(self, instance: Instance, cause: str, *, replaced_at_once: bool = False) -> Activity:
        """Take an instance out for good, through the termination hooks; once, if it is on its way.

        Its replacement is launched when it is gone or retained, as captured, or at once.
        """
        move, group = instance.move, self.groups[instance.group]
        if move is not None and move.kind.destination == "EC2":
            return move.activity
        is_wanted = instance.counts and len(group.counting) + len(group.leaving) <= group.desired
        self._drop_waits(instance)
        pooled = instance.state.startswith("Warmed:")
        kind = moves.TERMINATE_FROM_POOL if pooled else moves.TERMINATE
        activity = self.begin(instance, kind, f"At {self.now_in_seconds()} {cause}.")
        if instance.move is not None:
            instance.move.keeps_place = is_wanted and not replaced_at_once
        return activity

    def set_health(
        self, instance: Instance, *, healthy: bool, health_check: str = "a user health-check"
    ) -> None:
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
                    self.waits.end(wait, result, EndedBy.CALL)

    def force_delete(self, group: Group) -> None:
        """Every instance goes. What already waits is let go; others wait in the hooks (aws-facts 9.15)."""
        group.deleting = True
        group.min_size = group.max_size = group.desired = 0
        for instance in list(group.instances.values()):
            if instance.move is not None and instance.move.kind.destination == "EC2":
                self._let_go(instance)
            elif instance.state:
                self._drop_waits(instance)
                pooled = instance.state.startswith("Warmed:")
                cause = capacity.shrinking(self, instance, max(1, len(group.counting)))
                self.begin(instance, moves.TERMINATE_FROM_POOL if pooled else moves.TERMINATE, cause)
        self._forget_when_empty(group)

    def end_pool(self, group: Group) -> None:
        """The warm pool goes, and all that stands in it."""
        if group.pool is None:
            return
        group.pool.deleting = True
        for instance in group.pooled:
            self.terminate(instance, "a user request deleted the warm pool")
        self.reconcile_soon(group, self.latencies.notice)

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

    def _forget_when_empty(self, group: Group) -> None:
        """A group that is being deleted goes with its last instance."""
        if group.deleting and not any(instance.state for instance in group.instances.values()):
            self.groups.pop(group.name, None)

    # -- moves --------------------------------------------------------------------------------

    def begin(self, instance: Instance, kind: MoveKind, cause: str) -> Activity:
        """Begin a move of an instance, in place of any that goes on."""
        group, before = self.groups[instance.group], instance.move
        if before is not None and before.activity.ended_at is None:
            self.end_activity(before.activity, "Cancelled")
        activity = self.activity(group, kind.description.format(instance.id), cause)
        if kind.is_launch:
            activity.status, activity.progress = "PreInService", 30
        instance.move = move = OngoingMove(kind=kind, activity=activity)
        self._enter(instance, kind.state)
        if not kind.is_launch and kind.origin == "AutoScalingGroup":
            self.outside.deregister(group, instance.id)
        self.clock.at(self.clock() + self.latencies.to_wait[kind], lambda: self._hold(instance, move))
        return activity

    def activity(self, group: Group, description: str, cause: str) -> Activity:
        """A new scaling activity of a group."""
        activity = Activity(
            id=self.new_id(),
            group=group.name,
            description=description,
            cause=cause,
            started_at=self.clock(),
            status="InProgress",
            progress=0,
        )
        group.activities.insert(0, activity)
        return activity

    def _hold(self, instance: Instance, move: OngoingMove) -> None:
        """The hooks of the transition begin, all at once; where there is none the move goes on."""
        if instance.move is not move:
            return
        group = self.groups[instance.group]
        hooks = [hook for hook in group.hooks.values() if hook.transition == move.kind.transition]
        if not hooks:
            self._proceed(instance, move)
            return
        launch = move.kind.is_launch
        move.activity.status = "MidLifecycleAction" if launch else "MidTerminatingLifecycleAction"
        move.activity.progress = 40 if launch else 60
        self._enter(instance, f"{move.kind.state}:Wait")
        move.waits = [action_of(instance, move.kind, hook, self.new_id(), self.clock()) for hook in hooks]
        for wait in move.waits:
            self.waits.begin(wait)
        for wait, hook in zip(list(move.waits), hooks, strict=True):
            self._announce(wait, hook, move)

    def _announce(self, wait: Wait, hook: Hook, move: OngoingMove) -> None:
        """The bus hears of every action; a target that takes no message ends it at once (2.6)."""
        group = self.groups[wait.group]
        self.outside.event(lifecycle_event(wait, hook, move.kind, group, self.new_id()))
        if hook.target_arn is None:
            return
        subject = (
            f"Auto Scaling:  Lifecycle action '{wait.transition.upper()}' for instance {wait.instance_id} "
            "in progress."
        )
        try:
            self.outside.notify(hook, hook_message(wait, hook, move.activity.id), subject)
        except Undeliverable:
            if wait.is_open:
                self.waits.end(wait, wait.default_result, EndedBy.UNDELIVERABLE)

    def _wait_ended(self, wait: Wait) -> None:
        group = self.groups.get(wait.group)
        instance = group.instances.get(wait.instance_id) if group else None
        move = instance.move if instance else None
        if instance is None or move is None or wait not in move.waits:
            return
        if wait.result == "ABANDON":
            self._cut_off(move)
            self._abandoned(instance, move, wait)
        elif not any(other.is_open for other in move.waits):
            self._proceed(instance, move)

    def _cut_off(self, move: OngoingMove) -> None:
        """End the actions of a move without a word to anyone."""
        waits, move.waits = move.waits, []
        for wait in waits:
            if wait.is_open:
                self.waits.end(wait, "CONTINUE", EndedBy.OTHER)

    def _drop_waits(self, instance: Instance) -> None:
        if instance.move is not None:
            self._cut_off(instance.move)

    def _let_go(self, instance: Instance) -> None:
        """A termination that waits is ended early, and goes on."""
        move = instance.move
        if move is not None and any(wait.is_open for wait in move.waits):
            self._cut_off(move)
            self._proceed(instance, move)

    def _proceed(self, instance: Instance, move: OngoingMove) -> None:
        self._enter(instance, f"{move.kind.state}:Proceed")
        self.clock.at(self.clock() + self.latencies.to_end[move.kind], lambda: self._arrive(instance, move))

    def _arrive(self, instance: Instance, move: OngoingMove) -> None:
        if instance.move is not move:
            return
        group, kind = self.groups[instance.group], move.kind
        held = move.activity.status == "MidTerminatingLifecycleAction"
        self.end_activity(move.activity, "Successful")
        instance.move = None
        if kind is moves.REPLACE_ROOT_VOLUME:
            self._enter(instance, "RootVolumeReplaced")
            instance.volume_is_new = True
            self.begin(instance, moves.AFTER_ROOT_VOLUME, move.activity.cause)
            return
        self._enter(instance, self._place_of(group, kind))
        if kind.is_launch and kind.destination == "AutoScalingGroup":
            self.outside.register(group, instance.id)
        status_code = "MidTerminatingLifecycleAction" if held and not kind.is_launch else "InProgress"
        self._tell_outcome(instance, move, Outcome(status_code=status_code))
        self._after_a_move(group)

    def _place_of(self, group: Group, kind: MoveKind) -> str | None:
        """Where a move ends: a lifecycle state, or None where the instance is gone."""
        if kind.destination == "AutoScalingGroup":
            return "InService"
        if kind.destination == "WarmPool":
            return group.pool.instance_state if group.pool else "Warmed:Stopped"
        return None

    def _after_a_move(self, group: Group) -> None:
        self._forget_when_empty(group)
        if self.groups.get(group.name) is group:
            self.reconcile_soon(group, self.latencies.replace)

    def _abandoned(self, instance: Instance, move: OngoingMove, wait: Wait) -> None:
        group, kind = self.groups[instance.group], move.kind
        message = abandoned(wait)
        if kind.is_launch or kind is moves.REPLACE_ROOT_VOLUME:
            self._fail_launch(instance, move, message)
        elif group.retains and not group.deleting:
            self._retain(instance, move, message, wait)
        elif kind is moves.RETURN_TO_POOL:
            self._stay_warm(instance, move)
        else:
            self._proceed(instance, move)

    def _fail_launch(self, instance: Instance, move: OngoingMove, message: str) -> None:
        """The launch is cancelled, and the same instance goes through the termination hooks (2.2)."""
        self.end_activity(move.activity, "Cancelled", message)
        outcome = Outcome(status_code="Cancelled", successful=False, message=message)
        self._tell_outcome(instance, move, outcome)
        pooled = move.kind is moves.LAUNCH_INTO_POOL
        kind = moves.TERMINATE_FROM_POOL if pooled else moves.TERMINATE

        def terminate() -> None:
            if instance.move is move:
                why = "an instance was taken out of service in response to a launch failure"
                self.begin(instance, kind, f"At {self.now_in_seconds()} {why}.")
                self.reconcile_soon(self.groups[instance.group], self.latencies.replace)

        self.clock.at(self.clock() + self.latencies.after_abandon, terminate)

    def _retain(self, instance: Instance, move: OngoingMove, message: str, wait: Wait) -> None:
        """The instance stands where it is, and is replaced (aws-facts 2.7, 9.10, 9.11)."""
        group = self.groups[instance.group]
        to_pool = move.kind is moves.RETURN_TO_POOL
        self.end_activity(move.activity, "Cancelled", message)
        instance.move = None
        base = "Warmed:Pending" if to_pool else move.kind.state
        self._enter(instance, f"{base}:Proceed")  # for a moment, as documented (2.7)
        self._enter(instance, f"{base}:Retained")
        silent = self.assumptions.expiry_of_retained_is_silent and wait.ended_by is EndedBy.HEARTBEAT_TIMEOUT
        if to_pool:
            outcome = Outcome(status_code="Cancelled", successful=False, message=message)
            self._tell_outcome(instance, move, outcome)
        elif not silent:
            outcome = Outcome(status_code="MidTerminatingLifecycleAction", successful=False)
            self._tell_outcome(instance, move, outcome)
        self._after_a_move(group)

    def _stay_warm(self, instance: Instance, move: OngoingMove) -> None:
        """An abandoned return to the pool does not terminate: the instance runs on in it (9.10)."""
        self.end_activity(move.activity, "Successful")
        instance.move = None
        self._enter(instance, "Warmed:Running")
        self._tell_outcome(instance, move, Outcome(status_code="MidTerminatingLifecycleAction"))
        self._after_a_move(self.groups[instance.group])

    def _tell_outcome(self, instance: Instance, move: OngoingMove, outcome: Outcome) -> None:
        group = self.groups[instance.group]
        self.outside.event(outcome_event(move, instance, group, self.new_id(), outcome))

    def end_activity(self, activity: Activity, status: str, message: str | None = None) -> None:
        """End a scaling activity."""
        activity.status, activity.progress, activity.ended_at = status, 100, self.clock()
        if message:
            activity.message = message
            activity.description += f".  Status Reason: {message}"

    def _enter(self, instance: Instance, state: str | None) -> None:
        instance.states.append((self.clock(), state))

    def now_in_seconds(self) -> str:
        """The time as causes have it."""
        return written_in_seconds(self.clock())
