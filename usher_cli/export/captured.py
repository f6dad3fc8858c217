"""Captured messages: as they came, or rebuilt from what is stored of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from usher.core import iso_time, messages
from usher.core.action import ActivityEnd, Signal, Transition
from usher.core.globs import glob_fits
from usher.core.notifications import InstanceEnd, InstanceState, LifecycleNotice, NotUnderstood, TestNotice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.notifications import Notice

_EVENT_NAMES: Final = {
    Transition.LAUNCHING: "EC2 Instance Launch",
    Transition.TERMINATING: "EC2 Instance Terminate",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeRange:
    """From `first` to `last`, both included."""

    first: datetime
    last: datetime

    def has(self, moment: datetime) -> bool:
        """Whether a time lies in it."""
        return self.first <= moment <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Captured:
    """A message, when it came, and what it says; None if it cannot be understood."""

    received_at: datetime
    body: str
    notice: Notice | None

    @property
    def json_line(self) -> str:
        """As `usher replay` reads it."""
        try:
            body: object = json.loads(self.body)
        except ValueError:
            body = self.body
        captured = {"received_at": iso_time.to_microseconds(self.received_at), "body": body}
        return json.dumps(captured, separators=(",", ":"))


def as_it_came(body: str, received_at: datetime) -> Captured:
    """A message whose body is stored."""
    try:
        notice = messages.read(body)
    except NotUnderstood:
        notice = None
    return Captured(received_at=received_at, body=body, notice=notice)


def test_message(test: TestNotice) -> Captured:
    """A test message, rebuilt."""
    body = {
        "AutoScalingGroupName": test.group,
        "Event": "autoscaling:TEST_NOTIFICATION",
        "RequestId": test.request_id,
        "Service": "AWS Auto Scaling",
        "Time": iso_time.to_microseconds(test.at),
    }
    return Captured(received_at=test.at, body=json.dumps(body), notice=test)


def signal_event(signal: Signal) -> Captured:
    """The event of a signal, rebuilt."""
    detail = {
        "InstanceId": signal.instance_id,
        "LifecycleActionToken": signal.token,
        "Signal": signal.name,
        "Status": str(signal.status),
        "Message": signal.message or None,
    }
    body = _event(signal.event_id, "usher.signal", "Usher Signal", signal.at, detail)
    return Captured(received_at=signal.at, body=body, notice=signal)


def activity_event(end: ActivityEnd) -> Captured | None:
    """The event of Auto Scaling, rebuilt. None: there was none, Usher inferred the end."""
    if not end.is_event:
        return None
    kind = f"{_EVENT_NAMES[end.transition]} {'Successful' if end.succeeded else 'Unsuccessful'}"
    detail = {
        "ActivityId": end.activity_id,
        "AutoScalingGroupName": end.group,
        "EC2InstanceId": end.instance_id,
        "Origin": end.origin,
        "Destination": end.destination,
        "StartTime": None if end.started_at is None else iso_time.to_microseconds(end.started_at),
        "EndTime": iso_time.to_microseconds(end.ended_at),
        "StatusMessage": end.detail.removeprefix(kind).removeprefix(": ") or None,
    }
    body = _event(end.activity_id, "aws.autoscaling", kind, end.ended_at, detail)
    return Captured(received_at=end.ended_at, body=body, notice=end)


def instance_end_event(instance_id: str, ended_at: datetime) -> Captured:
    """EC2's event that an instance is ending, rebuilt."""
    return _state_event(instance_id, "shutting-down", ended_at)


def stop_event(instance_id: str, stopped_at: datetime) -> Captured:
    """Of the newest state that EC2 reported, or an action was told of: others are not stored."""
    return _state_event(instance_id, "stopped", stopped_at)


def _state_event(instance_id: str, state: str, at: datetime) -> Captured:
    kind = "EC2 Instance State-change Notification"
    detail = {"instance-id": instance_id, "state": state}
    body = _event(instance_id, "aws.ec2", kind, at, detail)
    return Captured(received_at=at, body=body, notice=messages.read(body))


def _event(event_id: str, source: str, kind: str, at: datetime, detail: Mapping[str, Any]) -> str:
    present = {key: value for key, value in detail.items() if value is not None}
    written = iso_time.to_microseconds(at)
    event = {"version": "0", "id": event_id, "detail-type": kind, "source": source, "time": written}
    return json.dumps({**event, "detail": present})


def of_hooks(captured: Sequence[Captured], group: str | None, hook: str | None) -> list[Captured]:
    """The notifications of these hooks, and the other messages of their instances, tokens and groups.

    `group` may be a glob. Signals name no group, and test messages no hook.
    """
    chosen = [
        message.notice
        for message in captured
        if isinstance(message.notice, LifecycleNotice)
        and (group is None or glob_fits(group, message.notice.group))
        and hook in (None, message.notice.hook)
    ]
    tokens = {notice.token for notice in chosen}
    instances = {notice.instance_id for notice in chosen}
    groups = {notice.group for notice in chosen}
    return [message for message in captured if _belongs(message.notice, tokens, instances, groups)]


def _belongs(notice: Notice | None, tokens: set[str], instances: set[str], groups: set[str]) -> bool:
    match notice:
        case LifecycleNotice():
            return notice.token in tokens
        case TestNotice():
            return notice.group in groups
        case Signal():
            return notice.instance_id in instances or notice.token in tokens
        case ActivityEnd():
            return notice.instance_id in instances and notice.group in groups
        case InstanceEnd() | InstanceState():
            return notice.instance_id in instances
        case _:
            return False
