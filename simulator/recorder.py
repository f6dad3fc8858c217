"""Telemetry that is kept instead of sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from usher.ports import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.model import Action


class Recorder:
    """Implements usher.ports.Telemetry and EnrolmentTelemetry."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []  # kind, reason
        self.decisions: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.enrolments: list[tuple[str, str, str, str]] = []  # step, group, hook, reason
        self.troubles: list[tuple[str, Exception]] = []

    def took_in(self, kind: str, reason: str) -> None:
        """Kept in order."""
        self.taken.append((kind, reason))

    def decided(self, action: Action, decision: str, reason: str) -> None:  # noqa: ARG002 - only counted
        """Counted."""
        self.decisions[decision] += 1

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Added up, whatever the dimensions; what is no count is not a sum either."""
        self.counts[metric] += 1 if metric in ("SecondsToExpiry", "NotificationLag") else int(value)

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """Kept in order."""
        self.enrolments.append((step, group, hook, reason))

    def trouble(self, what: str, error: Exception) -> None:
        """Kept in order."""
        self.troubles.append((what, error))

    def raise_bugs(self) -> None:
        """Raise the newest trouble, if it is one that nothing in the world explains."""
        if self.troubles and not isinstance(self.troubles[-1][1], Unavailable):
            raise self.troubles[-1][1]
