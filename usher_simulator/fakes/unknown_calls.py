"""AWS services that nobody can reach: what a probe would have said is not in the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.conditions.probe import Reply, ReplyKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from usher.core.conditions.probe import Call


class NoCalls:
    """Implements usher.ports.conditions.Calls: every reply is unknown."""

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:  # noqa: ARG002 - as every Calls
        """Say that nobody knows."""
        return Reply(kind=ReplyKind.UNKNOWN, text=f"{call.operation} is not in the messages")


class NoQuestions:
    """Implements usher.ports.queues.Questions: nobody takes them."""

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """Lose it."""
