"""The read units that the console uses: counted as DynamoDB tells them, and bounded."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_READS: Final = ("BatchGetItem", "GetItem", "Query", "Scan")
_MINUTE_S: Final = 60


class ReadUnits:
    """A purse that fills with so many units a minute, up to a minute's. Reading may overdraw it once."""

    def __init__(self, per_minute: int, clock: Callable[[], datetime]) -> None:
        self.per_minute: Final = per_minute
        self.total = 0.0
        self._clock = clock
        self._lock = Lock()
        self._left = float(per_minute)
        self._filled_at = clock()

    def watch(self, dynamodb: Any) -> None:  # noqa: ANN401 - boto3's clients have no common type
        """Count what a client of DynamoDB reads from now on."""
        for operation in _READS:
            dynamodb.meta.events.register(f"provide-client-params.dynamodb.{operation}", _ask_for_units)
            dynamodb.meta.events.register(f"after-call.dynamodb.{operation}", self._heard)

    def used(self, units: float) -> None:
        """Take them out."""
        with self._lock:
            self.total += units
            self._fill()
            self._left -= units

    def wait(self) -> timedelta:
        """How long until something may be read without a person's asking for it; zero: now."""
        with self._lock:
            self._fill()
            lacking = max(0.0, -self._left)
        return timedelta(seconds=lacking * _MINUTE_S / self.per_minute)

    def _fill(self) -> None:
        now = self._clock()
        minutes = max(0.0, (now - self._filled_at).total_seconds() / _MINUTE_S)
        self._left = min(float(self.per_minute), self._left + minutes * self.per_minute)
        self._filled_at = now

    def _heard(self, parsed: Mapping[str, Any], **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity") or []
        of_tables = consumed if isinstance(consumed, list) else [consumed]
        self.used(sum(each.get("CapacityUnits", 0) for each in of_tables))


def _ask_for_units(params: dict[str, Any], **_: object) -> dict[str, Any]:
    return {**params, "ReturnConsumedCapacity": "TOTAL"}
