"""What the describe operations show of groups, their instances, hooks and warm pools."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.launch_settings import zone_id
from usher_simulator.autoscaling.moves import TRANSITION_NAMES
from usher_simulator.autoscaling.notifications import ACCOUNT, written_in_seconds
from usher_simulator.autoscaling.pages import Page, page_of
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.autoscaling.tags import has_tags

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Activity, Group, Hook, Instance

_LONGEST_WAIT: Final = timedelta(hours=48)
_GROUPS: Final = Page(default=50, most=100)
_MOST_INSTANCES: Final = 50
_INSTANCES: Final = Page(default=_MOST_INSTANCES, most=_MOST_INSTANCES)
_SECOND: Final = timedelta(seconds=1)
# What a group is described with where nothing else was asked for, as captured (aws-facts 11.2).
_DEFAULTS: Final[Mapping[str, Any]] = {
    "DefaultCooldown": 300,
    "HealthCheckType": "EC2",
    "HealthCheckGracePeriod": 0,
    "AvailabilityZones": ["us-east-1a"],
    "LoadBalancerNames": [],
    "TargetGroupARNs": [],
    "TrafficSources": [],
    "TerminationPolicies": ["Default"],
    "NewInstancesProtectedFromScaleIn": False,
    "ServiceLinkedRoleARN": (
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    ),
    "AvailabilityZoneDistribution": {"CapacityDistributionStrategy": "balanced-best-effort"},
    "CapacityReservationSpecification": {"CapacityReservationPreference": "default"},
    "InstanceLifecyclePolicy": {"RetentionTriggers": {"TerminateHookAbandon": "terminate"}},
}


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
        "Details": _details(activity),
        "AutoScalingGroupState": "Deleted" if activity.of_deleted_group else None,
        "AutoScalingGroupARN": activity.group_arn,
    }


def _details(activity: Activity) -> str:
    if activity.zone is None:
        return "{}"
    details = {
        "Availability Zone ID": zone_id(activity.zone),
        "Subnet ID": activity.subnet,
        "Availability Zone": activity.zone,
    }
    return json.dumps(details, separators=(",", ":"))


def groups(fleet: Fleet, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeAutoScalingGroups, with its filters on names and tags; no names are all (boto/boto3#3740)."""
    names, with_managed = asked.get("AutoScalingGroupNames"), asked.get("IncludeManagedResources", True)
    found = [
        group
        for group in fleet.groups.values()
        if (not names or group.name in names)
        and (with_managed or group.operator is None)
        and has_tags(group, asked.get("Filters") or [])
    ]
    with_instances = asked.get("IncludeInstances", True)
    page, token = page_of(found, asked, _GROUPS)
    shown = [_group(group, moment, with_instances=with_instances) for group in page]
    return {"AutoScalingGroups": shown, "NextToken": token}


def _group(group: Group, moment: datetime, *, with_instances: bool) -> Mapping[str, Any]:
    here = [
        (instance, state)
        for instance, state in _seen(group, moment)
        if not state.startswith("Warmed:")  # the warm pool is described apart (aws-facts 9.17)
    ]
    described = {**_DEFAULTS, **group.settings}
    return {
        **described,
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.min_size,
        "MaxSize": group.max_size,
        "DesiredCapacity": group.desired,
        "CreatedTime": group.created_at,
        "Status": "Delete in progress" if group.deleting else None,
        "AvailabilityZoneIds": [zone_id(zone) for zone in described["AvailabilityZones"]],
        "TrafficSources": traffic_sources(described),
        "EnabledMetrics": group.settings.get("EnabledMetrics") or [],
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": f"User suspended at {written_in_seconds(since)}"}
            for name, since in sorted(group.suspended.items())
        ],
        "Instances": [_instance(*seen) for seen in here] if with_instances else [],
        "WarmPoolConfiguration": None if group.pool is None else _pool(group),
        "WarmPoolSize": None if group.pool is None else len(group.warm),
    }


def traffic_sources(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The traffic sources of a group; its target groups and Classic Load Balancers are some."""
    return [
        *(settings.get("TrafficSources") or []),
        *({"Identifier": arn, "Type": "elbv2"} for arn in settings.get("TargetGroupARNs") or []),
        *({"Identifier": name, "Type": "elb"} for name in settings.get("LoadBalancerNames") or []),
    ]


def _seen(group: Group, moment: datetime) -> list[tuple[Instance, str]]:
    """The instances with the states that they had at `moment`; what was not there is left out."""
    states = ((instance, instance.state_at(moment)) for instance in group.instances.values())
    return [(instance, state) for instance, state in states if state]


def _instance(instance: Instance, state: str) -> Mapping[str, Any]:
    return {
        "InstanceId": instance.id,
        **instance.launched_from,
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": zone_id(instance.zone),
        "LifecycleState": state,
        "HealthStatus": "Healthy" if instance.healthy else "Unhealthy",
        "ProtectedFromScaleIn": instance.protected,
    }


def instances(fleet: Fleet, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeAutoScalingInstances: warm pools too, unknown ids passed over, health in capitals."""
    wanted, with_managed = asked.get("InstanceIds"), asked.get("IncludeManagedResources", True)
    if wanted and len(wanted) > _MOST_INSTANCES:
        raise ApiError("ValidationError", f"The number of instance ids must be at most {_MOST_INSTANCES}.")
    found = [
        (instance, state)
        for group in fleet.groups.values()
        if with_managed or group.operator is None
        for instance, state in _seen(group, moment)
        if not wanted or instance.id in wanted
    ]
    page, token = page_of(found, asked, _INSTANCES)
    shown = [
        {
            **_instance(instance, state),
            "AutoScalingGroupName": instance.group,
            "HealthStatus": "HEALTHY" if instance.healthy else "UNHEALTHY",
        }
        for instance, state in page
    ]
    return {"AutoScalingInstances": shown, "NextToken": token}


def pool(group: Group, asked: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """DescribeWarmPool."""
    here = [(instance, state) for instance, state in _seen(group, moment) if state.startswith("Warmed:")]
    page, token = page_of(here, asked, _INSTANCES)
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
        "InstanceReusePolicy": None if pool.reuse is None else {"ReuseOnScaleIn": pool.reuse},
    }
