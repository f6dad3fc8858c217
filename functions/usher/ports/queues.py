"""The queues that Usher writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import TypeAlias

    from usher.core.held_wait import HeldWait

    Later: TypeAlias = tuple[timedelta, HeldWait | None]  # a delay, and what the wake-up carries

WHATEVER: Final = 0  # in place of a stamp: evaluate an open action in any state, due or not

WHEN_DUE: Final = -1  # evaluate an open action that is due, whichever state it is in


class WakeUps(Protocol):
    """Delayed hints to evaluate an action."""

    def send(self, action_id: str, stamp: int, delay: timedelta, wait: HeldWait | None = None) -> None:
        """Ask for an evaluation after `delay` (to 900 s).

        It counts while the record stands at `stamp` (Action.stands_at), or if an evaluation is due by
        then (ADR 23). `stamp` may be a version alone, WHATEVER, or WHEN_DUE. By `wait` the action can be held
        where the table does not answer then.

        Raises Unavailable where the queue does not take it.
        """
        ...

    def send_both(self, action_id: str, stamp: int, first: Later, second: Later) -> None:
        """Two of them, in one request. Raises Unavailable where the queue does not take both."""
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


class DeadLettersKept(Protocol):
    """The dead letters that wait for somebody."""

    def counts(self) -> Mapping[str, int]:
        """By the name of their queue, how many; about as many as there are. Raises Unavailable."""
        ...
