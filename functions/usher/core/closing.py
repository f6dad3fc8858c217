"""How a record is closed, and what it tells of the end of its wait."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import ActivityEnd, Outcome, Phase, Result, Transition
from usher.core.frozen import replace

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action

KNOWN_TOO_LATE: Final = "ended before Usher knew of it: its heartbeat timeout had expired"  # a reason
ENDED_IN_TIME: Final = "ended elsewhere before its heartbeat timeout expired"  # a reason
_CLOCKS_DIFFER: Final = timedelta(seconds=5)  # AWS's and ours; and events may tell whole seconds
_OURS_DIFFER: Final = timedelta(seconds=2)  # so much the clocks of two functions may be apart


def closed(
    action: Action, outcome: Outcome, reason: str, now: datetime, *, is_proven: bool = False
) -> Action:
    """The action at its end. It tells a result only where Usher sent it.

    One that was decided is kept all the same: if the wait turns out to go on, no other may be sent.
    """
    action = action.noted(now, "closed", f"{outcome}: {reason}")
    decided = None
    if action.phase is Phase.COMPLETING and action.result is not None and not is_proven:
        decided = (action.result, action.reason)
    return replace(
        action,
        phase=Phase.CLOSED,
        outcome=outcome,
        reason=reason,
        result=action.result if outcome is Outcome.COMPLETED else None,
        evaluate_at=None,
        closed_at=now,
        is_proven=is_proven,
        decided=decided,
    )


def ended(action: Action, now: datetime, why: str = "") -> Action:
    """The action closed because it is not active any more: by our call, someone else, or AWS.

    `why` it ran out, where that is known.

    A Complete of ours explains it that was sent in time and never denied (the answer was lost),
    unless Auto Scaling said that all was over before. Who finds it over after its time cannot know whether
    somebody ended it before: no call was answered since it was last known to wait.
    """
    end = action.activity_end
    over_at = action.expires_at
    if end is not None and not end.is_inferred:
        over_at = min(over_at, end.ended_at + _CLOCKS_DIFFER)
    is_let_in = _is_let_in(action)
    may_be_ours = not (is_let_in and action.result is Result.ABANDON)
    if may_be_ours and any(sent_at < over_at for sent_at in action.completes_sent):
        reason = f"{action.reason} (by an earlier call of Usher, whose answer was lost)"
        return closed(action, Outcome.COMPLETED, reason, now)
    is_no_default = is_let_in and action.hook.default_result is Result.ABANDON
    if end is not None and (end.ended_at < action.expires_at or is_no_default):
        reason = f"ended elsewhere: {end.detail}"
    elif action.beaten_at is None and _was_known_too_late(action):
        reason = KNOWN_TOO_LATE
    elif now < action.expires_at:
        reason = ENDED_IN_TIME
    else:
        context = f" while Usher was paused: {action.paused_by}" if action.paused_by else why
        if end is not None:
            context += f" ({end.detail})"
        result = action.hook.default_result
        unseen = "" if context else ", or somebody else ended it unseen"
        reason = f"got the default result {result}: its heartbeat timeout expired{context}{unseen}"
        return closed(action, Outcome.DEFAULTED, reason, now)
    return closed(action, Outcome.ENDED_ELSEWHERE, reason, now)


def _is_let_in(action: Action) -> bool:
    """Whether AWS's event says that a launch went into service, so that no ABANDON ended it."""
    end = action.activity_end
    is_told = end is not None and end.is_event and end.succeeded
    return is_told and action.hook.transition is Transition.LAUNCHING


def _was_known_too_late(action: Action) -> bool:
    """Whether its first period was over when it was heard of."""
    return action.first_seen_at >= action.started_at + action.hook.heartbeat_timeout - _OURS_DIFFER


def superseded(action: Action, by_id: str, begun_at: datetime, now: datetime) -> Action:
    """The action whose instance waits in the hook again, so that its own wait is over.

    By its token Auto Scaling can be asked about it, which an evaluation does. Without one nothing must be
    sent: it would reach the later wait.
    """
    detail = "the instance waits in the hook again"
    if not action.is_open or (action.token is not None and action.activity_end is not None):
        return action
    end = own_end(action, by_id, begun_at, detail)
    action = replace(action, activity_end=end, evaluate_at=now).noted(now, "outcome", detail)
    return action if action.token is not None else ended(action, now)


def own_end(action: Action, activity_id: str, ended_at: datetime, detail: str) -> ActivityEnd:
    """The end of a wait by Usher's own reckoning."""
    return ActivityEnd(
        activity_id=activity_id,
        group=action.hook.group,
        instance_id=action.instance_id,
        transition=action.hook.transition,
        origin=action.origin,
        destination=action.destination,
        started_at=None,
        ended_at=ended_at,
        detail=detail,
        is_event=False,
    )
