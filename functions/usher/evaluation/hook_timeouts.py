"""Learns what stands on a group: one DescribeLifecycleHooks for all its actions, out of the shared budget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core import hook_timeouts
from usher.core.frozen import frozen
from usher.core.policy import Mode
from usher.ports.errors import CallRefused, GroupGone, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.hook_timeouts import Described
    from usher.evaluation.call_budget import CallBudget
    from usher.ports.autoscaling import HooksOf
    from usher.ports.records import DescribedHooks
    from usher.ports.telemetry import Telemetry


@frozen
class HookTimeouts:
    """What is known of the heartbeat timeouts that stand, and how it comes to be known."""

    live: HooksOf
    store: DescribedHooks
    call_budget: CallBudget
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def with_timeout(self, action: Action, now: datetime, *, is_done: bool = False) -> Action:
        """The action under the timeout that stands, or as it was where nobody can say just now.

        Whoever is to describe the group books a slot for it, which stands as `booked_at` in the record
        until it comes; of one that `is_done` that slot is for its result. In observe mode nothing is
        called, so what is configured is all that there is.
        """
        if action.policy.mode is Mode.OBSERVE:
            return replace(action, timeout_assumed=False)
        known = hook_timeouts.known(action, self.store.described(action.hook.group), now)
        if known is not None:
            self.call_budget.release_replaced(action.booked_at, now)
            return replace(known, booked_at=None)
        if is_done:
            return self._asked_besides(action, now)
        action = self._with_slot(action, now)
        if action.booked_at is None or action.booked_at > now:
            return action
        return self._asked(replace(action, booked_at=None), now)

    def _asked_besides(self, action: Action, now: datetime) -> Action:
        """A result keeps its slot, and goes whatever becomes of the question.

        The question goes out where there is room now, or as the assumed expiry of the action comes near.
        """
        is_near = self.call_budget.is_first_expiry_near(action, now)
        free = None if is_near or action.booked_at is not None else self.call_budget.try_acquire(now)
        if (is_near or free is not None) and self.store.claim_describe(action.hook.group, now):
            return self._asked(action, now)
        self.call_budget.release_replaced(free, now)
        return action

    def _asked(self, action: Action, now: datetime) -> Action:
        try:
            seen = self.describe(action.hook.group)
        except GroupGone:
            return replace(action, timeout_assumed=False)  # its evaluation meets "No active"
        except TryLater as busy:
            if isinstance(busy, Throttled):
                self.call_budget.back_off(now)
                self.telemetry.count("Throttled")
        except CallRefused as error:
            self.telemetry.trouble(f"the hooks of {action.hook.group} could not be described", error)
        else:
            return hook_timeouts.known(action, seen, now) or action
        return action

    def _with_slot(self, action: Action, now: datetime) -> Action:
        """The action with the slot in which it is to describe its group, if it is the one to do so."""
        if action.booked_at is not None:
            return action
        is_claimed = self.store.claim_describe(action.hook.group, now)
        return replace(action, booked_at=self.call_budget.try_acquire_soon(now)) if is_claimed else action

    def describe(self, group: str) -> Described:
        """The hooks of a group as they stand now, kept for all. Raises as HooksOf does."""
        at = self.clock()
        seen = hook_timeouts.described(self.live.hooks_of(group), at)
        self.store.keep_described(group, seen)
        return seen
