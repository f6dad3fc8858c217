"""What Auto Scaling says, in the shapes and key orders that were captured (aws-facts 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.moves import TRANSITION_NAMES

if TYPE_CHECKING:
    from datetime import datetime

    from usher_simulator.autoscaling.groups import Group, Hook, Instance, OngoingMove
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind

_ABANDONED: Final = (
    "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {} was abandoned: {}"
)
_WHY_ABANDONED: Final = {
    EndedBy.HEARTBEAT_TIMEOUT: "Heartbeat Timeout",
    EndedBy.GLOBAL_TIMEOUT: "Global Timeout",
}

ACCOUNT: Final = "111122223333"
REGION: Final = "us-east-1"
SERVICE: Final = "AWS Auto Scaling"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a move ended, as its event says it. The StatusCode tells little (aws-facts 9.11)."""

    status_code: str
    successful: bool = True
    message: str = ""


def written(moment: datetime) -> str:
    """A time with milliseconds, e.g. `2026-01-31T12:00:00.000Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written_in_seconds(moment: datetime) -> str:
    """A time as events and causes have it, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def group_arn(name: str, uuid: str) -> str:
    """The ARN of a group."""
    return f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:{uuid}:autoScalingGroupName/{name}"


def abandoned(wait: Wait) -> str:
    """The message of an activity whose lifecycle action was abandoned (aws-facts 2.2)."""
    by_call = "Lifecycle Action Completed with ABANDON Result"
    why = by_call if wait.ended_by is None else _WHY_ABANDONED.get(wait.ended_by, by_call)
    return _ABANDONED.format(wait.token, why)


def hook_message(wait: Wait, hook: Hook, request_id: str) -> dict[str, Any]:
    """What a hook's target gets: SQS as the body, SNS as the Message, Lambda as the event."""
    message = {
        "Origin": wait.origin,
        "LifecycleHookName": wait.hook,
        "Destination": wait.destination,
        "AccountId": ACCOUNT,
        "RequestId": request_id,
        "LifecycleTransition": TRANSITION_NAMES[hook.transition],
        "AutoScalingGroupName": wait.group,
        "Service": SERVICE,
        "Time": written(wait.started_at),
        "EC2InstanceId": wait.instance_id,
        "NotificationMetadata": hook.metadata,
        "LifecycleActionToken": wait.token,
    }
    return {key: value for key, value in message.items() if value is not None}


def test_message(group: Group, request_id: str, now: datetime) -> dict[str, Any]:
    """The TEST_NOTIFICATION that PutLifecycleHook sends. It does not name the hook."""
    return {
        "AccountId": ACCOUNT,
        "RequestId": request_id,
        "AutoScalingGroupARN": group.arn,
        "AutoScalingGroupName": group.name,
        "Service": SERVICE,
        "Event": "autoscaling:TEST_NOTIFICATION",
        "Time": written(now),
    }


def lifecycle_event(wait: Wait, hook: Hook, kind: MoveKind, group: Group, event_id: str) -> dict[str, Any]:
    """The EventBridge event of a lifecycle action."""
    detail = {
        "LifecycleActionToken": wait.token,
        "AutoScalingGroupName": wait.group,
        "LifecycleHookName": wait.hook,
        "EC2InstanceId": wait.instance_id,
        "LifecycleTransition": TRANSITION_NAMES[kind.transition],
        "NotificationMetadata": hook.metadata,
        "Origin": wait.origin,
        "Destination": wait.destination,
        "Action": kind.action,
    }
    name = "launch" if kind.is_launch else "terminate"
    return _event(
        f"EC2 Instance-{name} Lifecycle Action",
        wait.started_at,
        [group.arn],
        {key: value for key, value in detail.items() if value is not None},
        event_id,
    )


def outcome_event(
    move: OngoingMove, instance: Instance, group: Group, event_id: str, said: Outcome
) -> dict[str, Any]:
    """The EventBridge event of the end of a move."""
    activity, kind = move.activity, move.kind
    ended_at = activity.ended_at or activity.started_at
    reason = f".  Status Reason: {said.message}" if said.message else ""
    detail = {
        "Origin": kind.origin,
        "Destination": kind.destination,
        "Action": kind.action,
        "Description": kind.description.format(instance.id) + reason,
        "EndTime": written(ended_at),
        "RequestId": activity.id,
        "ActivityId": activity.id,
        "StartTime": written(activity.started_at),
        "EC2InstanceId": instance.id,
        "StatusCode": said.status_code,
        "StatusMessage": said.message,
        "Details": {
            "Availability Zone ID": "use1-az6",
            "Subnet ID": instance.subnet,
            "Availability Zone": instance.zone,
        },
        "Cause": activity.cause,
        "AutoScalingGroupName": group.name,
    }
    name = "Launch" if kind.is_launch else "Terminate"
    resources = [group.arn, f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance.id}"]
    result = "Successful" if said.successful else "Unsuccessful"
    return _event(f"EC2 Instance {name} {result}", ended_at, resources, detail, event_id)


def refresh_event(group: Group, refresh_id: str, what: str, at: datetime, event_id: str) -> dict[str, Any]:
    """The EventBridge event of an instance refresh: `what` is Started, Succeeded, Failed, Cancelled ..."""
    detail = {"InstanceRefreshId": refresh_id, "AutoScalingGroupName": group.name}
    return _event(f"EC2 Auto Scaling Instance Refresh {what}", at, [group.arn], detail, event_id)


def _event(
    kind: str, at: datetime, resources: list[str], detail: dict[str, Any], event_id: str
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": event_id,
        "detail-type": kind,
        "source": "aws.autoscaling",
        "account": ACCOUNT,
        "time": written_in_seconds(at),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }
