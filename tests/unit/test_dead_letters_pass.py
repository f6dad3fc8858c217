"""The sweep counts dead letters, for the one alarm on all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.factories import at
from usher.passes.dead_letters import DeadLetterWatch
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Kept:
    found: Mapping[str, int]
    asked: list[str] = field(default_factory=list)

    def counts(self) -> Mapping[str, int]:
        self.asked.append("counts")
        return self.found


def run(kept: Kept, minute: int = 0, *, has_time: bool = True) -> Recorder:
    recorder, now = Recorder(), at(0).replace(minute=0) + timedelta(minutes=minute)
    DeadLetterWatch(kept=kept, telemetry=recorder, clock=lambda: now).run(lambda: has_time)
    return recorder


def test_the_dead_letters_of_all_queues_are_one_count_and_the_log_names_the_queues() -> None:
    recorder = run(Kept({"inbox": 2, "wake-ups": 0, "events": 1}))
    assert recorder.counts == {"DeadLetters": 3}
    assert recorder.taken == [("dead letters", "1 in events"), ("dead letters", "2 in inbox")]


def test_without_dead_letters_nothing_is_said() -> None:
    recorder = run(Kept({"inbox": 0}))
    assert (+recorder.counts, recorder.taken) == ({}, [])


@pytest.mark.parametrize(("minute", "asks"), [(0, 1), (2, 0), (8, 0), (10, 1), (50, 1), (58, 0)])
def test_the_queues_are_asked_in_every_tenth_minute(minute: int, asks: int) -> None:
    kept = Kept({})
    run(kept, minute)
    assert len(kept.asked) == asks


def test_without_time_no_queue_is_asked() -> None:
    kept = Kept({})
    run(kept, has_time=False)
    assert kept.asked == []
