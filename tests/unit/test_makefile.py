"""What the verbs say, with a program of ours in place of the real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bare_clone import bare, made_dry, typed

ROOT = Path(__file__).parents[2]
CDK_SAYS = """\
Successfully synthesized to /somewhere/cdk.out
Supply a stack id (Usher, UsherDemo) to display its template.
84 feature flags are not configured. Run 'cdk flags --unstable=flags' to learn more.
[Warning at /Usher/Table] mind this
"""


def synth(venv: Path, status: int) -> subprocess.CompletedProcess[str]:
    """`make synth`, where the CDK says what it says, and ends with that status."""
    (venv / "bin").mkdir()
    (venv / "bin" / "node").write_text(f"#!/bin/sh\ncat <<'END' >&2\n{CDK_SAYS}END\nexit {status}\n")
    (venv / "bin" / "node").chmod(0o755)
    made = [f"--old-file={file}" for file in (venv / ".ready", "node_modules/.ready")]
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(  # noqa: S603 - our own Makefile
        [make, *made, "synth", f"VENV={venv}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        check=False,
        text=True,
    )


def test_synth_ends_by_saying_where_the_templates_are(tmp_path: Path) -> None:
    done = synth(tmp_path, 0)
    assert (done.returncode, done.stdout) == (
        0,
        "The templates are in cdk.out, one *.template.json for each stack.\n",
    )


def test_synth_passes_on_what_the_cdk_says_but_its_advertising(tmp_path: Path) -> None:
    said = synth(tmp_path, 0).stderr.splitlines()
    assert said == [CDK_SAYS.splitlines()[0], CDK_SAYS.splitlines()[-1]]


def test_a_synth_that_fails_says_why_and_fails(tmp_path: Path) -> None:
    done = synth(tmp_path, 3)
    assert (done.returncode, done.stdout) == (2, "")
    assert "mind this" in done.stderr


# From a bare clone


@pytest.mark.parametrize(("venv", "named"), [(None, ".venv"), (".venv313", ".venv313")])
def test_the_app_of_the_cdk_says_what_to_do_where_there_is_no_virtual_environment(
    tmp_path: Path, venv: str | None, named: str
) -> None:
    app = json.loads((ROOT / "cdk.json").read_text())["app"]
    said = subprocess.run(  # noqa: S602 - as the CDK starts it
        app,
        shell=True,
        cwd=bare(tmp_path),
        env={"PATH": os.environ["PATH"], **({"VENV": venv} if venv else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert (
        said.stderr == f"There is no whole {named} here yet: run make setup, or name another one by VENV=.\n"
    )


def test_the_app_of_the_cdk_says_so_too_where_a_set_up_was_cut_off(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    said = typed(clone, "sh", "app.sh")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "There is no whole .venv here yet: run make setup, or name another one by VENV=.\n"


@pytest.mark.parametrize("verb", ["synth", "cdk", "sam", "demo", "local", "setup", "check"])
def test_another_virtual_environment_is_the_only_one_that_a_verb_speaks_of(tmp_path: Path, verb: str) -> None:
    done = made_dry(bare(tmp_path), verb, "VENV=.venv313")
    assert done.returncode == 0, done.stderr
    assert ".venv313/bin/" in done.stdout
    assert not re.search(r"\.venv(?!313)", done.stdout)


def test_whatever_the_shell_says_modules_stay_compiled() -> None:
    """Every process of the suite starts in a third of the time then."""
    make = shutil.which("make")
    assert make is not None
    asked = "asked:\n\t@$(PYTHON) -c 'import sys; print(sys.dont_write_bytecode)'"
    done = subprocess.run(  # noqa: S603 - our own Makefile
        [make, f"--eval={asked}", "asked", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout == "False\n", done.stderr
