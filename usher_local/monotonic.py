"""The type of a monotonic clock, such as time.monotonic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Seconds: TypeAlias = Callable[[], float]
