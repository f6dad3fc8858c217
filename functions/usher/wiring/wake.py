"""The function `wake`, on which heartbeats and results depend: it can ask no condition's question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.telemetry import flushing
from usher.core.pacing import Pace
from usher.outage.without_table import Memory, WithoutTable
from usher.wiring import machine
from usher.wiring.parts import parts

if TYPE_CHECKING:
    from usher.invocation import Handler


def handler() -> Handler:
    """What evaluates actions."""
    made = parts(machine.IN_TIME)
    without_table = WithoutTable(
        holds=AutoScalingApi(made.auto_scaling),
        hooks=made.waiting,
        wake_ups=made.evaluator.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
        memory=Memory(pace=Pace(calls_per_second=made.settings.calls_per_second)),
        limit=made.limit,
    )
    return flushing(handlers.wake_handler(made.evaluator, made.dead_letters, without_table), made.metrics)
