"""Which signals and outcome events concern an action, and what they change in it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher.core import iso_time
from usher.core.action import Phase, Result, Status, Transition
from usher.core.conditions.command import COMMAND_ID
from usher.core.conditions.probe import Probe
from usher.core.conditions.signalled import Signalled
from usher.core.frozen import replace
from usher.core.policy import Mode
from usher.core.wait_moves import GROUP, POOL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Action, ActivityEnd, OperatorNote, Signal
    from usher.core.finding import Findings
    from usher.core.policy import Policy

MOST_NAMES: Final = 50  # of signals that are kept of one instance or token
SIGNAL_KEPT: Final = timedelta(days=4)  # twice the longest wait: whose notice is lost may be known late
BEFORE_START: Final = timedelta(seconds=60)
_AHEAD: Final = timedelta(seconds=60)  # clocks differ
_REPEATED: Final = timedelta(seconds=60)
_EVENTS_KEPT: Final = timedelta(hours=1)
_NOTED_EVERY: Final = timedelta(minutes=1)
_LAUNCH_SLACK: Final = timedelta(seconds=5)  # the termination of a failed launch begins at once
_CLOCK_SLACK: Final = timedelta(seconds=2)  # event times are whole seconds
_RANKS: Final = {Status.PROGRESS: 0, Status.DONE: 1, Status.FAILED: 2}


class Kept(StrEnum):
    """What keeping a signal has changed."""

    NEWS = "news"  # something else was known before, or this very event
    REPEATED = "repeated"  # the same, or something newer, was known
    REFUSED = "refused"  # it is not kept: there are MOST_NAMES others


def counts_from(action: Action, now: datetime) -> datetime:
    """Outcome events that are older concern an earlier move."""
    return min(now - _EVENTS_KEPT, action.started_at - BEFORE_START)


def received(signal: Signal, now: datetime) -> Signal:
    """The signal as it counts: who sends it may date it, and far ahead it would outlive all others."""
    return replace(signal, at=now) if signal.at > now + _AHEAD else signal


def order(signal: Signal) -> tuple[datetime, int, str]:
    """The greatest counts of one name: by time (whole seconds), then failed before done before progress."""
    return signal.at, _RANKS[signal.status], signal.event_id


def replaces(signal: Signal, known: Signal | None) -> bool:
    """Whether `signal` is to be kept in the place of `known`. The same event twice is once."""
    return known is None or (known.event_id != signal.event_id and order(known) < order(signal))


def is_worth_export(known: Signal, signal: Signal) -> bool:
    """Whether `known`, which `signal` replaces, is put aside for an export: a change, or one a minute."""
    was, is_now = (one.at.replace(second=0, microsecond=0) for one in (known, signal))
    return known.status is not signal.status or was != is_now


def kept(signal: Signal, known: Signal | None) -> Kept:
    """What `signal` changes, where `known` is kept of its name.

    An evaluation that is under way may have read what was known before: news makes it evaluate again.
    """
    if known is None or known.event_id == signal.event_id:
        return Kept.NEWS
    if order(signal) < order(known):
        return Kept.REPEATED
    is_same = signal.status is known.status and signal.at - known.at <= _REPEATED
    return Kept.REPEATED if is_same else Kept.NEWS


def signals_since(action: Action, others: Iterable[Action]) -> datetime | None:
    """From when signals by instance count for an action that opens; `others` are of its instance.

    From a minute before its start, since the work may be done before the hook is reached; but from
    the end of what waited in the same hook before: what ended one life of an instance in the warm
    pool must not end the next. Where nobody knows that end it was by this start.
    """
    hook = (action.hook.group, action.hook.name)
    before = [
        other
        for other in others
        if (other.hook.group, other.hook.name) == hook and other.started_at < action.started_at
    ]
    if not before:
        return action.signals_since
    last = max(before, key=lambda other: other.started_at)
    its_end = min(last.closed_at or action.started_at, action.started_at)
    return max(counts_since(action), its_end + timedelta.resolution)  # what ended it came before


def with_earlier_wait(action: Action, earlier: Action) -> Action:
    """The action, when a wait that began before it in the same hook becomes known only now.

    What ended that wait, and was counted here, counts no more. One that is decided stays as it is.
    """
    since = signals_since(action, [earlier])
    if since is None or since <= counts_since(action) or action.phase is not Phase.OPEN:
        return action
    counting = tuple(one for one in action.signals if one.token is not None or one.at >= since)
    return replace(action, signals_since=since, signals=counting)


def counts_since(action: Action) -> datetime:
    """From when signals by instance count for `action`."""
    return action.signals_since or action.started_at - BEFORE_START


def fits(signal: Signal, action: Action) -> bool:
    """Whether `signal` counts for `action`, however late it is taken in.

    By token where both have one. Else by instance, where the action was open at the signal's time,
    or began at most 60 s after it.
    """
    if not listens(action.policy, signal):
        return False
    if signal.token is not None and action.token is not None:
        return signal.token == action.token
    return signal.instance_id == action.instance_id and signal.at >= counts_since(action)


def listens(policy: Policy, signal: Signal) -> bool:
    """Whether a policy waits for that name; or for progress, which counts under any name."""
    if signal.status is Status.PROGRESS and policy.stalled_after is not None:
        return True
    return Signalled(name=signal.name) in policy.leaves


def with_signals(action: Action, heard: Iterable[Signal], now: datetime) -> Action:
    """The action with these signals counted: of several with one name the last wins.

    What is heard again changes nothing, so it does not matter how often, in which order, and in
    how many evaluations signals are heard. Any word is progress: it shows that the work does not hang.
    """
    for signal in sorted(heard, key=order):
        known = last_of(action, signal.name)
        is_awaited = Signalled(name=signal.name) in action.policy.leaves
        is_last = is_awaited and (known is None or order(known) < order(signal))
        is_progress = action.progress_at is None or signal.at > action.progress_at
        if is_last:
            others = tuple(other for other in action.signals if other.name != signal.name)
            action = replace(action, signals=(*others, signal))
        if is_progress:
            action = replace(action, progress_at=signal.at)
        if is_last or is_progress:
            detail = f"{signal.name} {signal.status}" + (f": {signal.message}" if signal.message else "")
            action = action.noted(now, "signal", detail)
    return action


def last_of(action: Action, name: str) -> Signal | None:
    """The last signal of that name that the action knows."""
    return next((signal for signal in action.signals if signal.name == name), None)


def needs_evaluation(action: Action, signal: Signal, change: Kept, now: datetime) -> bool:
    """Whether an evaluation is to be asked for, so that `signal`, which is kept and fits, counts in time.

    Every evaluation reads what is kept. So what only shows that the work goes on needs one a minute, for
    the timeline; and where an evaluation is due anyway the record is left alone, however many signals
    come. But an evaluation that is under way may have missed news.
    """
    if not action.is_open or action.evaluate_at is None:
        return False
    is_due = action.evaluate_at <= now
    if not _changes(signal, last_of(action, signal.name)):
        last = action.last_entry
        return not is_due and (last is None or now - last.last_at > _NOTED_EVERY)
    return not is_due or change is Kept.NEWS


def due_now(action: Action, now: datetime) -> Action:
    """The action, with an evaluation that is due at once; one that is closed stays so."""
    return replace(action, evaluate_at=now) if action.is_open else action


def _changes(signal: Signal, known: Signal | None) -> bool:
    """Whether conditions may stand otherwise by it: progress only where it takes back what was done."""
    if known is None:
        return signal.status is not Status.PROGRESS
    is_newer = signal.status is not Status.PROGRESS or order(known) < order(signal)
    return signal.status is not known.status and is_newer


def ends(activity_end: ActivityEnd, action: Action) -> bool:
    """Whether `activity_end` is the end of the move in which `action` waits, or waited."""
    same = (activity_end.group, activity_end.instance_id, activity_end.transition) == (
        action.hook.group,
        action.instance_id,
        action.hook.transition,
    )
    if not same or not _same_places(activity_end, action):
        return False
    begun = activity_end.started_at is None or activity_end.started_at <= action.started_at + _CLOCK_SLACK
    return begun and action.started_at <= activity_end.ended_at + _CLOCK_SLACK


def _same_places(activity_end: ActivityEnd, action: Action) -> bool:
    """Places that one side does not tell are no difference."""
    pairs = ((activity_end.origin, action.origin), (activity_end.destination, action.destination))
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def end_in_words(end: ActivityEnd) -> str:
    """What became of the instance, as an outcome event tells, e.g. `in service at 2026-...`."""
    if not end.succeeded:
        became = "launch abandoned" if end.transition is Transition.LAUNCHING else "retained, not terminated"
    elif end.transition is Transition.LAUNCHING:
        became = "in the warm pool" if end.destination == POOL else "in service"
    else:
        kept = {POOL: "back in the warm pool", GROUP: "root volume replaced"}
        became = kept.get(end.destination or "", "terminated")
    return f"{became} at {iso_time.to_seconds(end.ended_at)}: {end.detail}"


def with_move_ends(action: Action, heard: Iterable[ActivityEnd], now: datetime) -> Action:
    """The action with the newest fitting outcome event, unless a later heartbeat disproves it."""
    for activity_end in sorted(heard, key=lambda end: end.ended_at):
        beaten_at = action.beaten_at if action.heartbeats else None  # none was sent in observe mode
        disproved = beaten_at is not None and activity_end.ended_at <= beaten_at
        known = action.activity_end is not None and activity_end.ended_at <= action.activity_end.ended_at
        if ends(activity_end, action) and not known and not disproved:
            action = replace(action, activity_end=activity_end).noted(now, "outcome", activity_end.detail)
    return action


def after_launch(action: Action, heard: Iterable[ActivityEnd], now: datetime) -> Action:
    """The action under the policy for a launch that failed, where it comes out late that it did.

    The notice of the termination comes first: AWS's event takes up to two minutes (aws-facts 9.1).
    What was decided or begun by then goes on.
    """
    launches = [
        end
        for end in heard
        if (end.group, end.transition) == (action.hook.group, Transition.LAUNCHING)
        and end.ended_at <= action.started_at + _LAUNCH_SLACK
    ]
    last = max(launches, key=lambda end: end.ended_at, default=None)
    if action.if_launch_failed is None or action.phase is not Phase.OPEN or last is None or last.succeeded:
        return action
    starting = {leaf.name for leaf in action.policy.leaves if isinstance(leaf, Probe) and leaf.starts}
    is_late = any(found.memory for found in action.findings if found.condition in starting)
    policy = action.if_launch_failed
    action = replace(action, if_launch_failed=None)
    if is_late:
        return action.noted(
            now, "policy", f"stays {action.policy.name}, which started something; {last.detail}"
        )
    if action.policy.mode is Mode.OBSERVE:  # no heartbeat was sent, and nobody asked what stands
        action = replace(action, beaten_at=None, timeout_assumed=True)
    return replace(action, policy=policy).noted(now, "policy", f"{policy.name} from now on: {last.detail}")


def with_instance_end(action: Action, ended_at: datetime | None, now: datetime) -> Action:
    """The action with EC2's word that the instance is gone."""
    if ended_at is None or action.instance_ended_at is not None:
        return action
    action = replace(action, instance_ended_at=ended_at)
    return action.noted(now, "instance", "EC2 has ended the instance")


