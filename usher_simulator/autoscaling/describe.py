"""What the describe operations show."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.moves import TRANSITION_NAMES
from usher_simulator.autoscaling.notifications import written_in_seconds
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Activity, Group, Hook, Instance

_LONGEST_WAIT: Final = timedelta(hours=48)
_MOST_GROUPS: Final = 100
_MOST_INSTANCES: Final = 50
_MOST_ACTIVITIES: Final = 100
_SECOND: Final = timedelta(seconds=1)


def hook(hook: Hook, group: Group) -> Mapping[str, Any]:
    """One of DescribeLifecycleHooks. Members that are not set are left out."""
    return {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": TRANSITION_NAMES[hook.transition],
        "NotificationTargetARN": hook.target_arn,
        "RoleARN": hook.role_arn,
        "NotificationMetadata": hook.metadata,
        "HeartbeatTimeout": hook.heartbeat_timeout // _SECOND,
        "GlobalTimeout": min(_LONGEST_WAIT, 100 * hook.heartbeat_timeout) // _SECOND,
        "DefaultResult": hook.default_result,
    }


def activity(activity: Activity) -> Mapping[str, Any]:
    """A scaling activity; its end is shown in whole seconds, as captured."""
    ended_at = activity.ended_at
    return {
        "ActivityId": activity.id,
        "AutoScalingGroupName": activity.group,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at,
        "EndTime": None if ended_at is None else written_in_seconds(ended_at),
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "Details": "{}",
    }


def groups(fleet: Fleet, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeAutoScalingGroups, with its filters on names and tags."""
    names = asked.get("AutoScalingGroupNames")
    found = [
        group
        for group in fleet.groups.values()
        if (names is None or group.name in names) and _has_tags(group, asked.get("Filters") or [])
    ]
    with_instances = asked.get("IncludeInstances", True)
    page, token = _page(found, asked, _MOST_GROUPS)
    shown = [_group(group, moment, with_instances=with_instances) for group in page]
    return {"AutoScalingGroups": shown, "NextToken": token}


def _has_tags(group: Group, filters: Sequence[Mapping[str, Any]]) -> bool:
    tags = {tag["Key"]: tag.get("Value", "") for tag in group.settings.get("Tags") or []}
    for wanted in filters:
        name, values = wanted["Name"], wanted.get("Values") or []
        if name.startswith("tag:"):
            fits = tags.get(name.removeprefix("tag:")) in values
        elif name in ("tag-key", "tag-value"):
            fits = bool(set(values) & set(tags if name == "tag-key" else tags.values()))
        else:
            raise ApiError("ValidationError", f"Filter type {name} is not correct.")
        if not fits:
            return False
    return True


def _group(group: Group, moment: datetime, *, with_instances: bool) -> Mapping[str, Any]:
    here = [
        (instance, state)
        for instance, state in _seen(group, moment)
        if not state.startswith("Warmed:")  # the warm pool is described apart (aws-facts 9.17)
    ]
    pool = group.pool
    return {
        "DefaultCooldown": 300,
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "AvailabilityZones": ["us-east-1a"],
        "NewInstancesProtectedFromScaleIn": False,
        "InstanceLifecyclePolicy": {"RetentionTriggers": {"TerminateHookAbandon": "terminate"}},
        **group.settings,
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.min_size,
        "MaxSize": group.max_size,
        "DesiredCapacity": group.desired,
        "CreatedTime": group.created_at,
        "Status": "Delete in progress" if group.deleting else None,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": "User suspended"} for name in sorted(group.suspended)
        ],
        "Instances": [_instance(*seen) for seen in here] if with_instances else [],
        "WarmPoolConfiguration": None if pool is None else _pool(group),
        "WarmPoolSize": None if pool is None else len(group.pooled),
    }


def _seen(group: Group, moment: datetime) -> list[tuple[Instance, str]]:
    """The instances with the states that they had at `moment`; what was not there is left out."""
    states = ((instance, instance.state_at(moment)) for instance in group.instances.values())
    return [(instance, state) for instance, state in states if state]


def _instance(instance: Instance, state: str) -> Mapping[str, Any]:
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "LifecycleState": state,
        "HealthStatus": "Healthy" if instance.healthy else "Unhealthy",
        "ProtectedFromScaleIn": instance.protected,
    }


def instances(fleet: Fleet, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeAutoScalingInstances: warm pools too, unknown ids passed over, health in capitals."""
    wanted = asked.get("InstanceIds")
    if wanted is not None and len(wanted) > _MOST_INSTANCES:
        raise ApiError("ValidationError", f"The number of instance ids must be at most {_MOST_INSTANCES}.")
    found = [
        (instance, state)
        for group in fleet.groups.values()
        for instance, state in _seen(group, moment)
        if wanted is None or instance.id in wanted
    ]
    page, token = _page(found, asked, _MOST_INSTANCES)
    shown = [
        {
            **_instance(instance, state),
            "AutoScalingGroupName": instance.group,
            "HealthStatus": "HEALTHY" if instance.healthy else "UNHEALTHY",
        }
        for instance, state in page
    ]
    return {"AutoScalingInstances": shown, "NextToken": token}


def activities(fleet: Fleet, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """DescribeScalingActivities, newest first. Those of deleted groups are not kept (simplified)."""
    name, ids = asked.get("AutoScalingGroupName"), asked.get("ActivityIds")
    found = [
        one
        for group in fleet.groups.values()
        if name is None or group.name == name
        for one in group.activities
        if not ids or one.id in ids
    ]
    page, token = _page(found, asked, _MOST_ACTIVITIES)
    return {"Activities": [activity(one) for one in page], "NextToken": token}


def pool(group: Group, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeWarmPool."""
    here = [(instance, state) for instance, state in _seen(group, moment) if state.startswith("Warmed:")]
    page, token = _page(here, asked, _MOST_INSTANCES)
    return {
        "WarmPoolConfiguration": None if group.pool is None else _pool(group),
        "Instances": [_instance(*seen) for seen in page],
        "NextToken": token,
    }


def _pool(group: Group) -> Mapping[str, Any]:
    pool = group.pool
    if pool is None:
        return {}
    return {
        "MaxGroupPreparedCapacity": pool.max_prepared,
        "MinSize": pool.min_size,
        "PoolState": pool.state,
        "Status": "PendingDelete" if pool.deleting else None,
        "InstanceReusePolicy": {"ReuseOnScaleIn": pool.reuse},
    }


def _page(found: list[Any], asked: Mapping[str, Any], most: int) -> tuple[list[Any], str | None]:
    """One page of what was found, and the token of the next."""
    size = asked.get("MaxRecords") or most
    if not 1 <= size <= most:
        raise ApiError("ValidationError", f"MaxRecords must be from 1 to {most}, got {size}.")
    try:
        first = int(asked.get("NextToken") or 0)
    except ValueError:
        raise ApiError("InvalidNextToken", "The NextToken value is not valid.") from None
    rest = first + size
    return found[first:rest], str(rest) if rest < len(found) else None
