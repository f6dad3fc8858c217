"""Held against reality: what was recorded of AWS, done again to the simulator, is answered as AWS did.

Twice: from the tables in `events/recorded`, and from the captures that these were made of, which are no part
of this repository. What was not recorded and must have been stands in the tables, with its times: from the
causes of the recorded activities, and from what is known of the recordings.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.recorded import CAPTURES, NAMES, TABLES
from tests.simulation.reality import Found, Rerun, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded import Recorded


@cache
def rerun(source: Callable[[str], Recorded], name: str) -> Found:
    return Rerun(source(name)).run()


@pytest.mark.parametrize("name", NAMES)
def test_the_simulator_answers_as_aws_did_but_for_the_named_differences(
    source: Callable[[str], Recorded], name: str
) -> None:
    assert rerun(source, name).differences == list(source(name).differences)


def test_the_figures_that_the_documentation_states(source: Callable[[str], Recorded]) -> None:
    recorded = [source(name) for name in NAMES]
    found = [rerun(source, name) for name in NAMES]
    assert sum(one.matched_calls for one in found) == 67
    assert sum(one.matched_events for one in found) == 30
    assert sum(len(one.differences) for one in found) == 5
    assert sum(one.prelude_calls for one in found) == 26
    assert sum(one.queue_calls for one in found) == 2
    assert sum(call.answer is not None for one in recorded for call in one.calls) == 70
    assert sum(len(one.heard) for one in recorded) == 30
    assert sum(call.lag > timedelta() for one in recorded for call in one.calls) == 2


@pytest.mark.parametrize("name", ["lifecycle_main", "retention"])
def test_a_read_that_lagged_is_told_where_its_lag_is_not_scripted(
    source: Callable[[str], Recorded], name: str
) -> None:
    recorded = source(name)
    prompt = replace(recorded, calls=[replace(call, lag=timedelta()) for call in recorded.calls])
    told = set(Rerun(prompt).run().differences) - set(recorded.differences)
    assert {difference.split(".")[0] for difference in told} == {
        call.label for call in recorded.calls if call.lag
    }


def test_a_step_that_is_left_out_is_told_by_calls_and_by_events(source: Callable[[str], Recorded]) -> None:
    recorded = source("lifecycle_recovery")
    calls = [call for call in recorded.calls if call.operation != "DeleteAutoScalingGroup"]
    told = Rerun(replace(recorded, calls=calls)).run().differences
    assert [one for one in told if one.startswith("call 1.")]
    assert [one for one in told if one.startswith("recorded only: EC2 Instance Terminate Successful")]


# Ids, tokens, accounts and times of day, whatever they stand in.
_WORDS: Final = re.compile(r"[0-9a-f][0-9a-f-]{10,}[0-9a-f]|\d{4}-\d\d-\d\dT[\d:.]+")
_INVENTED: Final = re.compile(r"0{15}\d\d|00000000-0000-4000-8000-0{9}\d{3}|111122223333")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_invented_ids_alone_and_no_time_of_day(name: str) -> None:
    words = set(_WORDS.findall((TABLES / f"{name}.json").read_text()))
    assert words
    assert not [word for word in words if not _INVENTED.fullmatch(word)]
    captured = "".join(file.read_text() for file in CAPTURES.glob("*.jsonl"))
    assert not [word for word in words if word in captured]


def test_no_capture_lacks_its_table() -> None:
    assert {file.name.partition(".")[0] for file in CAPTURES.glob("*.jsonl")} <= set(NAMES)
    assert len(NAMES) == 6


SOON, LATE = "2026-09-27T05:00:01Z", "2026-09-27T05:00:09Z"


@pytest.mark.parametrize(
    ("recorded", "simulated", "told"),
    [
        pytest.param({"Progress": 60}, {"Progress": 60, "More": 1}, [], id="what was not recorded is free"),
        pytest.param({"Progress": 60}, {}, ["x.Progress: 60 recorded, None simulated"], id="a lost member"),
        pytest.param({"ActivityId": "a"}, {"ActivityId": "b"}, [], id="an id of the account"),
        pytest.param({"time": "2026-09-27T05:00:00Z"}, {"time": SOON}, [], id="a time within the tolerance"),
        pytest.param(
            {"time": SOON},
            {"time": LATE},
            [f"x.time: {SOON} recorded, {LATE} simulated"],
            id="a time beyond it",
        ),
        pytest.param({"Cause": f"At {SOON} so."}, {"Cause": f"At {LATE} so."}, [], id="the time in a cause"),
        pytest.param(
            {"Cause": f"At {SOON} so."},
            {"Cause": f"At {SOON} no."},
            ["x.Cause: another text"],
            id="another cause",
        ),
        pytest.param(
            [{"InstanceId": "a"}, {"InstanceId": "b"}],
            [{"InstanceId": "b"}, {"InstanceId": "a"}],
            [],
            id="instances in any order",
        ),
        pytest.param(
            ["a", "b"], ["b"], ["x: 2 recorded, 1 simulated", "x.1: 'a' recorded, 'b' simulated"], id="a list"
        ),
    ],
)
def test_the_comparison_tells_what_is_unlike(recorded: Any, simulated: Any, told: list[str]) -> None:
    assert list(differences(recorded, simulated, "x")) == told
