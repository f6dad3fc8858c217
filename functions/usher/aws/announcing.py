"""Events out: the table's stream comes in, and what changed goes to the event bus.

DynamoDB tells of each stored state, in order, once it is stored; what the bus does not take is told
again. So every event goes out at least once, and no evaluation ever waits for the bus.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from usher.aws import record_format, table
from usher.aws.items import retained, state
from usher.core import announce
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.aws.table import Item
    from usher.core.announce import Announcement
    from usher.invocation import Context, Event, Handler
    from usher.ports.telemetry import Telemetry


_MOST_ENTRIES: Final = 10  # of PutEvents


class Bus(Protocol):
    """Where announcements go."""

    def put(self, announcements: Sequence[Announcement]) -> None:
        """Put all of them. Raises Unavailable where some were not taken."""
        ...


class EventBus:
    """Implements Bus, on the account's default bus."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a client of EventBridge
        self._client = client

    def put(self, announcements: Sequence[Announcement]) -> None:
        """By PutEvents, ten at once."""
        for part in table.in_parts(announcements, _MOST_ENTRIES):
            self._put(part)

    def _put(self, announcements: Sequence[Announcement]) -> None:
        entries = [
            {
                "Source": announce.SOURCE,
                "DetailType": str(each.kind),
                "Time": each.at,
                "Detail": json.dumps(each.detail),
            }
            for each in announcements
        ]
        try:
            answer = self._client.put_events(Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"event bus: {error}") from error
        refused = [entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry]
        if refused:
            raise Unavailable(f"event bus: {', '.join(refused)}")


def announce_handler(bus: Bus, telemetry: Telemetry) -> Handler:
    """Announce what each record of the stream says; from the first one on that fails, all come again.

    A record that this release cannot read is passed over, or it would hold up all that follow.
    """

    def handler(event: Event, _: Context | None = None) -> Event:
        for record in event["Records"]:
            try:
                announcements = _announcements(record["dynamodb"])
                if announcements:
                    bus.put(announcements)
            except Unavailable as error:
                telemetry.trouble("an event will be sent again later", error)
                return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
            except record_format.UNREADABLE as error:
                telemetry.trouble("a record of the stream was skipped", error)
        return {"batchItemFailures": []}

    return handler


def _announcements(change: Mapping[str, Any]) -> Sequence[Announcement]:
    """States of actions and retained instances count, and no other items; TTL removes them without a word."""
    if "NewImage" not in change:
        return ()
    before = _item(change["OldImage"]) if "OldImage" in change else None
    after, sk = _item(change["NewImage"]), change["Keys"]["sk"]["S"]
    if sk == "STATE":
        return announce.between(state.from_item(before) if before else None, state.from_item(after))
    if sk == retained.SK:
        known = retained.from_item(before) if before else {}
        return announce.newly_retained(after["group"]["S"], known, retained.from_item(after))
    return ()


def _item(image: Mapping[str, Any]) -> Item:
    """As the table has it: in the stream bytes are written in base64."""
    return {name: {"B": b64decode(one["B"])} if "B" in one else one for name, one in image.items()}
