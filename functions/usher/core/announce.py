"""What Usher tells the event bus: of an action, drawn from how its record changed, and of retained instances.

The record alone is asked, and not who changed it: an evaluation, an operator's command, the stack's end.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher.core import iso_time
from usher.core.action import Code, Outcome
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from usher.core.action import Action

SOURCE: Final = "usher"
MOST_REASON_CHARACTERS: Final = 2000


class Kind(StrEnum):
    """The detail-type of an event."""

    OPENED = "Lifecycle Action Opened"
    HELD = "Lifecycle Action Held"
    COMPLETED = "Lifecycle Action Completed"
    DEFAULTED = "Lifecycle Action Defaulted"
    RETAINED = "Instance Retained"


@frozen
class Announcement:
    """One event. Two with equal detail are copies of one."""

    kind: Kind
    at: datetime
    detail: Mapping[str, object]


def between(before: Action | None, after: Action) -> tuple[Announcement, ...]:
    """What there is to tell of an action that was stored as `before`, and now as `after`."""
    return tuple(_changes(before, after))


def newly_retained(
    group: str, before: Mapping[str, datetime], after: Mapping[str, datetime]
) -> tuple[Announcement, ...]:
    """What there is to tell of the retained instances of a group, each with when it was first seen."""
    return tuple(
        Announcement(
            kind=Kind.RETAINED,
            at=at,
            detail={
                "AutoScalingGroupName": group,
                "EC2InstanceId": one,
                "FirstSeenTime": iso_time.to_milliseconds(at),
            },
        )
        for one, at in after.items()
        if one not in before
    )


def _changes(before: Action | None, after: Action) -> Iterator[Announcement]:
    if before is None:
        times = {"LimitTime": iso_time.to_milliseconds(after.ends_at)}
        if not after.policy.candidates:
            times["GiveUpTime"] = iso_time.to_milliseconds(after.give_up_at)
        yield _announcement(Kind.OPENED, after, after.first_seen_at, times)
    if after.operator_hold is not None and (before is None or before.operator_hold != after.operator_hold):
        word = after.operator_hold
        yield _announcement(
            Kind.HELD, after, word.at, {"HeldBy": "operator", "Who": word.who, "Reason": _cut(word.reason)}
        )
    limit = _limit(after)
    if limit is not None and (before is None or _limit(before) is None):
        at, reason = limit
        yield _announcement(Kind.HELD, after, at, {"HeldBy": "limit", "Reason": _cut(reason)})
    if after.closed_at is not None and (before is None or before.is_open):
        kind = Kind.DEFAULTED if after.outcome is Outcome.DEFAULTED else Kind.COMPLETED
        yield _announcement(kind, after, after.closed_at, _end(after, after.closed_at))


def _limit(action: Action) -> tuple[datetime, str] | None:
    """When and why a limit of the hook holds the action; None where none does."""
    last = action.last_entry
    if last is None or not action.is_open or last.code != Code.HELD_BY_LIMIT:
        return None
    return last.at, last.detail


def _end(action: Action, closed_at: datetime) -> dict[str, object]:
    """How it ended. The result is absent where someone else gave it."""
    by_default = action.outcome is Outcome.DEFAULTED
    result = action.hook.default_result if by_default else action.result
    return {
        "Outcome": action.outcome and str(action.outcome),
        "LifecycleActionResult": result and str(result),
        "Reason": _cut(action.reason),
        "Heartbeats": action.heartbeats,
        "EndTime": iso_time.to_milliseconds(closed_at),
        "HeldSeconds": round((closed_at - action.started_at).total_seconds(), 3),
    }


def _announcement(kind: Kind, action: Action, at: datetime, more: Mapping[str, object]) -> Announcement:
    """With the names that AWS has for them. What is not known is left out."""
    detail = {
        "ActionId": action.id,
        "RecordVersion": action.version,
        "LifecycleActionToken": action.token,
        "AutoScalingGroupName": action.hook.group,
        "LifecycleHookName": action.hook.name,
        "EC2InstanceId": action.instance_id,
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{action.hook.transition.upper()}",
        "Origin": action.origin,
        "Destination": action.destination,
        "Policy": action.policy.name,
        "Mode": str(action.policy.mode),
        "StartTime": iso_time.to_milliseconds(action.started_at),
        **more,
    }
    present = {key: value for key, value in detail.items() if value is not None}
    return Announcement(kind=kind, at=at, detail=present)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_REASON_CHARACTERS else f"{text[: MOST_REASON_CHARACTERS - 1]}…"
