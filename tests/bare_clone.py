"""A clone in which nothing was set up yet, and the verbs in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

PARTS = (
    *(
        ".checkov.yaml",
        "Makefile",
        "app.py",
        "app.sh",
        "cdk.json",
        "events",
        "functions",
        "hooks.yaml",
        "infra",
    ),
    *("package-lock.json", "pyproject.toml", "requirements", "usher_hooksfile"),
)


def bare(folder: Path) -> Path:
    """What the verbs look at of a clone, without what they make."""
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def typed(clone: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a program says there."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "VENV"
    }
    return subprocess.run(  # noqa: S603 - our own tests say which
        [str(shutil.which(words[0])), *words[1:]],
        cwd=clone,
        env=own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def made_dry(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a verb would run."""
    return typed(clone, "make", "--dry-run", *words)
