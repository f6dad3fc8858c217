"""`usher audit` finds planted bugs in the records that they leave, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.audited import FOUND, NO_TRACE, found, verdicts_of
from tests.simulation.planted import ALL
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from tests.simulation.bugs.bug import Bug

QUICK = [  # those that a trial or two find
    "forgets its result when the call fails",
    "takes a failed signal for a done one",
    "gives up after half of its patience",
    "calls in observe mode",
    "takes 'no active action' for an acceptance",
    "closes every record after its first heartbeat",
    "does not note the answers",
    "beats at the expiry, not before",
    "instance_status: believes a single answer",
    "counts a signal for the next life of an instance",
    "limits: counts nothing",
    "complete: sends the other result",
]
PAGE = Path(__file__).parents[2] / "docs" / "history.md"


@pytest.mark.parametrize("bug", [bug for bug in ALL if bug.name in QUICK], ids=lambda bug: bug.name)
def test_a_planted_bug_that_leaves_a_trace_is_found(bug: Bug) -> None:
    """`make planted-bugs` tries all of them."""
    assert found(bug, FOUND[bug.name])


def test_every_planted_bug_is_found_or_has_a_reason_why_it_cannot_be() -> None:
    without = [name for names in NO_TRACE.values() for name in names]
    assert sorted([*FOUND, *without]) == sorted(bug.name for bug in ALL)


def test_the_page_has_every_planted_bug() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for bug in ALL:
        expected = (
            f"| {bug.name} | seed {FOUND[bug.name]} |" if bug.name in FOUND else f"| {bug.name} | none |"
        )
        assert expected in text
    assert "NOT FOUND" not in text


@pytest.mark.parametrize("seed", [1, 2, 15])
def test_a_trial_without_a_bug_breaks_no_promise_in_its_records(seed: int) -> None:
    """Whatever faults it has: in 15 Auto Scaling and DynamoDB are out as a timeout expires."""
    trial = Trial(seed, watched=[])
    trial.run()
    assert [verdict.text for verdict in verdicts_of(trial) if verdict.is_broken] == []
