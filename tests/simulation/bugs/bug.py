"""A bug on purpose: what it does, where it goes, and which checker has to find it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.trials.checkers import CHECKERS
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from usher_simulator.trials.faults import Thing
    from usher_simulator.trials.judge.scene import MakeChecker

MOST_SEEDS: Final = 150


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A bug: what it does, where it goes, and which checker has to find it."""

    name: str
    place: Any
    attribute: str
    made: Callable[[Any], Any]  # of what stands there
    found_by: MakeChecker | None  # None: any of them, since whoever planted it has not seen them
    things: frozenset[Thing] = frozenset()  # go on in each of its trials, besides what the seed draws

    @property
    def promise(self) -> str:
        """The number of the promise that it breaks."""
        return "any" if self.found_by is None else str(self.found_by.promise)[0]  # type: ignore[attr-defined] # every checker has one


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Production code with a bug in it."""
    is_own = bug.attribute in vars(bug.place)
    before = getattr_static(bug.place, bug.attribute)
    setattr(bug.place, bug.attribute, bug.made(before))
    try:
        yield
    finally:
        if is_own:
            setattr(bug.place, bug.attribute, before)
        else:  # inherited
            delattr(bug.place, bug.attribute)


def caught_at(bug: Bug, seeds: Iterable[int]) -> int | None:
    """The first of these seeds at which its checker finds it."""
    watched = CHECKERS if bug.found_by is None else [bug.found_by]
    promises = {str(each.promise) for each in watched}  # type: ignore[attr-defined] # every checker has one
    with planted(bug):
        for seed in seeds:
            violations = Trial(seed, watched=watched, things=bug.things).run().violations
            if any(bug.found_by is None or violation.promise in promises for violation in violations):
                return seed
    return None
