"""The queues that Usher writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from usher.core.held_wait import HeldWait

WHATEVER: Final = 0  # in place of a version: look at an open action whatever it stands at, due or not


class WakeUps(Protocol):
    """Delayed hints to look at an action."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """Ask for a look after `delay` (to 900 s), void once the record has left `version`.

        That is a version, or the stamp of a state (Action.stands_at), or WHATEVER. By `wait` it can be
        held where the table does not answer then.

        Raises Unavailable where the queue does not take it.
        """
        ...


class Questions(Protocol):
    """Delayed requests to ask what the conditions of an action want to know."""

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """Ask after `delay` (to 900 s), unless another turn stands by then.

        Raises Unavailable where the queue does not take it.
        """
        ...


class DeadLetters(Protocol):
    """Where messages go that cannot be understood."""

    def put(self, body: str, reason: str) -> None:
        """Keep `body` with its `reason`. Raises Unavailable where the queue does not take it."""
        ...
