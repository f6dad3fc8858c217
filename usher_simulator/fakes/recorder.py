"""Telemetry that is kept instead of sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from usher.ports.errors import CallRefused, TryLater, Unavailable, is_denied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from usher.core.action import Action


class Recorder:
    """Implements usher.ports.telemetry.Telemetry and EnrolmentTelemetry."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []  # kind, reason
        self.decisions: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.beats: defaultdict[str, list[tuple[datetime, float]]] = defaultdict(list)
        self._decided: Action | None = None
        self.enrolments: list[tuple[str, str, str, str]] = []  # step, group, hook, reason
        self.troubles: list[tuple[str, Exception]] = []

    def message_handled(self, kind: str, reason: str) -> None:
        """Kept in order."""
        self.taken.append((kind, reason))

    def decided(self, action: Action, decision: str, reason: str) -> None:  # noqa: ARG002 - only counted
        """Counted."""
        self.decisions[decision] += 1
        self._decided = action

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Added up, whatever the dimensions; what is no count is not a sum either."""
        self.counts[metric] += 1 if metric in ("SecondsToExpiry", "NotificationLag") else int(value)
        if metric == "SecondsToExpiry" and self._decided is not None:
            self._keep_beat(self._decided, value)

    def _keep_beat(self, action: Action, margin_s: float) -> None:
        """By the action's id: when each accepted heartbeat was sent, and its seconds to the expiry.

        It is the action decided on last: true where evaluations follow one another, as in a replay.
        """
        sent_at = action.expires_at - timedelta(seconds=margin_s)
        self.beats[action.id].append((sent_at, margin_s))

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """Kept in order."""
        self.enrolments.append((step, group, hook, reason))

    def trouble(self, what: str, error: Exception) -> None:
        """Kept in order."""
        self.troubles.append((what, error))
        if is_denied(error):
            self.count("TableDenied")
        if isinstance(error, CallRefused):
            self.count("Refused")

    def raise_bugs(self) -> None:
        """Raise the newest trouble, if it is one that nothing in the world explains."""
        if self.troubles and not isinstance(self.troubles[-1][1], (Unavailable, TryLater)):
            raise self.troubles[-1][1]
