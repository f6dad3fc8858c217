"""Usher in the storm: the deployment of the trials, without a fault but for what the storm takes away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from benchmarks import storm_plan
from benchmarks.storm_world import StormWorld
from usher.core.action import Result
from usher.core.compiled import compiled
from usher_simulator.autoscaling.fast_client import ShortWire
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoCalls
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.faults import Down, How, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.storm_plan import Held, Storm

STORE: Final = "MemoryStore and MemoryBudget"
FUNCTIONS: Final = (Part.INTAKE, Part.WAKE, Part.SWEEP)
_LONGEST_AFTER: Final = timedelta(hours=2)
_SIGNAL_S: Final = (0.5, 5.0)


def away(part: Part, begins: timedelta, lasts: timedelta, how: How = How.BROKEN) -> Down:
    """A part that is not there, from `begins` after the start of the storm."""
    since = storm_plan.START + begins
    return Down(part=part, since=since, until=since + lasts, how=how)


class AllRun:
    """Implements usher.ports.autoscaling.InstanceStates."""

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """Nothing of the storm stops by itself."""
        return dict.fromkeys(instance_ids, "running")


class UsherInStorm(StormWorld):
    """Runs one storm."""

    deployment: ClassVar[type[Deployment]] = Deployment

    def __init__(self, storm: Storm, downs: Sequence[Down] = ()) -> None:
        super().__init__(storm, downs)
        self.recorder = Recorder()
        wire = ShortWire()
        wire.answer = self.door
        self.usher = self.deployment(
            compiled(storm.hooks),
            self.effects,
            wire.client,
            self.recorder,
            self,
            calls=NoCalls(),
            instances=AllRun(),
            calls_per_second=storm.rate,
        )

    def begins(self, held: Held) -> None:
        """An instance waits, and says when it is done."""
        super().begins(held)
        late = timedelta(seconds=self.random.uniform(*_SIGNAL_S))
        self.clock.at(held.done_at + late, lambda: self.delivered(storm_plan.signal(held)))

    def delivered(self, body: str) -> None:
        """It comes to the inbox."""
        self.usher.inbox.send(body)

    @property
    def lost(self) -> int:
        """How many actions were not recorded, or not completed as their signal asks."""
        done = [action for action in self.usher.memory.actions() if action.result is Result.CONTINUE]
        return self.storm.held - len(done)

    def run(self) -> None:
        """Until all is closed, or nothing more will be."""
        end = storm_plan.START + 2 * self.storm.half
        self.clock.run_until(end)
        while self.usher.memory.open_actions() and self.clock() < end + _LONGEST_AFTER:
            self.clock.step()
