"""When the sweep finds an action: the time by which its row stands in the index."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action

LISTED_BEFORE: Final = timedelta(seconds=60)  # an evaluation, at most


def listed_at(action: Action) -> datetime | None:
    """The next evaluation, or a moment before; None: closed.

    What is stored just before a heartbeat is to be evaluated in seconds, should its answer not come. For
    these its row stays where it is, at the slot of the call: each move costs two writes, and whoever finds
    it too early loads the record, and finds nothing due.
    """
    last = action.last_entry
    if action.evaluate_at is None or action.booked_at is None or last is None or last.event != "heartbeat":
        return action.evaluate_at
    stays = action.evaluate_at - LISTED_BEFORE <= action.booked_at <= action.evaluate_at
    return action.booked_at if stays else action.evaluate_at
