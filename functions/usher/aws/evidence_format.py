"""What is kept beside the records, as JSON data, and back: evidence, findings, described hooks.

Two releases must read each other's, as usher.aws.record_format says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws.json_data import optional_text, optional_time, present
from usher.core import iso_time
from usher.core.action import ActivityEnd, Signal, Status, Transition
from usher.core.finding import ConditionStatus, Finding
from usher.core.hook_timeouts import Described
from usher.core.notifications import TestNotice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.aws.json_data import Data

_EVENT: Final = "EC2 Instance "  # how the detail of an event began, where nothing else was stored


def signal_to_data(signal: Signal) -> Data:
    """All of a signal."""
    return present(
        {
            "event_id": signal.event_id,
            "at": iso_time.stored(signal.at),
            "name": signal.name,
            "status": str(signal.status),
            "instance_id": signal.instance_id,
            "token": signal.token,
            "message": signal.message,
        }
    )


def signal_from_data(data: Mapping[str, Any]) -> Signal:
    """The signal that `signal_to_data` wrote."""
    return Signal(
        event_id=data["event_id"],
        at=iso_time.parse(data["at"]),
        name=data["name"],
        status=Status(data["status"]),
        instance_id=data.get("instance_id"),
        token=data.get("token"),
        message=data.get("message", ""),
    )


def activity_end_to_data(activity_end: ActivityEnd) -> Data:
    """All of an outcome event."""
    return present(
        {
            "activity_id": activity_end.activity_id,
            "group": activity_end.group,
            "instance_id": activity_end.instance_id,
            "transition": str(activity_end.transition),
            "origin": activity_end.origin,
            "destination": activity_end.destination,
            "started_at": optional_text(activity_end.started_at),
            "ended_at": iso_time.stored(activity_end.ended_at),
            "detail": activity_end.detail,
            "succeeded": activity_end.succeeded,
            "is_event": activity_end.is_event,
            "is_doubt": activity_end.is_inferred or None,
        }
    )


def activity_end_from_data(data: Mapping[str, Any]) -> ActivityEnd:
    """The outcome event that `activity_end_to_data` wrote."""
    return ActivityEnd(
        activity_id=data["activity_id"],
        group=data["group"],
        instance_id=data["instance_id"],
        transition=Transition(data["transition"]),
        origin=data.get("origin"),
        destination=data.get("destination"),
        started_at=optional_time(data, "started_at"),
        ended_at=iso_time.parse(data["ended_at"]),
        detail=data["detail"],
        succeeded=data.get("succeeded", True),
        is_event=data.get("is_event", data["detail"].startswith(_EVENT)),
        is_inferred=data.get("is_doubt", False),
    )


def finding_to_data(finding: Finding) -> Data:
    """All of a finding."""
    return present(
        {
            "condition": finding.condition,
            "standing": str(finding.status),
            "detail": finding.detail,
            "asked_at": iso_time.stored(finding.asked_at),
            "ask_again_at": optional_text(finding.ask_again_at),
            "unknowns": finding.unknowns or None,
            "held_once": finding.confirmed_once or None,
            "denials": finding.denials or None,
            "memory": dict(finding.memory) or None,
        }
    )


def finding_from_data(data: Mapping[str, Any]) -> Finding:
    """The finding that `finding_to_data` wrote."""
    return Finding(
        condition=data["condition"],
        status=ConditionStatus(data["standing"]),
        detail=data["detail"],
        asked_at=iso_time.parse(data["asked_at"]),
        ask_again_at=optional_time(data, "ask_again_at"),
        unknowns=data.get("unknowns", 0),
        confirmed_once=data.get("held_once", False),
        denials=data.get("denials", 0),
        memory=data.get("memory", {}),
    )


def described_to_data(described: Described) -> Data:
    """All of what a describe showed of a group."""
    timeouts_s = {name: timeout.total_seconds() for name, timeout in described.timeouts.items()}
    return {"at": iso_time.stored(described.at), "timeouts_s": timeouts_s}


def described_from_data(data: Mapping[str, Any]) -> Described:
    """What `described_to_data` wrote."""
    timeouts = {name: timedelta(seconds=timeout_s) for name, timeout_s in data["timeouts_s"].items()}
    return Described(at=iso_time.parse(data["at"]), timeouts=timeouts)


def test_to_data(test: TestNotice) -> Data:
    """All of a test message."""
    return {"group": test.group, "request_id": test.request_id, "at": iso_time.stored(test.at)}


def test_from_data(data: Mapping[str, Any]) -> TestNotice:
    """The test message that `test_to_data` wrote."""
    return TestNotice(group=data["group"], request_id=data["request_id"], at=iso_time.parse(data["at"]))
