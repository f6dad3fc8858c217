"""The calls on lifecycle actions that Usher makes, answered from the simulated waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.lifecycle_actions import Wait, Waits
    from usher_simulator.autoscaling.query_protocol import Request


class LifecycleCalls:
    """Answers one request after the other; raises ApiError for what AWS refuses."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits

    def __call__(self, request: Request) -> Mapping[str, Any]:
        """The answer's members."""
        match request.operation:
            case "RecordLifecycleActionHeartbeat":
                self._waits.heartbeat(self._active(request.parameters))
                return {}
            case "CompleteLifecycleAction":
                result = request.parameters["LifecycleActionResult"]
                self._waits.end(self._active(request.parameters), result, EndedBy.CALL)
                return {}
            case "DescribeAutoScalingInstances":
                ids = request.parameters["InstanceIds"]
                return {
                    "AutoScalingInstances": [self._instance(i) for i in ids if self._waits.of_instance(i)]
                }
            case _:
                raise ApiError("InvalidAction", f"{request.operation} is not simulated")

    def _active(self, parameters: Mapping[str, Any]) -> Wait:
        return self._waits.active(
            parameters["AutoScalingGroupName"],
            parameters["LifecycleHookName"],
            parameters.get("LifecycleActionToken"),
            parameters.get("InstanceId"),
        )

    def _instance(self, instance_id: str) -> Mapping[str, Any]:
        """Only the waits are known here, so the state is that of the newest one."""
        newest = self._waits.of_instance(instance_id)[-1]
        state = "Pending" if newest.transition == "launching" else "Terminating"
        waiting = any(wait.is_open for wait in self._waits.of_instance(instance_id))
        return {
            "InstanceId": instance_id,
            "AutoScalingGroupName": newest.group,
            "AvailabilityZone": "us-east-1a",
            "LifecycleState": f"{state}:{'Wait' if waiting else 'Proceed'}",
            "HealthStatus": "HEALTHY",
            "ProtectedFromScaleIn": False,
        }
