"""The Python that runs the functions, and what it is let import."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from usher_cdk.wheels import ROOT, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WANTED: Final = "3.13"  # that of the deployed functions
_ASK: Final = "import sys; print('%d.%d' % sys.version_info[:2])"
_ISOLATED: Final = """\
import sys
sys.path[:0] = sys.argv[2:int(sys.argv[1]) + 2]
sys.argv[1:] = sys.argv[int(sys.argv[1]) + 2:]
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Python:
    """An interpreter on this machine."""

    path: str
    version: str  # "3.13"

    def isolated(self, folders: Sequence[Path], program: str, *arguments: str) -> list[str]:
        """The command that runs `program` with `folders` and the standard library to import from.

        Nothing else is there: no site packages, no working folder, no PYTHONPATH. It writes no
        compiled files, as nothing can in Lambda's /var/task.
        """
        options = ["-I", "-S", "-B", "-c", _ISOLATED + program]
        return [self.path, *options, str(len(folders)), *map(str, folders), *arguments]

    def runtime(self) -> Path:
        """The folder with Lambda's runtime client and boto3 for this Python. Raises WheelsMissing."""
        requirements = ROOT / "requirements" / "runtime.txt"
        return unpacked(requirements, f"runtime-{self.version}", python=self.path)


RUNNING: Final = Python(path=sys.executable, version=f"{sys.version_info.major}.{sys.version_info.minor}")


def find_python(running: Python = RUNNING) -> Python:
    """Python 3.13, where one is on PATH and runs; else the one that is running."""
    if running.version == WANTED:
        return running
    return next((Python(path=path, version=WANTED) for path in _named() if _runs(path)), running)


def _named() -> Iterator[str]:
    """Every python3.13 on PATH: the first may be no more than a version manager's stand-in."""
    for folder in os.get_exec_path():
        path = Path(folder) / f"python{WANTED}"
        if os.access(path, os.X_OK):
            yield str(path)


def _runs(path: str) -> bool:
    asked = [path, "-I", "-S", "-c", _ASK]
    said = subprocess.run(asked, check=False, capture_output=True, text=True)  # noqa: S603 - found on PATH
    return said.stdout.strip() == WANTED
