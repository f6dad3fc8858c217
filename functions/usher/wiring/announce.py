"""The function `announce`, which reads the stream of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from usher.aws.announcing import EventBus, announce_handler
from usher.aws.telemetry import flushing
from usher.wiring import machine

if TYPE_CHECKING:
    from usher.invocation import Handler


def handler() -> Handler:
    """What puts events on the bus."""
    telemetry, metrics = machine.telemetry()
    bus = EventBus(boto3.client("events", config=machine.FEW_ATTEMPTS))
    return flushing(announce_handler(bus, telemetry), metrics)
