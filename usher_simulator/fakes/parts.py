"""Usher's parts put together as usher.wiring does, with what lives in memory where nothing else is given."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from usher.core.wanted_hooks import Wanted
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.evaluator import Evaluator
from usher.intake.intake import Intake
from usher.passes.enrolment import Enrolment
from usher.passes.reconcile import Reconcile
from usher.questions.asking import Asking
from usher.release import Release
from usher.sweep import Sweep
from usher_simulator.fakes.dead_letter_list import DeadLetterList
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryBudget, MemoryLimits, MemoryPlaces
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoQuestions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.compiled import InEffect
    from usher.core.hook_items import Target
    from usher.core.policy import Channel, Configuration
    from usher.invocation import Pass, Work
    from usher.outage.live_holds import LiveHolds
    from usher.ports.conditions import Probing


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


def asking_of(evaluator: Evaluator, probing: Probing) -> Asking:
    """The function `questions`, on the table and the queues of an evaluator."""
    return Asking(
        store=evaluator.store,
        probing=probing,
        questions=evaluator.questions,
        wake_ups=evaluator.wake_ups,
        telemetry=evaluator.telemetry,
        clock=evaluator.clock,
    )


def reconcile_of(evaluator: Evaluator, configuration: Configuration, **given: Any) -> Reconcile:  # noqa: ANN401 - Reconcile's own
    """The pass that finds waits without a record; `given` are what no evaluator has, and its own budget."""
    others = {
        "auto_scaling": evaluator.auto_scaling,
        "store": evaluator.store,
        "call_budget": evaluator.call_budget,
        "wake_ups": evaluator.wake_ups,
        "telemetry": evaluator.telemetry,
        "clock": evaluator.clock,
        "new_id": evaluator.new_id,
    }
    return Reconcile(configuration=configuration, **{**others, **given})


def enrolment_of(of: InEffect, targets: Mapping[Channel, Target], **given: Any) -> Enrolment:  # noqa: ANN401 - Enrolment's own
    """The pass that puts hooks; `given` are its groups, records and clock, and what a test is about."""
    others = {
        "call_budget": CallBudget(budget=MemoryBudget(1000), telemetry=Recorder()),
        "telemetry": Recorder(),
        "wait": lambda _: None,
    }
    wanted = Wanted(
        hooks=of.file.configuration.hooks, targets=targets, own_groups=frozenset(of.file.own_groups)
    )
    return Enrolment(wanted=wanted, file=of.in_force, **{**others, **given})
