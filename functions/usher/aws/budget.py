"""The budget of Auto Scaling calls in DynamoDB, in the table of the actions.

pk              sk
BUDGET#width    number    how many calls are booked in a slot of `width` seconds
                PACE      what throttles made of the configured rate

A slot that nobody booked has no item. A slot whose answer was lost may count twice: that is a
call less, never one more.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.core import iso_time
from usher.core.pacing import Pace, best_slot
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item

TRIES: Final = 10  # so many evaluations may reach for one slot at once
_PAGE: Final = 100  # slots that are read at once
_KEPT: Final = timedelta(hours=1)
_PACE_COUNTS: Final = timedelta(seconds=5)


class BudgetTable:
    """Implements usher.ports.budget.Budget."""

    def __init__(self, client: DynamoDBClient, table_name: str, calls_per_second: float) -> None:
        self._table = table.Table(client, table_name)
        self._whole = Pace(calls_per_second=calls_per_second)
        self._pk = f"BUDGET#{self._whole.width}"
        self._read = self._whole
        self._read_at: datetime | None = None

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        """See usher.ports.budget.Budget.

        Nothing is read where the best slot has room at any pace, or by one that was read a moment ago.
        """
        wanted = (self._whole.slot(first), self._whole.slot(best), self._whole.slot(last))
        slot = best_slot(lambda _: 0, 1, *wanted)
        room = self._room(now) if self._knows_pace(now) else self._whole.least_room
        for tried in range(TRIES):
            if slot is None:
                return None
            if self._change(slot, 1, "attribute_not_exists(booked) OR booked < :bound", room):
                return self._whole.begins(slot)
            room = self._room(now)
            slot = best_slot(self._counts(as_it_is_now=tried > 0), room, *wanted)
        raise Unavailable(f"others reserved the slots first, {TRIES} times")

    def _knows_pace(self, now: datetime) -> bool:
        return self._read_at is not None and abs(now - self._read_at) < _PACE_COUNTS

    def _room(self, now: datetime) -> int:
        """By the pace as it was a few seconds ago at most: nearly each booking would read it."""
        if not self._knows_pace(now):
            self._read, self._read_at = self._pace(), now
        return self._read.room(now)

    def give_back(self, booked: datetime) -> None:
        """See usher.ports.budget.Budget."""
        self._change(self._whole.slot(booked), -1, "booked > :bound", 0)

    def throttled(self, now: datetime) -> None:
        """See usher.ports.budget.Budget. Of several that were turned away at once one lowers the pace."""
        known = self._pace()
        lowered = known.lowered(now)
        self._read_at = None
        if lowered == known:
            return
        contents: Item = {"share": {"N": repr(lowered.share)}, "lowered_at": table.text(iso_time.stored(now))}
        condition, values = "attribute_not_exists(lowered_at)", {}
        if known.lowered_at is not None:
            condition, values = "lowered_at = :was", {":was": table.text(iso_time.stored(known.lowered_at))}
        self._table.store(self._pace_key(), contents, now + _KEPT, condition, values)

    def _pace(self) -> Pace:
        item = self._table.get(self._pace_key())
        if item is None:
            return self._whole
        lowered_at = iso_time.parse(item["lowered_at"]["S"])
        return replace(self._whole, share=float(item["share"]["N"]), lowered_at=lowered_at)

    def _pace_key(self) -> Item:
        return table.key(self._pk, "PACE")

    def _counts(self, *, as_it_is_now: bool) -> Callable[[int], int]:
        """How many calls are booked in a slot; read in pages, as far as somebody asks."""

        @cache
        def page(number: int) -> dict[str, int]:
            first, last = number * _PAGE, (number + 1) * _PAGE - 1
            items = self._table.between(self._pk, (_name(first), _name(last)), consistent=as_it_is_now)
            return {item["sk"]["S"]: int(item["booked"]["N"]) for item in items}

        return lambda slot: page(slot // _PAGE).get(_name(slot), 0)

    def _change(self, slot: int, change: int, condition: str, bound: int) -> bool:
        values = {":none": 0, ":change": change, ":bound": bound}
        return self._table.change(
            table.key(self._pk, _name(slot)),
            "booked = if_not_exists(booked, :none) + :change",
            {name: table.number(value) for name, value in values.items()},
            self._whole.begins(slot + 1) + _KEPT,
            condition,
        )


def _name(slot: int) -> str:
    """Padded, so that names sort as their numbers do."""
    return f"{slot:011}"
