"""The function `intake`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher import handlers
from usher.aws.telemetry import flushing
from usher.intake.intake import Intake
from usher.wiring import machine

if TYPE_CHECKING:
    from usher.invocation import Handler


def handler() -> Handler:
    """What takes in messages."""
    made = machine.parts(machine.IN_TIME)
    taking = Intake(
        configuration=made.file().configuration,
        items=made.items(),
        store=made.evaluator.store,
        wake_ups=made.evaluator.wake_ups,
        questions=made.evaluator.questions,
        dead_letters=made.dead_letters,
        telemetry=made.evaluator.telemetry,
        clock=machine.now,
        new_id=machine.new_id,
        home=made.settings.home,
    )
    return flushing(handlers.intake_handler(taking, made.limit), made.metrics)
