"""The function `wake`, on which heartbeats and results depend: it can ask no condition's question."""

from __future__ import annotations

from usher import handlers
from usher.aws.telemetry import flushing
from usher.wiring import machine


def handler() -> handlers.Handler:
    """What looks."""
    made = machine.parts()
    return flushing(handlers.wake_handler(made.looks, made.dead_letters), made.metrics)
