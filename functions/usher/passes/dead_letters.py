"""Counts the dead letters of all queues: one alarm tells of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.ports.queues import DeadLettersKept
    from usher.ports.telemetry import Telemetry

EVERY_MINUTES: Final = 10  # they are kept for 14 days, and to ask each queue costs a request
# Passes come two minutes apart, sooner or later by what the sweep does before: so it is each fifth. Where one
# is left out, it is still within the quarter of an hour that the alarm looks at.
_REST: Final = timedelta(minutes=EVERY_MINUTES - 1)


class DeadLetterWatch:
    """Counts them as DeadLetters, and says in the log which queues have some.

    It goes by its last count, not by the minute of the hour: a pass that begins late in its sweep would miss
    its minute, or every one. It remembers as long as its container lives.
    """

    name: Final = "dead letters"  # as Pass

    def __init__(self, *, kept: DeadLettersKept, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._kept = kept
        self._telemetry = telemetry
        self._clock = clock
        self._counted_at: datetime | None = None

    def run(self, has_time: Callable[[], bool]) -> None:
        """In the first pass of a container, and in every tenth minute from then on. Raises Unavailable."""
        now = self._clock()
        if (self._counted_at is not None and now - self._counted_at < _REST) or not has_time():
            return
        found = {queue: count for queue, count in self._kept.counts().items() if count}
        self._counted_at = now
        for queue, count in sorted(found.items()):
            self._telemetry.message_handled("dead letters", f"{count} in {queue}")
        self._telemetry.count("DeadLetters", sum(found.values()))
