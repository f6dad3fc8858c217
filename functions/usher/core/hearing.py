"""Which signals and outcome events concern an action, and what they change in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.conditions.command import COMMAND_ID
from usher.core.conditions.signalled import Signalled
from usher.core.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.finding import Finding
    from usher.core.model import Action, MoveEnd, Signal

SIGNAL_KEPT: Final = timedelta(hours=1)  # for an action that is not known yet
_BEFORE_START: Final = timedelta(seconds=60)
_AHEAD: Final = timedelta(seconds=60)  # clocks differ
_CLOCK_SLACK: Final = timedelta(seconds=2)  # event times are whole seconds


def counts_from(action: Action, now: datetime) -> datetime:
    """What is dated earlier concerns an earlier wait: who took it in late must not lose it for that."""
    return min(now - SIGNAL_KEPT, action.started_at - _BEFORE_START)


def fits(signal: Signal, action: Action, now: datetime) -> bool:
    """Whether `signal` counts for `action`, which is open at `now`.

    By token alone where the signal has one. Else by instance, where the action was open at the
    signal's time or began at most 60 s after it, however late it came. One that is dated ahead
    counts once its time has come: who sends it may say any time.
    """
    if not counts_from(action, now) <= signal.at <= now + _AHEAD or not _listens(action, signal):
        return False
    if signal.token is not None:
        return signal.token == action.token
    return signal.instance_id == action.instance_id and signal.at >= action.started_at - _BEFORE_START


def _listens(action: Action, signal: Signal) -> bool:
    if signal.status is Status.PROGRESS and action.policy.stalled_after is not None:
        return True
    return Signalled(name=signal.name) in action.policy.leaves


def with_signals(action: Action, heard: Iterable[Signal], now: datetime) -> Action:
    """The action with these signals counted: of several with one name the last by time wins."""
    for signal in sorted(heard, key=lambda signal: (signal.at, signal.event_id)):
        said = f"{signal.name} {signal.status}" + (f": {signal.message}" if signal.message else "")
        action = action.noted(now, "signal", said)
        if signal.status is not Status.FAILED:
            progress_at = max(signal.at, action.progress_at or signal.at)
            action = replace(action, progress_at=progress_at)
        if Signalled(name=signal.name) not in action.policy.leaves:
            continue
        known = next((known for known in action.signals if known.name == signal.name), None)
        if known is None or (known.at, known.event_id) <= (signal.at, signal.event_id):
            others = tuple(other for other in action.signals if other.name != signal.name)
            action = replace(action, signals=(*others, signal))
    return action


def ends(move_end: MoveEnd, action: Action) -> bool:
    """Whether `move_end` is the end of the move in which `action` waits, or waited."""
    same = (move_end.group, move_end.instance_id, move_end.transition) == (
        action.hook.group,
        action.instance_id,
        action.hook.transition,
    )
    if not same or not _same_places(move_end, action):
        return False
    begun = move_end.started_at is None or move_end.started_at <= action.started_at + _CLOCK_SLACK
    return begun and action.started_at <= move_end.ended_at + _CLOCK_SLACK


def _same_places(move_end: MoveEnd, action: Action) -> bool:
    """Places that one side does not tell are no difference."""
    pairs = ((move_end.origin, action.origin), (move_end.destination, action.destination))
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def with_move_ends(action: Action, heard: Iterable[MoveEnd], now: datetime) -> Action:
    """The action with the newest fitting outcome event, unless a later heartbeat disproves it."""
    for move_end in sorted(heard, key=lambda end: end.ended_at):
        beaten_at = action.beaten_at if action.heartbeats else None  # none was sent in observe mode
        disproved = beaten_at is not None and move_end.ended_at <= beaten_at
        known = action.move_end is not None and move_end.ended_at <= action.move_end.ended_at
        if ends(move_end, action) and not known and not disproved:
            action = replace(action, move_end=move_end).noted(now, "outcome", move_end.detail)
    return action


def with_instance_end(action: Action, ended_at: datetime | None, now: datetime) -> Action:
    """The action with EC2's word that the instance is gone."""
    if ended_at is None or action.instance_ended_at is not None:
        return action
    action = replace(action, instance_ended_at=ended_at)
    return action.noted(now, "instance", "EC2 has ended the instance")


def follows(action: Action, command_id: str) -> bool:
    """Whether a condition of the action follows that command."""
    return any(found.memory.get(COMMAND_ID) == command_id for found in action.findings)


def asked_at_once(action: Action, command_id: str, now: datetime) -> Action:
    """The action, whose conditions that follow a command ask again at once."""
    findings = tuple(
        replace(found, ask_again_at=now) if found.memory.get(COMMAND_ID) == command_id else found
        for found in action.findings
    )
    return replace(action, findings=findings)


def with_finding(action: Action, finding: Finding) -> Action:
    """The action with what was found last of one condition."""
    others = tuple(other for other in action.findings if other.condition != finding.condition)
    return replace(action, findings=(*others, finding))
