"""The lists of what there is, which the Describe…Types operations answer; and the quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.group_operations import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.lookups import Answer, Operations

GRANULARITY: Final = "1Minute"
METRICS: Final = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupInServiceCapacity",
    "GroupPendingInstances",
    "GroupPendingCapacity",
    "GroupTerminatingInstances",
    "GroupTerminatingCapacity",
    "GroupTerminatingRetainedInstances",
    "GroupTerminatingRetainedCapacity",
    "GroupStandbyInstances",
    "GroupStandbyCapacity",
    "GroupTotalInstances",
    "GroupTotalCapacity",
    "WarmPoolDesiredCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolPendingRetainedCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolTerminatingRetainedCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
)
NOTIFICATION_TYPES: Final = (
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION",
)
_ANSWERS: Final[Mapping[str, Answer]] = {
    "DescribeAdjustmentTypes": {
        "AdjustmentTypes": [
            {"AdjustmentType": name}
            for name in ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
        ]
    },
    "DescribeAutoScalingNotificationTypes": {"AutoScalingNotificationTypes": list(NOTIFICATION_TYPES)},
    "DescribeMetricCollectionTypes": {
        "Metrics": [{"Metric": name} for name in METRICS],
        "Granularities": [{"Granularity": GRANULARITY}],
    },
    "DescribeScalingProcessTypes": {"Processes": [{"ProcessName": name} for name in PROCESSES]},
    "DescribeTerminationPolicyTypes": {
        "TerminationPolicyTypes": [
            "AllocationStrategy",
            "ClosestToNextInstanceHour",
            "Default",
            "NewestInstance",
            "OldestInstance",
            "OldestLaunchConfiguration",
            "OldestLaunchTemplate",
        ]
    },
}
_MOST_GROUPS, _MOST_CONFIGURATIONS = 500, 200


class TypeOperations:
    """The Describe…Types operations, and DescribeAccountLimits."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "DescribeAccountLimits": self._limits,
            **{name: _fixed(answer) for name, answer in _ANSWERS.items()},
        }

    def _limits(self, _: Mapping[str, Any], __: str) -> Answer:
        """The quotas are told; nothing is refused for them."""
        return {
            "MaxNumberOfAutoScalingGroups": _MOST_GROUPS,
            "MaxNumberOfLaunchConfigurations": _MOST_CONFIGURATIONS,
            "NumberOfAutoScalingGroups": len(self._fleet.groups),
            "NumberOfLaunchConfigurations": 0,
        }


def _fixed(answer: Answer) -> Any:  # noqa: ANN401 - an operation
    return lambda _, __: answer
