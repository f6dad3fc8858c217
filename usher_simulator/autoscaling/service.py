"""The operations of the Auto Scaling API, over the engine: what goes in, what comes out, what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling import constraints, describe
from usher_simulator.autoscaling.capacity import pool_size
from usher_simulator.autoscaling.groups import Group, WarmPool
from usher_simulator.autoscaling.hook_operations import HookOperations, group_of, hooks_of
from usher_simulator.autoscaling.notifications import group_arn
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Instance
    from usher_simulator.autoscaling.query_protocol import Request

    Answer = Mapping[str, Any]

_CAPACITY: Final = (
    "AutoScalingGroupName",
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "LifecycleHookSpecificationList",
)
_PROCESSES: Final = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)


class AutoScalingService:
    """Answers one request after the other. Raises ApiError for what AWS refuses.

    `fault` may refuse a call before anything is done (a throttle, contention); `lag` says how old
    the state is that a describe shows.
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
        self._operations: dict[str, Callable[[Mapping[str, Any], str], Answer]] = {
            "PutLifecycleHook": self.hooks.put,
            "DescribeLifecycleHooks": self.hooks.describe,
            "DescribeLifecycleHookTypes": self.hooks.describe_types,
            "DeleteLifecycleHook": self.hooks.delete,
            "RecordLifecycleActionHeartbeat": self.hooks.heartbeat,
            "CompleteLifecycleAction": self.hooks.complete,
            "CreateAutoScalingGroup": self._create_group,
            "UpdateAutoScalingGroup": self._update_group,
            "DeleteAutoScalingGroup": self._delete_group,
            "DescribeAutoScalingGroups": self._describe_groups,
            "DescribeAutoScalingInstances": self._describe_instances,
            "DescribeScalingActivities": self._describe_activities,
            "CreateOrUpdateTags": self._put_tags,
            "DeleteTags": self._delete_tags,
            "SetDesiredCapacity": self._set_desired,
            "SuspendProcesses": self._suspend,
            "ResumeProcesses": self._resume,
            "TerminateInstanceInAutoScalingGroup": self._terminate_instance,
            "SetInstanceHealth": self._set_health,
            "SetInstanceProtection": self._set_protection,
            "PutWarmPool": self._put_pool,
            "DescribeWarmPool": self._describe_pool,
            "DeleteWarmPool": self._delete_pool,
            "StartInstanceRefresh": self._start_refresh,
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
            raise ApiError("InvalidAction", f"{request.operation} is not simulated")
        constraints.check(request.operation, request.parameters)
        return operation(request.parameters, request.request_id)

    # -- groups -------------------------------------------------------------------------------

    def _create_group(self, asked: Mapping[str, Any], request_id: str) -> Answer:
        name = asked["AutoScalingGroupName"]
        if name in self.fleet.groups:
            raise ApiError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        hooks = hooks_of(asked.get("LifecycleHookSpecificationList") or [])
        group = Group(
            name=name,
            arn=group_arn(name, self.fleet.new_id()),
            created_at=self.fleet.clock(),
            min_size=asked["MinSize"],
            max_size=asked["MaxSize"],
            desired=asked.get("DesiredCapacity", asked["MinSize"]),
            settings={key: value for key, value in asked.items() if key not in _CAPACITY},
        )
        _check_sizes(group)
        for hook in hooks:
            if hook.target_arn:
                self.hooks.send_test(group, hook, request_id)
            group.hooks[hook.name] = hook
        self.fleet.add_group(group)
        return {}

    def _update_group(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        before = (group.min_size, group.max_size, group.desired)
        group.min_size = asked.get("MinSize", group.min_size)
        group.max_size = asked.get("MaxSize", group.max_size)
        kept = min(max(group.desired, group.min_size), group.max_size)
        group.desired = asked.get("DesiredCapacity", kept)
        try:
            _check_sizes(group)
        except ApiError:
            group.min_size, group.max_size, group.desired = before
            raise
        group.settings |= {key: value for key, value in asked.items() if key not in _CAPACITY}
        if group.desired != before[2]:
            self.fleet.wish(
                group,
                f"a user request update of AutoScalingGroup constraints to min: {group.min_size}, "
                f"max: {group.max_size}, desired: {group.desired} changing the desired capacity "
                f"from {before[2]} to {group.desired}",
            )
        return {}

    def _delete_group(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        status = any(instance.state for instance in group.instances.values())
        if status and not asked.get("ForceDelete"):
            raise ApiError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        if asked.get("ForceDelete") and group.retains:
            raise ApiError(
                "ValidationError", "A group whose instance lifecycle policy retains cannot be force deleted."
            )
        self.fleet.force_delete(group)
        return {}

    def _put_tags(self, asked: Mapping[str, Any], request_id: str) -> Answer:
        self._delete_tags(asked, request_id)
        for tag in asked["Tags"]:
            self._group(tag["ResourceId"]).settings["Tags"].append(tag)
        return {}

    def _delete_tags(self, asked: Mapping[str, Any], _: str) -> Answer:
        for gone in asked["Tags"]:
            settings = self._group(gone["ResourceId"]).settings
            settings["Tags"] = [tag for tag in settings.get("Tags") or [] if tag["Key"] != gone["Key"]]
        return {}

    def _set_desired(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, wanted = self._group(asked["AutoScalingGroupName"]), asked["DesiredCapacity"]
        for bound, broken, side in (
            (group.max_size, wanted > group.max_size, "above max"),
            (group.min_size, wanted < group.min_size, "below min"),
        ):
            if broken:
                raise ApiError(
                    "ValidationError",
                    f"New SetDesiredCapacity value {wanted} is {side} value {bound} for the "
                    "AutoScalingGroup.",
                )
        before, group.desired = group.desired, wanted
        why = (
            "a user request explicitly set group desired capacity changing the desired capacity "
            f"from {before} to {wanted}"
        )
        self.fleet.wish(group, why)
        return {}

    def _suspend(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        group.suspended |= _processes(asked)
        return {}

    def _resume(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        group.suspended -= _processes(asked)
        self.fleet.wish(group, "")
        return {}

    # -- instances ----------------------------------------------------------------------------

    def _terminate_instance(self, asked: Mapping[str, Any], _: str) -> Answer:
        if asked.get("InstanceIds"):
            ids = asked["InstanceIds"]
            return {"Activities": [self._terminate_one(one, asked) for one in ids]}
        if not asked.get("InstanceId"):
            raise ApiError("ValidationError", "Either InstanceId or InstanceIds must be specified.")
        return {"Activity": self._terminate_one(asked["InstanceId"], asked)}

    def _terminate_one(self, instance_id: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        instance = self._instance(instance_id)
        group = self.fleet.groups[instance.group]
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
        activity = self.fleet.terminate(instance, why)
        self.fleet.reconcile_soon(group, self.fleet.latencies.replace)
        return describe.activity(activity)

    def _set_health(self, asked: Mapping[str, Any], _: str) -> Answer:
        status = asked["HealthStatus"]
        if status not in ("Healthy", "Unhealthy"):
            raise ApiError("ValidationError", "Valid instance health states are: [Healthy, Unhealthy].")
        self.fleet.set_health(self._instance(asked["InstanceId"]), healthy=status == "Healthy")
        return {}

    def _set_protection(self, asked: Mapping[str, Any], _: str) -> Answer:
        for instance_id in asked["InstanceIds"]:
            self._instance(instance_id).protected = asked["ProtectedFromScaleIn"]
        self.fleet.wish(self._group(asked["AutoScalingGroupName"]), "")
        return {}

    def _start_refresh(self, asked: Mapping[str, Any], _: str) -> Answer:
        """Simplified: all instances at once, with no checkpoints and no rollback."""
        group = self._group(asked["AutoScalingGroupName"])
        for instance in [one for one in group.counting if one.state == "InService"]:
            if asked.get("Strategy") == "ReplaceRootVolume":
                self.fleet.replace_root_volume(instance)
            else:
                self.fleet.terminate(instance, "an instance refresh replaced the instance")
        self.fleet.reconcile_soon(group, self.fleet.latencies.replace)
        return {"InstanceRefreshId": self.fleet.new_id()}

    # -- warm pools ---------------------------------------------------------------------------

    def _put_pool(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        pool = group.pool or WarmPool()
        if pool.deleting:
            raise ApiError("ScalingActivityInProgress", "The warm pool of the group is being deleted.")
        pool.min_size = asked.get("MinSize", pool.min_size)
        prepared = asked.get("MaxGroupPreparedCapacity", pool.max_prepared)
        pool.max_prepared = None if prepared == -1 else prepared
        pool.state = asked.get("PoolState", pool.state)
        policy = asked.get("InstanceReusePolicy") or {}
        pool.reuse = policy.get("ReuseOnScaleIn", pool.reuse)
        group.pool = pool
        self.fleet.wish(
            group,
            f"a user request put a new WarmPool with MinSize: {pool.min_size} and "
            f"MaxGroupPreparedCapacity: {'null' if pool.max_prepared is None else pool.max_prepared} "
            f"changing the capacity of WarmPool from {len(group.pooled)} to {pool_size(group)}",
        )
        return {}

    def _delete_pool(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        if group.pool is None:
            raise ApiError("ValidationError", f"No warm pool found for Auto Scaling group: {group.name}")
        self.fleet.end_pool(group)
        return {}

    # -- describes ----------------------------------------------------------------------------

    def _describe_groups(self, asked: Mapping[str, Any], _: str) -> Answer:
        return describe.groups(self.fleet, asked, self.fleet.clock() - self.lag())

    def _describe_instances(self, asked: Mapping[str, Any], _: str) -> Answer:
        return describe.instances(self.fleet, asked, self.fleet.clock() - self.lag())

    def _describe_activities(self, asked: Mapping[str, Any], _: str) -> Answer:
        return describe.activities(self.fleet, asked)

    def _describe_pool(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked["AutoScalingGroupName"])
        return describe.pool(group, asked, self.fleet.clock() - self.lag())

    def _group(self, name: str) -> Group:
        return group_of(self.fleet, name)

    def _instance(self, instance_id: str) -> Instance:
        instance = self.fleet.instance(instance_id)
        if instance is None:
            raise ApiError(
                "ValidationError",
                f"Instance Id not found - No managed instance found for instance ID: {instance_id}",
            )
        return instance


def _check_sizes(group: Group) -> None:
    if group.min_size > group.max_size:
        raise ApiError("ValidationError", "Max bound must be greater than or equal to min bound")
    if not group.min_size <= group.desired <= group.max_size:
        raise ApiError(
            "ValidationError",
            f"Desired capacity:{group.desired} must be between the specified min size:{group.min_size} "
            f"and max size:{group.max_size}",
        )


def _processes(asked: Mapping[str, Any]) -> set[str]:
    wanted = set(asked.get("ScalingProcesses") or _PROCESSES)
    unknown = wanted - set(_PROCESSES)
    if unknown:
        raise ApiError("ValidationError", f"{min(unknown)} is not a valid process type")
    return wanted
