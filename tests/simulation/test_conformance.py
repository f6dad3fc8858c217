"""The conformance scenarios, run on simulated Auto Scaling; and the runner, which must tell a difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from usher_simulator.conformance.__main__ import main
from usher_simulator.conformance.endpoints import InProcess
from usher_simulator.conformance.runner import run
from usher_simulator.conformance.scenarios import InvalidScenario, load
from usher_simulator.spans import span_of

if TYPE_CHECKING:
    from usher_simulator.conformance.scenarios import Scenario

FOLDER: Final = Path(__file__).parents[2] / "conformance" / "scenarios"
SCENARIOS: Final = load(FOLDER)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.file}: {scenario.name}")
def test_the_simulator_agrees(scenario: Scenario) -> None:
    outcome = run(scenario, InProcess())
    assert (outcome.status, outcome.why) == ("agrees", "")


def test_there_are_sixty_scenarios_and_each_has_a_source() -> None:
    assert len(SCENARIOS) >= 60
    assert all(len(scenario.source) > 10 for scenario in SCENARIOS)


def test_moto_s_own_tests_are_said_again_but_for_those_that_are_named() -> None:
    of_moto = yaml.safe_load((FOLDER.parent / "moto.yaml").read_text(encoding="utf-8"))
    said = [one for tests in of_moto.values() for one in tests.values()]
    absent = [one["absent"] for one in said if isinstance(one, dict)]
    assert {one for one in said if isinstance(one, str)} <= {scenario.name for scenario in SCENARIOS}
    assert (len(said), len(absent)) == (43, 2)


GROUP: Final = """
scenarios:
  - name: one
    source: nobody says so
    steps:
      - call: CreateAutoScalingGroup
        with:
          AutoScalingGroupName: ${group}
          MinSize: 0
          MaxSize: 1
          DesiredCapacity: 1
          LaunchTemplate: {LaunchTemplateName: any}
          AvailabilityZones: [us-east-1a]
