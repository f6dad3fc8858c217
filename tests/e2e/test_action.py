"""The GitHub Action: each step of action.yml, run by bash as GitHub runs it, in repositories of git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from make_dist import copy_source
from tests.bare_clone import ROOT
from tests.e2e.distributions import linked
from tests.e2e.repositories import commit, git

if TYPE_CHECKING:
    from pathlib import Path

ACTION: Final = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: Final[dict[str, dict[str, Any]]] = {
    step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step
}
OF_SETUP_PYTHON: Final = {"steps.python.outputs.python-path": sys.executable}
WHAT_IF: Final = ROOT / "events" / "what-if"
OLD, NEW, TRAFFIC = ((WHAT_IF / name).read_text() for name in ("old.yaml", "new.yaml", "traffic.jsonl"))
HEADING: Final = "### What `hooks.yaml` would have done differently\n\n"


class Runner:
    """A machine of GitHub's, with somebody's pull request checked out as actions/checkout does it."""

    def __init__(self, folder: Path, base: dict[str, str], head: dict[str, str], temporary: Path) -> None:
        origin, self.folder, self.summary = folder / "origin", folder / "work", folder / "summary.md"
        origin.mkdir()
        self.base = commit(origin, base)
        commit(origin, head)
        git(folder, "clone", "--quiet", "--depth=1", origin.as_uri(), str(self.folder))
        self.summary.touch()
        self._temporary = temporary

    def run(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """A step, with some inputs other than by default."""
        of_github = {"github.event.pull_request.base.sha": self.base}
        defaults = {key: filled(each["default"], of_github) for key, each in ACTION["inputs"].items()}
        given = {key.replace("_", "-"): value for key, value in inputs.items()}
        known = OF_SETUP_PYTHON | {f"inputs.{key}": value for key, value in (defaults | given).items()}
        step = STEPS[name]
        return run(step, self.folder, self._temporary, self.summary, known)

    def replay(self, **inputs: str) -> str:
        """What the summary says after the last step."""
        done = self.run("Replay the captured traffic", **{"traffic": "traffic.jsonl", **inputs})
        assert done.returncode == 0, done.stdout + done.stderr
        return self.summary.read_text()


def filled(text: str, known: dict[str, str]) -> str:
    """With GitHub's expressions replaced."""
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], text)


