"""Every schedule of a small world: the search leaves none out, and what it finds can be run again."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import greenlet
import pytest

from tests.simulation.bugs.bug import planted
from tests.simulation.planted import ALL
from usher.core.action import Outcome
from usher.evaluation.sender import Sender
from usher.evaluation.turns import Turns
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.trials.choosers import by_priorities, written
from usher_simulator.trials.choosers.written import Written
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.faults import Fault
from usher_simulator.trials.small.abreast import ToldEffects
from usher_simulator.trials.small.search import explore, replay
from usher_simulator.trials.small.state import digest, kept
from usher_simulator.trials.small.steps import READS
from usher_simulator.trials.small.world import SmallTrial
from usher_simulator.trials.small.worlds import BY_NAME, RESULT, TWO_EVALUATIONS, WORLDS

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher_simulator.trials.small.world import World

QUICK = [world for world in WORLDS if world.is_quick]


@pytest.mark.parametrize("world", QUICK, ids=lambda world: world.name)
def test_no_promise_is_broken_in_any_schedule(world: World) -> None:
    explored = explore(world)
    assert (explored.failing, explored.violations, explored.is_complete) == (None, [], True)


@pytest.mark.parametrize(
    "without",
    [
        pytest.param({"merges": False}, id="without the merging of equal states"),
        pytest.param({"orders_all": True}, id="in every order of their steps"),
        pytest.param({"merges": False, "orders_all": True}, id="both", marks=pytest.mark.large),
    ],
)
def test_neither_reduction_leaves_out_an_end_of_two_evaluations(without: dict[str, bool]) -> None:
    world = replace(TWO_EVALUATIONS, most_faults=0)
    reduced, every = explore(world), explore(world, **without)
    assert every.is_complete
    assert reduced.ends == every.ends


def test_a_fault_that_is_not_offered_leads_to_no_other_end() -> None:
    """An answer that is lost after a read, and a cut there: others stand for them."""
    world = replace(TWO_EVALUATIONS, faults=(Fault.STORE_BUSY, Fault.STORE_ANSWER_LOST, Fault.CUT))
    reduced, every = explore(world), explore(replace(world, every_fault=True))
    assert every.is_complete
    assert reduced.ends == every.ends
    assert reduced.schedules < every.schedules


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_what_is_called_a_read_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = ToldEffects.of_store
    read, changed = set(), set()

    def watched(self: ToldEffects, do: Any, action_id: str | None = None, what: str = "store") -> Any:
        def done() -> Any:
            before = kept(trials[0])
            answer = do()
            read.add(what)
            changed.update([what] if kept(trials[0]) != before else [])
            return answer

        return as_it_is(self, done if what in READS and trials else do, action_id, what)

    monkeypatch.setattr(ToldEffects, "of_store", watched)
    trials: list[SmallTrial] = []
    trial = SmallTrial(world, Written({}, 0))
    trials.append(trial)
    while trial.advance():
        pass
    assert "load" in read
    assert changed == set()


def _completed_before_it_is_stored(self: Sender, action: Action, decision: Any, now: Any) -> None:
    self.auto_scaling.complete(action, decision.result)
    AS_IT_IS(self, action, decision, now)


AS_IT_IS = Sender.complete


def test_what_is_found_is_one_short_line_and_runs_again_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sender, "complete", _completed_before_it_is_stored)
    explored = explore(RESULT)
    assert explored.failing is not None
    assert len(explored.failing.split()) <= 3
    trial, _ = replay(RESULT, written.read(explored.failing))
    assert [str(each) for each in trial.scene.violations] == explored.violations
    monkeypatch.undo()
    trial, _ = replay(RESULT, written.read(explored.failing))
    assert trial.scene.violations == []


@pytest.mark.parametrize(
    ("world", "line"),
    [
        pytest.param("beat-and-result", "1:1 8:1 18:1 22:1 30:1", id="a heartbeat that is answered between"),
        pytest.param("operators", "5:1 8:2 18:1 23:1 25:1", id="a heartbeat that comes too late"),
    ],
)
def test_of_two_results_of_the_same_moment_one_that_is_denied_hides_no_other(world: str, line: str) -> None:
    """By the time that it was sent both were taken for denied, and the action for ended elsewhere."""
    trial, _ = replay(replace(BY_NAME[world], most_faults=0), written.read(line))
    assert [action.outcome for action in trial.usher.memory.actions()] == [Outcome.COMPLETED]
    assert trial.scene.violations == []


def test_who_waits_for_a_turn_asks_by_itself_between_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """`at-once`, `83:1`: cut off before it gives its place back. A heartbeat went first each time."""
    monkeypatch.setattr(Turns, "ended", lambda *_: None)
    trial, _ = replay(replace(BY_NAME["at-once"], most_faults=0), {})
    assert trial.scene.violations == []
    assert [action.outcome for action in trial.usher.memory.actions()] == [Outcome.COMPLETED] * 2


def test_a_state_is_the_same_in_whatever_order_a_set_has_its_invocations() -> None:
    trial = SmallTrial(BY_NAME["beat-and-result"], Written({27: 1, 28: 1}, 1))
    told = []
    while trial.advance():
        running: Any = trial.abreast.running
        digests = []
        for is_turned in (False, True):
            trial.abreast.running = sorted(running, key=lambda each: each.number, reverse=is_turned)  # type: ignore[assignment] # a set in a known order
            digests.append(digest(trial))
        trial.abreast.running = running
        told.append(digests)
    assert [one for one, _ in told] == [other for _, other in told]


@pytest.mark.parametrize("line", ["x", "1", "1:2:3", "1:-2", "1 :2"])
def test_a_line_that_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="a schedule is pairs of numbers such as 17:2 31:1, got "):
        written.read(line)


def test_production_code_changes_hands_at_its_steps_and_nowhere_else() -> None:
    """Each switch away from an invocation is a pause before a step, or where it waits for its own lines."""
    places: set[str] = set()

    def traced(event: str, between: Any) -> None:
        origin, target = between
        if event == "switch" and target is LOOP and origin is not LOOP and not origin.dead:
            frame = origin.gr_frame or sys._getframe(1)  # noqa: SLF001 - of the line that switches
            places.add(frame.f_code.co_name)

    LOOP = greenlet.getcurrent()  # noqa: N806 - as a constant of this test
    before = greenlet.settrace(traced)
    try:
        replay(RESULT, {})
    finally:
        greenlet.settrace(before)
    assert places <= {"pause", "_map"}
    assert "pause" in places


def test_production_code_touches_the_store_in_steps_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that reached the store past the steps would be called by production code itself."""
    callers: set[str] = set()
    as_it_is = MemoryStore.__getattribute__

    def seen(self: MemoryStore, name: str) -> Any:
        if not name.startswith("_"):
            callers.add(sys._getframe(1).f_globals["__name__"])  # noqa: SLF001 - who asks
        return as_it_is(self, name)

    monkeypatch.setattr(MemoryStore, "__getattribute__", seen)
    replay(RESULT, {})
    assert "usher_simulator.trials.faulty_store" in callers
    assert [name for name in callers if name.split(".")[0] == "usher"] == []


