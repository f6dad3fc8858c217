"""A queue of wake-ups that takes two of one request as it takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from usher.core.held_wait import HeldWait
    from usher.ports.queues import Later


class OneByOne(Protocol):
    """Implements the second half of usher.ports.queues.WakeUps by the first one."""

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None, /) -> None:
        """See usher.ports.queues.WakeUps."""

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        """See usher.ports.queues.WakeUps."""
        for delay, wait in (first, second):
            self.send(action_id, stamp, delay, wait)
