"""Batches of messages, as Lambda hands them to a function, and what it answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from usher_simulator.fakes.sqs_record import sqs_record
from usher_simulator.trials.faulty_queues import DEPTH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from usher_simulator.trials.deployed import Deployed
    from usher_simulator.trials.queue import Batch, Message


def failed_in(returned: Mapping[str, Any] | None) -> Collection[str]:
    """The messages that an invocation reports; None is returned for none."""
    return {each["itemIdentifier"] for each in (returned or {}).get("batchItemFailures", [])}


def depth_of(batch: Batch) -> int:
    """How often the chain of its messages has gone through its function."""
    return max(int(message.attributes.get(DEPTH, "0")) for message in batch.messages)


def asked_in(settings: Deployed, batch: Batch | None) -> list[Mapping[str, Any]]:
    """The wake-ups or turns of a batch. What intake is sent nobody knows before it is read."""
    messages = batch.messages if batch is not None and settings.function in ("wake", "questions") else ()
    return [json.loads(message.body) for message in messages]


def record_of(message: Message) -> dict[str, Any]:
    """A message as Lambda hands it to a function."""
    attributes = {"ApproximateReceiveCount": str(message.receives)}
    return {**sqs_record(message.id, message.body), "attributes": attributes}
