"""The limit of results: at most so many in any stretch of time, however it is laid."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

Sent: TypeAlias = "Mapping[str, datetime]"  # the results that count: action id, and since when


def granted(
    sent: Sent, action_id: str, most: int, within: timedelta, now: datetime
) -> tuple[Sent, datetime | None]:
    """What counts from now on, and None where this result may be sent; else when the next one may.

    Who asks again has not sent its result yet, so it counts from now instead. Clocks differ a
    little from container to container: here time never goes back.
    """
    now = max((now, *sent.values()))
    counting = {one: since for one, since in sent.items() if since > now - within}
    if action_id in counting or len(counting) < most:
        return {**counting, action_id: now}, None
    return counting, sorted(counting.values())[len(counting) - most] + within
