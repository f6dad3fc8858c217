"""What the verbs say, with a program of ours in place of the real one."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bare_clone import ROOT, bare, made_dry, typed

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "python3.9"
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
    return typed(ROOT, "make", *made, "synth", f"VENV={venv}")


def test_synth_passes_on_what_the_cdk_says_and_where_the_templates_are(tmp_path: Path) -> None:
    """But not its advertising."""
    done, said = synth(tmp_path, 0), CDK_SAYS.splitlines()
    assert (done.returncode, done.stderr.splitlines()) == (0, [said[0], said[-1]])
    assert done.stdout == "The templates are in cdk.out, one *.template.json for each stack.\n"


def test_a_synth_that_fails_says_why_and_fails(tmp_path: Path) -> None:
    done = synth(tmp_path, 3)
    assert (done.returncode, done.stdout) == (2, "")
    assert "mind this" in done.stderr


# From a bare clone


def test_the_app_of_the_cdk_names_the_virtual_environment_that_is_not_there(tmp_path: Path) -> None:
    app = json.loads((ROOT / "cdk.json").read_text())["app"]
    said = typed(bare(tmp_path), *shlex.split(app), VENV=".venv313")
    told = "There is no whole .venv313 here yet: run make setup, or name another one by VENV=.\n"
    assert (said.returncode, said.stdout, said.stderr) == (2, "", told)


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
    asked = "asked:\n\t@$(PYTHON) -c 'import sys; print(sys.dont_write_bytecode)'"
    words = (f"--eval={asked}", "asked", f"PYTHON={sys.executable}")
    done = typed(ROOT, "make", *words, PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout == "False\n", done.stderr


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_a_lock_file_that_cannot_be_written_fails_the_verb(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    program(clone / "build" / "lock" / "bin" / "pip", "")
    program(clone / "build" / "lock" / "bin" / "uv", 'case "$*" in *runtime.in*) exit 1;; esac')
    assert typed(clone, "make", "lock", "PYTHON=true").returncode == 2


@pytest.mark.parametrize(("lib", "said"), [(OTHER, ".venv --clear\n"), (OWN, ".venv\n"), (None, ".venv\n")])
def test_the_virtual_environment_of_another_python_is_made_anew(
    tmp_path: Path, lib: str | None, said: str
) -> None:
    """In one of two Pythons JSII_NODE would be two paths."""
    clone = bare(tmp_path)
    if lib is not None:
        (clone / ".venv" / "lib" / lib).mkdir(parents=True)
        (clone / ".venv" / ".ready").touch()
        os.utime(clone / ".venv" / ".ready", (0, 0))
    program(
        clone / "python", f'[ "$2" != venv ] && exec {sys.executable} "$@"\nshift 2; echo "$@" > said; exit 1'
    )
    assert typed(clone, "make", "setup", "PYTHON=./python").returncode == 2
    assert (clone / "said").read_text() == said


def test_an_environment_of_another_python_that_make_did_not_make_is_left_alone(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    mine = clone / "mine" / "lib" / "python3.9" / "my.py"
    mine.parent.mkdir(parents=True)
    mine.touch()
    done = typed(clone, "make", "setup", "VENV=mine", f"PYTHON={sys.executable}")
    assert done.returncode == 2
    assert "mine is an environment of another Python, and not of make" in done.stderr
    assert mine.exists()


@pytest.mark.parametrize("target", ["build/asset.ready", "build/release/template.json"])
@pytest.mark.parametrize("changed", ["infra/usher_cdk/models.py", "usher_hooksfile/load.py"])
def test_what_is_uploaded_is_built_anew_where_what_builds_it_changed(
    tmp_path: Path, target: str, changed: str
) -> None:
    clone = bare(tmp_path)
    for made in (".venv/.ready", target):
        (clone / made).parent.mkdir(parents=True, exist_ok=True)
        (clone / made).touch()
    assert typed(clone, "make", "--question", target).returncode == 0
    assert typed(clone, "make", "--question", f"--what-if={changed}", target).returncode == 1
