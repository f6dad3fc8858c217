"""Which hooks file an invocation works by, where versions are applied at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import at
from usher.core.compiled import InEffect, compiled
from usher.core.file_versions import CACHED, NO_VERSION, NOTICE, FileVersion, Schedule, Start
from usher.hooks_source import ByVersion, VersionsInEffect
from usher.ports.errors import Unavailable
from usher.ports.file_versions import VersionUnreadable
from usher_simulator.fakes.recorder import Recorder

GATE: Final = {"name": "gate", "group": "web", "transition": "launching", "policy": "park"}


def file(name: str) -> Any:
    return {"version": 1, "policies": {"park": {"until": []}}, "hooks": [{**GATE, "name": name}]}


@dataclass
class Versions:
    """Those in the table. `fails`: what is raised instead of the next answers."""

    starts: list[Start] = field(default_factory=list)
    unreadable: dict[int, Any] = field(default_factory=dict)
    fails: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def apply(self, number: int, now: datetime) -> datetime:
        schedule = Schedule(starts=tuple(self.starts)).then(number, now)
        self.starts = list(schedule.starts)
        return schedule.starts[-1].at

    def schedule(self) -> Schedule:
        self._asked("schedule")
        return Schedule(starts=tuple(self.starts))

    def version(self, number: int) -> FileVersion:
        self._asked(f"version {number}")
        if number in self.unreadable and self.unreadable[number] is None:
            raise VersionUnreadable(f"VERSION#{number}")
        return FileVersion(
            number=number,
            file=compiled(self.unreadable.get(number, file(f"gate-{number}"))),
            applied_at=at(0),
            effective_at=at(0),
            by="me",
            reason="why",
        )

    def _asked(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            raise self.fails.pop(0)


@pytest.fixture
def versions() -> Versions:
    return Versions()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def in_effect(versions: Versions, recorder: Recorder) -> VersionsInEffect:
    return VersionsInEffect(versions=versions, telemetry=recorder)


def test_before_the_first_version_usher_manages_nothing(in_effect: VersionsInEffect) -> None:
    file = in_effect.at(at(0))
    assert (file, file.version, file.file.configuration.hooks) == (NO_VERSION, 0, ())


def test_a_version_is_in_effect_from_its_time_on(in_effect: VersionsInEffect, versions: Versions) -> None:
    effective_at = versions.apply(1, at(0))
    assert effective_at == at(0) + NOTICE
    assert in_effect.at(effective_at - timedelta(microseconds=1)) is NO_VERSION
    assert in_effect.at(effective_at).version == 1
    assert [hook.name for hook in in_effect.at(effective_at).file.configuration.hooks] == ["gate-1"]


def test_the_schedule_is_read_again_after_half_a_minute_and_a_version_once(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(-100))
    for second in (0, 1, 29.9, 30, 31, 59.9, 60):
        assert in_effect.at(at(second)).version == 1
    assert versions.asked == ["schedule", "version 1", "schedule", "schedule"]


INVOCATIONS: Final = st.lists(st.tuples(st.floats(0, 600), st.booleans()), min_size=1, max_size=8).map(sorted)


@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=6).map(sorted),
    st.lists(INVOCATIONS, min_size=2, max_size=4),
)
def test_all_containers_have_the_same_version_at_the_same_moment(
    applied: list[float], containers: list[list[tuple[float, bool]]]
) -> None:
    """Whenever versions are applied, each container is invoked and reads, and the table is away for it."""
    versions = Versions()
    sources = [VersionsInEffect(versions=versions, telemetry=Recorder()) for _ in containers]
    truth: list[Start] = []
    moments: list[tuple[float, bool, VersionsInEffect | None]] = [(second, False, None) for second in applied]
    for each, invocations in zip(sources, containers, strict=True):
        moments += [(second, is_away, each) for second, is_away in invocations]
    for second, is_away, source in sorted(moments, key=lambda each: (each[0], each[2] is not None)):
        if source is None:
            truth.append(Start(number=len(truth) + 1, at=versions.apply(len(truth) + 1, at(second))))
            continue
        versions.fails = [Unavailable("away")] * 20 if is_away else []
        try:
            found = source.at(at(second))
        except Unavailable:
            continue
        expected = max((start.number for start in truth if start.at <= at(second)), default=0)
        assert found.version == expected or not found.is_certain


def test_a_version_is_read_ahead_and_takes_effect_without_the_table(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(-100))
    in_effect.at(at(0))
    effective_at = versions.apply(2, at(1))
    assert in_effect.at(at(40)).version == 1
    versions.fails = [Unavailable("away")] * 10
    assert in_effect.at(effective_at) == InEffect(file=compiled(file("gate-2")), version=2)
    late = in_effect.at(effective_at + timedelta(hours=1))
    assert (late.version, late.is_certain) == (2, False), "another may have been applied meanwhile"


def test_a_table_that_does_not_answer_is_asked_again_after_some_seconds(
    in_effect: VersionsInEffect, versions: Versions, recorder: Recorder
) -> None:
    versions.apply(1, at(-100))
    in_effect.at(at(0))
    versions.fails = [Unavailable("away")] * 2
    for second in (30, 31, 34.9, 35, 39.9):
        found = in_effect.at(at(second))
        assert (found.version, found.is_certain) == (1, False)
    assert in_effect.at(at(40)).is_certain
    assert versions.asked == ["schedule", "version 1", "schedule", "schedule", "schedule"]
    assert len(recorder.troubles) == 2


def test_a_container_that_knows_nothing_asks_twice_and_then_has_the_work_come_again(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(-100))
    versions.fails = [Unavailable("away")] * 2
    with pytest.raises(Unavailable, match="the hooks file in effect is not known: away"):
        in_effect.at(at(0))
    versions.fails = [Unavailable("away")]
    assert in_effect.at(at(1)).version == 1


@pytest.mark.parametrize("unreadable", [None, {"version": 2}], ids=["damaged", "of a later release"])
def test_a_version_that_cannot_be_read_is_passed_over_and_told(
    in_effect: VersionsInEffect, versions: Versions, recorder: Recorder, unreadable: Any
) -> None:
    versions.apply(1, at(-100))
    versions.apply(2, at(0))
    versions.unreadable[2] = unreadable
    assert in_effect.at(at(70)).version == 1
    assert any("version 2 of the hooks file is passed over" in what for what, _ in recorder.troubles)


def test_where_no_version_can_be_read_nothing_is_taken_for_the_file(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(-100))
    versions.unreadable[1] = None
    with pytest.raises(Unavailable, match="no version of it can be read"):
        in_effect.at(at(0))


def test_where_the_version_in_effect_cannot_be_read_just_now_the_one_before_is_not_certain(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(-200))
    versions.apply(2, at(-100))
    read, versions.schedule = versions.schedule, lambda: read_and_fail(versions, read)  # type: ignore[method-assign]
    found = in_effect.at(at(0))
    assert (found.version, found.is_certain) == (1, False)
    found = in_effect.at(at(1))
    assert (found.version, found.is_certain) == (2, True)


def read_and_fail(versions: Versions, read: Any) -> Schedule:
    """The next read fails."""
    schedule: Schedule = read()
    versions.fails = [Unavailable("away")]
    return schedule


def test_a_version_that_is_yet_to_take_effect_is_read_at_once(
    in_effect: VersionsInEffect, versions: Versions
) -> None:
    versions.apply(1, at(0))
    in_effect.at(at(1))
    assert versions.asked == ["schedule", "version 1"]


def test_the_schedule_keeps_what_is_to_come_and_two_that_count() -> None:
    schedule = Schedule()
    for number in range(1, 6):
        schedule = schedule.then(number, at(100 * number))
    schedule = schedule.then(6, at(510))
    assert [start.number for start in schedule.starts] == [3, 4, 5, 6]
    assert schedule.in_effect(at(510)) == (4, 3)
    assert [start.number for start in schedule.pending(at(510))] == [5, 6]
    assert schedule.newest == 6


def test_no_version_takes_effect_before_one_that_was_applied_before_it() -> None:
    schedule = Schedule().then(1, at(100)).then(2, at(50))
    assert [(start.number, start.at) for start in schedule.starts] == [
        (1, at(100) + NOTICE),
        (2, at(100) + NOTICE),
    ]
    assert schedule.in_effect(at(100) + NOTICE)[0] == 2


def test_what_a_container_caches_leaves_room_before_a_version_takes_effect() -> None:
    assert timedelta(seconds=30) <= NOTICE - CACHED, "for the write, and for clocks that differ"


# The handler


def test_a_handler_is_made_once_for_each_version_and_each_event_has_one() -> None:
    one, two = (InEffect(file=compiled(file("gate")), version=number) for number in (1, 2))
    files, made, handled = [one, one, two], [], []

    def make(of: InEffect) -> Any:
        made.append(of.version)

        def handle(event: Any, context: Any = None) -> Any:  # noqa: ARG001 - a Handler
            handled.append((of.version, event["number"]))
            return {"by": of.version}

        return handle

    handler = ByVersion(in_effect=lambda _: files.pop(0), make=make, clock=lambda: at(0))
    assert [handler({"number": number}) for number in (1, 2, 3)] == [{"by": 1}, {"by": 1}, {"by": 2}]
    assert (made, handled) == ([1, 2], [(1, 1), (1, 2), (2, 3)])
