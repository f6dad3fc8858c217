"""`usher show`: everything recorded of the actions of an instance, or of one action."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher.core.evidence import end_in_words
from usher.core.finding import ConditionStatus
from usher_cli.account import with_account
from usher_cli.action_data import as_data, heartbeat_margins
from usher_cli.open_actions import unread
from usher_cli.printable import short, shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from usher.core.action import Action, Entry, Signal
    from usher.core.finding import Finding
    from usher_cli.account import Account

INCOMPLETE: Final = 1  # the exit code
_EXAMPLES: Final = """\
\b
Examples:
  usher show i-0f0e0d0c0b0a09080
  usher show c613620e-07e2-4ed2-a9e2-ef8258911ade --json | jq '.actions[0].timeline'

\b
Exit codes:
  0  success
  1  a record of the instance cannot be read; the others are shown
  2  wrong usage, nothing can be shown, or the account cannot be reached
"""
_STYLES: Final = {
    ConditionStatus.HOLDS: "green",
    ConditionStatus.PENDING: "yellow",
    ConditionStatus.UNKNOWN: "yellow",
    ConditionStatus.FAILED: "red",
}


@click.command(epilog=_EXAMPLES)
@click.argument("named", metavar="INSTANCE|TOKEN|ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def show(account: Account, named: str, *, as_json: bool) -> None:
    """Show all that is recorded of an instance's actions, or of one.

    Conditions, deadlines, the margin at each heartbeat, and the whole timeline; of open actions, and
    of closed ones while their records are kept (30 days).
    """
    actions, paused, now = account.find(named), account.records.pauses(), account.machine.clock()
    data = [as_data(action, now, paused) | _details(action, account) for action in actions]
    if as_json:
        click.echo(json.dumps({"at": written(now), "actions": data}, indent=1))
    else:
        _print(data, now)
    if not account.reads_all(named):
        click.echo(shown(unread(named)), err=True)
        click.get_current_context().exit(INCOMPLETE)


def _details(action: Action, account: Account) -> dict[str, Any]:
    """The keys that only `show` has; `move_end` and `beats` are older names, removed in 0.2."""
    timeline = account.records.timeline(action.id)
    end = action.activity_end
    activity_end = end and {
        "at": written(end.ended_at),
        "succeeded": end.succeeded,
        "detail": end.detail,
        "text": end_in_words(end) if end.is_event else f"no outcome event, but {end.detail}",
    }
    margins = heartbeat_margins(action, timeline)
    return {
        "origin": action.origin,
        "destination": action.destination,
        "outcome": action.outcome,
        "first_seen_at": written(action.first_seen_at),
        "ends_at": written(action.ends_at),
        "heartbeat_timeout_s": action.hook.heartbeat_timeout.total_seconds(),
        "default_result": action.hook.default_result,
        "received_by": list(action.received_by),
        "findings": [_finding(finding) for finding in action.findings],
        "signals": [_signal(signal) for signal in action.signals],
        "activity_end": activity_end,
        "move_end": activity_end,
        "instance_ended_at": written(action.instance_ended_at),
        "stopped_at": written(action.stopped_at),
        "heartbeat_margins": margins,
        "beats": margins,
        "timeline": [_entry(entry) for entry in timeline],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "condition": finding.condition,
        "status": finding.status,
        "standing": finding.status,
        "detail": finding.detail,
        "asked_at": written(finding.asked_at),
        "ask_again_at": written(finding.ask_again_at),
    }


def _signal(signal: Signal) -> dict[str, Any]:
    return {"name": signal.name, "status": signal.status, "at": written(signal.at), "message": signal.message}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "at": written(entry.at),
        "last_at": written(entry.last_at),
        "count": entry.count,
        "event": entry.event,
        "detail": entry.detail,
    }


# Output for people


def _print(actions: Iterable[Mapping[str, Any]], now: datetime) -> None:
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    for action in actions:
        for line, style in _lines(action, now):
            console.print(shown(line), style=style)
        console.print()


def _lines(action: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str | None]]:
    places = f" · {action['origin']} → {action['destination']}" if action["origin"] else ""
    heading = f"{action['instance_id']} {action['transition']} in {action['group']}"
    yield f"{heading} · hook {action['hook']} · policy {action['policy']}{places}", "bold"
    yield f"  id {action['id']} · token {action['token'] or 'none (adopted)'}", "dim"
    yield from _state(action)
    for condition in action["conditions"]:
        asked_at = condition["asked_at"]
        asked = f" (asked {_ago(asked_at, now)})" if asked_at and not _is_closed(action) else ""
        yield f"  {condition['status']:<8} {condition['detail']}{asked}", _STYLES[condition["status"]]
    yield from ((line, None) for line in _evidence(action))
    if action["heartbeats"]:
        yield f"  heartbeats {action['heartbeats']}, {_margins(action)}", None
    yield "  timeline", "dim"
    for entry in action["timeline"]:
        again = f" (x{entry['count']}, last {_second(entry['last_at'])})" if entry["count"] > 1 else ""
        yield f"    {_second(entry['at'])}  {entry['event']:<9} {entry['detail']}{again}", None


def _is_closed(action: Mapping[str, Any]) -> bool:
    return action["closed_at"] is not None


def _state(action: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The state of the action, and its deadlines."""
    age, result = short(action["age_s"]), f" {action['result']}" if action["result"] else ""
    reason = f": {action['reason']}" if action["reason"] else ""
    if _is_closed(action):
        style = "green" if action["outcome"] == "completed" else "yellow"
        yield f"  {action['outcome']}{result} at {_second(action['closed_at'])}, after {age}{reason}", style
        return
    yield f"  {action['state']}{result}, {age} after its start{reason}", "cyan"
    expiry = f"expires in {short(action['to_expiry_s'])}, at {_second(action['expires_at'])}"
    default = f"default result {action['default_result']}, unless a heartbeat is sent before"
    yield f"  {expiry} ({default})", None
    giving_up = f"gives up in {short(action['to_giving_up_s'])}, at {_second(action['gives_up_at'])}"
    yield f"  {giving_up} · can be extended to {_second(action['decide_by'])}", None


