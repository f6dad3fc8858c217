"""Signals and outcome events as JSON data, and back: in records, and beside them.

Two releases must read each other's, as usher.aws.record_format says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher.aws.json_data import optional_text, optional_time, present
from usher.core import iso_time
from usher.core.action import ActivityEnd, Signal, Status, Transition

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
