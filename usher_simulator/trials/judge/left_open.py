"""Which records may stay open when a trial ends: those that nobody is left to close."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Waits


def came_too_late(actions: Iterable[Action], opened_at: Mapping[str, datetime], waits: Waits) -> bool:
    """Whether each open one was recorded after its wait had ended, by the trial's clock.

    `opened_at` has the moments by action id. When Usher is removed, a notification that comes after its
    wait was released may still be recorded, in a table that is kept.
    """
    return all(_came_too_late(one, opened_at, waits) for one in actions if one.is_open)


def _came_too_late(action: Action, opened_at: Mapping[str, datetime], waits: Waits) -> bool:
    wait = waits.of_token(action.token or "")
    ended_at = wait.ended_at if wait is not None else None
    return ended_at is not None and action.id in opened_at and ended_at <= opened_at[action.id]
