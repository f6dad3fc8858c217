"""Which call goes out when: all calls on lifecycle actions share one budget, in slots of a second.

Only within ten seconds of its expiry an action's call goes out, budget or not. Each action books one
slot, for its next heartbeat: the latest with room before its expiry less the margin. Booked so,
backwards from the expiries, everything fits in that can fit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core import deadlines
from usher.core.action import Phase
from usher.core.frozen import frozen, replace
from usher.core.policy import Mode
from usher.ports.errors import Denied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.ports.budget import Budget
    from usher.ports.telemetry import Telemetry

_SECOND: Final = timedelta(seconds=1)
_LATE: Final = timedelta(seconds=3)  # a wake-up comes on whole seconds, and takes its time
_PATIENCE: Final = timedelta(seconds=10)  # of a pass: a slot of the least pace
_AT_RISK: Final = timedelta(seconds=10)  # so near to the expiry a call goes out, budget or not


class NoCallLeft(Exception):  # noqa: N818 - it reads as what happened
    """No time or no slot is left: the next pass goes on."""


@frozen
class CallBudget:
    """The shared budget, as an evaluation uses it. A budget that does not answer stops none."""

    budget: Budget
    telemetry: Telemetry

    def reserve_heartbeat(self, action: Action, now: datetime) -> Action:
        """The action with a slot for its next heartbeat, where it needs one and has none."""
        needs_beat = now < action.expires_at < action.ends_at and action.phase is Phase.OPEN
        if action.booked_at is not None or not needs_beat or action.policy.mode is Mode.OBSERVE:
            return action
        if action.timeout_assumed:
            return action  # known expiries go first: an assumed one takes only what room is left
        best = deadlines.preferred_heartbeat_at(action.expires_at, action.hook.heartbeat_timeout, now)
        last = max(best, deadlines.latest_heartbeat_at(action.expires_at, action.hook.heartbeat_timeout, now))
        slot = self._book(now, best, last, now)
        if slot is None:
            self.telemetry.count("OverBudget")
        return replace(action, booked_at=slot)

    def acquire(self, action: Action, now: datetime, *, completes: bool) -> tuple[Action, bool]:
        """Whether the action's call goes out now; if not, `booked_at` says when, where that is known.

        A result goes as soon as there is room: it frees what is booked for the action. A heartbeat
        that is late for its slot takes a new one.
        """
        own = action.booked_at
        if own is not None and now - _LATE <= own <= now:
            return action, True
        if action.timeout_assumed and not completes:
            return action, self.try_acquire(now) is not None or action.expires_at - now <= _AT_RISK
        slot = self._next(action, now, completes=completes)
        if slot is None:
            has_later = own is not None and now < own < action.expires_at
            return action, not has_later and action.expires_at - now <= _AT_RISK
        return replace(action, booked_at=slot), slot <= now

    def _next(self, action: Action, now: datetime, *, completes: bool) -> datetime | None:
        last = max(now, deadlines.latest_heartbeat_at(action.expires_at, action.hook.heartbeat_timeout, now))
        if completes:
            own = action.booked_at  # nothing of it is left, where it has passed
            return self._book(now, now, last if own is None else min(last, max(own, now)), now)
        at_once = self._book(now, now, now, now)
        best = deadlines.preferred_heartbeat_at(action.expires_at, action.hook.heartbeat_timeout, now)
        return at_once or self._book(now, best, max(best, last), now)

    @staticmethod
    def is_first_expiry_near(action: Action, now: datetime) -> bool:
        """Whether it expires in ten seconds, as far as is known, unless its first heartbeat is sent."""
        return action.beaten_at is None and timedelta(0) <= action.heartbeat_by - now <= _AT_RISK

    def try_acquire(self, now: datetime) -> datetime | None:
        """The slot that is booked for such a call; None: there is no room."""
        return self._book(now, now, now, now)

    def try_acquire_soon(self, now: datetime) -> datetime | None:
        """Book the first slot with room in the next ten; None: there is none."""
        return self._book(now, now, now + _PATIENCE, now)

    def wait_for_slot(
        self, clock: Callable[[], datetime], wait: Callable[[float], object], has_time: Callable[[], bool]
    ) -> datetime:
        """Book a call soon, wait for it (`wait`, in seconds), and return the time then.

        Raises NoCallLeft; and Denied: to wait for a table that says no would use up the time of a deploy.

        For the passes of the sweep, which hold nothing up: one that gave up at a full slot would
        spend it on the same questions in each run, and never come to what is to be done.
        """
        now = clock()
        if not has_time():
            raise NoCallLeft
        try:
            slot = self.budget.book(now, now, now + _PATIENCE, now)
        except Denied:
            raise
        except Unavailable as error:
            self.telemetry.trouble("no slot of the call budget was reserved", error)
            slot = None
        if slot is None:
            raise NoCallLeft
        if slot > now:
            wait((slot - now).total_seconds())
        if not has_time():
            raise NoCallLeft
        return clock()

    def release_replaced(self, slot: datetime | None, now: datetime, *, kept: datetime | None = None) -> None:
        """Give back a slot in whose place another one is stored."""
        if slot is not None and slot != kept and slot > now - _SECOND:
            self._give_back(slot)

    def release(self, action: Action, now: datetime) -> None:
        """Give back the slot of an action that needs none any more."""
        if action.booked_at is not None and action.booked_at > now:
            self._give_back(action.booked_at)

    def back_off(self, now: datetime) -> None:
        """Auto Scaling turned a call away."""
        try:
            self.budget.throttled(now)
        except Unavailable as error:
            self.telemetry.trouble("the call budget was not lowered", error)

    def _book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """Where nobody can say, there is no room; what cannot wait goes out all the same."""
        try:
            return self.budget.book(first, best, last, now)
        except Unavailable as error:
            self.telemetry.trouble("no slot of the call budget was reserved", error)
            return None

    def _give_back(self, slot: datetime) -> None:
        """What is not given back is a call less in its slot."""
        try:
            self.budget.give_back(slot)
        except Unavailable as error:
            self.telemetry.trouble("a reserved slot was not released", error)