def run(
    step: dict[str, Any], folder: Path, temporary: Path, summary: Path, known: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    assert step["shell"] == "bash"
    assert "${{" not in step["run"], "an input is no program"
    script = temporary / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    environment = {
        "HOME": str(temporary),
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(temporary),
        "GITHUB_ACTION_PATH": str(temporary / "action"),
        "GITHUB_STEP_SUMMARY": str(summary),
        "PYTHONPATH": str(temporary / "packages"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # so pip spells that it builds with what is there
        **{name: filled(text, known) for name, text in step.get("env", {}).items()},
    }
    bash = [str(shutil.which("bash")), "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return subprocess.run(  # noqa: S603 - our own words
        bash, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's folder, after the step that installs Usher; pip finds there what an index would have."""
    folder = tmp_path_factory.mktemp("temporary")
    (folder / "action").mkdir()
    copy_source(folder / "action")
    linked(
        folder / "packages", ["click", "PyYAML", "rich", "aws-lambda-powertools", "botocore", "setuptools"]
    )
    done = run(STEPS["Install Usher"], folder, folder, folder / "none", OF_SETUP_PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def runner(tmp_path: Path, temporary: Path) -> Runner:
    return Runner(tmp_path, {"hooks.yaml": OLD}, {"hooks.yaml": NEW, "traffic.jsonl": TRAFFIC}, temporary)


def test_each_step_that_is_a_program_is_run_here() -> None:
    assert list(STEPS) == ["Install Usher", "Check the hooks file", "Replay the captured traffic"]
    assert len(ACTION["runs"]["steps"]) == len(STEPS) + 1, "and actions/setup-python"


def test_the_other_steps_of_the_job_keep_their_python() -> None:
    (step,) = [step for step in ACTION["runs"]["steps"] if "setup-python" in step.get("uses", "")]
    assert (step["id"], step["with"]["update-environment"]) == ("python", False)


def test_a_valid_file_passes_and_an_invalid_one_fails_with_its_line(runner: Runner) -> None:
    done = runner.run("Check the hooks file")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hooks.yaml is valid." in done.stdout

    (runner.folder / "-odd.yaml").write_text(NEW.replace("transition: terminating", "transition: ending"))
    done = runner.run("Check the hooks file", file="-odd.yaml")
    assert done.returncode == 2
    assert re.search(r"^-odd\.yaml:\d+: ", done.stderr, re.MULTILINE)


def test_what_differs_from_the_base_is_the_summary_and_does_not_fail_the_job(runner: Runner) -> None:
    summary = runner.replay()
    assert summary.startswith(
        f"{HEADING}4 actions: 3 differ, **2 of them in the result**.\n\n| instance | hook |"
    )
    assert "| i-00000000000000002 | drain | result | completed CONTINUE | completed ABANDON |\n" in summary


def test_the_inputs_reach_the_replay(runner: Runner) -> None:
    assert "Assumed by --work-done outcome" in runner.replay(work_done="outcome")


@pytest.mark.parametrize("inputs", [{"traffic": ""}, {"base": ""}], ids=lambda inputs: next(iter(inputs)))
def test_without_traffic_or_a_base_nothing_is_replayed(runner: Runner, inputs: dict[str, str]) -> None:
    assert runner.replay(**inputs) == ""


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ({"README.md": ""}, "The file is new: there is nothing to compare it with.\n"),
        ({"hooks.yaml": "version: 0\n"}, "The earlier file is invalid: there is nothing to compare with.\n"),
    ],
    ids=["new", "repaired"],
)
def test_a_file_with_nothing_to_compare_with_passes(
    base: dict[str, str], said: str, tmp_path: Path, temporary: Path
) -> None:
    head = {"hooks.yaml": NEW, "traffic.jsonl": TRAFFIC}
    assert Runner(tmp_path, base, head, temporary).replay() == HEADING + said


def test_a_file_in_a_folder_is_compared_with_itself_in_that_folder(tmp_path: Path, temporary: Path) -> None:
    base, head = {"a/hooks.yaml": OLD}, {"a/hooks.yaml": NEW, "traffic.jsonl": TRAFFIC}
    assert "3 differ" in Runner(tmp_path, base, head, temporary).replay(file="a/hooks.yaml")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"base": "0" * 40}, "cannot be fetched: check out with fetch-depth: 0."),
        ({"traffic": "none.jsonl"}, "none.jsonl"),
    ],
    ids=["no such commit", "no such traffic"],
)
def test_what_is_configured_wrongly_fails_the_job(runner: Runner, inputs: dict[str, str], said: str) -> None:
    done = runner.run("Replay the captured traffic", **{"traffic": "traffic.jsonl", **inputs})
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("replay", "status"),
    [
        ("echo table", 0),
        ("echo table; exit 1", 0),
        ("echo table; exit 3", 0),
        ("exit 1", 1),
        ("exit 2", 2),
        ("echo half; kill -KILL $$", 137),
    ],
    ids=["the same", "default results", "a difference", "traceback", "usage", "killed"],
)
def test_a_replay_that_told_of_the_traffic_passes_and_one_that_broke_fails_the_job(
    replay: str, status: int, tmp_path: Path
) -> None:
    usher = tmp_path / "usher" / "bin" / "usher"
    usher.parent.mkdir(parents=True)
    usher.write_text(f'#!/bin/sh\n[ "$1" = replay ] || exit 0\n{replay}\n')
    usher.chmod(0o755)
    runner = Runner(tmp_path, {"hooks.yaml": OLD}, {"hooks.yaml": NEW}, tmp_path)
    assert runner.run("Replay the captured traffic", traffic="traffic.jsonl").returncode == status
