"""The results that hooks with limits sent lately, in the table of the actions.

pk             sk
LIMIT#limit    SENT      the results that still count, each with its time; under a version
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table
from usher.aws.dynamodb_answers import TRIES
from usher.core import iso_time, limits
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.table import Item
    from usher.core.limits import Sent

_KEPT: Final = timedelta(hours=1)  # beyond the time in which a result counts


class SentResults:
    """Implements usher.ports.budget.ResultLimits."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._table = table.Table(client, table_name)

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits.

        A result whose counting was not answered counts all the same: rather one too few is sent.
        """
        key = table.key(f"LIMIT#{limit}", "SENT")
        for _ in range(TRIES):
            item = self._table.get(key)
            version = int(item["version"]["N"]) if item else 0
            sent, again_at = limits.granted(_sent(item), action_id, most, within, now)
            if again_at is not None:
                return again_at
            if self._store(key, sent, version, now + within + _KEPT):
                return None
        raise Unavailable(f"the results of {limit} were counted by others {TRIES} times")

    def next_at(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        """See usher.ports.budget.ResultLimits."""
        item = self._table.get(table.key(f"LIMIT#{limit}", "SENT"))
        return limits.granted(_sent(item), action_id, most, within, now)[1]

    def _store(self, key: Item, sent: Sent, was: int, keep_until: datetime) -> bool:
        contents: Item = {
            "version": table.number(was + 1),
            "doc": table.as_json({one: iso_time.stored(since) for one, since in sent.items()}),
        }
        condition, values = "version = :was", {":was": table.number(was)}
        if not was:
            condition, values = "attribute_not_exists(version)", {}
        return self._table.store(key, contents, keep_until, condition, values)


def _sent(item: Item | None) -> Sent:
    if item is None:
        return {}
    return {one: iso_time.parse(since) for one, since in table.from_json(item).items()}
