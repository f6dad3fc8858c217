"""A real Terraform with the AWS provider, on the local account: `make test-terraform`."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.terraform.provider import Missing, program, providers
from tests.terraform_files import MODULE
from usher_local.account import Setup, open_account
from usher_local.emulator import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from usher_local.account import Account

OF_THE_ACCOUNT = 'provider "aws" {\n  s3_use_path_style = true\n}\n'


@pytest.fixture(scope="session")
def found() -> tuple[Path, Path]:
    """The program and the folder of its providers; ends the run with a word where one is missing."""
    try:
        return program(os.environ), providers(os.environ)
    except Missing as missing:
        pytest.exit(f"test-terraform: {missing}", returncode=2)


@pytest.fixture(scope="session")
def account(found: tuple[Path, Path]) -> Iterator[Account]:
    assert all(found)
    try:
        with open_account(Setup()) as opened:
            yield opened
    except Unavailable as error:
        pytest.exit(f"test-terraform: {error}", returncode=2)


class Terraform:
    """The program in a copy of a folder of terraform/, for the local account."""

    def __init__(self, account: Account, found: tuple[Path, Path], copy: Path, example: str) -> None:
        self._program, self._providers = found
        shutil.copytree(MODULE, copy, dirs_exist_ok=True)
        self.folder = copy / "examples" / example
        (self.folder / "override.tf").write_text(OF_THE_ACCOUNT, encoding="utf-8")
        self._environment = {
            **account.environment,
            "PATH": os.environ["PATH"],
            "HOME": str(copy),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, command: str, *words: str, variables: Mapping[str, str] | None = None) -> None:
        """It must end without an error."""
        given = {f"TF_VAR_{name}": value for name, value in (variables or {}).items()}
        done = subprocess.run(  # noqa: S603 - our own words
            [str(self._program), command, "-no-color", *words],
            cwd=self.folder,
            env=self._environment | given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def init(self) -> None:
        self.run("init", "-input=false", f"-plugin-dir={self._providers}")

    def apply(self, **variables: str) -> None:
        """Apply; after that nothing may be left to do."""
        self.run("apply", "-input=false", "-auto-approve", variables=variables)
        self.run("plan", "-input=false", "-detailed-exitcode", variables=variables)


@pytest.fixture
def terraform(account: Account, found: tuple[Path, Path], tmp_path: Path) -> Any:
    """Of an example's name, Terraform in it."""
    return lambda example: Terraform(account, found, tmp_path / "terraform", example)
