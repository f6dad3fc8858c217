"""What holds while AWS itself is away. The judge is the simulated service's own log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.outages import fallen, hooks_file, outage, waits_of
from benchmarks.storm_plan import START, Storm
from benchmarks.storm_usher import UsherInStorm, away
from usher.core.action import Outcome
from usher.ports.errors import NotRecorded
from usher_simulator.trials import trial
from usher_simulator.trials.faults import How, Part

if TYPE_CHECKING:
    from usher_simulator.trials.faults import Down
    from usher_simulator.trials.invocations import Invocation

MINUTE = timedelta(minutes=1)
AFTER = MINUTE  # holds the half of one in which a message comes again, and the time that an evaluation takes
NEWS = timedelta(minutes=16)  # in which what was beaten without the table reaches the record


def held_through(storm: Storm, off: Down) -> UsherInStorm:
    """The storm with the table away; what must hold whatever the hook, judged by the log of the calls."""
    run = UsherInStorm(storm, [off])
    run.run()
    run.clock.run_until(run.clock() + NEWS)
    completes = {call.token: call.at for call in run.accepted if call.operation.startswith("Compl")}
    done = {run.waits[held.instance_id].token: held.done_at for held in storm.instances}
    assert run.defaulted == []
    assert len(completes) == storm.held
    # No result was sent meanwhile; one that was under way as the outage began had been stored before.
    under_way = off.since + timedelta(seconds=2)
    assert not [at for at in completes.values() if under_way < at < off.until]
    late = [token for token, at in completes.items() if at > max(done[token], off.until) + AFTER]
    assert late == []
    # Every record tells the log's truth.
    records = list(run.usher.memory.actions())
    assert {action.token for action in records} == completes.keys()
    assert {action.outcome for action in records} == {Outcome.COMPLETED}
    beats = [call.token for call in run.beats]
    for action in records:
        assert action.heartbeats == beats.count(action.token or ""), action.id
    return run


@pytest.mark.parametrize(
    ("held", "timeout_s", "away_min", "begins_s"),
    [
        pytest.param(
            100, 60, 2, 20, id="100, 60 s, two minutes, while notices come", marks=pytest.mark.large
        ),
        pytest.param(
            60,
            30,
            10,
            100,
            id="30 s, ten minutes, a fifth of what the rate could hold",
            marks=pytest.mark.large,
        ),
        pytest.param(30, 30, 2, 0, id="30 s, two minutes, from the notice on"),
        pytest.param(30, 60, 10, 0, id="60 s, ten minutes, from the notice on"),
        pytest.param(100, 60, 10, 300, id="100, 60 s, ten minutes", marks=pytest.mark.large),
        pytest.param(100, 300, 10, 300, id="100, 5 min, ten minutes", marks=pytest.mark.large),
        pytest.param(100, 3600, 10, 300, id="100, 1 h, ten minutes: signals come meanwhile"),
        pytest.param(30, 300, 10, 0, id="5 min, ten minutes, from the notice on", marks=pytest.mark.large),
    ],
)
def test_none_falls_while_the_table_is_away(held: int, timeout_s: int, away_min: int, begins_s: int) -> None:
    off = away(Part.STORE, timedelta(seconds=begins_s), away_min * MINUTE)
    lasts = off.until - START + 4 * MINUTE
    held_through(Storm(held=held, heartbeat_timeout=timedelta(seconds=timeout_s), lasts=lasts), off)


@pytest.mark.large(held_by="test_none_falls_while_the_table_is_away")
def test_a_hundred_in_30_second_hooks_are_held_where_the_rate_takes_two_heartbeats_of_each() -> None:
    """Every 20 and every 25 seconds: nine a second. At ten, of which no budget is kept, some fell."""
    off = away(Part.STORE, timedelta(seconds=100), 10 * MINUTE)
    held_through(Storm(held=100, heartbeat_timeout=timedelta(seconds=30), rate=20, lasts=16 * MINUTE), off)


@pytest.mark.parametrize(
    ("held", "timeout_s", "begins_s"),
    [
        pytest.param(100, 60, 300, id="100, 60 s", marks=pytest.mark.large),
        pytest.param(100, 60, 20, id="100, 60 s, while notices come", marks=pytest.mark.large),
        pytest.param(30, 30, 0, id="30 s, from the notice on"),
    ],
)
def test_none_falls_while_the_table_says_no(held: int, timeout_s: int, begins_s: int) -> None:
    """A right or a key that is taken away, and given back after two minutes; and it is told as that."""
    off = away(Part.STORE, timedelta(seconds=begins_s), 2 * MINUTE, How.DENIED)
    lasts = off.until - START + 4 * MINUTE
    run = held_through(Storm(held=held, heartbeat_timeout=timedelta(seconds=timeout_s), lasts=lasts), off)
    assert run.recorder.counts["TableDenied"] >= held
    told = [error for what, error in run.recorder.troubles if "is held from its wake-up" in what]
    told = [error for error in told if not isinstance(error, NotRecorded)]  # back, and not come again yet
    assert told
    assert all("AccessDeniedException" in str(error) for error in told)


# In the whole deployment: sweeps, several containers, functions that are cut off


@pytest.mark.parametrize("timeout", [pytest.param("5m", marks=pytest.mark.large), "16m", "1h"])
def test_two_hours_without_the_table_are_held(timeout: str) -> None:
    """Wake-ups reach 15 minutes, so what waits in hooks of an hour is held by the sweep."""
    policy: dict[str, object] = {"until": [{"signal": "done"}], "give_up_after": "4h"}
    run = outage(1, hooks_file(timeout, policy), [Part.STORE], timedelta(hours=1), timedelta(hours=2))
    outcome = run.run()
    waits = waits_of(run)
    begun = [
        wait for wait in waits if timedelta(hours=1) < wait.started_at - trial.START < timedelta(hours=3)
    ]
    assert begun
    assert (fallen(waits), list(outcome.violations)) == ([], [])


@pytest.mark.parametrize("step", [1, 3, 5, *(pytest.param(step, marks=pytest.mark.large) for step in (2, 4))])
def test_a_sweep_that_is_cut_off_without_the_table_costs_no_instance(step: int) -> None:
    """Every other one, before each of its steps; hooks of an hour have no wake-up under way."""
    policy: dict[str, object] = {"until": [{"signal": "done"}], "give_up_after": "4h"}
    run = outage(1, hooks_file("1h", policy), [Part.STORE], timedelta(hours=1), timedelta(hours=2))
    start, sweeps = run.effects.invocations.start, 0

    def starting(invocation: Invocation, work: Any, ended: Any) -> None:
        nonlocal sweeps
        if invocation.function == "sweep":
            invocation.cut_at = step if sweeps % 2 else 0
            sweeps += 1
        start(invocation, work, ended)

    run.effects.invocations.start = starting  # type: ignore[method-assign]
    run.scenario.begin()
    run.clock.run_until(trial.START + timedelta(hours=3))
    waits = waits_of(run)
    assert run.telemetry.counts["BeatsWithoutTable"] > 0
    assert (fallen(waits), run.scene.violations) == ([], [])


@pytest.mark.parametrize("which", [0, 5])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_beat_that_is_cut_off_costs_no_instance(which: int, step: int) -> None:
    """The first beats without the table, cut off before each of their steps."""
    policy: dict[str, object] = {"until": [{"elapsed": "20m"}], "give_up_after": "40m"}
    run = outage(7, hooks_file("30s", policy), [Part.STORE], 30 * MINUTE, 6 * MINUTE)
    since, start, beats = trial.START + 30 * MINUTE, run.effects.invocations.start, 0

    def starting(invocation: Invocation, work: Any, ended: Any) -> None:
        nonlocal beats
        if invocation.function == "wake" and run.clock() >= since:
            invocation.cut_at = step if beats == which else 0
            beats += 1
        start(invocation, work, ended)

    run.effects.invocations.start = starting  # type: ignore[method-assign]
    run.scenario.begin()
    run.clock.run_until(since + 10 * MINUTE)
    waits = waits_of(run)
    assert beats > len(waits) > 0
    assert (fallen(waits), run.scene.violations) == ([], [])