def with_release(action: Action, order: OperatorNote | None, now: datetime) -> Action:
    """The action with an operator's order to let its instance go, which was retained before.

    Its termination begins anew, and would be retained again by another ABANDON (aws-facts 2.7).
    """
    if order is None or action.operator_result_by is not None or action.phase is not Phase.OPEN:
        return action
    is_next = action.started_at >= order.at - _CLOCK_SLACK
    if action.hook.transition is not Transition.TERMINATING or not is_next:
        return action
    ordered = replace(action, operator_result_by=order, operator_result=Result.CONTINUE)
    return ordered.noted(now, "operator", f"{order.who}: release: {order.reason}")


def with_stop(action: Action, stopped_at: datetime | None, now: datetime) -> Action:
    """The action with EC2's newest word on whether its instance is stopped."""
    if stopped_at is not None and action.stopped_at is None:
        action = action.noted(now, "instance", "EC2 reports it as stopped")
    return replace(action, stopped_at=stopped_at)


def follows(findings: Findings, command_id: str) -> bool:
    """Whether a condition follows that command."""
    return any(found.memory.get(COMMAND_ID) == command_id for found in findings.found)


def asked_at_once(findings: Findings, command_id: str, now: datetime) -> Findings:
    """The findings, with the conditions that follow a command asking again at once."""
    found = tuple(
        replace(each, ask_again_at=now) if each.memory.get(COMMAND_ID) == command_id else each
        for each in findings.found
    )
    return replace(findings, found=found)
