"""The function `questions`: what asks AWS and the users' functions what conditions want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.aws.answers import Answers
from usher.aws.calls import AwsCalls
from usher.aws.telemetry import flushing
from usher.questions.asking import Asking, questions_handler
from usher.questions.probing import Prober
from usher.wiring import machine
from usher.wiring.parts import parts

if TYPE_CHECKING:
    from usher.invocation import Handler


def handler() -> Handler:
    """What asks."""
    made = parts()
    asking = Asking(
        store=made.records,
        probing=Prober(
            calls=AwsCalls(),
            answers=Answers(made.dynamodb, made.settings.table),
            call_budget=made.evaluator.call_budget,
            clock=machine.now,
        ),
        questions=made.evaluator.questions,
        wake_ups=made.evaluator.wake_ups,
        telemetry=made.telemetry,
        clock=machine.now,
    )
    return flushing(questions_handler(asking, made.dead_letters), made.metrics)
