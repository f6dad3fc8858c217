"""Simulated groups that tell of their lifecycle actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from usher_simulator.autoscaling.engine import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher_simulator.autoscaling.groups import Hook, OngoingMove
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind  # noqa: F401 - of a signature


@dataclass(kw_only=True)
class WatchedFleet(Fleet):
    """A fleet that tells of the beginning and the end of every lifecycle action."""

    began: Callable[[Wait], None] = lambda _: None
    ended: Callable[[Wait], None] = lambda _: None

    def _announce(self, wait: Wait, hook: Hook, move: OngoingMove) -> None:
        self.began(wait)
        super()._announce(wait, hook, move)

    def _wait_ended(self, wait: Wait) -> None:
        self.ended(wait)
        super()._wait_ended(wait)
