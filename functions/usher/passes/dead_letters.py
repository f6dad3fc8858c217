"""Counts the dead letters of all queues: one alarm tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.ports.queues import DeadLettersKept
    from usher.ports.telemetry import Telemetry

EVERY_MINUTES: Final = 10  # they are kept for 14 days, and to ask each queue costs a request


@frozen
class DeadLetterWatch:
    """Counts them as DeadLetters, and says in the log which queues have some."""

    kept: DeadLettersKept
    telemetry: Telemetry
    clock: Callable[[], datetime]

    @property
    def name(self) -> str:
        """As Pass."""
        return "dead letters"

    def run(self, has_time: Callable[[], bool]) -> None:
        """In every tenth minute. Raises Unavailable."""
        if self.clock().minute % EVERY_MINUTES or not has_time():
            return
        found = {queue: count for queue, count in self.kept.counts().items() if count}
        for queue, count in sorted(found.items()):
            self.telemetry.message_handled("dead letters", f"{count} in {queue}")
        self.telemetry.count("DeadLetters", sum(found.values()))
