"""What a place in captured traffic holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from simulator.replay import Entry
from simulator.trail import Call


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A place that holds no message, and why."""

    source: str
    reason: str


Found: TypeAlias = Entry | Call | Unreadable
