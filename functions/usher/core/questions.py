"""Which questions are to be asked of an action, and when the next one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from usher.core.action import Phase
from usher.core.conditions.probe import Probe, finding_of
from usher.core.decide import has_no_instance

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.policy import Policy

_LATER: Final = timedelta(minutes=1)
_EVER: Final = datetime.max.replace(tzinfo=UTC)


def are_in(policy: Policy) -> bool:
    """Whether some condition of the policy asks AWS at all."""
    return any(isinstance(leaf, Probe) for leaf in policy.leaves)


def due(action: Action, now: datetime) -> tuple[Probe, ...]:
    """The questions whose time has come, the one that was asked longest ago first.

    None where no answer would change anything, as in a hold: an evaluation after its end asks again. What
    a policy is chosen by is asked in a hold, too, and of an instance that has ended: it is asked once only.
    """
    is_over = action.operator_hold is not None or has_no_instance(action, now)
    is_told = action.operator_result_by is not None or action.let_through
    is_decided = is_told or (is_over and not action.policy.candidates)
    if action.phase is not Phase.OPEN or action.awaits_turn or is_decided:
        return ()
    asked = {probe.name: probe for each in action.policy.until for probe in each.asks(action, now)}
    return tuple(sorted(asked.values(), key=lambda probe: _asked_at(probe, action)))


def next_at(action: Action, now: datetime) -> datetime | None:
    """When the next question is due. None: nothing that was asked is to be asked again.

    What was never asked and is not due waits for something else, and that leads to an evaluation.
    """
    if due(action, now):
        return now
    found = (finding_of(probe, action) for probe in due(action, _EVER))
    soonest = min((each.ask_again_at for each in found if each and each.ask_again_at), default=None)
    if soonest is not None and soonest <= now:  # no answer changes anything just now
        return now + _LATER
    return soonest


def _asked_at(probe: Probe, action: Action) -> datetime:
    found = finding_of(probe, action)
    return found.asked_at if found else action.first_seen_at
