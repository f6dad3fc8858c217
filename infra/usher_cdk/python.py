"""The Python that runs the functions, what it is let import, and what it compiles."""

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
TASK: Final = "/var/task"  # where Lambda unpacks an asset
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

    def compile(self, folder: Path) -> None:
        """Compile every module in `folder`, which is to be /var/task.

        The same sources give the same bytes under the same patch version: a compiled file has the hash
        of its source in place of a time. `unchecked`: Lambda's /var/task changes under nobody.
        """
        options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK]
        command = [self.path, "-I", "-S", "-m", "compileall", *options, str(folder)]
        subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - nothing of it is input


RUNNING: Final = Python(path=sys.executable, version=f"{sys.version_info.major}.{sys.version_info.minor}")


def find_python(running: Python = RUNNING) -> Python:
    """Python 3.13, where one runs that is on PATH or pyenv's; else the one that is running."""
    if running.version == WANTED:
        return running
    return next((Python(path=path, version=WANTED) for path in _named() if _runs(path)), running)


def _named() -> Iterator[str]:
    """Every python3.13 on PATH, where the first may be no more than pyenv's stand-in, and pyenv's own."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    installed = sorted(pyenv.glob(f"{WANTED}.*/bin"))
    for folder in (*map(Path, os.get_exec_path()), *installed):
        path = folder / f"python{WANTED}"
        if os.access(path, os.X_OK):
            yield str(path)


def _runs(path: str) -> bool:
    asked = [path, "-I", "-S", "-c", _ASK]
    said = subprocess.run(asked, check=False, capture_output=True, text=True)  # noqa: S603 - found on PATH
    return said.stdout.strip() == WANTED
