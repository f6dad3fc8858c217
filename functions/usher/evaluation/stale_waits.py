"""Calls for adopted actions: named by instance and hook, they must not reach a later wait of both."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.decide import Complete, Heartbeat, hold
from usher.core.frozen import frozen
from usher.core.policy import Mode
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import CallRefused, GroupGone, TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action, Result
    from usher.core.decide import Decision
    from usher.core.live_waits import Activity
    from usher.ports.autoscaling import ActionCalls, Activities, AutoScaling
    from usher.ports.budget import Budget

_COUNTED_WITHIN: Final = timedelta(seconds=5)
_ASKED_AGAIN: Final = timedelta(minutes=1)


@frozen
class StaleWaitGuard:
    """Implements usher.ports.autoscaling.AutoScaling over `calls`, which make the calls on actions.

    An action without a token gets a result only while its scaling activity goes on; an evaluation finds
    that out where it was adopted without one. A heartbeat does no harm in another wait, so that is
    asked only where the heartbeat is a question itself: whether the wait goes on.
    """

    calls: ActionCalls
    activities: Activities
    budget: Budget
    clock: Callable[[], datetime]

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        asks = action.token is None and action.activity_id is not None and action.activity_end is not None
        return (self._refusal(action) if asks else None) or self.calls.heartbeat(action)

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        return (self._refusal(action) if action.token is None else None) or self.calls.complete(
            action, result
        )

    def ongoing(self, action: Action) -> Activity | None:
        """DescribeScalingActivities of the group."""
        instance_id = action.instance_id
        with suppress(GroupGone):
            return self.activities.ongoing(action.hook.group, {instance_id}, self._counted).get(instance_id)
        return None

    def _refusal(self, action: Action) -> Answer | None:
        """Why the call is not to be made; None: make it."""
        if action.activity_id is None:
            return Answer(kind=AnswerKind.REFUSED, text="it is unknown whether it is still the same wait")
        self._counted()
        try:
            is_over = self.activities.has_ended(action.activity_id)
        except TryLater as busy:
            return Answer(kind=AnswerKind.BUSY, text=str(busy))
        except CallRefused as refusal:
            return Answer(kind=AnswerKind.REFUSED, text=str(refusal))
        return (
            Answer(kind=AnswerKind.NO_ACTIVE_ACTION, text="its scaling activity has ended")
            if is_over
            else None
        )

    def _counted(self) -> datetime:
        """The action's own slot is taken, and must not be lost for want of this one; it is only counted."""
        now = self.clock()
        with suppress(Unavailable):
            self.budget.book(now, now, now + _COUNTED_WITHIN, now)
        return now


def in_same_wait(
    calls: AutoScaling, action: Action, decision: Decision, now: datetime
) -> tuple[Action, Decision] | None:
    """What goes by instance could reach a later wait, so the activity of this one has to be known.

    None: the instance is in a later one, and this wait is over. Where nobody can say, no result
    is sent: the instance is held.
    """
    is_named = action.token is not None or action.activity_id is not None
    is_call = isinstance(decision, Complete) or (
        isinstance(decision, Heartbeat) and action.activity_end is not None
    )
    if is_named or not is_call or action.policy.mode is Mode.OBSERVE:
        return action, decision
    try:
        activity, why = calls.ongoing(action), "its scaling activity is not found"
    except (TryLater, CallRefused) as error:
        activity, why = None, str(error)
    if activity is not None and activity.started_at > action.first_seen_at:
        return None
    if activity is not None:
        action = action.noted(now, "activity", f"{activity.id}: {activity.description}")
        return replace(action, activity_id=activity.id), decision
    if isinstance(decision, Heartbeat):
        return action, decision
    reason = f"held, because it is unknown whether it is still the same wait ({why}): {decision.reason}"
    return action, hold(action, reason, now, again_at=now + _ASKED_AGAIN)
