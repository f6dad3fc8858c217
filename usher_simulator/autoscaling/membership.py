"""Instances that join and leave without a hook: standby, attach, detach (aws-facts 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling import describe
from usher_simulator.autoscaling.capacity import add_instance
from usher_simulator.autoscaling.lookups import group_of, members_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Activity, Group, Instance
    from usher_simulator.autoscaling.lookups import Answer, Operations


class MembershipOperations:
    """AttachInstances, DetachInstances, EnterStandby, ExitStandby."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "AttachInstances": self._attach,
            "DetachInstances": self._detach,
            "EnterStandby": self._enter_standby,
            "ExitStandby": self._exit_standby,
        }

    def _attach(self, asked: Mapping[str, Any], _: str) -> Answer:
        """Any instance that no group has: EC2 is not asked whether it is there."""
        group, ids = group_of(self._fleet, asked["AutoScalingGroupName"]), asked.get("InstanceIds") or []
        for instance_id in ids:
            other = self._fleet.instance(instance_id)
            if other is not None:
                said = f"Instance {instance_id} is already part of AutoScalingGroup:{other.group}"
                raise ApiError("ValidationError", f"Invalid Instances: {said}, must be detached first.")
        if group.desired + len(ids) > group.max_size:
            raise _sizes(group, f"attach {len(ids)} more")
        for instance_id in ids:
            group.desired += 1
            instance = add_instance(self._fleet, group, instance_id)
            activity = self._begin(
                instance,
                f"Attaching an existing EC2 instance: {instance_id}",
                f"an instance was attached in response to a user request, increasing the capacity from "
                f"{group.desired - 1} to {group.desired}",
            )
            self._into_service(instance, activity)
        return {}

    def _detach(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, members = self._leaving(asked, "detach", ("InService", "Standby"))
        shown = []
        for instance in members:
            size = self._size_without(group, instance, asked)
            cause = f"instance {instance.id} was detached in response to a user request{size}"
            activity = self._begin(instance, f"Detaching EC2 instance: {instance.id}", cause)
            activity.progress = 50
            shown.append(describe.activity(activity))
            self._out_of_service(instance, activity, "Detaching", None)
        self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        return {"Activities": shown}

    def _enter_standby(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, members = self._leaving(asked, "place into standby", ("InService",))
        shown = []
        for instance in members:
            size = self._size_without(group, instance, asked)
            cause = f"instance {instance.id} was moved to standby in response to a user request{size}"
            activity = self._begin(instance, f"Moving EC2 instance to Standby: {instance.id}", cause)
            activity.progress = 50
            shown.append(describe.activity(activity))
            self._out_of_service(instance, activity, "EnteringStandby", "Standby")
        self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        return {"Activities": shown}

    def _exit_standby(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        members = members_of(group, asked.get("InstanceIds") or [])
        _check_states(members, ("Standby",))
        if group.desired + len(members) > group.max_size:
            raise _sizes(group, f"take out of standby {len(members)}")
        shown = []
        for instance in members:
            group.desired += 1
            activity = self._begin(
                instance,
                f"Moving EC2 instance out of Standby: {instance.id}",
                f"instance {instance.id} was moved out of standby in response to a user request, increasing "
                f"the capacity from {group.desired - 1} to {group.desired}",
            )
            activity.status, activity.progress = "PreInService", 30
            shown.append(describe.activity(activity))
            self._into_service(instance, activity)
        return {"Activities": shown}

    def _leaving(
        self, asked: Mapping[str, Any], verb: str, states: tuple[str, ...]
    ) -> tuple[Group, list[Instance]]:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        members = members_of(group, asked.get("InstanceIds") or [])
        _check_states(members, states)
        leaving = [one for one in members if one.counts]
        if asked["ShouldDecrementDesiredCapacity"] and group.desired - len(leaving) < group.min_size:
            raise _sizes(group, f"{verb} {len(leaving)}")
        return group, members

    def _size_without(self, group: Group, instance: Instance, asked: Mapping[str, Any]) -> str:
        """The end of a cause; the desired capacity goes down with the instance, if it is to."""
        if not asked["ShouldDecrementDesiredCapacity"] or not instance.counts:
            return ""
        group.desired -= 1
        return f", shrinking the capacity from {group.desired + 1} to {group.desired}"

    def _begin(self, instance: Instance, description: str, cause: str) -> Activity:
        group = self._fleet.groups[instance.group]
        at = f"At {self._fleet.now_in_seconds()} {cause}."
        return self._fleet.activities.begin(group, description, at, instance)

    def _into_service(self, instance: Instance, activity: Activity) -> None:
        """Through Pending, past the launch hooks."""
        fleet = self._fleet
        fleet.movement.enter(instance, "Pending")

        def arrive() -> None:
            if instance.state == "Pending" and instance.move is None:
                fleet.movement.enter(instance, "InService")
                fleet.movement.register(instance)
                fleet.activities.end(activity, "Successful")
                fleet.after_a_move(fleet.groups[instance.group])

        fleet.clock.at(fleet.clock() + fleet.latencies.replace, arrive)

    def _out_of_service(self, instance: Instance, activity: Activity, state: str, end: str | None) -> None:
        """Out of the load balancers, past the termination hooks."""
        fleet = self._fleet
        if instance.state == "InService":
            fleet.outside.deregister(fleet.groups[instance.group], instance.id)
        fleet.movement.enter(instance, state)

        def arrive() -> None:
            if instance.state == state:
                fleet.movement.enter(instance, end)
                fleet.activities.end(activity, "Successful")
                fleet.after_a_move(fleet.groups[instance.group])

        fleet.clock.at(fleet.clock() + fleet.latencies.replace, arrive)


def _check_states(members: list[Instance], states: tuple[str, ...]) -> None:
    for instance in members:
        if instance.state not in states:
            raise ApiError("ValidationError", f"The instance {instance.id} is not in {' or '.join(states)}.")


def _sizes(group: Group, verb: str) -> ApiError:
    return ApiError(
        "ValidationError",
        f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
        f"desired-size={group.desired}. To {verb} instances, please update the AutoScalingGroup sizes "
        "appropriately.",
    )
