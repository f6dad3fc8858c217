"""The limits of a hook; and of results: at most so many in any stretch of time, however it is laid."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

Sent: TypeAlias = "Mapping[str, datetime]"  # the results that count: action id, and since when


class Sharing(StrEnum):
    """Which actions of a hook share its `at_once`: those of a group, or those of all its groups."""

    GROUP = "group"
    HOOK = "hook"


@frozen
class Limits:
    """A hook's blast radius: how many results it may send, or actions begin; None is no limit."""

    abandon_per_hour: int | None = None
    complete_per_minute: int | None = None
    at_once: int | None = None  # actions that have begun their `until`, and not ended
    at_once_per: Sharing = Sharing.GROUP


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
