"""The operations on groups: created, changed, scaled, suspended, deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.groups import Group
from usher_simulator.autoscaling.hook_operations import hooks_of
from usher_simulator.autoscaling.launch_settings import changed, check_new, check_template
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.notifications import group_arn
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.autoscaling.tags import described as tags_described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.hook_operations import HookOperations
    from usher_simulator.autoscaling.lookups import Answer, Operations

_KEPT_APART: Final = (
    "AutoScalingGroupName",
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "LifecycleHookSpecificationList",
    "SkipZonalShiftValidation",
    "Tags",
)
# ASCII 33 to 126 without the colon, as CreateAutoScalingGroup is documented; the model's pattern takes more.
_NAME: Final = re.compile("[!-9;-~]+")
PROCESSES: Final = (
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
)


class GroupOperations:
    """CreateAutoScalingGroup and what changes the group as a whole."""

    def __init__(self, fleet: Fleet, hooks: HookOperations) -> None:
        self._fleet = fleet
        self._hooks = hooks
        self.operations: Operations = {
            "CreateAutoScalingGroup": self._create,
            "UpdateAutoScalingGroup": self._update,
            "DeleteAutoScalingGroup": self._delete,
            "SetDesiredCapacity": self._set_desired,
            "SuspendProcesses": self._suspend,
            "ResumeProcesses": self._resume,
        }

    def _create(self, asked: Mapping[str, Any], request_id: str) -> Answer:
        name = asked["AutoScalingGroupName"]
        if not _NAME.fullmatch(name):
            raise ApiError("ValidationError", f"Group name {name} is invalid: use ASCII 33 to 126, no colon.")
        self._check_free(name)
        check_new(asked)
        hooks = hooks_of(asked.get("LifecycleHookSpecificationList") or [])
        group = Group(
            name=name,
            arn=group_arn(name, self._fleet.new_id()),
            created_at=self._fleet.clock(),
            min_size=asked["MinSize"],
            max_size=asked["MaxSize"],
            desired=asked.get("DesiredCapacity", asked["MinSize"]),
            settings={key: value for key, value in asked.items() if key not in _KEPT_APART},
        )
        group.settings["Tags"] = [tags_described(tag, name) for tag in asked.get("Tags") or []]
        _check_sizes(group)
        for hook in hooks:
            if hook.target_arn:
                self._hooks.send_test(group, hook, request_id)
            group.hooks[hook.name] = hook
        self._check_free(name)  # others had their turn while the test messages were on their way
        self._fleet.add_group(group)
        return {}

    def _check_free(self, name: str) -> None:
        if name in self._fleet.groups:
            raise ApiError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )

    def _update(self, asked: Mapping[str, Any], _: str) -> Answer:
        if asked["AutoScalingGroupName"] not in self._fleet.groups:
            raise ApiError("ValidationError", "AutoScalingGroup name not found - null")  # aws-facts 11.1
        check_template(asked)
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
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
        new = {key: value for key, value in asked.items() if key not in _KEPT_APART}
        group.settings = changed(group.settings, new)
        if group.desired != before[2]:
            self._fleet.wish(
                group,
                f"a user request update of AutoScalingGroup constraints to min: {group.min_size}, "
                f"max: {group.max_size}, desired: {group.desired} changing the desired capacity "
                f"from {before[2]} to {group.desired}",
            )
        elif group.pool is not None:
            self._fleet.wish(group, "")  # a warm pool fills a group up to its maximum
        return {}

    def _delete(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, force = group_of(self._fleet, asked["AutoScalingGroupName"]), bool(asked.get("ForceDelete"))
        protection = group.settings.get("DeletionProtection")
        if protection == "prevent-all-deletion" or (force and protection == "prevent-force-deletion"):
            raise ApiError(
                "ValidationError",
                f"The group {group.name} has deletion protection {protection}: update it before you delete.",
            )
        if not force and any(instance.state for instance in group.instances.values()):
            raise ApiError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        if force and group.retains:
            raise ApiError(
                "ValidationError", "A group whose instance lifecycle policy retains cannot be force deleted."
            )
        self._fleet.force_delete(group)
        return {}

    def _set_desired(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, wanted = group_of(self._fleet, asked["AutoScalingGroupName"]), asked["DesiredCapacity"]
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
        self._fleet.wish(group, why)
        return {}

    def _suspend(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        for process in _processes(asked):
            group.suspended.setdefault(process, self._fleet.clock())
        return {}

    def _resume(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        for process in _processes(asked):
            group.suspended.pop(process, None)
        self._fleet.wish(group, "")
        return {}


def _check_sizes(group: Group) -> None:
    if group.min_size > group.max_size:
        raise ApiError("ValidationError", "Max bound must be greater than or equal to min bound")
    if not group.min_size <= group.desired <= group.max_size:
        raise ApiError(
            "ValidationError",
            f"Desired capacity:{group.desired} must be between the specified min size:{group.min_size} "
            f"and max size:{group.max_size}",
        )


def _processes(asked: Mapping[str, Any]) -> list[str]:
    wanted = sorted(asked.get("ScalingProcesses") or PROCESSES)
    unknown = [process for process in wanted if process not in PROCESSES]
    if unknown:
        raise ApiError("ValidationError", f"{unknown[0]} is not a valid process type")
    return wanted
