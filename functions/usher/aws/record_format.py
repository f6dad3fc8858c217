"""The values of a record as JSON data, and back. Dicts stop here.

Two releases must read each other's records: a key that a newer one added is passed over, and one
that an older one did not write takes its default; but a policy must be one that this release knows.
What is absent is left out, to keep items small.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws.evidence_format import (
    activity_end_from_data,
    activity_end_to_data,
    signal_from_data,
    signal_to_data,
)
from usher.aws.json_data import optional_text, optional_time, present
from usher.core import iso_time
from usher.core.action import (
    Action,
    Code,
    Entry,
    HookTerms,
    OperatorNote,
    Outcome,
    Phase,
    Result,
    Transition,
)
from usher.core.field import ConfigurationRefused
from usher.core.limits import Limits, Sharing
from usher.core.policies import parse_policy
from usher.core.policy import Rule, undecided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.aws.json_data import Data
    from usher.core.policy import Policy

_BEGINNINGS: Final = {
    "held by the limit": Code.HELD_BY_LIMIT,
    "RecordLifecycleActionHeartbeat: accepted": Code.HEARTBEAT_ACCEPTED,
    "CompleteLifecycleAction CONTINUE: accepted": Code.RESULT_ACCEPTED,
    "CompleteLifecycleAction ABANDON: accepted": Code.RESULT_ACCEPTED,
}
UNREADABLE: Final = (ConfigurationRefused, KeyError, TypeError, ValueError)  # of what a newer release wrote


def action_to_data(action: Action) -> Data:
    """All of the action but its findings, which are an item of their own."""
    lines = [entry_to_data(line) for line in action.recent]
    last = action.last_entry and entry_to_data(action.last_entry)
    return present(
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
            "look_at": optional_text(action.evaluate_at),
            "version": action.version,
            "look_id": action.evaluation_id,
            "phase": str(action.phase),
            "result": action.result and str(action.result),
            "outcome": action.outcome and str(action.outcome),
            "reason": action.reason,
            "closed_at": optional_text(action.closed_at),
            "heartbeats": action.heartbeats,
            "beaten_at": optional_text(action.beaten_at),
            "completes_sent": [iso_time.stored(sent_at) for sent_at in action.completes_sent] or None,
            "received_by": list(action.received_by),
            "signals": [signal_to_data(signal) for signal in action.signals],
            "signals_since": optional_text(action.signals_since),
            "progress_at": optional_text(action.progress_at),
            "move_end": action.activity_end and activity_end_to_data(action.activity_end),
            "call_at": optional_text(action.booked_at),
            "instance_ended_at": optional_text(action.instance_ended_at),
            "stopped_at": optional_text(action.stopped_at),
            "held": action.operator_hold and note_to_data(action.operator_hold),
            "extended_to": optional_text(action.extended_to),
            "ordered": action.operator_result_by and note_to_data(action.operator_result_by),
            "ordered_result": action.operator_result and str(action.operator_result),
            "activity_id": action.activity_id,
            "paused_by": action.paused_by,
            "is_proven": action.is_proven or None,
            "decided": action.decided and [str(each) for each in action.decided],
            "if_launch_failed": action.if_launch_failed and _policy_to_data(action.if_launch_failed),
            "limit_at": optional_text(action.limit_at),
            "timeout_assumed": action.timeout_assumed or None,
            "let_through": action.let_through or None,
            "wakes_as": action.wakes_as,
            "backup_at": optional_text(action.backup_at),
            "began_at": optional_text(action.began_at),
            "beats_told": [list(heartbeat) for heartbeat in action.heartbeats_told] or None,
            "metadata": action.metadata,
            "lines": lines or None,
            "last_entry": last if not lines or last != lines[-1] else None,  # stored once
        }
    )


def action_from_data(data: Mapping[str, Any]) -> Action:
    """The action that `action_to_data` wrote, here or in another release."""
    lines = tuple(entry_from_data(line) for line in data.get("lines", ()))
    last = entry_from_data(data["last_entry"]) if "last_entry" in data else lines[-1] if lines else None
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
        evaluate_at=optional_time(data, "look_at"),
        version=data.get("version", 1),
        evaluation_id=data.get("look_id", ""),
        phase=Phase(data.get("phase", Phase.OPEN)),
        result=Result(data["result"]) if "result" in data else None,
        outcome=Outcome(data["outcome"]) if "outcome" in data else None,
        reason=data.get("reason", ""),
        closed_at=optional_time(data, "closed_at"),
        heartbeats=data.get("heartbeats", 0),
        beaten_at=optional_time(data, "beaten_at"),
        completes_sent=tuple(iso_time.parse(sent_at) for sent_at in data.get("completes_sent", ())),
        received_by=tuple(data.get("received_by", ())),
        signals=tuple(signal_from_data(signal) for signal in data.get("signals", ())),
        signals_since=optional_time(data, "signals_since"),
        progress_at=optional_time(data, "progress_at"),
        activity_end=activity_end_from_data(data["move_end"]) if "move_end" in data else None,
        booked_at=optional_time(data, "call_at"),
        instance_ended_at=optional_time(data, "instance_ended_at"),
        stopped_at=optional_time(data, "stopped_at"),
        operator_hold=note_from_data(data["held"]) if "held" in data else None,
        extended_to=optional_time(data, "extended_to"),
        operator_result_by=note_from_data(data["ordered"]) if "ordered" in data else None,
        operator_result=Result(data["ordered_result"]) if "ordered_result" in data else None,
        activity_id=data.get("activity_id"),
        paused_by=data.get("paused_by"),
        is_proven=data.get("is_proven", False),
        decided=(Result(data["decided"][0]), data["decided"][1]) if "decided" in data else None,
        if_launch_failed=(
            _policy_from_data(data["if_launch_failed"]) if "if_launch_failed" in data else None
        ),
        limit_at=optional_time(data, "limit_at"),
        timeout_assumed=data.get("timeout_assumed", False),
        let_through=data.get("let_through", False),
        wakes_as=data.get("wakes_as"),
        backup_at=optional_time(data, "backup_at"),
        began_at=optional_time(data, "began_at"),
        heartbeats_told=tuple((chain, beats) for chain, beats in data.get("beats_told", ())),
        metadata=data.get("metadata"),
        last_entry=last,
        recent=lines,
    )


def note_to_data(word: OperatorNote) -> Data:
    """All of an operator's word."""
    return {"who": word.who, "at": iso_time.stored(word.at), "reason": word.reason}


