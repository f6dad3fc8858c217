"""What a policy lets go of, worked out anew from its words in the hooks file: the measure for promise 2.

Nothing here comes from the code that it is held against: not the conditions, not the deadlines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.model import Action, Signal

_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
_LONGEST: Final = timedelta(hours=48)
_RANKS: Final = ("progress", "done", "failed")  # of equal times


class Stands(IntEnum):
    """How a condition stands."""

    FAILED = 0
    PENDING = 1
    HOLDS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was known of an action when a look decided on it."""

    signals: Sequence[Signal]  # that count for it
    instance_ended: bool


def permitted(action: Action, seen: Seen, now: datetime) -> set[str]:
    """The results that may be sent for an open action at `now`; none while it is to wait."""
    if action.ordered_result is not None:
        return {str(action.ordered_result)}
    if seen.instance_ended:
        return {"ABANDON" if action.hook.transition == "launching" else "CONTINUE"}
    policy = json.loads(action.policy.source)
    given_up = {policy.get("on_give_up") or str(action.hook.default_result)}
    limits = action.hook.limits
    is_limited = limits.abandon_per_hour is not None or limits.complete_per_minute is not None
    held_back = given_up if is_limited and now >= gives_up_at(action, {}) else set()
    stands = [_stands(condition, action, seen, now) for condition in policy["until"]]
    if Stands.FAILED in stands:
        return {policy.get("on_failure", "ABANDON")} | held_back
    if all(each is Stands.HOLDS for each in stands):
        return {policy.get("on_success", "CONTINUE")} | held_back
    results = set(given_up) if now >= gives_up_at(action, policy) else set()
    if "stalled_after" in policy and now >= _last_progress(action, seen) + seconds(policy["stalled_after"]):
        results.add(policy.get("on_failure", "ABANDON"))
    return results


def gives_up_at(action: Action, policy: Mapping[str, Any]) -> datetime:
    """When the patience of the policy ends: before the global timeout, whatever it says."""
    if action.extended_to is not None:
        return action.extended_to
    timeout = action.hook.heartbeat_timeout
    limit = min(_LONGEST, 100 * timeout)
    if "give_up_after" not in policy:
        return action.started_at + limit - min(limit / 20, timedelta(minutes=10))
    latest = limit - max(timedelta(seconds=10), timeout / 12)
    return action.started_at + min(seconds(policy["give_up_after"]), latest)


def seconds(written: str) -> timedelta:
    """A duration as a hooks file has it."""
    parts = re.findall(r"(\d+)([hms])", written)
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


def _stands(condition: Mapping[str, Any], action: Action, seen: Seen, now: datetime) -> Stands:
    (kind, value), *_ = condition.items()
    match kind:
        case "elapsed":
            return Stands.HOLDS if now >= action.started_at + seconds(value) else Stands.PENDING
        case "signal":
            return _signalled(value, seen)
        case "any":
            return max(_stands(each, action, seen, now) for each in value)
        case "not":
            held = _stands(value, action, seen, now) is Stands.HOLDS
            return Stands.PENDING if held else Stands.HOLDS
        case _:
            raise ValueError(f"{kind} has no measure")


def _signalled(name: str, seen: Seen) -> Stands:
    said = [signal for signal in seen.signals if signal.name == name]
    if not said:
        return Stands.PENDING
    last = max(said, key=lambda signal: (signal.at, _RANKS.index(signal.status), signal.event_id))
    return {"done": Stands.HOLDS, "failed": Stands.FAILED, "progress": Stands.PENDING}[str(last.status)]


def _last_progress(action: Action, seen: Seen) -> datetime:
    names = re.findall(r'"signal":"([^"]+)"', action.policy.source)
    progress = [signal.at for signal in seen.signals if signal.status == "progress" or signal.name in names]
    return max([action.started_at, *progress])
