"""Usher's parts put together as usher.wiring does, with what lives in memory where nothing else is given."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from usher.evaluation.evaluator import Evaluator
from usher.intake.intake import Intake
from usher.release import Release
from usher.sweep import Sweep
from usher_simulator.fakes.dead_letter_list import DeadLetterList
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryBudget, MemoryLimits, MemoryPlaces
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoQuestions

if TYPE_CHECKING:
    from usher.core.policy import Configuration
    from usher.invocation import Pass, Work
    from usher.outage.live_holds import LiveHolds


def evaluator_of(**given: Any) -> Evaluator:  # noqa: ANN401 - Evaluator's own
    """An evaluator: `given` are its store, Auto Scaling, wake-ups and clock, and what a test is about."""
    ids = count(1)
    others = {
        "budget": MemoryBudget(1000),
        "limits": MemoryLimits(),
        "places": MemoryPlaces(),
        "questions": NoQuestions(),
        "telemetry": Recorder(),
        "new_id": lambda: f"id-{next(ids):06d}",
    }
    return Evaluator(**{**others, **given})


def intake_of(evaluator: Evaluator, configuration: Configuration, **given: Any) -> Intake:  # noqa: ANN401 - Intake's own
    """An intake that trusts the hooks file, unless other items are given."""
    others = {
        "items": FileItems(configuration),
        "store": evaluator.store,
        "wake_ups": evaluator.wake_ups,
        "questions": evaluator.questions,
        "dead_letters": DeadLetterList(),
        "telemetry": evaluator.telemetry,
        "clock": evaluator.clock,
        "new_id": evaluator.new_id,
    }
    return Intake(configuration=configuration, **{**others, **given})


def sweep_of(
    evaluator: Evaluator, *passes: Pass, work: Work = map, live_holds: LiveHolds | None = None
) -> Sweep:
    """The sweep."""
    return Sweep(
        evaluate=evaluator.evaluate,
        store=evaluator.store,
        wake_ups=evaluator.wake_ups,
        chains=evaluator.chains,
        call_budget=evaluator.call_budget,
        telemetry=evaluator.telemetry,
        clock=evaluator.clock,
        work=work,
        passes=passes,
        live_holds=live_holds,
    )


def release_of(evaluator: Evaluator, **others: Any) -> Release:  # noqa: ANN401 - Release's own
    """The release; `others` are what no evaluator has."""
    return Release(
        evaluate=evaluator.evaluate,
        store=evaluator.store,
        auto_scaling=evaluator.auto_scaling,
        call_budget=evaluator.call_budget,
        telemetry=evaluator.telemetry,
        clock=evaluator.clock,
        new_id=evaluator.new_id,
        **others,
    )
