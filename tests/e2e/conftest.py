"""What a release consists of, made once: some of the tests need its wheel."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.bare_clone import ROOT
from usher_local.cdk import node

if TYPE_CHECKING:
    from pathlib import Path

EPOCH_S: Final = 1_800_000_000


def make_dist(folder: Path) -> Path:
    """As `make dist` does, but with the Python that is here."""
    told = {"SOURCE_DATE_EPOCH": str(EPOCH_S), "JSII_NODE": str(node()), "CDK_VALIDATION": "false"}
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "infra/make_dist.py", "--any-python", str(folder)],
        cwd=ROOT,
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Of the processes of a run the first makes it, and the others wait."""
    of_run = tmp_path_factory.getbasetemp()
    folder = (of_run if worker_id == "master" else of_run.parent) / "dist"
    with (folder.parent / "dist.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if (folder / "SHA256SUMS").exists() else make_dist(folder)
