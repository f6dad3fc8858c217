"""Every checker can fail: bugs that are planted on purpose are found. `make planted-bugs` tries them all."""

from __future__ import annotations

import pytest

from tests.simulation.bugs.bug import MOST_SEEDS, Bug, caught_at, planted
from tests.simulation.planted import BUGS
from usher_simulator.trials.checkers import CHECKERS
from usher_simulator.trials.trial import Trial

QUICK = 6  # seeds: these are found at once, or nearly so

FOUND_QUICKLY = {  # with the seed that is tried first
    "drops what it does not understand": 1,
    "completes before the result is stored": 1,
    "gives up after half of its patience": 1,
    "sends no wake-ups": 3,
    "takes every hook for its own": 1,
    "evaluates whatever the version of its wake-up": 1,
    "leaves a signal to the next heartbeat": 1,
    "does not note the answers": 1,
    "closes every record after its first heartbeat": 1,
    "notes a heartbeat and sends none": 1,
    "counts a signal for the next life of an instance": 1,
    "command: takes what is pending for done": 6,
    "hold: is noted and not kept": 1,
    "complete: is forgotten": 1,
    "pause: is not read": 1,
    "deletes a hook on its way out while somebody waits": 1,
    "announces no beginning": 1,
    "command: forgets that it was sent": 6,
    "sends six times as many wake-ups": 1,
    "puts open actions under a new configuration": 4,
}


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in FOUND_QUICKLY], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_by_the_checker_of_its_promise(bug: Bug) -> None:
    assert caught_at(bug, [FOUND_QUICKLY[bug.name], *range(1, QUICK + 1)]) is not None


def test_every_checker_has_a_bug_that_it_must_find() -> None:
    assert {bug.found_by for bug in BUGS if bug.found_by} == set(CHECKERS)
    assert {bug.found_by for bug in BUGS if bug.name in FOUND_QUICKLY} == set(CHECKERS)


def test_a_planted_bug_is_gone_when_it_was_tried() -> None:
    before = Trial(1).run()
    for bug in BUGS:
        with planted(bug):
            pass
    after = Trial(1).run()
    assert (after.evaluations, after.violations, MOST_SEEDS) == (before.evaluations, [], 150)
