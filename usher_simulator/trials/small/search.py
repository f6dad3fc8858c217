"""Every schedule of a small world, within its bounds; and of one that fails what is needed to fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usher_simulator.trials.choosers.depth_first import DepthFirst, Known
from usher_simulator.trials.choosers.written import Written, written
from usher_simulator.trials.small.state import digest, end
from usher_simulator.trials.small.steps import Steps
from usher_simulator.trials.small.world import SmallTrial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.trials.small.world import World


@dataclass(kw_only=True)
class Explored:
    """What came of a world. `failing` is the first schedule that broke a promise, as a line, and how."""

    world: str
    schedules: int = 0
    states: int = 0
    ends: set[bytes] = field(default_factory=set)  # of schedules, whatever faults led there
    choices: int = 0  # of the longest schedule
    is_complete: bool = False
    failing: str | None = None
    violations: list[str] = field(default_factory=list)


def explore(
    world: World, *, most: int | None = None, merges: bool = True, orders_all: bool = False
) -> Explored:
    """Run the schedules of a world, at most so many, until a promise is broken.

    Without `merges` each goes to its end; with `orders_all` every order of every step is tried.
    """
    steps, explored = Steps(), Explored(world=world.name)
    chooser = DepthFirst(world.most_faults, None if orders_all else steps, merges=merges)
    while not explored.is_complete and explored.failing is None and explored.schedules != most:
        trial = _run(world, chooser, steps)
        explored.schedules += 1
        explored.choices = max(explored.choices, len(chooser.path))
        if trial is not None:
            _note(explored, trial, chooser)
        if steps.is_wrong():
            chooser = DepthFirst(world.most_faults, steps, merges=merges)
        else:
            explored.is_complete = not chooser.next_path()
        explored.states = len(chooser.seen or ())
    return explored


def _run(world: World, chooser: DepthFirst, steps: Steps) -> SmallTrial | None:
    """The next schedule; None where it came to a state that was known."""
    chooser.begin()
    trial = SmallTrial(world, chooser)
    chooser.state, chooser.kinds = lambda: digest(trial), trial.abreast.kinds
    steps.now, trial.abreast.on_step = trial.clock, steps.does
    try:
        while trial.advance():
            pass
    except Known:
        return None
    finally:
        trial.abreast.end_all()
    return trial


def _note(explored: Explored, trial: SmallTrial, chooser: DepthFirst) -> None:
    explored.ends.add(end(trial))
    if trial.scene.violations:
        choices = {at: each.place for at, each in enumerate(chooser.path)}
        explored.failing = shrunk(trial.world, choices, trial.scene.violations[0].promise)
        explored.violations = [str(each) for each in trial.scene.violations]


def replay(world: World, choices: Mapping[int, int], *, tells: bool = False) -> tuple[SmallTrial, Written]:
    """The schedule of these choices."""
    chooser = Written(choices, world.most_faults)
    trial = SmallTrial(world, chooser, tells=tells)
    try:
        while trial.advance():
            pass
    finally:
        trial.abreast.end_all()
    return trial, chooser


def shrunk(world: World, choices: Mapping[int, int], promise: str) -> str:
    """The line of a schedule that breaks the same promise, without each choice that it does not need."""
    kept = {at: place for at, place in choices.items() if place}
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for at in sorted(kept, reverse=True):
            less = {each: place for each, place in kept.items() if each != at}
            trial, _ = replay(world, less)
            if any(each.promise == promise for each in trial.scene.violations):
                kept, is_smaller = less, True
    return written(kept)
