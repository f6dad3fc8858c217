"""What the operators see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action


class Telemetry(Protocol):
    """What the operators see: one log event per notice and per decision, and counts."""

    def message_handled(self, kind: str, reason: str) -> None:
        """A message was understood as `kind` (lifecycle, duplicate, test, …, rejected)."""
        ...

    def decided(self, action: Action, decision: str, reason: str) -> None:
        """An evaluation came to `decision`."""
        ...

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:
        """Add to a metric; CONTRIBUTING.md tells how one comes about."""
        ...

    def trouble(self, what: str, error: Exception) -> None:
        """Something failed that Usher will make up for."""
        ...


class EnrolmentTelemetry(Telemetry, Protocol):
    """What the operators see of the enrolment, too."""

    def enrolment(self, step: str, group: str, hook: str, reason: str) -> None:
        """A pass took a step (put, removed, forgot, conflict, …) for a hook on a group."""
        ...
