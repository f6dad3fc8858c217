"""The evidence that messages of a group come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.aws import table
from usher.aws.items.base import LAST, TableItems
from usher.core import iso_time
from usher.core.notifications import TestNotice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.aws.json_data import Data

_LONG_KEPT: Final = timedelta(days=400)
_A_DAY: Final = timedelta(days=1)
_HEARD_OF: Final = "HEARD"  # of a group; sorts before its test messages


class GroupEvidenceItems(TableItems):
    """Its test messages, and when a lifecycle message came."""

    def keep_test(self, test: TestNotice) -> None:
        """See usher.ports.records.EvidenceStore."""
        key = table.key(f"GROUP#{test.group}", f"TEST#{test.request_id}")
        doc = table.as_json(test_to_data(test))
        self._table.keep(key, {"doc": doc}, self._clock() + _LONG_KEPT)

    def keep_heard(self, group: str, now: datetime) -> None:
        """See usher.ports.records.EvidenceStore."""
        self._table.store(
            table.key(f"GROUP#{group}", _HEARD_OF),
            {"heard_at": table.text(iso_time.stored(now))},
            now + _LONG_KEPT,
            "attribute_not_exists(pk) OR heard_at <= :yesterday",
            {":yesterday": table.text(iso_time.stored(now - _A_DAY))},
        )

    def tests(self, group: str) -> Sequence[TestNotice]:
        """See usher.ports.records.Store."""
        items = self._table.items(f"GROUP#{group}", "TEST#")
        tests = [test_from_data(table.from_json(item)) for item in items]
        return sorted(tests, key=lambda test: (test.at, test.request_id))

    def reaches_us(self, group: str) -> bool:
        """See usher.ports.records.Store."""
        bounds = (_HEARD_OF, f"TEST#{LAST}")
        return bool(self._table.between(f"GROUP#{group}", bounds, consistent=False))


def test_to_data(test: TestNotice) -> Data:
    """All of a test message."""
    return {"group": test.group, "request_id": test.request_id, "at": iso_time.stored(test.at)}


def test_from_data(data: Mapping[str, Any]) -> TestNotice:
    """The test message that `test_to_data` wrote."""
    return TestNotice(group=data["group"], request_id=data["request_id"], at=iso_time.parse(data["at"]))
