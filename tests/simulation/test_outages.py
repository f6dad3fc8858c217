"""What holds while AWS itself is away. The judge is the simulated service's own log."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.storm_plan import Storm
from benchmarks.storm_usher import Outage, UsherInStorm
from usher.core.model import Outcome

MINUTE = timedelta(minutes=1)
AFTER = timedelta(seconds=70)  # a minute, in which a message comes again, and the time that a look takes
NEWS = timedelta(minutes=16)  # in which what was beaten without the table reaches the record


def held_through(storm: Storm, off: Outage) -> UsherInStorm:
    """The storm with the table away; what must hold whatever the hook, judged by the log of the calls."""
    run = UsherInStorm(storm, table_off=[off])
    run.run()
    run.clock.run_until(run.clock() + NEWS)
    completes = {
        call.token: call.at for call in run.auto_scaling.accepted if call.operation.startswith("Compl")
    }
    done = {held.token: held.done_at for held in storm.instances}
    assert run.defaulted == []
    assert len(completes) == storm.held
    # No result was sent meanwhile; one that was under way as the outage began had been stored before.
    under_way = off.from_moment + timedelta(seconds=2)
    assert not [at for at in completes.values() if under_way < at < off.to_moment]
    late = [token for token, at in completes.items() if at > max(done[token], off.to_moment) + AFTER]
    assert late == []
    # Every record tells the log's truth.
    assert {action.token for action in run.store.actions()} == completes.keys()
    assert {action.outcome for action in run.store.actions()} == {Outcome.COMPLETED}
    beats = [call.token for call in run.auto_scaling.beats]
    for action in run.store.actions():
        assert action.heartbeats == beats.count(action.token or ""), action.id
    return run


@pytest.mark.parametrize(
    ("held", "timeout_s", "away_min", "begins_s"),
    [
        pytest.param(100, 60, 2, 300, id="100, 60 s, two minutes"),
        pytest.param(100, 60, 2, 20, id="100, 60 s, two minutes, while notices come"),
        pytest.param(30, 30, 2, 100, id="30 s, two minutes"),
        pytest.param(30, 30, 10, 100, id="30 s, ten minutes"),
        pytest.param(30, 30, 2, 0, id="30 s, two minutes, from the notice on"),
        pytest.param(30, 60, 10, 0, id="60 s, ten minutes, from the notice on"),
        pytest.param(30, 300, 10, 300, id="5 min, ten minutes"),
        pytest.param(30, 300, 10, 0, id="5 min, ten minutes, from the notice on"),
    ],
)
def test_none_falls_while_the_table_is_away(held: int, timeout_s: int, away_min: int, begins_s: int) -> None:
    off = Outage(begins=timedelta(seconds=begins_s), lasts=away_min * MINUTE)
    lasts = off.begins + off.lasts + 4 * MINUTE
    held_through(Storm(held=held, heartbeat_timeout=timedelta(seconds=timeout_s), lasts=lasts), off)
