"""The operations on single instances: terminated, their health and protection set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling import describe
from usher_simulator.autoscaling.lookups import group_of, instance_of, members_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.lookups import Answer, Operations


class InstanceOperations:
    """TerminateInstanceInAutoScalingGroup, SetInstanceHealth, SetInstanceProtection."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "TerminateInstanceInAutoScalingGroup": self._terminate,
            "SetInstanceHealth": self._set_health,
            "SetInstanceProtection": self._set_protection,
        }

    def _terminate(self, asked: Mapping[str, Any], _: str) -> Answer:
        if asked.get("InstanceIds"):
            group = group_of(self._fleet, asked.get("AutoScalingGroupName", ""))  # required with a list (1.3)
            found = members_of(group, asked["InstanceIds"])
            return {"Activities": [self._terminate_one(one.id, asked) for one in found]}
        if not asked.get("InstanceId"):
            raise ApiError("ValidationError", "Either InstanceId or InstanceIds must be specified.")
        return {"Activity": self._terminate_one(asked["InstanceId"], asked)}

    def _terminate_one(self, instance_id: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        instance = instance_of(self._fleet, instance_id)
        group = self._fleet.groups[instance.group]
        if instance.is_of_pool:
            raise ApiError("ValidationError", f"The instance {instance.id} is in a warm pool.")
        decrement = asked["ShouldDecrementDesiredCapacity"]
        if instance.is_retained and decrement:
            raise ApiError(
                "ValidationError",
                f"The instance {instance.id} is in a Retained state and can't be terminated while decreasing "
                "desired capacity. To terminate these instances, retry without decreasing the Auto Scaling "
                "group's desired capacity.",
            )
        if decrement and instance.counts:
            if group.desired <= group.min_size:
                raise ApiError(
                    "ValidationError",
                    f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance "
                    "without replacement will violate group's min size constraint. Either set "
                    "shouldDecrementDesiredCapacity flag to false or lower group's min size.",
                )
            group.desired -= 1
        why = f"instance {instance.id} was taken out of service in response to a user request"
        activity = self._fleet.terminate(instance, why)
        self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        return describe.activity(activity)

    def _set_health(self, asked: Mapping[str, Any], _: str) -> Answer:
        status = asked["HealthStatus"]
        if status not in ("Healthy", "Unhealthy"):
            raise ApiError("ValidationError", "Valid instance health states are: [Healthy, Unhealthy].")
        healthy = status == "Healthy"
        self._fleet.set_health(instance_of(self._fleet, asked["InstanceId"]), healthy=healthy)
        return {}

    def _set_protection(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        for instance in members_of(group, asked["InstanceIds"]):
            instance.protected = asked["ProtectedFromScaleIn"]
        self._fleet.wish(group, "")
        return {}
