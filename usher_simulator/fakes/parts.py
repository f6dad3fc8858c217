"""A sweep and a release that work on the parts of an evaluator, as usher.wiring puts them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher.release import Release
from usher.sweep import Sweep

if TYPE_CHECKING:
    from usher.evaluation.evaluator import Evaluator
    from usher.invocation import Pass, Work
    from usher.outage.live_holds import LiveHolds


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
