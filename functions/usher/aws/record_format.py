"""The values of a record as JSON data, and back. Dicts stop here.

Two releases must read each other's records: a key that a newer one added is passed over, and one
that an older one did not write takes its default; but a policy must be one that this release knows.
What is absent is left out, to keep items small.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from usher.core import iso_time
from usher.core.action import (
    Action,
    ActivityEnd,
    Entry,
    HookTerms,
    Limits,
    OperatorNote,
    Outcome,
    Phase,
    Result,
    Signal,
    Status,
    Transition,
)
from usher.core.configuration import ConfigurationRefused, parse_policy
from usher.core.finding import ConditionStatus, Finding
from usher.core.hook_timeouts import Described
from usher.core.notifications import TestNotice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.core.policy import Policy

Data: TypeAlias = "dict[str, Any]"
UNREADABLE: Final = (ConfigurationRefused, KeyError, TypeError, ValueError)  # of what a newer release wrote


def action_to_data(action: Action) -> Data:
    """All of the action but its unsaved lines and its findings, which are items of their own."""
    return _present(
        {
            "id": action.id,
            "token": action.token,
            "instance_id": action.instance_id,
            "hook": _hook_to_data(action.hook),
            "policy": _policy_to_data(action.policy),
            "origin": action.origin,
            "destination": action.destination,
            "started_at": iso_time.stored(action.started_at),
            "first_seen_at": iso_time.stored(action.first_seen_at),
            "look_at": _optional_text(action.look_at),
            "version": action.version,
            "look_id": action.look_id,
            "phase": str(action.phase),
            "result": action.result and str(action.result),
            "outcome": action.outcome and str(action.outcome),
            "reason": action.reason,
            "closed_at": _optional_text(action.closed_at),
            "heartbeats": action.heartbeats,
            "beaten_at": _optional_text(action.beaten_at),
            "completes_sent": [iso_time.stored(sent_at) for sent_at in action.completes_sent] or None,
            "received_by": list(action.received_by),
            "signals": [signal_to_data(signal) for signal in action.signals],
            "signals_since": _optional_text(action.signals_since),
            "progress_at": _optional_text(action.progress_at),
            "move_end": action.activity_end and activity_end_to_data(action.activity_end),
            "call_at": _optional_text(action.booked_at),
            "instance_ended_at": _optional_text(action.instance_ended_at),
            "stopped_at": _optional_text(action.stopped_at),
            "held": action.operator_hold and note_to_data(action.operator_hold),
            "extended_to": _optional_text(action.extended_to),
            "ordered": action.operator_result_by and note_to_data(action.operator_result_by),
            "ordered_result": action.operator_result and str(action.operator_result),
            "activity_id": action.activity_id,
            "paused_by": action.paused_by,
            "is_proven": action.is_proven or None,
            "decided": action.decided and [str(each) for each in action.decided],
            "if_launch_failed": action.if_launch_failed and _policy_to_data(action.if_launch_failed),
            "limit_at": _optional_text(action.limit_at),
            "timeout_assumed": action.timeout_assumed or None,
            "let_through": action.let_through or None,
            "beats_told": [list(told) for told in action.heartbeats_told] or None,
            "last_entry": action.last_entry and entry_to_data(action.last_entry),
        }
    )


def action_from_data(data: Mapping[str, Any]) -> Action:
    """The action that `action_to_data` wrote, here or in another release."""
    return Action(
        id=data["id"],
        token=data.get("token"),
        instance_id=data["instance_id"],
        hook=_hook_from_data(data["hook"]),
        policy=_policy_from_data(data["policy"]),
        origin=data.get("origin"),
        destination=data.get("destination"),
        started_at=iso_time.parse(data["started_at"]),
        first_seen_at=iso_time.parse(data["first_seen_at"]),
        look_at=_optional_time(data, "look_at"),
        version=data.get("version", 1),
        look_id=data.get("look_id", ""),
        phase=Phase(data.get("phase", Phase.OPEN)),
        result=Result(data["result"]) if "result" in data else None,
        outcome=Outcome(data["outcome"]) if "outcome" in data else None,
        reason=data.get("reason", ""),
        closed_at=_optional_time(data, "closed_at"),
        heartbeats=data.get("heartbeats", 0),
        beaten_at=_optional_time(data, "beaten_at"),
        completes_sent=tuple(iso_time.parse(sent_at) for sent_at in data.get("completes_sent", ())),
        received_by=tuple(data.get("received_by", ())),
        signals=tuple(signal_from_data(signal) for signal in data.get("signals", ())),
        signals_since=_optional_time(data, "signals_since"),
        progress_at=_optional_time(data, "progress_at"),
        activity_end=activity_end_from_data(data["move_end"]) if "move_end" in data else None,
        booked_at=_optional_time(data, "call_at"),
        instance_ended_at=_optional_time(data, "instance_ended_at"),
        stopped_at=_optional_time(data, "stopped_at"),
        operator_hold=note_from_data(data["held"]) if "held" in data else None,
        extended_to=_optional_time(data, "extended_to"),
        operator_result_by=note_from_data(data["ordered"]) if "ordered" in data else None,
        operator_result=Result(data["ordered_result"]) if "ordered_result" in data else None,
        activity_id=data.get("activity_id"),
        paused_by=data.get("paused_by"),
        is_proven=data.get("is_proven", False),
        decided=(Result(data["decided"][0]), data["decided"][1]) if "decided" in data else None,
        if_launch_failed=(
            _policy_from_data(data["if_launch_failed"]) if "if_launch_failed" in data else None
        ),
        limit_at=_optional_time(data, "limit_at"),
        timeout_assumed=data.get("timeout_assumed", False),
        let_through=data.get("let_through", False),
        heartbeats_told=tuple((chain, beats) for chain, beats in data.get("beats_told", ())),
        last_entry=entry_from_data(data["last_entry"]) if "last_entry" in data else None,
    )


def finding_to_data(finding: Finding) -> Data:
    """All of a finding."""
    return _present(
        {
            "condition": finding.condition,
            "standing": str(finding.status),
            "detail": finding.detail,
            "asked_at": iso_time.stored(finding.asked_at),
            "ask_again_at": _optional_text(finding.ask_again_at),
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
        ask_again_at=_optional_time(data, "ask_again_at"),
        unknowns=data.get("unknowns", 0),
        confirmed_once=data.get("held_once", False),
        denials=data.get("denials", 0),
        memory=data.get("memory", {}),
    )


def note_to_data(word: OperatorNote) -> Data:
    """All of an operator's word."""
    return {"who": word.who, "at": iso_time.stored(word.at), "reason": word.reason}


