"""An action as JSON, in the same shape wherever a command prints it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import Code, Phase
from usher.core.conditions.probe import Probe, finding_of
from usher.core.policy import Mode
from usher.ports.records import ALL_HOOKS
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action, Entry, OperatorNote
    from usher.core.conditions.verdict import Condition

IN_LINE: Final = "in line"  # the state of what waits for a place in an `at_once` hook
_OVERDUE_AFTER: Final = timedelta(minutes=3)  # two sweeps are at most two minutes apart
# Heartbeats without the table, one some time before its line, a timeout that shrank under the wait (of which
# aws-facts 2.6 does not know whether it counts), and lines that are left out.
_PERIOD_UNKNOWN: Final = ("held", "taken up", "hook", "gap")


def as_data(action: Action, now: datetime, paused: Mapping[str, str]) -> dict[str, Any]:
    """One action. These keys stay; others may be added.

    `evaluate_at`, `ordered` and the `standing` of a condition are older names, removed in 0.2.
    """
    evaluate_at, result_by = written(action.evaluate_at), action.operator_result_by
    return {
        "id": action.id,
        "token": action.token,
        "instance_id": action.instance_id,
        "group": action.hook.group,
        "hook": action.hook.name,
        "transition": action.hook.transition,
        "policy": action.policy.name,
        "state": _state(action, now, paused),
        "result": action.result,
        "reason": action.reason,
        "started_at": written(action.started_at),
        "began_at": written(action.began_at),
        "age_s": _seconds((action.closed_at or now) - action.started_at),
        "expires_at": written(action.expires_at),
        "to_expiry_s": _seconds(action.expires_at - now) if action.is_open else None,
        "gives_up_at": written(action.give_up_at),
        "to_giving_up_s": _seconds(action.give_up_at - now) if action.is_open else None,
        "decide_by": written(action.decide_by),
        "next_evaluation_at": evaluate_at,
        "look_at": evaluate_at,
        "closed_at": written(action.closed_at),
        "heartbeats": action.heartbeats,
        "conditions": [_condition(condition, action, now) for condition in action.policy.until],
        "held": _note(action.operator_hold),
        "requested": result_by and {"result": action.operator_result, **_note_data(result_by)},
        "ordered": _note(result_by),
        "extended_to": written(action.extended_to),
        "last": _last(action.last_entry),
    }


def heartbeat_margins(action: Action, timeline: Sequence[Entry]) -> list[dict[str, Any]]:
    """When each accepted heartbeat was decided, and how long before the expiry that was.

    Without those whose expiry the timeline does not tell.
    """
    margins: list[tuple[datetime, timedelta]] = []
    since: datetime | None = action.started_at  # None: when the period began is not known
    decided_at, timeout = None, action.hook.heartbeat_timeout
    for entry in timeline:
        if entry.event == "heartbeat":
            decided_at = entry.last_at
        elif entry.code == Code.HEARTBEAT_ACCEPTED and decided_at is not None:
            if since is not None:
                margins.append((decided_at, min(since + timeout, action.ends_at) - decided_at))
            since, decided_at = decided_at, None
        elif entry.event == "adopted":  # its time is that of the heartbeat that showed the wait
            since = entry.at
        elif entry.event in _PERIOD_UNKNOWN:
            margins, since = _certain(margins, entry, timeout), None
    return [{"at": written(at), "to_expiry_s": _seconds(margin)} for at, margin in margins]


def _certain(
    margins: list[tuple[datetime, timedelta]], entry: Entry, timeout: timedelta
) -> list[tuple[datetime, timedelta]]:
    """Those of before `entry` that stay true."""
    if entry.event == "hook":  # they were under a longer timeout
        return []
    if entry.event == "held":  # it tells of heartbeats of up to a period before
        return [(at, margin) for at, margin in margins if at < entry.at - timeout]
    return margins


def _state(action: Action, now: datetime, paused: Mapping[str, str]) -> str:
    if action.evaluate_at is None:
        return str(action.outcome)
    if action.evaluate_at < now - _OVERDUE_AFTER:
        return "overdue"
    states = (
        ("completing", action.phase is Phase.COMPLETING),
        ("observed", action.policy.mode is Mode.OBSERVE),
        ("paused", ALL_HOOKS in paused or action.hook.name in paused),
        ("completing", action.operator_result_by is not None),
        ("held", action.operator_hold is not None),
        (IN_LINE, action.awaits_turn),
    )
    return next((state for state, applies in states if applies), "waiting")


def _condition(condition: Condition, action: Action, now: datetime) -> dict[str, Any]:
    """A condition as the last evaluation saw it, with the time at which AWS was asked."""
    last = action.last_entry
    verdict = condition.verdict(action, min(now, last.last_at) if last else now)
    leaves = [leaf for leaf in condition.leaves() if isinstance(leaf, Probe)]
    asked = [found.asked_at for found in (finding_of(leaf, action) for leaf in leaves) if found]
    return {
        "status": verdict.status,
        "standing": verdict.status,
        "detail": verdict.detail,
        "asked_at": written(max(asked, default=None)),
    }


def _note(note: OperatorNote | None) -> dict[str, Any] | None:
    return None if note is None else _note_data(note)


def _note_data(note: OperatorNote) -> dict[str, Any]:
    return {"who": note.who, "at": written(note.at), "reason": note.reason}


def _last(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"at": written(entry.last_at), "event": entry.event, "detail": entry.detail}


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)
