"""What each kind of item is read and written with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action

RETENTION: Final = timedelta(days=30)
TRACE_KEPT: Final = timedelta(days=2)  # of what says nothing any more
LAST: Final = "\uffff"  # sorts after all that follows a prefix


class TableItems:
    """The table, and the time."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        clock: Callable[[], datetime],
        retention: timedelta = RETENTION,
    ) -> None:
        self._table = table.Table(client, table_name)
        self._clock = clock
        self._retention = retention

    def _claimant(self, token: str) -> str | None:
        """The id of the action that has claimed a token."""
        claim = self._table.get(table.key(f"TOKEN#{token}", "ACTION"))
        return claim["action_id"]["S"] if claim else None

    def _expiry(self, action: Action) -> datetime:
        """Until when the items of an action are kept: at its start nobody knows when it closes."""
        return max(action.ends_at, action.first_seen_at) + self._retention
