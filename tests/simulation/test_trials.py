"""Trials: Usher's production code against drawn worlds and faults, a checker for every promise."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from usher.core import closing
from usher.core.action import Outcome
from usher.evaluation.sender import Sender
from usher.ports.autoscaling import AnswerKind
from usher_simulator.trials import simulate
from usher_simulator.trials.deployed import INTAKE, WAKE, Deployed
from usher_simulator.trials.faults import Thing
from usher_simulator.trials.scenario import LEAST_ACTIONS
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from usher.core.action import Action
    from usher.ports.autoscaling import Answer

SEEDS = 5  # of `make simulate`, which runs 300 and more; most planted bugs are caught by then
SEEDS_AT_LARGE = 50
AT_ONCE = 5
TEMPLATE = Path(__file__).parents[1] / "infra" / "golden" / "Usher.json"


@pytest.mark.parametrize(
    "first",
    [
        *range(1, SEEDS, AT_ONCE),
        *(
            pytest.param(first, marks=pytest.mark.large)
            for first in range(SEEDS + 1, SEEDS_AT_LARGE, AT_ONCE)
        ),
    ],
    ids=lambda first: f"from {first}",
)
def test_no_promise_is_broken_whatever_goes_wrong(first: int) -> None:
    broken = {}
    for seed in range(first, first + AT_ONCE):
        outcome = Trial(seed).run()
        is_less = Thing.REMOVED in outcome.swarm or "deploy: hook taken out" in outcome.happened
        assert outcome.actions >= LEAST_ACTIONS / 2 or is_less
        if outcome.violations:
            broken[seed] = [str(violation) for violation in outcome.violations]
    assert broken == {}


@pytest.mark.parametrize(
    "seed", [166, 263, *(pytest.param(seed, marks=pytest.mark.large) for seed in (169, 226))]
)
def test_no_promise_is_broken_where_hooks_files_are_applied_at_run_time(seed: int) -> None:
    outcome = Trial(seed).run()
    assert "apply" in outcome.happened
    assert "apply: rolled back" in outcome.happened
    assert [str(violation) for violation in outcome.violations] == []


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(
            79, id="no limit counts the result of an instance that is stopped", marks=pytest.mark.large
        ),
        pytest.param(271, id="a removal that asks each second for a minute", marks=pytest.mark.large),
        pytest.param(311, id="a hook on its way out for want of a tag keeps its terms"),
        pytest.param(
            343, id="a launch that others completed while Usher was paused", marks=pytest.mark.large
        ),
        pytest.param(
            1355, id="a heartbeat that is cut off twice, and no wake-up in between", marks=pytest.mark.large
        ),
        pytest.param(1454, id="a result that no limit had room for counts on none", marks=pytest.mark.large),
        pytest.param(
            1498, id="a wake-up that comes before its time by another clock", marks=pytest.mark.large
        ),
        pytest.param(746, id="an end that is stored after an evaluation has read what was heard"),
        pytest.param(846, id="a wait that was adopted long after it began"),
        pytest.param(1211, id="a table is restored when its stack is gone"),
        pytest.param(
            1364, id="questions that are cut off before they have read the record", marks=pytest.mark.large
        ),
        pytest.param(
            1610, id="a record that is open while its instance waits in a later hook", marks=pytest.mark.large
        ),
        pytest.param(3875, id="a notice that comes late to a removed Usher stays open in its table"),
    ],
)
def test_the_judge_claims_nothing_that_usher_could_not_know(seed: int) -> None:
    assert [str(violation) for violation in Trial(seed).run().violations] == []


def test_a_record_that_is_closed_while_it_waits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever believes the record finds nothing: it says that others ended it, and nobody looks again."""
    as_it_is = Sender._after_failure  # noqa: SLF001 - a bug is planted here

    def closed_when_busy(self: Sender, action: Action, answer: Answer, now: datetime) -> Action:
        if answer.kind is AnswerKind.BUSY:
            return closing.closed(action, Outcome.ENDED_ELSEWHERE, "busy", now)
        return as_it_is(self, action, answer, now)

    monkeypatch.setattr(Sender, "_after_failure", closed_when_busy)
    assert any("busy" in violation.text for violation in Trial(9).run().violations)


def test_the_same_seed_gives_the_same_trace_to_the_byte_and_a_trace_changes_nothing_of_what_happens() -> None:
    silent, first, second = Trial(7).run(), Trial(7, tells=True).run(), Trial(7, tells=True).run()
    assert (first.digest, len(first.trace)) == (second.digest, len(second.trace))
    assert len(first.trace) > 100
    assert (silent.evaluations, silent.actions, silent.faults) == (
        first.evaluations,
        first.actions,
        first.faults,
    )


def test_the_command_ends_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code = simulate.main(["--seeds", "1", "--from", "7"])
    assert (code, capsys.readouterr().out.splitlines()[-1]) == (0, "1 seeds from 7: no violation")


def test_ctrl_c_leaves_a_verdict_on_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> Iterator[simulate.Timed]:
        yield simulate.run(7)
        raise KeyboardInterrupt

    code = simulate.tell(interrupted(), 7)
    assert (code, capsys.readouterr().out.splitlines()[-1]) == (130, "1 seeds from 7: no violation")


@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
@pytest.mark.parametrize("text", ["0", "-1", "x"])
def test_no_verdict_is_given_on_no_trial(capsys: pytest.CaptureFixture[str], option: str, text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        simulate.main([f"{option}={text}"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.endswith(f"error: argument {option}: must be a whole number from 1 on, got {text}\n")


@pytest.mark.parametrize(
    ("settings", "queue"),
    [pytest.param(INTAKE, "Inbox", id="intake"), pytest.param(WAKE, "WakeUps", id="wake")],
)
def test_functions_and_queues_have_the_settings_that_are_deployed(settings: Deployed, queue: str) -> None:
    resources = json.loads(TEMPLATE.read_text(encoding="utf-8"))["Resources"]

    def the(kind: str, name: str) -> dict[str, Any]:
        (found,) = [
            one["Properties"]
            for key, one in resources.items()
            if one["Type"] == kind and re.match(name, key) and "DeadLetters" not in key
        ]
        return dict(found)

    function = settings.function.capitalize()
    queued = the("AWS::SQS::Queue", queue)
    mapped = the("AWS::Lambda::EventSourceMapping", f"{function}.*{queue}")
    runs = the("AWS::Lambda::Function", function)
    assert timedelta(seconds=queued["VisibilityTimeout"]) == settings.visibility_timeout
    assert queued["RedrivePolicy"]["maxReceiveCount"] == settings.most_receives
    assert mapped["BatchSize"] == settings.batch_size
    assert mapped["ScalingConfig"]["MaximumConcurrency"] == settings.most_at_once
    assert timedelta(seconds=runs["Timeout"]) == settings.timeout
    assert (runs["RecursiveLoop"] == "Allow") == settings.feeds_itself
