"""The groups for which a pass gets no answer: each costs itself its turn, and no other group."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from usher.core.frozen import frozen
from usher.ports.errors import CallRefused, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher.ports.telemetry import Telemetry


@frozen
class PassedOver:
    """Those of one pass, and what was refused."""

    telemetry: Telemetry
    refusals: list[CallRefused] = field(default_factory=list)

    @contextmanager
    def on(self, group: str) -> Iterator[None]:
        """Calls on one group: where one fails, it is told, and the pass goes on. Raises Throttled."""
        try:
            yield
        except Throttled:
            raise
        except (TryLater, CallRefused) as error:
            self.telemetry.trouble(f"group {group} was skipped", error)
            if isinstance(error, CallRefused):
                self.refusals.append(error)

    def check(self) -> None:
        """Raises the first CallRefused, at the end of the pass: someone must change something."""
        if self.refusals:
            raise self.refusals[0]
