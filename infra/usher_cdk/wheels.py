"""Wheels, unpacked into a folder: the first time needs a package index, every later time nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTALLED: Final = Path(__file__).resolve().with_name("repository")  # setup.py puts it there

# The checkout; in an installation, those of its files that are needed there.
ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[2]
BUILD: Final = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "usher")
    if _INSTALLED.is_dir()
    else ROOT / "build"
)
IS_INSTALLED: Final = _INSTALLED.is_dir()
# What `usher install` uploads: a wheel brings it, and in a checkout usher_cdk.release builds it.
RELEASE: Final = ROOT / "release" if IS_INSTALLED else BUILD / "release"
RELEASED_ZIP: Final = RELEASE / "functions.zip"
RELEASED_TEMPLATE: Final = RELEASE / "template.json"
_OLDEST_PIP: Final = "23.2"  # that of Debian 12's own Python, 23.0, fails under Python 3.13
_INSTALL: Final = (
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
)


class WheelsMissing(Exception):  # noqa: N818 - it reads as what happened
    """pip could not get the wheels; the text says which file names them, and what pip said."""


def unpacked(
    requirements: Path, name: str, options: Sequence[str] = (), python: str = sys.executable
) -> Path:
    """The folder with the wheels that `requirements` names, for `python`; `options` are pip's.

    The folder's name has the hash of what it was made from, so it is never out of date. Raises
    WheelsMissing.
    """
    made_from = repr((requirements.read_bytes(), _INSTALL, tuple(options)))
    folder = BUILD / f"{name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        BUILD.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=BUILD) as temporary:
            made = Path(temporary) / "wheels"
            _install(requirements, made, options, python)
            shutil.rmtree(made / "bin", ignore_errors=True)  # scripts name this machine's Python
            _keep(made, folder)
    return folder


def _install(requirements: Path, folder: Path, options: Sequence[str], python: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python]
    wanted = [f"--requirement={requirements}", f"--target={folder}"]
    done = subprocess.run(  # noqa: S603 - nothing of it is input
        [*pip, *_INSTALL, *options, *wanted],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise WheelsMissing(
            f"pip could not get the wheels of {requirements.relative_to(ROOT)} for {python}. "
            f"The first time needs pip {_OLDEST_PIP} or later in this environment, and a package index. "
            f"pip said:\n{done.stdout}"
        )


def _keep(made: Path, folder: Path) -> None:
    """Rename in one step, so that no half-made folder is ever found."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():  # else somebody else was faster, with the same
            raise
