"""The function `intake`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from usher import handlers
from usher.aws.telemetry import flushing
from usher.intake.intake import Intake
from usher.wiring import machine
from usher.wiring.parts import parts

if TYPE_CHECKING:
    from usher.core.compiled import InEffect
    from usher.invocation import Handler
    from usher.wiring.parts import Parts


def handler() -> Handler:
    """What takes in messages."""
    made = parts(machine.IN_TIME)
    return flushing(made.by_file(partial(_handler, made)), made.metrics)


def _handler(made: Parts, of: InEffect) -> Handler:
    taking = Intake(
        configuration=of.file.configuration,
        items=made.items(),
        store=made.evaluator.store,
        wake_ups=made.evaluator.wake_ups,
        questions=made.evaluator.questions,
        dead_letters=made.dead_letters,
        telemetry=made.evaluator.telemetry,
        clock=machine.now,
        new_id=machine.new_id,
        home=made.settings.home,
        is_certain=of.is_certain,
    )
    return handlers.intake_handler(taking, made.limit)
