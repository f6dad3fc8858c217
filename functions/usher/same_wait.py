"""Calls for adopted actions: named by instance and hook, they must not reach a later wait of both."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.ports import Answer, AnswerKind, CallRefused, TryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.model import Action, Result
    from usher.ports import Activities, AutoScaling, Budget

_COUNTED_WITHIN: Final = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class SameWait:
    """Implements usher.ports.AutoScaling over `calls`, which make them.

    An action without a token gets a result only while the scaling activity goes on in which it was
    adopted. A heartbeat does no harm in another wait, so that is asked only where the heartbeat is
    a question itself: whether the wait goes on.
    """

    calls: AutoScaling
    activities: Activities
    budget: Budget
    clock: Callable[[], datetime]

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        over = self._over(action) if action.move_end is not None else None
        return over or self.calls.heartbeat(action)

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        return self._over(action) or self.calls.complete(action, result)

    def waits(self, instance_id: str) -> bool | None:
        """Whether the instance is in a wait state now; None where nobody can say."""
        return self.calls.waits(instance_id)

    def _over(self, action: Action) -> Answer | None:
        """Why the call is not to be made; None: make it."""
        if action.token is not None:
            return None
        now = self.clock()
        # The action's own turn is taken, and must not be lost for want of this one; it is only counted.
        with suppress(Unavailable):
            self.budget.book(now, now, now + _COUNTED_WITHIN, now)
        try:
            is_over = self._is_over(action)
        except TryLater as busy:
            return Answer(kind=AnswerKind.BUSY, text=str(busy))
        except CallRefused as refusal:
            return Answer(kind=AnswerKind.REFUSED, text=str(refusal))
        return (
            Answer(kind=AnswerKind.NO_ACTIVE_ACTION, text="its scaling activity is over") if is_over else None
        )

    def _is_over(self, action: Action) -> bool:
        """Without an activity the live state decides; where nobody can say, the call is its own answer."""
        if action.activity_id is not None:
            return self.activities.has_ended(action.activity_id)
        return self.calls.waits(action.instance_id) is False
