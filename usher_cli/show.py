"""`usher show`: all that is known of an instance's actions, or of one action."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from usher.core.action import Transition
from usher.core.finding import ConditionStatus
from usher_cli.account import with_account
from usher_cli.listing import as_data, short
from usher_cli.printable import shown
from usher_cli.report import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from usher.core.action import Action, Entry, Signal
    from usher.core.finding import Finding
    from usher_cli.account import Account

_EXAMPLES: Final = """\
\b
Examples:
  usher show i-0f0e0d0c0b0a09080
  usher show c613620e-07e2-4ed2-a9e2-ef8258911ade --json | jq '.actions[0].timeline'
"""
_STYLES: Final = {
    ConditionStatus.HOLDS: "green",
    ConditionStatus.PENDING: "yellow",
    ConditionStatus.UNKNOWN: "yellow",
    ConditionStatus.FAILED: "red",
}
_BEAT: Final = "RecordLifecycleActionHeartbeat: accepted"


@click.command(epilog=_EXAMPLES)
@click.argument("named", metavar="INSTANCE|TOKEN|ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_account
def show(account: Account, named: str, *, as_json: bool) -> None:
    """Tell the story of an instance's actions, or of one action.

    With its conditions, deadlines, the margin at each heartbeat, and the whole timeline; open and
    closed ones, for as long as their records are kept (30 days).
    """
    actions, paused, now = account.find(named), account.records.pauses(), account.machine.clock()
    told = [as_data(action, now, paused) | _details(action, account) for action in actions]
    if as_json:
        click.echo(json.dumps({"at": written(now), "actions": told}, indent=1))
        return
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    for action in told:
        for line, style in _story(action, now):
            console.print(shown(line), style=style)
        console.print()


def _details(action: Action, account: Account) -> dict[str, Any]:
    """What only `show` has."""
    timeline = account.records.timeline(action.id)
    end = action.activity_end
    return {
        "origin": action.origin,
        "destination": action.destination,
        "outcome": action.outcome,
        "first_seen_at": written(action.first_seen_at),
        "ends_at": written(action.ends_at),
        "heartbeat_timeout_s": action.hook.heartbeat_timeout.total_seconds(),
        "default_result": action.hook.default_result,
        "received_by": list(action.received_by),
        "findings": [_found(found) for found in action.findings],
        "signals": [_heard_of(heard) for heard in action.signals],
        "move_end": end and {"at": written(end.ended_at), "succeeded": end.succeeded, "detail": end.detail},
        "instance_ended_at": written(action.instance_ended_at),
        "stopped_at": written(action.stopped_at),
        "beats": _beats(action, timeline),
        "timeline": [_line(entry) for entry in timeline],
    }


def _found(found: Finding) -> dict[str, Any]:
    return {
        "condition": found.condition,
        "standing": found.status,
        "detail": found.detail,
        "asked_at": written(found.asked_at),
        "ask_again_at": written(found.ask_again_at),
    }


def _heard_of(heard: Signal) -> dict[str, Any]:
    return {"name": heard.name, "status": heard.status, "at": written(heard.at), "message": heard.message}


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "at": written(entry.at),
        "last_at": written(entry.last_at),
        "count": entry.count,
        "event": entry.event,
        "detail": entry.detail,
    }


def _beats(action: Action, timeline: Sequence[Entry]) -> list[dict[str, Any]]:
    """When each accepted heartbeat was decided, and how long before the expiry that was."""
    beats: list[dict[str, Any]] = []
    since, decided_at = action.started_at, None
    for line in timeline:
        if line.event == "heartbeat":
            decided_at = line.last_at
        elif line.event == "answer" and line.detail.startswith(_BEAT) and decided_at is not None:
            expiry = min(since + action.hook.heartbeat_timeout, action.ends_at)
            margin_s = round((expiry - decided_at).total_seconds(), 3)
            beats.append({"at": written(decided_at), "to_expiry_s": margin_s})
            since, decided_at = decided_at, None
    return beats


# For people


def _story(action: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str | None]]:
    places = f" · {action['origin']} → {action['destination']}" if action["origin"] else ""
    heading = f"{action['instance_id']} {action['transition']} in {action['group']}"
    yield f"{heading} · hook {action['hook']} · policy {action['policy']}{places}", "bold"
    yield f"  id {action['id']} · token {action['token'] or 'none (adopted)'}", "dim"
    yield from _standing(action)
    for said in action["conditions"]:
        asked = f" (asked {_ago(said['asked_at'], now)})" if said["asked_at"] and not _is_over(action) else ""
        yield f"  {said['standing']:<8} {said['detail']}{asked}", _STYLES[said["standing"]]
    yield from ((line, None) for line in _heard(action))
    if action["beats"]:
        margins = [beat["to_expiry_s"] for beat in action["beats"]]
        least, last = short(min(margins)), short(margins[-1])
        yield f"  heartbeats {len(margins)}, the least margin {least}, the last {last}", None
    yield "  timeline", "dim"
    for line in action["timeline"]:
        again = f" (x{line['count']}, last {_second(line['last_at'])})" if line["count"] > 1 else ""
        yield f"    {_second(line['at'])}  {line['event']:<9} {line['detail']}{again}", None


def _is_over(action: Mapping[str, Any]) -> bool:
    return action["closed_at"] is not None


def _standing(action: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Where the action stands, and until when."""
    age, result = short(action["age_s"]), f" {action['result']}" if action["result"] else ""
    reason = f": {action['reason']}" if action["reason"] else ""
    if _is_over(action):
        style = "green" if action["outcome"] == "completed" else "yellow"
        yield f"  {action['outcome']}{result} at {_second(action['closed_at'])}, after {age}{reason}", style
        return
    yield f"  {action['state']}{result} for {age}{reason}", "cyan"
    expiry = f"expires in {short(action['to_expiry_s'])}, at {_second(action['expires_at'])}"
    default = f"then {action['default_result']} by default, unless a heartbeat comes before"
    yield f"  {expiry} ({default})", None
    giving_up = f"gives up in {short(action['to_giving_up_s'])}, at {_second(action['gives_up_at'])}"
    yield f"  {giving_up} · can be extended to {_second(action['decide_by'])}", None


def _heard(action: Mapping[str, Any]) -> Iterator[str]:
    """What operators, signals, EC2 and Auto Scaling said."""
    for what in ("held", "ordered"):
        word = action[what]
        if word:
            yield f"  {what} by {word['who']} at {_second(word['at'])}: {word['reason']}"
    for heard in action["signals"]:
        said = f": {heard['message']}" if heard["message"] else ""
        yield f"  signal {heard['name']} {heard['status']} at {_second(heard['at'])}{said}"
    if action["stopped_at"]:
        yield f"  EC2 said that the instance is stopped, at {_second(action['stopped_at'])}"
    if action["instance_ended_at"]:
        yield f"  EC2 has ended the instance, at {_second(action['instance_ended_at'])}"
    end = action["move_end"]
    if end:
        yield f"  {_arrived(action['transition'], end)} at {_second(end['at'])}: {end['detail']}"


def _arrived(transition: str, end: Mapping[str, Any]) -> str:
    if not end["succeeded"]:
        return "the move failed"
    return "in service" if transition == Transition.LAUNCHING else "terminated"


def _second(moment: str) -> str:
    """Without the fraction: `2026-03-01T12:00:00Z`."""
    return f"{moment[:19]}Z"


def _ago(moment: str, now: datetime) -> str:
    passed = max(now - datetime.fromisoformat(moment), timedelta())
    return f"{short(passed.total_seconds())} ago"
