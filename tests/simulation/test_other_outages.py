"""What else of AWS may be away, and which hooks are held then. The judge is the service's own log."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.outages import BEGINS, counted, fallen, hooks_file, outage, waits_of
from usher.core.action import Outcome
from usher_simulator.trials import trial
from usher_simulator.trials.faults import How, Part

TWO_HOURS = timedelta(hours=2)
TEN_MINUTES = timedelta(minutes=10)
A_LOOK = timedelta(seconds=5)  # what runs out within it nobody can hold, either


@pytest.mark.parametrize(
    ("parts", "timeout"),
    [
        pytest.param([Part.QUEUES], "5m", id="SQS takes no message: the sweep beats hooks of five minutes"),
        pytest.param(
            [Part.QUEUES, How.UNREACHED],
            "5m",
            id="SQS is not reached: each send takes its time",
            marks=pytest.mark.large,
        ),
        pytest.param(
            [Part.STORE, How.DENIED],
            "1h",
            id="the table says no: the sweep beats what waits",
            marks=pytest.mark.large,
        ),
        pytest.param([Part.ASKED], "30s", id="no condition is answered: unknown is not done"),
        pytest.param(
            [Part.ASKED, Part.STORE], "30s", id="nor does the table answer", marks=pytest.mark.large
        ),
        pytest.param([Part.SWEEP], "16m", id="the schedule is silent: they reach 16 minutes"),
        pytest.param([Part.WAKE], "16m", id="wake is throttled: the sweep evaluates, and beats"),
        pytest.param(
            [Part.STORE, Part.SWEEP],
            "16m",
            id="no table, no schedule: wake-ups go on alone",
            marks=pytest.mark.large,
        ),
        pytest.param([Part.STORE, Part.QUEUES], "1h", id="no table, no queue: the sweep beats what waits"),
    ],
)
def test_two_hours_are_held(parts: list[Part | How], timeout: str) -> None:
    count = counted(timeout, parts, TWO_HOURS, seeds=[3])
    assert (count.held > 0, count.defaulted) == (True, 0)


def test_what_outlives_ten_minutes_without_auto_scaling_is_held() -> None:
    """Throttled or down, nobody can hold anything: what falls is told, and nothing else falls."""
    policy: dict[str, object] = {"until": [{"signal": "done"}], "give_up_after": "4h"}
    since, until = trial.START + BEGINS, trial.START + BEGINS + TEN_MINUTES
    fell = []
    for seed in (1, 3, 7):
        run = outage(seed, hooks_file("16m", policy), [Part.AUTO_SCALING], BEGINS, TEN_MINUTES)
        outcome = run.run()
        assert list(outcome.violations) == []
        waits = {wait.token: wait for wait in waits_of(run)}
        for token in fallen(list(waits.values())):
            fell.append(token)
            assert since < (waits[token].ended_at or since) <= until + A_LOOK
            action = run.usher.memory.of_token(token)
            assert action is not None
            assert action.outcome is Outcome.DEFAULTED
    assert fell, "an outage that costs nothing shows nothing"
