"""What GitHub and pre-commit read of this repository; for GitHub by the schemas that are published."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema.cli import main as check_jsonschema
from click.testing import CliRunner

from tests.bare_clone import ROOT, typed
from usher_cdk.python import WANTED

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
FORMS = [file for file in sorted((GITHUB / "ISSUE_TEMPLATE").iterdir()) if file.name != "config.yml"]
SCHEMAS = [
    *[(file, "github-workflows") for file in WORKFLOWS],
    *[(file, "github-issue-forms") for file in FORMS],
    (GITHUB / "ISSUE_TEMPLATE" / "config.yml", "github-issue-config"),
    (GITHUB / "dependabot.yml", "dependabot"),
    (ROOT / "action.yml", "github-actions"),
]
VERBS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def complaints(file: Path, schema: str) -> str:
    """What the schema, as its package brings it, has against the file."""
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", f"vendor.{schema}", str(file)])
    return "" if done.exit_code == 0 else done.output


@pytest.mark.parametrize(("file", "schema"), [pytest.param(*pair, id=pair[0].name) for pair in SCHEMAS])
def test_a_file_for_github_is_valid_by_its_published_schema(file: Path, schema: str) -> None:
    assert complaints(file, schema) == ""


def test_the_schema_complains_of_a_workflow_without_jobs(tmp_path: Path) -> None:
    file = tmp_path / "ci.yml"
    file.write_text("on: push\n", encoding="utf-8")

    assert "jobs" in complaints(file, "github-workflows")


def read(workflow: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / workflow).read_text(encoding="utf-8"))
    return document


def test_every_python_from_the_oldest_on_runs_what_must_pass_before_a_change_lands() -> None:
    job = read("ci.yml")["jobs"]["test"]
    must_pass = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert must_pass in [step.get("run") for step in job["steps"]]


def test_every_python_finds_the_functions_own_too_so_that_what_is_released_is_tested() -> None:
    (versions,) = [
        step["with"]["python-version"]
        for step in read("ci.yml")["jobs"]["test"]["steps"]
        if "setup-python" in step.get("uses", "")
    ]

    assert versions.split("\n") == [WANTED, "${{ matrix.python }}", ""], "the last one is python3"


def test_the_workflows_run_verbs_that_exist() -> None:
    text = (GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8")
    verbs = {
        *re.findall(r"run: make ([a-z-]+)", text),
        *read("ci.yml")["jobs"]["other-suites"]["strategy"]["matrix"]["verb"],
    }

    assert verbs == {"check", "test", "test-large", "test-report", "test-console", "test-sam"}
    assert verbs <= VERBS


def test_a_tag_that_is_not_the_version_is_never_built() -> None:
    *before, make_dist = [step for step in read("release.yml")["jobs"]["build"]["steps"] if "run" in step]
    (check,) = before
    assert make_dist["run"] == "make dist"
    assert check["env"] == {"TAG": "${{ github.ref_name }}"}

    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    ends = {
        tag: typed(ROOT, "bash", "-ec", check["run"], TAG=tag, PATH=path).returncode
        for tag in (f"v{version}", version, f"v{version}1", "v9.9.9")
    }
    assert ends == {f"v{version}": 0, version: 1, f"v{version}1": 1, "v9.9.9": 1}


@pytest.mark.parametrize(
    "file", [pytest.param(file, id=file.name) for file in (*WORKFLOWS, ROOT / "action.yml")]
)
def test_an_action_is_pinned_by_its_commit_and_names_its_release(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)


CHECKS = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")


def shown(beginning: str) -> str:
    """The block of YAML on that page which begins so."""
    (block,) = [
        each for each in re.findall(r"```yaml\n(.*?)```", CHECKS, re.DOTALL) if each.startswith(beginning)
    ]
    return str(block)


def test_the_workflow_that_the_page_on_checks_shows_is_valid_and_pinned_as_ours(tmp_path: Path) -> None:
    file = tmp_path / "usher.yml"
    file.write_text(shown("on:"), encoding="utf-8")
    (checkout,) = re.findall(r"uses: actions/checkout@.*", file.read_text(encoding="utf-8"))

    assert complaints(file, "github-workflows") == ""
    assert checkout in (GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_the_page_on_checks_has_each_input_of_the_action() -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    (step,) = [step for step in yaml.safe_load(shown("on:"))["jobs"]["usher"]["steps"] if "with" in step]

    assert re.findall(r"^\| `([\w-]+)` \|", CHECKS, re.MULTILINE) == list(inputs)
    assert step["with"].keys() <= inputs.keys()


def test_the_configuration_of_pre_commit_that_the_page_shows_names_a_hook_that_exists() -> None:
    (repository,) = yaml.safe_load(shown("repos:"))["repos"]
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))

    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in offered]


def test_the_hooks_of_git_call_only_what_this_repository_has() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    required = (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8")

    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program, argument, *_ = hook["entry"].split()
        known = (
            argument in VERBS
            if program == "make"
            else (name := program.removeprefix(".venv/bin/")) in scripts
        )
        assert known or f"\n{name}==" in required, hook["id"]
        assert hook["language"] == "system"
