"""Builds what is uploaded to Lambda: functions/, what they need, and the hooks file compiled to JSON.

All modules are compiled by the functions' own Python, 3.13, where it is on this machine: Lambda would else
compile them at every cold start. `python -m usher_cdk.bundle FOLDER --hooks FILE` builds it for a look, or
for `make invoke`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import ZipFile

import usher
from usher.core.compiled import compiled
from usher_cdk.models import write_models
from usher_cdk.python import WANTED, find_python
from usher_cdk.wheels import IS_INSTALLED, RELEASED_ZIP, ROOT, WheelsMissing, unpacked
from usher_hooksfile.load import HooksFileRefused, read

if TYPE_CHECKING:
    from usher.core.compiled import Compiled
    from usher_cdk.python import Python

_PURE: Final = (
    "--no-compile",  # pip's compiled files hold times, and the asset must be the same each time
    "--python-version=3.13",
    "--implementation=py",  # pure Python only: the same on arm64, x86_64 and under `make invoke`
    "--platform=any",
)


class RuntimeMissing(Exception):  # noqa: N818 - it reads as what happened
    """The functions' own Python is not on this machine."""


def build(folder: Path, file: Compiled, *, strict: bool = False, python: Python | None = None) -> None:
    """Build the asset into `folder`, which is empty or not there.

    Building twice gives the same bytes, with the same patch version of `python` (the one that is found).
    An installation unpacks what its release brings, and needs neither pip nor that Python. Else, without
    Python 3.13 the code is not compiled, and stderr has a line about it. Raises WheelsMissing; and
    RuntimeMissing in its place if `strict`, as a release is.
    """
    if IS_INSTALLED and RELEASED_ZIP.is_file():
        _unzip(folder)
        (folder / "hooks.json").write_text(file.text, encoding="utf-8")
        return
    python = python or find_python()
    if strict and python.version != WANTED:
        raise RuntimeMissing(
            f"A release needs Python {WANTED}, which was not found. Put python{WANTED} on PATH."
        )
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    package = Path(usher.__file__).parent  # in an installation it is not below ROOT
    for source, target in (
        (dependencies(), folder),
        (ROOT / "functions", folder),
        (package, folder / "usher"),
    ):
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    _leave_out_unused(folder / "aws_lambda_powertools")
    _forget_scripts(folder)
    write_models(folder / "models")
    (folder / "hooks.json").write_text(file.text, encoding="utf-8")
    if python.version == WANTED:
        python.compile(folder)
    else:
        sys.stderr.write(
            f"The functions are not compiled, so they start slower: put python{WANTED} on PATH.\n"
        )


def _unzip(folder: Path) -> None:
    """What the release brings, built once for everybody."""
    with ZipFile(RELEASED_ZIP) as released:
        released.extractall(folder)


def dependencies() -> Path:
    """The folder with the functions' dependencies as their wheels have them. Raises WheelsMissing."""
    return unpacked(ROOT / "requirements" / "functions.txt", "dependencies", _PURE)


def _leave_out_unused(powertools: Path) -> None:
    """Remove what no function imports: four fifths of it."""
    for part in (powertools / "event_handler", *(powertools / "utilities").iterdir()):
        if part.is_dir() and part.name != "jmespath_utils":  # which the logger imports
            shutil.rmtree(part)


def _forget_scripts(folder: Path) -> None:
    """They are not in it, and a hash of one in RECORD is that of the path of this machine's Python."""
    for record in folder.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if not line.startswith("../../bin/"))
        record.write_text(kept, encoding="utf-8")


def main() -> int:
    """Build the asset into a folder, whatever was there; 2 where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m usher_cdk.bundle", description="Builds the functions' asset."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hooks", type=Path, required=True, metavar="FILE", help="the hooks file")
    parser.add_argument("--strict", action="store_true", help=f"refuse without Python {WANTED}")
    asked = parser.parse_args()
    try:
        hooks_data = read(asked.hooks)
        shutil.rmtree(asked.folder, ignore_errors=True)
        build(asked.folder, compiled(hooks_data), strict=asked.strict)
    except (HooksFileRefused, RuntimeMissing, WheelsMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
