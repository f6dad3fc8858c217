"""How conditions ask AWS what they want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any

    from usher.core.action import Action
    from usher.core.conditions.probe import Call, Found, Later, Probe, Reply
    from usher.core.finding import Memory


class Probing(Protocol):
    """Asks AWS what a condition wants to know."""

    def probe(
        self,
        probe: Probe,
        action: Action,
        memory: Memory,
        until: datetime,
        before_start: Callable[[Memory], None],
    ) -> Found | Later:
        """What is found of `probe` for `action`; or when to ask, where it cannot be asked yet.

        No call begins that could last beyond `until`.

        `before_start` makes the memory durable that a call needs which changes something.
        """
        ...


class Calls(Protocol):
    """Calls on AWS services other than Auto Scaling."""

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        """Make one attempt, for `members` where a shared call takes a list. Never raises for AWS errors."""
        ...


@frozen
class SharedAnswer:
    """An answer that serves many actions: what it says of each member, and when it was taken."""

    taken_at: datetime  # just before the call was sent
    members: Mapping[str, Any]
    refusal: tuple[str, str] | None = None  # code and text, where AWS said no to all of them


class SharedAnswers(Protocol):
    """The answers that actions share, whoever asks."""

    def newest(self, question: str) -> SharedAnswer | None:
        """The newest answer to `question`."""
        ...

    def enlist(self, question: str, member: str, now: datetime) -> None:
        """Let the next call be made for `member` too, for some minutes from `now`."""
        ...

    def enlisted(self, question: str, now: datetime) -> Sequence[str]:
        """All members that the next call is to be made for, sorted."""
        ...

    def lease(self, question: str, now: datetime, every: timedelta) -> bool:
        """Whether the caller is the one to ask now: nobody else was in the last `every`."""
        ...

    def keep(self, question: str, answer: SharedAnswer) -> None:
        """Keep a newer answer. One that is too large is not kept (Unavailable)."""
        ...
