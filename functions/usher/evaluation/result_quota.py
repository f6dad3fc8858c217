"""The limits of a hook: what it may send no more of now is held until it may."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from usher.core.action import Code, Phase, Result
from usher.core.decide import Complete, given_up, has_no_instance, hold
from usher.core.frozen import frozen
from usher.core.policy import Mode
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.decide import Decision
    from usher.ports.budget import ResultLimits
    from usher.ports.telemetry import Telemetry

    Ask = Callable[[str, str, int, timedelta, datetime], datetime | None]

_SOON: Final = timedelta(seconds=2)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


class _Limit(NamedTuple):
    """At most so many of what it is called in any such time."""

    most: int
    within: timedelta
    what: str


@frozen
class ResultQuota:
    """How many results the hooks with `limits` may still send."""

    limits: ResultLimits
    telemetry: Telemetry

    def within(self, action: Action, decision: Decision, now: datetime) -> Decision:
        """The decision, or to hold on where the hook has sent as many results as it may.

        Of two limits the hour's is asked first and counts last: a result that another one keeps out of
        the minute in between, and that may never be sent, must not take the room of one for an hour.
        """
        if not isinstance(decision, Complete) or not _is_limited(action, now):
            return decision
        of_hook = list(_limits_of(action, decision.result))
        asked = [(self.limits.next_at, limit) for limit in of_hook[1:]]
        asked += [(self.limits.grant, limit) for limit in of_hook]
        for ask, limit in asked:
            again_at = self._asked(ask, action, limit, now)
            if again_at is not None:
                reason = f"held by the limit of {limit.most} {limit.what}"
                reason = f"{reason}; it would get {decision.result}: {decision.reason}"
                return self._held(action, decision, reason, again_at, now)
        return decision

    def _asked(self, ask: Ask, action: Action, limit: _Limit, now: datetime) -> datetime | None:
        """When to ask again; None: granted. What cannot be counted waits: that is no reason to fail."""
        name = f"{action.hook.name} of {action.hook.limited_with or action.hook.group}: {limit.what}"
        try:
            return ask(name, action.id, limit.most, limit.within, now)
        except Unavailable as error:
            self.telemetry.trouble(f"a result of {name} could not be counted", error)
            return now + _SOON

    def _held(
        self, action: Action, decision: Complete, reason: str, again_at: datetime, now: datetime
    ) -> Decision:
        """At the last moment what the policy says for giving up is sent, whatever the limit."""
        if now >= action.decide_by:
            result, _ = given_up(action)
            return Complete(result=result, reason=reason, evaluate_at=decision.evaluate_at)
        self.telemetry.count("HeldByLimit")
        held = hold(action, reason, now, again_at=again_at)
        return held if action.activity_end else replace(held, code=Code.HELD_BY_LIMIT)


def _is_limited(action: Action, now: datetime) -> bool:
    """What an operator completes, what is let through, and what has no instance any more is not."""
    is_told = action.operator_result_by is not None or action.let_through
    enforced = action.policy.mode is Mode.ENFORCE and action.phase is Phase.OPEN
    return enforced and not is_told and not has_no_instance(action, now)


def _limits_of(action: Action, result: Result) -> Iterator[_Limit]:
    limits = action.hook.limits
    if limits.complete_per_minute is not None:
        yield _Limit(limits.complete_per_minute, _MINUTE, "results per minute")
    if limits.abandon_per_hour is not None and result is Result.ABANDON:
        yield _Limit(limits.abandon_per_hour, _HOUR, "ABANDON per hour")
