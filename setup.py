"""Adds to the package usher_cdk what it needs of the repository; all else stands in pyproject.toml.

In a checkout nothing is added: there usher_cdk.wheels.ROOT is the checkout itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NEEDED = (
    *("app.py", "cdk.json", "functions/*.py", "release/*"),
    *(f"requirements/{name}.txt" for name in ("account", "functions", "runtime")),
)


class BuildWithRepository(build_py):
    """Copies the files below the folder that ROOT is in an installation."""

    def run(self) -> None:
        """See build_py."""
        shutil.rmtree(self.build_lib, ignore_errors=True)  # of an earlier build, with what is gone since
        super().run()
        if self.editable_mode:
            return
        for file in sorted(file for pattern in NEEDED for file in Path().glob(pattern)):
            target = Path(self.build_lib, "usher_cdk", "repository", file)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithRepository})