"""


def outcome_of(folder: Path, steps: str) -> str:
    (folder / "x.yaml").write_text(GROUP + steps, encoding="utf-8")
    (scenario,) = load(folder)
    return run(scenario, InProcess()).why


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("", ""),
        (
            "      - {call: DescribeAutoScalingGroups, answer: {AutoScalingGroups: [{MaxSize: 2}]}}",
            "step 2, DescribeAutoScalingGroups: AutoScalingGroups[0].MaxSize: expected 2, got 1",
        ),
        (
            "      - {call: DescribeAutoScalingGroups, answer: {AutoScalingGroups: []}}",
            "step 2, DescribeAutoScalingGroups: AutoScalingGroups: expected 0 elements, got [",
        ),
        (
            "      - {call: DescribeAutoScalingGroups, answer: {AutoScalingGroups: [{Status: <any>}]}}",
            "step 2, DescribeAutoScalingGroups: AutoScalingGroups[0].Status: expected '<any>', got nothing",
        ),
        (
            "      - {call: DescribeAutoScalingGroups, answer: {AutoScalingGroups: [{MinSize: <none>}]}}",
            "step 2, DescribeAutoScalingGroups: AutoScalingGroups[0].MinSize: expected nothing, got 0",
        ),
        (
            "      - {call: DescribeLifecycleHookTypes, answer: {LifecycleHookTypes: ['/^no/', <any>]}}",
            "step 2, DescribeLifecycleHookTypes: LifecycleHookTypes[0]: expected '/^no/', got 'auto",
        ),
        (
            "      - {call: SuspendProcesses, with: {AutoScalingGroupName: '${group}'}, error: {code: X}}",
            "step 2, SuspendProcesses: expected X, got an answer",
        ),
        (
            "      - {call: SuspendProcesses, with: {AutoScalingGroupName: other}}",
            "step 2, SuspendProcesses: expected an answer, got ValidationError: ",
        ),
        (
            "      - {call: SuspendProcesses, with: {AutoScalingGroupName: other}, error: {code: Other}}",
            "step 2, SuspendProcesses: error.Code: expected 'Other', got 'ValidationError'",
        ),
        (
            "      - {call: DescribeTags, with: {NextToken: '${never_kept}'}}",
            "step 2, DescribeTags: nothing was kept as 'never_kept'",
        ),
        ("      - advance: 5s\n      - events: []", "step 3, told: events: expected 0 elements, got ["),
        (
            "      - advance: 1s\n      - {call: DescribeAutoScalingGroups, within: 3s, answer: {X: 1}}",
            "step 3, DescribeAutoScalingGroups: X: expected 1, got nothing",
        ),
    ],
)
def test_a_difference_is_told_with_its_step_and_place(tmp_path: Path, steps: str, why: str) -> None:
    assert outcome_of(tmp_path, steps).startswith(why)
    assert bool(outcome_of(tmp_path, steps)) == bool(why)


@pytest.mark.parametrize(
    ("name", "why"), [("x-${n}", ""), ("x", "step 2, CreateAutoScalingGroup: expected an")]
)
def test_a_call_may_be_made_several_times_and_counts(tmp_path: Path, name: str, why: str) -> None:
    sizes = (
        "MinSize: 0, MaxSize: 0, LaunchTemplate: {LaunchTemplateName: any}, AvailabilityZones: [us-east-1a]"
    )
    call = f"{{call: CreateAutoScalingGroup, times: 2, with: {{AutoScalingGroupName: '{name}', {sizes}}}}}"
    assert outcome_of(tmp_path, f"      - {call}").startswith(why)
    assert bool(outcome_of(tmp_path, f"      - {call}")) == bool(why)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("scenarios: [{name: x, source: y}]", "x: a scenario must have a source and steps"),
        ("scenarios: [{source: y}]", "a scenario must have a name"),
        ("scenarios: [{name: x, source: y, steps: [{cal: Z}]}]", "x: no step is called cal"),
        ("scenarios: [{name: x, source: y, steps: [{call: Z, wth: {}}]}]", "x: unknown key wth"),
        ("scenarios: [{name: x, source: y, needs: [moon], steps: [{call: Z}]}]", "x: needs must be of clock"),
        ("scenarios: [{name: x, source: y, steps: [{advance: soon}]}]", "x: 'soon' is no span of time"),
        (
            "scenarios: [&x {name: x, source: y, steps: [{call: Z}]}, *x]",
            "x: two scenarios have this name",
        ),
    ],
)
def test_a_file_that_breaks_the_format_is_refused(tmp_path: Path, written: str, why: str) -> None:
    (tmp_path / "x.yaml").write_text(written, encoding="utf-8")
    with pytest.raises(InvalidScenario, match=why):
        load(tmp_path)


def test_a_span_may_have_several_units() -> None:
    assert span_of("1h30m").total_seconds() == 5400
    assert span_of("200ms").total_seconds() == 0.2


@pytest.mark.parametrize(
    ("steps", "code", "printed"),
    [
        ("", 0, "agrees    one\n1 scenarios: 1 agrees\n"),
        ("      - {call: DescribeTags, answer: {Tags: [x]}}", 1, "differs   one: step 2, DescribeTags: Tags"),
    ],
)
def test_the_command_says_what_agrees_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: str, code: int, printed: str
) -> None:
    (tmp_path / "x.yaml").write_text(GROUP + steps, encoding="utf-8")
    assert main(["--scenarios", str(tmp_path)]) == code
    assert capsys.readouterr().out.startswith(printed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--endpoint", "nonsense"], "argument --endpoint: must be a URL such as http://127.0.0.1:8090"),
        (["--endpoint", "http://127.0.0.1:1"], "Could not connect to the endpoint URL"),
        (["--endpoint", "http://127.0.0.1:1", "--clock", "x"], "argument --clock: must be a URL"),
    ],
)
def test_an_endpoint_that_is_not_there_is_wrong_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(["--scenarios", str(FOLDER), *arguments])
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr()
    assert (code, said in told.err, told.out) == (2, True, "")


def test_a_folder_without_scenarios_is_wrong_usage(tmp_path: Path, capsys: Any) -> None:
    assert main(["--scenarios", str(tmp_path)]) == 2
    assert "Name their folder with --scenarios" in capsys.readouterr().err
