"""Dead letters that are only kept."""

from __future__ import annotations


class DeadLetterList:
    """Implements usher.ports.queues.DeadLetters."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []  # body, reason

    def put(self, body: str, reason: str) -> None:
        """Keep it."""
        self.letters.append((body, reason))