def note_from_data(data: Mapping[str, Any]) -> OperatorNote:
    """The word that `note_to_data` wrote."""
    return OperatorNote(who=data["who"], at=iso_time.parse(data["at"]), reason=data["reason"])


def entry_to_data(entry: Entry) -> Data:
    """All of a timeline line."""
    return {
        "number": entry.number,
        "at": iso_time.stored(entry.at),
        "event": entry.event,
        "detail": entry.detail,
        "last_at": iso_time.stored(entry.last_at),
        "count": entry.count,
        **({"code": entry.code} if entry.code else {}),
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
        code=data["code"] if "code" in data else _code_of(data["detail"]),
    )


def _code_of(detail: str) -> str:
    """Of a line that was stored without one: how its sentence began then."""
    return next((str(code) for begin, code in _BEGINNINGS.items() if detail.startswith(begin)), "")


def _policy_to_data(policy: Policy) -> Data:
    """Of an undecided one the last candidate, too, which an older release takes for the policy."""
    if not policy.candidates:
        return {"name": policy.name, "source": policy.source}
    last = policy.candidates[-1].use
    return {
        "name": last.name,
        "source": last.source,
        "candidates": [[list(map(list, rule.when)), rule.use.name] for rule in policy.candidates],
        "sources": {rule.use.name: rule.use.source for rule in policy.candidates},
    }


def _policy_from_data(data: Mapping[str, Any]) -> Policy:
    if "candidates" not in data:
        return parse_policy(data["name"], data["source"])
    policies = {name: parse_policy(name, source) for name, source in data["sources"].items()}
    return undecided(
        tuple(
            Rule(when=tuple((field, wanted) for field, wanted in when), use=policies[name])
            for when, name in data["candidates"]
        )
    )


def _hook_to_data(hook: HookTerms) -> Data:
    return present(
        {
            "name": hook.name,
            "group": hook.group,
            "transition": str(hook.transition),
            "heartbeat_timeout_s": hook.heartbeat_timeout.total_seconds(),
            "default_result": str(hook.default_result),
            "abandon_per_hour": hook.limits.abandon_per_hour,
            "complete_per_minute": hook.limits.complete_per_minute,
            "at_once": hook.limits.at_once,
            "at_once_per": None if hook.limits.at_once_per is Sharing.GROUP else str(hook.limits.at_once_per),
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
            at_once=data.get("at_once"),
            at_once_per=Sharing(data.get("at_once_per", Sharing.GROUP)),
        ),
        limited_with=data.get("limited_with", ""),
    )
