"""The hook `usher-check`, run by pre-commit itself, which installs it from a git repository. No network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from make_dist import copy_source
from tests.bare_clone import ROOT
from tests.e2e.distributions import HOOKS, OF_CHECK, linked
from tests.e2e.repositories import commit

if TYPE_CHECKING:
    from collections.abc import Mapping

INVALID: Final = HOOKS.replace("elapsed", "elapses")


class Users:
    """Somebody's repository whose pre-commit names Usher's, and the packages that its pip can find."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "users"
        usher, packages = folder / "usher", folder / "packages"
        self.folder.mkdir()
        usher.mkdir()
        copy_source(usher)
        shutil.copy(ROOT / ".pre-commit-hooks.yaml", usher)
        of_usher = {"repo": str(usher), "rev": commit(usher, {}), "hooks": [{"id": "usher-check"}]}
        (self.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [of_usher]}))
        self.found = linked(packages, OF_CHECK)
        linked(packages, ["setuptools"])
        self._environment: Mapping[str, str] = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PRE_COMMIT_HOME": str(folder / "cache"),
            "PYTHONPATH": str(packages),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # so pip spells that it builds with what is there
        }

    def run(self, files: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        commit(self.folder, files)
        program = Path(sys.executable).with_name("pre-commit")
        return subprocess.run(  # noqa: S603 - our own words
            [str(program), "run", "--all-files"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Users:
    return Users(tmp_path_factory.mktemp("pre-commit"))


def test_what_it_installs_is_light(users: Users) -> None:
    """Pip finds no other package in these tests."""
    assert users.found == ["PyYAML", "Pygments", "click", "markdown-it-py", "mdurl", "rich"]


def test_it_checks_each_hooks_file_that_is_committed_and_nothing_else(users: Users) -> None:
    done = users.run({"hooks.yaml": HOOKS, "staging/hooks.yaml": HOOKS, "other.yaml": "x: [y]\n"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "usher check" in done.stdout
    assert "Passed" in done.stdout


def test_an_invalid_hooks_file_stops_the_commit_with_its_line(users: Users) -> None:
    done = users.run({"hooks.yaml": HOOKS, "staging/hooks.yaml": INVALID})
    assert done.returncode == 1
    assert "staging/hooks.yaml:3: " in done.stdout
    assert "staging/hooks.yaml is invalid." in done.stdout
