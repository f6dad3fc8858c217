"""What a place in captured traffic holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from usher_simulator.replay.cloudtrail import Call
from usher_simulator.replay.replay import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A place that contains no message, and why."""

    source: str
    reason: str


Found: TypeAlias = Entry | Call | Unreadable
