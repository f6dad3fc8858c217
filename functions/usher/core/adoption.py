"""Records of waits that no notification told of: how one begins, gets its token, and opens again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core import deadlines, evidence, iso_time
from usher.core.action import Action, Phase
from usher.core.live_waits import EVENT_TIMES_DIFFER
from usher.core.policy import Mode
from usher.core.wait_moves import waits_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from usher.core.live_waits import Activity, UnrecordedWait


def adopted(wait: UnrecordedWait, timeout: timedelta, action_id: str, now: datetime) -> Action:
    """The record of what waits unknown, as if its notification had come; `now`: its first heartbeat.

    An activity that began before the last heartbeat timeout cannot be all of this wait (targets
    drain before a termination hook, or someone else sends heartbeats): then, as without any
    activity, the wait counts from now, so that nothing is decided too early. The global limit
    counts from the earliest start that is possible, and so do signals.
    """
    terms = wait.hook.terms(wait.group, timeout)
    earliest = now - timeout
    activity = wait.activity
    begun_at = activity.started_at if activity is not None and activity.started_at > earliest else None
    action = Action(
        id=action_id,
        token=None,
        instance_id=wait.member.instance_id,
        hook=terms,
        policy=wait.policy,
        origin=wait.move.origin,
        destination=wait.move.destination,
        metadata=wait.move.metadata,
        started_at=begun_at or now,
        signals_since=activity.started_at - evidence.BEFORE_START if activity and not begun_at else None,
        limit_at=None if begun_at else _limit(activity, earliest, timeout, now),
        first_seen_at=now,
        evaluate_at=now,
        activity_id=activity.id if activity else None,
        let_through=begun_at is not None and wait.terms.lets_through(wait.policy, begun_at),
        if_launch_failed=None if activity else wait.hook.if_launch_failed(wait.move),
    )
    since = "since an unknown time"
    if activity is not None:
        since = f"since {iso_time.to_seconds(activity.started_at)}"
    detail = f"{wait.member.state}, {since}: no notification arrived; policy {action.policy.name}"
    return action.noted(now, "adopted", detail)


def _limit(activity: Activity | None, earliest: datetime, timeout: timedelta, now: datetime) -> datetime:
    limit = deadlines.global_timeout(timeout)
    begun = activity.started_at + limit if activity else now
    return begun if begun > now else earliest + limit


def to_take_up(wait: UnrecordedWait, known: Sequence[Action]) -> Action | None:
    """The closed record of this wait to ask for by a heartbeat; None where there is no doubt about any.

    `known` are all records of the instance, oldest first.

    By its token it is asked only for its own wait. Without one, only in the same activity.
    """
    of_wait = [action for action in known if _may_be_of_this_wait(wait, action)]
    if wait.activity is None:
        of_wait = of_wait[-1:]  # earlier ones are of earlier waits
    if any(action.is_open or action.is_proven or action.policy.mode is Mode.OBSERVE for action in of_wait):
        return None
    named = [action for action in of_wait if action.token is not None or action.activity_id is not None]
    return max(named, key=lambda action: (action.token is not None, action.started_at), default=None)


def _may_be_of_this_wait(wait: UnrecordedWait, action: Action) -> bool:
    """As UnrecordedWait.is_of_this_wait; without an activity each wait by token in such a state may be it."""
    if wait.is_of_this_wait(action):
        return wait.activity is not None or action.token is not None
    same_hook = (action.hook.group, action.hook.name) == (wait.group, wait.hook.name)
    is_named = wait.activity is None and action.token is not None
    return is_named and same_hook and waits_in(action, wait.member.state)


def taken_up(action: Action, beaten_at: datetime, now: datetime) -> Action:
    """A closed record whose wait goes on, as a heartbeat shows that was accepted: open, and due.

    A result that was decided is the only one that may be sent.
    """
    if action.is_open:
        return action
    result, reason = action.decided or (None, "")
    action = action.noted(now, "taken up", "Auto Scaling accepted a heartbeat: its wait goes on")
    return replace(
        action,
        phase=Phase.OPEN if result is None else Phase.COMPLETING,
        result=result,
        reason=reason,
        outcome=None,
        closed_at=None,
        decided=None,
        evaluate_at=now,
        beaten_at=beaten_at,
        heartbeats=action.heartbeats + 1,
        completes_sent=(),
        activity_end=None,
        booked_at=None,
        paused_by=None,
    )


def joins(known: Action, came: Action) -> bool:
    """Whether `came`, which has a token, is the wait that `known` was adopted for.

    Tokens of earlier waits of the same instance and hook do arrive late (aws-facts 9.2).
    """
    same_hook = (known.hook.group, known.hook.name) == (came.hook.group, came.hook.name)
    if known.token is not None or not same_hook or known.instance_id != came.instance_id:
        return False
    earliest = known.started_at
    if earliest >= known.first_seen_at:  # its start was not known
        earliest = known.first_seen_at - known.hook.heartbeat_timeout
        # Its activity, which has one wait of each hook, began then; or an earlier wait ended, which is later.
        if known.signals_since is not None:
            earliest = min(earliest, known.signals_since + evidence.BEFORE_START)
    places = ((known.origin, came.origin), (known.destination, came.destination))
    fits = all(None in pair or pair[0] == pair[1] for pair in places)
    return (
        fits and earliest - EVENT_TIMES_DIFFER <= came.started_at <= known.first_seen_at + EVENT_TIMES_DIFFER
    )


def joined(known: Action, came: Action, now: datetime) -> Action:
    """An adopted record with the token that came for it, and the start that its message tells."""
    metadata = known.metadata if came.metadata is None else came.metadata
    action = replace(known, token=came.token, received_by=came.received_by, metadata=metadata)
    if action.is_open:
        action = replace(
            action,
            started_at=min(came.started_at, known.first_seen_at),
            signals_since=came.signals_since,
            limit_at=None,
        )
    return action.noted(now, "notified", f"by {', '.join(came.received_by)}; this record was adopted")


def twins(open_actions: Iterable[Action]) -> Iterator[tuple[Action, Action]]:
    """Adopted records of waits that another record has by token: both were made at the same moment."""
    of_instance: dict[str, list[Action]] = {}
    for action in open_actions:
        of_instance.setdefault(action.instance_id, []).append(action)
    for actions in of_instance.values():
        for adopted_one in (one for one in actions if one.token is None and one.phase is Phase.OPEN):
            by_token = (one for one in actions if one.token is not None and joins(adopted_one, one))
            for other in by_token:
                yield adopted_one, other
                break
