"""Builds what is uploaded to Lambda: functions/, their dependencies, and the hooks file compiled to JSON.

`python -m usher_cdk.bundle FOLDER --hooks FILE` builds it for a look, or for `make invoke`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import usher
from usher.core.compiled import compiled
from usher_cdk.wheels import ROOT, WheelsMissing, unpacked
from usher_hooksfile.load import HooksFileRefused, read

if TYPE_CHECKING:
    from usher.core.compiled import Compiled

_PURE: Final = (
    "--no-compile",  # compiled files hold times, and the asset must be the same each time
    "--python-version=3.13",
    "--implementation=py",  # pure Python only: the same on arm64, x86_64 and under `make invoke`
    "--platform=any",
)


def build(folder: Path, file: Compiled) -> None:
    """Build the asset into `folder`, which is empty or not there. Raises WheelsMissing.

    Building twice gives the same bytes.
    """
    dependencies = unpacked(ROOT / "requirements" / "functions.txt", "dependencies", _PURE)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    package = Path(usher.__file__).parent  # in an installation it is not below ROOT
    for source, target in ((dependencies, folder), (ROOT / "functions", folder), (package, folder / "usher")):
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    (folder / "hooks.json").write_text(file.text, encoding="utf-8")


def main() -> int:
    """Build the asset into a folder, whatever was there; 2 where that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m usher_cdk.bundle", description="Builds the functions' asset."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hooks", type=Path, required=True, metavar="FILE", help="the hooks file")
    asked = parser.parse_args()
    try:
        hooks_data = read(asked.hooks)
        shutil.rmtree(asked.folder, ignore_errors=True)
        build(asked.folder, compiled(hooks_data))
    except (HooksFileRefused, WheelsMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
