"""Events out: the table's stream comes in, and what changed goes to the event bus.

DynamoDB tells of each stored state, in order, once it is stored; what the bus does not take is told
again. So every event goes out at least once, and no evaluation ever waits for the bus.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from usher.aws import record_format
from usher.aws.items import state
from usher.core import announce
from usher.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.action import Action
    from usher.core.announce import Announcement
    from usher.invocation import Context, Event, Handler
    from usher.ports.telemetry import Telemetry


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
        """PutEvents, which takes ten at once: there are never more of one change."""
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
    """Of the items in the table only the states of actions count; TTL removes them without a word."""
    if change["Keys"]["sk"]["S"] != "STATE" or "NewImage" not in change:
        return ()
    before = change.get("OldImage")
    return announce.between(_action(before) if before else None, _action(change["NewImage"]))


def _action(image: Mapping[str, Any]) -> Action:
    """As the stream has it, where bytes are written in base64."""
    packed = image.get("packed")
    item = {**image, "packed": {"B": b64decode(packed["B"])}} if packed else dict(image)
    return state.from_item(item)