@pytest.mark.parametrize(
    ("world", "most", "name"),
    [
        ("two-evaluations", 50, "completes before the result is stored"),
        ("two-evaluations", 50, "forgets its result when the call fails"),
        ("two-evaluations", 50, "evaluates whatever the version of its wake-up"),
        ("two-evaluations", 50, "sends no wake-ups"),
        ("arrival", 150, "acknowledges what could not be stored"),
        ("arrival", 150, "acknowledges a batch whatever failed in it"),
        ("too-late", 150, "a result that came too late is told as the end"),
        ("hold-and-beat", 150, "an answer writes over an operator's word"),
        ("late-notice", 150, "a late notice is let through"),
    ],
)
def test_a_planted_bug_is_found_by_the_world_of_its_moment(world: str, most: int, name: str) -> None:
    (bug,) = [bug for bug in ALL if bug.name == name]
    with planted(bug):
        explored = explore(BY_NAME[world], most=most)
    assert explored.failing is not None


def test_priorities_find_a_bug_that_needs_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sender, "complete", _completed_before_it_is_stored)
    found = 0
    for seed in range(20):
        chooser = by_priorities.ByPriorities(Dice.of(seed, "order"), choices=60, changes=2, most_faults=0)
        trial = SmallTrial(RESULT, chooser)
        while trial.advance():
            pass
        trial.abreast.end_all()
        found += bool(trial.scene.violations)
    assert found > 0
