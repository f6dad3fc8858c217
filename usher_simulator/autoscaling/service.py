"""The Auto Scaling API over the engine: one request after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling import constraints, describe
from usher_simulator.autoscaling.attachments import AttachmentOperations
from usher_simulator.autoscaling.describe_activities import activities
from usher_simulator.autoscaling.group_operations import GroupOperations
from usher_simulator.autoscaling.hook_operations import HookOperations
from usher_simulator.autoscaling.instance_operations import InstanceOperations
from usher_simulator.autoscaling.lists import TypeOperations
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.membership import MembershipOperations
from usher_simulator.autoscaling.pool_operations import PoolOperations
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.autoscaling.refresh import RefreshOperations
from usher_simulator.autoscaling.tags import TagOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lookups import Answer, Operations
    from usher_simulator.autoscaling.query_protocol import Request

_FORBIDDEN: Final = 403
_READS: Final = ("Describe", "Get")


class AutoScalingService:
    """Answers one request after the other. Raises ApiError for what AWS refuses.

    `fault` may refuse a call before anything is done (a throttle, contention); `lag` says how old
    the state is that a describe shows. `caller` is the service principal that calls, for groups that have
    an operator.
    """

    def __init__(
        self,
        fleet: Fleet,
        lag: Callable[[], timedelta] = timedelta,
        fault: Callable[[Request], ApiError | None] = lambda _: None,
    ) -> None:
        self.fleet = fleet
        self.hooks = HookOperations(fleet)
        self.lag = lag
        self.fault = fault
        self.caller = ""
        self._operations: Operations = {
            **self.hooks.operations,
            **GroupOperations(fleet, self.hooks).operations,
            **InstanceOperations(fleet).operations,
            **MembershipOperations(fleet).operations,
            **PoolOperations(fleet).operations,
            **RefreshOperations(fleet).operations,
            **TagOperations(fleet).operations,
            **AttachmentOperations(fleet).operations,
            **TypeOperations(fleet).operations,
            "DescribeAutoScalingGroups": self._describe_groups,
            "DescribeAutoScalingInstances": self._describe_instances,
            "DescribeScalingActivities": self._describe_activities,
            "DescribeWarmPool": self._describe_pool,
        }

    @property
    def operations(self) -> list[str]:
        """The operations that are simulated."""
        return list(self._operations)

    def __call__(self, request: Request) -> Answer:
        """The answer's members."""
        fault = self.fault(request)
        if fault is not None:
            raise fault
        operation = self._operations.get(request.operation)
        if operation is None:
            raise ApiError("AccessDenied", f"{request.operation} is not simulated", _FORBIDDEN)
        constraints.check(request.operation, request.parameters)
        if self.fleet.is_operated:
            self._refuse_what_is_the_operators(request)
        return operation(request.parameters, request.request_id)

    def _refuse_what_is_the_operators(self, request: Request) -> None:
        """Only its operator changes a group that has one (aws-facts 11.1)."""
        if request.operation.startswith(_READS):
            return
        for group in self._named(request.parameters):
            if group.operator not in (None, self.caller):
                raise ApiError(
                    "AccessDenied",
                    f"The Auto Scaling group is managed by {group.operator}: "
                    f"{request.operation} is not allowed.",
                    _FORBIDDEN,
                )

    def _named(self, asked: Mapping[str, Any]) -> list[Group]:
        """The groups that a call is about: by name, by an instance, by tags."""
        names = {
            asked.get("AutoScalingGroupName"),
            *(tag.get("ResourceId") for tag in asked.get("Tags") or []),
        }
        if "AutoScalingGroupName" not in asked and "InstanceId" in asked:
            instance = self.fleet.instance(asked["InstanceId"])
            names.add(instance.group if instance else None)
        return [self.fleet.groups[name] for name in names if name in self.fleet.groups]

    def _describe_groups(self, asked: Mapping[str, Any], _: str) -> Answer:
        return describe.groups(self.fleet, asked, self.fleet.clock() - self.lag())

    def _describe_instances(self, asked: Mapping[str, Any], _: str) -> Answer:
        return describe.instances(self.fleet, asked, self.fleet.clock() - self.lag())

    def _describe_activities(self, asked: Mapping[str, Any], _: str) -> Answer:
        return activities(self.fleet, asked)

    def _describe_pool(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self.fleet, asked["AutoScalingGroupName"])
        return describe.pool(group, asked, self.fleet.clock() - self.lag())
