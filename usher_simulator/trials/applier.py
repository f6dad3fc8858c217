"""People who apply hooks files at run time, where a deployment reads them from the table."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.file_versions import NOTICE, FileVersion
from usher.ports.errors import Moved, NotInForce
from usher_simulator.trials.faults import LONGEST_SKEW
from usher_simulator.trials.judge.terms import InForce

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.compiled import Compiled
    from usher.core.file_versions import Schedule
    from usher_simulator.trials.deployment import Deployment
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.judge.scene import Scene

_IS_ROLLED_BACK, _HAS_RIVAL = 0.4, 0.3
_PASSES_TAKE: Final = timedelta(minutes=10)  # as usher_simulator.trials.trial has it
_ROLLED_BACK_S: Final = (5.0, 1200.0)  # also before the version has taken effect


class Applier:
    """Applies one file after the other; `goes`: whether the stack is being deleted."""

    def __init__(self, usher: Deployment, random: Dice, scene: Scene, goes: Callable[[], bool]) -> None:
        self._usher = usher
        self._random = random
        self._scene = scene
        self._goes = goes
        self._settled_at = scene.clock()

    @property
    def is_settled(self) -> bool:
        """Whether nobody takes a file back any more, and the sweep has had its time with the newest."""
        return self._scene.clock() >= self._settled_at

    def update(self, file: Compiled) -> None:
        """Apply a file; now and then it is taken back, and now and then somebody else tries at once."""
        over, before = self._usher.versions.schedule(), self._newest()
        self._apply(file, over)
        self._scene.happened.add("apply")
        if self._random.chance(_HAS_RIVAL):
            self._apply(before, over)
        if self._random.chance(_IS_ROLLED_BACK):
            later = timedelta(seconds=self._random.between(*_ROLLED_BACK_S))
            clock = self._scene.clock
            clock.at(clock() + later, lambda: self._roll_back(before))
            self._settled_at = max(self._settled_at, clock() + later + NOTICE + _PASSES_TAKE)

    def _roll_back(self, file: Compiled) -> None:
        self._scene.happened.add("apply: rolled back")
        self._apply(file, self._usher.versions.schedule())

    def _newest(self) -> Compiled:
        (newest,) = self._usher.versions.history(1)
        return newest.file

    def _apply(self, file: Compiled, over: Schedule) -> None:
        version, schedule = next_version(file, over, self._scene.clock())
        try:
            self._usher.versions.apply(version, schedule, over)
        except (Moved, NotInForce) as refusal:
            self._scene.happened.add(f"apply: {type(refusal).__name__}")
            return
        self._settled_at = max(self._settled_at, version.effective_at + _PASSES_TAKE)
        # The clock of a function may be ahead.
        self._scene.clock.at(version.effective_at - LONGEST_SKEW, lambda: self._takes_effect(file))

    def _takes_effect(self, file: Compiled) -> None:
        if not self._goes():
            self._scene.deployed.append(InForce(since=self._scene.clock(), file=file.file))
            self._usher.file = file


def next_version(file: Compiled, over: Schedule, now: datetime) -> tuple[FileVersion, Schedule]:
    """The version that somebody applies who has read the schedule, and the schedule with it."""
    number = over.newest + 1
    schedule = over.then(number, now)
    version = FileVersion(
        number=number,
        file=file,
        applied_at=now,
        effective_at=schedule.starts[-1].at,
        by="somebody",
        reason="for a reason",
        previous=over.newest,
    )
    return version, schedule
