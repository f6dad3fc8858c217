"""What a replay led to, as the data that `usher replay --json` prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from usher.core import iso_time
from usher.core.action import Outcome
from usher.core.conditions.probe import Probe
from usher_simulator.replay.assumed_answers import written as work_done_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from usher.core.action import Action, Entry
    from usher_cli.traffic import Unreadable
    from usher_simulator.replay.replay import Replayed, Taken

KINDS: Final = ("lifecycle", "test", "outcome", "signal", "call", "ignored", "duplicate", "rejected")


def report(replayed: Replayed, unreadable: Sequence[Unreadable]) -> dict[str, Any]:
    """The whole report. Its shape is fixed: others read it; keys may be added.

    `unheard` is the older name of `unmatched`, removed in 0.2.
    """
    world = replayed.world
    actions = world.store.actions()
    kinds = Counter(taken.kind for taken in replayed.taken)
    kinds["rejected"] += len(unreadable)
    counts = {kind: kinds[kind] for kind in KINDS}
    summary = {
        "received": sum(counts.values()),
        **counts,
        "actions": len(actions),
        "heartbeats": sum(action.heartbeats for action in actions),
        "defaulted": sum(action.outcome is Outcome.DEFAULTED for action in actions),
        "unknown_signals": world.recorder.counts["UnknownSignals"],
    }
    unmatched = [place for place in _places(replayed.taken, "signal") if place["reason"]]
    return {
        "summary": summary,
        "actions": [_action(action, replayed) for action in actions],
        "tests": [
            {"group": test.group, "at": written(test.at), "request_id": test.request_id}
            for test in world.store.all_tests()
        ],
        "unmatched": unmatched,
        "unheard": unmatched,
        "ignored": _places(replayed.taken, "ignored"),
        "rejected": [
            *({"source": place.source, "reason": place.reason} for place in unreadable),
            *_places(replayed.taken, "rejected"),
        ],
        **_assumed(replayed, actions),
    }


def _assumed(replayed: Replayed, actions: Iterable[Action]) -> dict[str, Any]:
    """What the messages do not contain, and what was assumed for it; nothing if they contain it all."""
    leaves = [leaf for action in actions for leaf in action.policy.leaves]
    probes = sorted({leaf.name for leaf in leaves if isinstance(leaf, Probe)})
    if replayed.work_done is None and not probes:
        return {}
    work_done = None if replayed.work_done is None else work_done_written(replayed.work_done)
    return {"assumed": {"work_done": work_done, "conditions": probes}}


def _places(taken: Iterable[Taken], kind: str) -> list[dict[str, str]]:
    return [{"source": entry.source, "reason": entry.reason} for entry in taken if entry.kind == kind]


def written(moment: datetime | None) -> str | None:
    """UTC with milliseconds, e.g. `2026-01-31T12:00:00.000Z`."""
    return None if moment is None else iso_time.to_milliseconds(moment)


def _action(action: Action, replayed: Replayed) -> dict[str, Any]:
    shown = reported(action, replayed.world.store.timeline(action.id))
    if replayed.work_done is None:
        return shown
    return shown | {"work_done_at": written(replayed.done_at.get(action.token or ""))}


def reported(action: Action, timeline: Iterable[Entry]) -> dict[str, Any]:
    """One action as a report has it."""
    return {
        "token": action.token,
        "group": action.hook.group,
        "hook": action.hook.name,
        "instance_id": action.instance_id,
        "transition": action.hook.transition,
        "origin": action.origin,
        "destination": action.destination,
        "policy": action.policy.name,
        "outcome": action.outcome or "open",
        "result": action.result,
        "reason": action.reason,
        "heartbeats": action.heartbeats,
        "started_at": written(action.started_at),
        "first_seen_at": written(action.first_seen_at),
        "closed_at": written(action.closed_at),
        "received_by": list(action.received_by),
        "timeline": list(_timeline(timeline)),
    }


def _timeline(lines: Iterable[Entry]) -> Iterable[dict[str, Any]]:
    for line in lines:
        shown: dict[str, Any] = {"at": written(line.at), "event": line.event, "detail": line.detail}
        if line.code:
            shown["code"] = line.code
        if line.count > 1:
            shown |= {"count": line.count, "last_at": written(line.last_at)}
        yield shown
