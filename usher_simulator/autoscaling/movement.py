"""Instances on the move: from the begin of a move, through its hooks, to where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.groups import OngoingMove
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, action_of
from usher_simulator.autoscaling.notifications import (
    Outcome,
    abandoned,
    hook_message,
    lifecycle_event,
    outcome_event,
)
from usher_simulator.autoscaling.outside import Undeliverable

if TYPE_CHECKING:
    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Activity, Group, Hook, Instance
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind


class Movement:
    """Moves the instances of a fleet. What it calls back later finds out whether its move still goes on."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._clock = fleet.clock
        self._outside = fleet.outside
        self._activities = fleet.activities

    def begin(self, instance: Instance, kind: MoveKind, cause: str) -> Activity:
        """Begin a move of an instance, in place of any that goes on."""
        group, before = self._fleet.groups[instance.group], instance.move
        if before is not None and before.activity.ended_at is None:
            self._activities.end(before.activity, "Cancelled")
        activity = self._activities.begin(group, kind.description.format(instance.id), cause, instance)
        if kind.is_launch:
            activity.status, activity.progress = "PreInService", 30
        instance.move = move = OngoingMove(kind=kind, activity=activity)
        self.enter(instance, kind.state)
        if not kind.is_launch and kind.origin == "AutoScalingGroup":
            self._outside.deregister(group, instance.id)
        latency = self._fleet.latencies.to_wait[kind]
        self._clock.at(self._clock() + latency, lambda: self._hold(instance, move))
        return activity

    def cut_off(self, instance: Instance) -> None:
        """End the actions of an instance's move without a word to anyone."""
        if instance.move is not None:
            self._cut_off(instance.move)

    def let_go(self, instance: Instance) -> None:
        """A termination that waits is ended early, and goes on."""
        move = instance.move
        if move is not None and any(wait.is_open for wait in move.waits):
            self._cut_off(move)
            self._proceed(instance, move)

    def register(self, instance: Instance) -> None:
        """With its load balancers; one that comes while that is suspended never is (aws-facts 2.4)."""
        group = self._fleet.groups[instance.group]
        if "AddToLoadBalancer" not in group.suspended:
            self._outside.register(group, instance.id)

    def enter(self, instance: Instance, state: str | None) -> None:
        """A lifecycle state from now on; None: the instance is gone."""
        instance.states.append((self._clock(), state))

    def wait_ended(self, wait: Wait) -> None:
        """A lifecycle action has ended: the last of a move lets it go on, an ABANDON decides it."""
        self._fleet.ended(wait)
        group = self._fleet.groups.get(wait.group)
        instance = group.instances.get(wait.instance_id) if group else None
        move = instance.move if instance else None
        if instance is None or move is None or wait not in move.waits:
            return
        if wait.result == "ABANDON":
            self._cut_off(move)
            self._abandoned(instance, move, wait)
        elif not any(other.is_open for other in move.waits):
            self._proceed(instance, move)

    def _hold(self, instance: Instance, move: OngoingMove) -> None:
        """The hooks of the transition begin, all at once; where there is none the move goes on."""
        if instance.move is not move:
            return
        group = self._fleet.groups[instance.group]
        hooks = [hook for hook in group.hooks.values() if hook.transition == move.kind.transition]
        if not hooks:
            self._proceed(instance, move)
            return
        launch = move.kind.is_launch
        move.activity.status = "MidLifecycleAction" if launch else "MidTerminatingLifecycleAction"
        move.activity.progress = 40 if launch else 60
        self.enter(instance, f"{move.kind.state}:Wait")
        new_id, now = self._fleet.new_id, self._clock()
        move.waits = [action_of(instance, move.kind, hook, new_id(), now) for hook in hooks]
        for wait in move.waits:
            self._fleet.waits.begin(wait)
        for wait, hook in zip(list(move.waits), hooks, strict=True):
            self._announce(wait, hook, move)

    def _announce(self, wait: Wait, hook: Hook, move: OngoingMove) -> None:
        """The bus hears of every action; a target that takes no message ends it at once (2.6)."""
        self._fleet.began(wait)
        group = self._fleet.groups[wait.group]
        self._outside.event(lifecycle_event(wait, hook, move.kind, group, self._fleet.new_id()))
        if hook.target_arn is None:
            return
        subject = (
            f"Auto Scaling:  Lifecycle action '{wait.transition.upper()}' for instance {wait.instance_id} "
            "in progress."
        )
        try:
            self._outside.notify(hook, hook_message(wait, hook, move.activity.id), subject)
        except Undeliverable:
            if wait.is_open:
                self._fleet.waits.end(wait, wait.default_result, EndedBy.UNDELIVERABLE)

    def _cut_off(self, move: OngoingMove) -> None:
        waits, move.waits = move.waits, []
        for wait in waits:
            if wait.is_open:
                self._fleet.waits.end(wait, "CONTINUE", EndedBy.OTHER)

    def _proceed(self, instance: Instance, move: OngoingMove) -> None:
        self.enter(instance, f"{move.kind.state}:Proceed")
        latency = self._fleet.latencies.to_end[move.kind]
        self._clock.at(self._clock() + latency, lambda: self._arrive(instance, move))

    def _arrive(self, instance: Instance, move: OngoingMove) -> None:
        if instance.move is not move:
            return
        group, kind = self._fleet.groups[instance.group], move.kind
        held = move.activity.status == "MidTerminatingLifecycleAction"
        self._activities.end(move.activity, "Successful")
        instance.move = None
        if kind is moves.REPLACE_ROOT_VOLUME:
            self.enter(instance, "RootVolumeReplaced")
            instance.volume_is_new = True
            instance.refreshed = group.refresh.mark if group.refresh else instance.refreshed
            self.begin(instance, moves.AFTER_ROOT_VOLUME, move.activity.cause)
            return
        self.enter(instance, _place_of(group, kind))
        if kind.is_launch and kind.destination == "AutoScalingGroup":
            self.register(instance)
        status_code = "MidTerminatingLifecycleAction" if held and not kind.is_launch else "InProgress"
        self._tell_outcome(instance, move, Outcome(status_code=status_code))
        self._fleet.after_a_move(group)

    def _abandoned(self, instance: Instance, move: OngoingMove, wait: Wait) -> None:
        group, kind = self._fleet.groups[instance.group], move.kind
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
        self._activities.end(move.activity, "Cancelled", message)
        outcome = Outcome(status_code="Cancelled", successful=False, message=message)
        self._tell_outcome(instance, move, outcome)
        pooled = move.kind is moves.LAUNCH_INTO_POOL
        kind = moves.TERMINATE_FROM_POOL if pooled else moves.TERMINATE
        latencies = self._fleet.latencies

        def terminate() -> None:
            if instance.move is move:
                why = "an instance was taken out of service in response to a launch failure"
                self.begin(instance, kind, f"At {self._fleet.now_in_seconds()} {why}.")
                self._fleet.reconcile_soon(self._fleet.groups[instance.group], latencies.replace)

        self._clock.at(self._clock() + latencies.after_abandon, terminate)

    def _retain(self, instance: Instance, move: OngoingMove, message: str, wait: Wait) -> None:
        """The instance stands where it is, and is replaced (aws-facts 2.7, 9.10, 9.11)."""
        group = self._fleet.groups[instance.group]
        to_pool = move.kind is moves.RETURN_TO_POOL
        self._activities.end(move.activity, "Cancelled", message)
        instance.move = None
        base = "Warmed:Pending" if to_pool else move.kind.state
        self.enter(instance, f"{base}:Proceed")  # for a moment, as documented (2.7)
        self.enter(instance, f"{base}:Retained")
        silent = self._fleet.assumptions.expiry_of_retained_is_silent
        if to_pool:
            outcome = Outcome(status_code="Cancelled", successful=False, message=message)
            self._tell_outcome(instance, move, outcome)
        elif not (silent and wait.ended_by is EndedBy.HEARTBEAT_TIMEOUT):
            outcome = Outcome(status_code="MidTerminatingLifecycleAction", successful=False)
            self._tell_outcome(instance, move, outcome)
        self._fleet.after_a_move(group)

    def _stay_warm(self, instance: Instance, move: OngoingMove) -> None:
        """An abandoned return to the pool does not terminate: the instance runs on in it (9.10)."""
        self._activities.end(move.activity, "Successful")
        instance.move = None
        self.enter(instance, "Warmed:Running")
        self._tell_outcome(instance, move, Outcome(status_code="MidTerminatingLifecycleAction"))
        self._fleet.after_a_move(self._fleet.groups[instance.group])

    def _tell_outcome(self, instance: Instance, move: OngoingMove, outcome: Outcome) -> None:
        group = self._fleet.groups[instance.group]
        self._outside.event(outcome_event(move, instance, group, self._fleet.new_id(), outcome))


def _place_of(group: Group, kind: MoveKind) -> str | None:
    """Where a move ends: a lifecycle state, or None where the instance is gone."""
    if kind.destination == "AutoScalingGroup":
        return "InService"
    if kind.destination == "WarmPool":
        return group.pool.instance_state if group.pool else "Warmed:Stopped"
    return None
