"""Observe mode: the record tells what would be done, and goes on as if it had been."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usher.core import closing
from usher.core.action import Outcome
from usher.core.decide import Complete, Heartbeat, Wait, decide

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.decide import Decision


def as_if_done(action: Action, decision: Decision, now: datetime) -> Action:
    """The action after `decision`, of which nothing is sent."""
    if isinstance(decision, Complete):
        reason = f"observe mode: would have sent {decision.result}: {decision.reason}"
        return closing.closed(action.noted(now, "complete", reason), Outcome.ENDED_ELSEWHERE, reason, now)
    if action.activity_end is not None:
        reason = f"observe mode: would have waited; {action.activity_end.detail}"
        return closing.closed(action, Outcome.ENDED_ELSEWHERE, reason, now)
    name = "heartbeat" if isinstance(decision, Heartbeat) else "wait"
    action = action.noted(now, name, f"observe mode: {decision.reason}")
    if isinstance(decision, Wait):
        return replace(action, evaluate_at=decision.evaluate_at)
    action = replace(action, beaten_at=now)
    following = decide(action, now)
    return replace(action, evaluate_at=following.evaluate_at if isinstance(following, Wait) else now)
