"""The sweep counts dead letters, for the one alarm on all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest

from tests.factories import at
from usher.passes.dead_letters import DeadLetterWatch
from usher.ports.errors import Unavailable
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.parts import evaluator_of, sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.trials.invocations import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

MINUTE: Final = timedelta(minutes=1)
QUARTER: Final = timedelta(minutes=15)  # the period of the alarm
MIDNIGHT: Final = at(0).replace(hour=0, minute=0)
A_DAY: Final = 24 * 60
SIX_AN_HOUR: Final = 24 * 6


@dataclass
class Kept:
    found: Mapping[str, int]
    asked: list[str] = field(default_factory=list)
    fails: bool = False

    def counts(self) -> Mapping[str, int]:
        self.asked.append("counts")
        if self.fails:
            raise Unavailable("SQS does not answer")
        return self.found


def run(kept: Kept, *, has_time: bool = True) -> Recorder:
    recorder = Recorder()
    DeadLetterWatch(kept=kept, telemetry=recorder, clock=lambda: at(0)).run(lambda: has_time)
    return recorder


def test_the_dead_letters_of_all_queues_are_one_count_and_the_log_names_the_queues() -> None:
    recorder = run(Kept({"inbox": 2, "wake-ups": 0, "events": 1}))
    assert recorder.counts == {"DeadLetters": 3}
    assert recorder.taken == [("dead letters", "1 in events"), ("dead letters", "2 in inbox")]


def test_without_dead_letters_nothing_is_said() -> None:
    recorder = run(Kept({"inbox": 0}))
    assert (+recorder.counts, recorder.taken) == ({}, [])


def test_without_time_no_queue_is_asked() -> None:
    kept = Kept({})
    run(kept, has_time=False)
    assert kept.asked == []


@dataclass
class Slow:
    """A pass that takes its time."""

    clock: VirtualClock
    takes_s: float
    name: str = "slow"

    def run(self, has_time: Callable[[], bool]) -> None:  # noqa: ARG002 - a Pass
        self.clock.run_until(self.clock() + timedelta(seconds=self.takes_s))


def counted_at(phases_s: list[float], *passes_s: float, store_s: float = 0.1) -> list[datetime]:
    """When each sweep ended that counted, in a day whose sweeps begin so late in their minutes, in turn."""
    clock = VirtualClock(MIDNIGHT)

    class SlowStore(MemoryStore):
        def due(self, until: datetime) -> list[object]:  # type: ignore[override] # there are none
            Slow(clock, store_s).run(lambda: True)
            return list(super().due(until))

    recorder = Recorder()
    counted: list[datetime] = []
    evaluator = evaluator_of(
        store=SlowStore(clock), auto_scaling=None, wake_ups=None, telemetry=recorder, clock=clock
    )
    letters = DeadLetterWatch(kept=Kept({"inbox": 3}), telemetry=recorder, clock=clock)
    sweep = sweep_of(evaluator, *(Slow(clock, each) for each in passes_s), letters)
    for minute in range(A_DAY):
        clock.run_until(MIDNIGHT + minute * MINUTE + timedelta(seconds=phases_s[minute % len(phases_s)]))
        before = len(recorder.taken)
        sweep.handle({}, TimeLeft(clock=clock, ends_at=clock() + MINUTE))
        counted += [clock()] * (len(recorder.taken) - before)
    return counted


@pytest.mark.parametrize(
    ("phases_s", "passes_s", "store_s"),
    [
        pytest.param([5], [2, 2, 0.1], 0.2, id="early in the minute"),
        pytest.param([50], [6, 6, 0.1], 0.2, id="late in the minute, with 12 s of work"),
        pytest.param([45], [12, 8, 0.1], 1, id="long passes"),
        pytest.param([40], [6, 6, 0.1], 16, id="a slow table"),
        pytest.param([0], [25, 19, 0.1], 0.2, id="almost no time is left"),
        pytest.param([59.9], [0.2, 0.2, 0.1], 0.2, id="at the edge of the minute"),
        pytest.param([59.9, 59.9, 60.1, 59.9, 60.1], [6, 6], 0.2, id="now and then over the edge"),
        pytest.param([0, 59.9], [6, 6], 0.2, id="up to 119 s apart"),
        pytest.param([0] * 10 + [59.9] * 10 + [60.1] * 10, [10, 20], 0.2, id="drifting"),
    ],
)
def test_every_quarter_of_an_hour_has_a_count_whenever_the_sweeps_begin(
    phases_s: list[float], passes_s: list[float], store_s: float
) -> None:
    """Without one the alarm turns itself off, while the letters stand."""
    counted = counted_at(phases_s, *passes_s, store_s=store_s)
    quarters = {(when - MIDNIGHT) // QUARTER for when in counted}
    assert quarters >= set(range(96))
    assert max(later - earlier for earlier, later in pairwise(counted)) < QUARTER
    assert len(counted) <= SIX_AN_HOUR + 1


def test_what_could_not_be_counted_is_counted_by_the_next_pass() -> None:
    clock, kept, recorder = VirtualClock(MIDNIGHT), Kept({"inbox": 1}, fails=True), Recorder()
    letters = DeadLetterWatch(kept=kept, telemetry=recorder, clock=clock)
    with pytest.raises(Unavailable):
        letters.run(lambda: True)
    letters.run(lambda: False)
    kept.fails = False
    clock.run_until(MIDNIGHT + 2 * MINUTE)
    letters.run(lambda: True)
    assert recorder.counts["DeadLetters"] == 1


def test_a_new_container_counts_in_its_first_pass_and_then_in_every_tenth_minute() -> None:
    """Each count asks every queue, and is paid for."""
    clock, kept = VirtualClock(MIDNIGHT + 7 * MINUTE), Kept({})
    letters = DeadLetterWatch(kept=kept, telemetry=Recorder(), clock=clock)
    asked: list[int] = []
    for _ in range(13):
        letters.run(lambda: True)
        asked.append(len(kept.asked))
        clock.run_until(clock() + 2 * MINUTE)
    assert asked == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3]