def note_from_data(data: Mapping[str, Any]) -> OperatorNote:
    """The word that `note_to_data` wrote."""
    return OperatorNote(who=data["who"], at=iso_time.parse(data["at"]), reason=data["reason"])


def signal_to_data(signal: Signal) -> Data:
    """All of a signal."""
    return _present(
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
    return _present(
        {
            "activity_id": activity_end.activity_id,
            "group": activity_end.group,
            "instance_id": activity_end.instance_id,
            "transition": str(activity_end.transition),
            "origin": activity_end.origin,
            "destination": activity_end.destination,
            "started_at": _optional_text(activity_end.started_at),
            "ended_at": iso_time.stored(activity_end.ended_at),
            "detail": activity_end.detail,
            "succeeded": activity_end.succeeded,
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
        started_at=_optional_time(data, "started_at"),
        ended_at=iso_time.parse(data["ended_at"]),
        detail=data["detail"],
        succeeded=data.get("succeeded", True),
        is_inferred=data.get("is_doubt", False),
    )


def entry_to_data(entry: Entry) -> Data:
    """All of a timeline line."""
    return {
        "number": entry.number,
        "at": iso_time.stored(entry.at),
        "event": entry.event,
        "detail": entry.detail,
        "last_at": iso_time.stored(entry.last_at),
        "count": entry.count,
    }


def entry_from_data(data: Mapping[str, Any]) -> Entry:
    """The line that `entry_to_data` wrote."""
    return Entry(
        number=data["number"],
        at=iso_time.parse(data["at"]),
        event=data["event"],
        detail=data["detail"],
        last_at=iso_time.parse(data["last_at"]),
        count=data.get("count", 1),
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


def _policy_to_data(policy: Policy) -> Data:
    return {"name": policy.name, "source": policy.source}


def _policy_from_data(data: Mapping[str, Any]) -> Policy:
    return parse_policy(data["name"], data["source"])


def _hook_to_data(hook: HookTerms) -> Data:
    return _present(
        {
            "name": hook.name,
            "group": hook.group,
            "transition": str(hook.transition),
            "heartbeat_timeout_s": hook.heartbeat_timeout.total_seconds(),
            "default_result": str(hook.default_result),
            "abandon_per_hour": hook.limits.abandon_per_hour,
            "complete_per_minute": hook.limits.complete_per_minute,
            "limited_with": hook.limited_with or None,
        }
    )


def _hook_from_data(data: Mapping[str, Any]) -> HookTerms:
    return HookTerms(
        name=data["name"],
        group=data["group"],
        transition=Transition(data["transition"]),
        heartbeat_timeout=timedelta(seconds=data["heartbeat_timeout_s"]),
        default_result=Result(data["default_result"]),
        limits=Limits(
            abandon_per_hour=data.get("abandon_per_hour"),
            complete_per_minute=data.get("complete_per_minute"),
        ),
        limited_with=data.get("limited_with", ""),
    )


def _present(data: Data) -> Data:
    return {key: value for key, value in data.items() if value is not None}


def _optional_text(moment: datetime | None) -> str | None:
    return None if moment is None else iso_time.stored(moment)


def _optional_time(data: Mapping[str, Any], key: str) -> datetime | None:
    return iso_time.parse(data[key]) if key in data else None
