"""Every checker can fail: bugs that are planted on purpose are found. `make planted-bugs` tries them all."""

from __future__ import annotations

import pytest

from tests.simulation.bugs.bug import MOST_SEEDS, Bug, caught_at, planted
from tests.simulation.planted import BUGS
from usher_simulator.trials.checkers import CHECKERS
from usher_simulator.trials.trial import Trial

QUICK = 6  # seeds: these are found at once, or nearly so

FOUND_QUICKLY = [
    "drops what it does not understand",
    "completes before the result is stored",
    "gives up after half of its patience",
    "sends no wake-ups",
    "takes every hook for its own",
    "looks whatever the version of its wake-up",
    "leaves a signal to the next heartbeat",
    "does not note the answers",
    "closes every record after its first heartbeat",
    "notes a heartbeat and sends none",
    "counts a signal for the next life of an instance",
    "command: takes what is pending for done",
    "hold: is noted and not kept",
    "complete: is forgotten",
    "pause: is not read",
    "notes a hook as put without a call",
    "announces no beginning",
    "command: forgets that it was sent",
]


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in FOUND_QUICKLY], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_by_the_checker_of_its_promise(bug: Bug) -> None:
    assert caught_at(bug, QUICK) is not None


def test_every_checker_has_a_bug_that_it_must_find() -> None:
    assert {bug.found_by for bug in BUGS if bug.found_by} == set(CHECKERS)
    assert {bug.found_by for bug in BUGS if bug.name in FOUND_QUICKLY} == set(CHECKERS)


def test_a_planted_bug_is_gone_when_it_was_tried() -> None:
    before = Trial(1).run()
    for bug in BUGS:
        with planted(bug):
            pass
    after = Trial(1).run()
    assert (after.looks, after.violations, MOST_SEEDS) == (before.looks, [], 100)
