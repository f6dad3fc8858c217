"""Each command of the README, as it stands, in a bare clone: it works, or says in one line what to do."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tests.bare_clone import ROOT, bare, made_dry, typed
from usher_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("make", "usher", "cdk", "npx", "sam", "aws")
NOT_OURS = ("export", "$EDITOR", ".", "pip")  # and of pip see tests/e2e/test_wheel.py
AFTER_SET_UP = "$ make setup && . .venv/bin/activate"
INSTALLED = "$ pip install 'dist/usher_hooks"


def commands() -> list[str]:
    """Those at a prompt, and those in the text; without what follows a # or goes to a file."""
    at_a_prompt = [
        (line, found.start())
        for found in re.finditer(r"^\$ (.*)$", README, re.MULTILINE)
        for line in [found[1]]
    ]
    in_the_text = [
        (found[1], found.start()) for found in re.finditer(rf"`((?:{'|'.join(PROGRAMS)}) [^`]*)`", README)
    ]
    lines = sorted([*at_a_prompt, *in_the_text], key=lambda one: one[1])
    parts = [re.split(r" && |; ", re.split(r"\s+#|\s+>", line)[0]) for line, _ in lines]
    return list(dict.fromkeys(part.strip() for line in parts for part in line))


def of(*programs: str) -> list[str]:
    return [command for command in commands() if command.split()[0] in programs]


def test_every_command_of_the_readme_is_walked() -> None:
    assert {command.split()[0] for command in commands()} == {*PROGRAMS, *NOT_OURS}
    assert len(commands()) > 25


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare(tmp_path_factory.mktemp("clone"))


@pytest.mark.parametrize("command", of("make"))
def test_each_verb_sets_up_first_what_it_needs(clone: Path, command: str) -> None:
    done = made_dry(clone, *shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    assert "-m venv .venv" in done.stdout or command == "make help"


def test_make_help_lists_the_verbs_of_the_readme(clone: Path) -> None:
    done = typed(clone, "make", "help")
    listed = re.findall(r"^  make ([a-z0-9-]+) ", done.stdout, re.MULTILINE)
    assert {command.split()[1] for command in of("make")} <= set(listed)


@pytest.mark.parametrize(
    "command", [each for each in of("make") if "PYTHON" not in each and each != "make help"]
)
@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("exit 1", "Usher needs Python 3.11 or later"),
        (None, "There is no ./python here: name another Python by PYTHON=."),
    ],
    ids=["an old Python", "no Python"],
)
def test_each_verb_says_in_one_line_what_it_lacks(
    clone: Path, command: str, python: str | None, said: str
) -> None:
    program = clone / "python"
    program.unlink(missing_ok=True)
    if python is not None:
        program.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.18 && exit\n{python}\n")
        program.chmod(0o755)
    done = typed(clone, *shlex.split(command), "PYTHON=./python")
    line, *makes_own = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(said)
    assert all(re.match(r"make(\[1\])?: \*\*\*", each) for each in makes_own)
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("command", of("cdk", "npx"))
def test_the_cdk_is_told_what_to_do_by_the_app_that_it_starts(clone: Path, command: str) -> None:
    """Whatever the command, the CDK runs `app` of cdk.json by a shell, and passes on what that says."""
    assert shlex.split(command)[0] in ("cdk", "npx")
    app = json.loads((clone / "cdk.json").read_text())["app"]
    done = typed(clone, *shlex.split(app))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no whole .venv here yet: run make setup, or name another one by VENV=.\n"


def test_the_first_command_in_the_virtual_environment_comes_after_it_is_made() -> None:
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["usher"]
        == "usher_cli.main:main"
    )
    before, _, after = README.partition(AFTER_SET_UP)
    assert after
    without, _, with_wheel = before.partition(INSTALLED)
    assert "$ usher " in with_wheel
    assert "$ usher " not in without


@pytest.mark.parametrize("command", of("usher"))
def test_usher_works_or_says_in_one_line_what_it_lacks(
    clone: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """In the clone as it came: no traffic, no Region, no credentials."""
    monkeypatch.chdir(clone)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(clone / "none"))
    done = CliRunner().invoke(main, shlex.split(command)[1:])
    if done.exit_code in (0, 1):
        assert done.stdout
    else:
        assert (done.exit_code, len(done.output.splitlines())) == (2, 1), done.output
        assert re.match(
            r"Error: (No Region is set|Invalid value for |Missing argument .* Try: |.*`make release` first)",
            done.output,
        )


def test_the_help_lists_each_command_with_the_first_line_of_its_own_help() -> None:
    listed = CliRunner().invoke(main, ["--help"], env={"COLUMNS": "200"}).stdout
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        first_line = " ".join((command.help or "").split("\n\n")[0].split())
        assert re.search(rf"^  {name} +{re.escape(first_line)}$", listed, re.MULTILINE), name
