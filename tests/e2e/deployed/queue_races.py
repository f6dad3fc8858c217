"""Runs in the emulator's own Python: sends a message from another thread while a queue's list is rewritten.

Its argument is a JSON object with `packages`, the folder of MiniStack's own, and `root`, that of the
repository. It prints a JSON object: of each pair of a change and a way to send, how many messages were lost.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
from typing import Any, Final

ACCOUNT, REGION = "000000000000", "us-east-1"  # MiniStack's own
_LONG_ENOUGH_S: Final = 0.1  # to append a message, if nothing keeps it from it


class Watched(list[Any]):
    """A list of messages. Whoever has read it to its end gives another thread the time to send one more."""

    sends: Any = None

    def __iter__(self) -> Any:
        yield from super().__iter__()
        if self.sends is not None:
            self.sends()


def main() -> None:
    """Try each pair, and tell."""
    told = json.loads(sys.argv[1])
    sys.path[:0] = [told["packages"], told["root"]]
    importlib.import_module("usher_local.launcher").keep_every_message()
    lost = {f"{change} {way}": _lost(change, way) for change in CHANGES for way in WAYS}
    sys.stdout.write(json.dumps(lost))


def _lost(change: str, way: str) -> int:
    sqs = _service("sqs")
    sqs.reset()
    redrive = {"deadLetterTargetArn": _arn("letters"), "maxReceiveCount": 1}
    for name, attributes in (("letters", {}), ("queue", {"RedrivePolicy": json.dumps(redrive)})):
        sqs._act_create_queue({"QueueName": name, "Attributes": attributes}, "")  # noqa: SLF001
    url, queue = sqs._queue_url("queue"), sqs._queue_by_arn(_arn("queue"))  # noqa: SLF001
    sqs._act_send_message({"MessageBody": "first"}, url)  # noqa: SLF001
    (first,) = queue["messages"]
    first |= {"receipt_handle": "handle"} | CHANGES[change][0]
    senders: list[threading.Thread] = []

    def send_beside() -> None:
        senders.append(threading.Thread(target=WAYS[way], args=(url, f"message {len(senders)}")))
        senders[-1].start()
        senders[-1].join(_LONG_ENOUGH_S)

    queue["messages"] = watched = Watched(queue["messages"])
    watched.sends = send_beside
    CHANGES[change][1](url)
    for sender in senders:
        sender.join()
    there = [each for each in queue["messages"] if each is not first]
    assert senders, f"{change} never read the list"
    assert len(queue["messages"]) == len(there), f"{change} did not take the first message away"
    return len(senders) - len(there)


def _service(name: str) -> Any:
    return importlib.import_module(f"ministack.services.{name}")


def _arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def _spec() -> Any:
    return importlib.import_module("ministack.core.arn").parse_arn(_arn("queue"))


# A change with what the first message must be for it, and how the change is made.
CHANGES: Final[dict[str, Any]] = {
    "redrive": (
        {"receive_count": 1, "visible_at": 0},
        lambda url: _service("sqs")._receive_messages_for_esm(url, 10),  # noqa: SLF001
    ),
    "expiry": (
        {"sent_at": 0},
        lambda url: _service("sqs")._receive_messages_for_esm(url, 10),  # noqa: SLF001
    ),
    "ReceiveMessage's redrive": (
        {"receive_count": 1, "visible_at": 0},
        lambda url: asyncio.run(_service("sqs")._HANDLERS["ReceiveMessage"]({}, url)),  # noqa: SLF001
    ),
    "ReceiveMessage's expiry": (
        {"sent_at": 0},
        lambda url: asyncio.run(_service("sqs")._HANDLERS["ReceiveMessage"]({}, url)),  # noqa: SLF001
    ),
    "mapping's delete": (
        {},
        lambda url: _service("sqs")._delete_messages_for_esm(url, {"handle"}),  # noqa: SLF001
    ),
    "delete": (
        {},
        lambda url: _service("sqs")._HANDLERS["DeleteMessage"]({"ReceiptHandle": "handle"}, url),  # noqa: SLF001
    ),
    "batch's delete": (
        {},
        lambda url: _service("sqs")._HANDLERS["DeleteMessageBatch"](  # noqa: SLF001
            {"Entries": [{"Id": "0", "ReceiptHandle": "handle"}]}, url
        ),
    ),
}
WAYS: Final[dict[str, Any]] = {
    "SendMessage": lambda url, body: _service("sqs")._HANDLERS["SendMessage"]({"MessageBody": body}, url),  # noqa: SLF001
    "SendMessageBatch": lambda url, body: _service("sqs")._HANDLERS["SendMessageBatch"](  # noqa: SLF001
        {"Entries": [{"Id": "0", "MessageBody": body}]}, url
    ),
    "EventBridge": lambda _, body: _service("eventbridge")._dispatch_to_sqs(_spec(), body),  # noqa: SLF001
    "SNS": lambda _, body: _service("sns")._deliver_to_sqs(_arn("queue"), body, True, body),  # noqa: SLF001
    "S3": lambda _, body: _service("s3")._deliver_event_to_sqs(_arn("queue"), {"body": body}, REGION),  # noqa: SLF001
    "failed batch of a stream": lambda _, body: _service("lambda_svc")._send_ddb_stream_failure_record(  # noqa: SLF001
        {"DestinationConfig": {"OnFailure": {"Destination": _arn("queue")}}}, {}, [], body, {}, ""
    ),
    "failed invocation": lambda _, body: _service("lambda_svc")._route_async_failure(  # noqa: SLF001
        _arn("queue"), "function", {"body": body}, {}
    ),
}


if __name__ == "__main__":
    main()