def _evidence(action: Mapping[str, Any]) -> Iterator[str]:
    """The operators' commands, the signals, and what EC2 and Auto Scaling reported."""
    for what in ("held", "requested"):
        note = action[what]
        if note:
            result = f"{note['result']} " if "result" in note else ""
            yield f"  {result}{what} by {note['who']} at {_second(note['at'])}: {note['reason']}"
    for signal in action["signals"]:
        message = f": {signal['message']}" if signal["message"] else ""
        yield f"  signal {signal['name']} {signal['status']} at {_second(signal['at'])}{message}"
    if action["stopped_at"]:
        yield f"  EC2 reported the instance as stopped at {_second(action['stopped_at'])}"
    if action["instance_ended_at"]:
        yield f"  EC2 ended the instance at {_second(action['instance_ended_at'])}"
    end = action["activity_end"]
    if end:
        yield f"  {end['text']}"


def _margins(action: Mapping[str, Any]) -> str:
    margins = [heartbeat["to_expiry_s"] for heartbeat in action["heartbeat_margins"]]
    if not margins:
        return "no margin known"
    unknown = action["heartbeats"] - len(margins)
    of_others = f" ({unknown} not known)" if unknown > 0 else ""
    return f"smallest margin {short(min(margins))}, last margin {short(margins[-1])}{of_others}"


def _second(moment: str) -> str:
    """Without the fraction: `2026-03-01T12:00:00Z`."""
    return f"{moment[:19]}Z"


def _ago(moment: str, now: datetime) -> str:
    passed = max(now - datetime.fromisoformat(moment), timedelta())
    return f"{short(passed.total_seconds())} ago"
