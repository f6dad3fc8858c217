"""What pip needs to install Usher without a network: its source, and the distributions that are here."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from tests.bare_clone import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


PACKAGES: Final = {"usher", "usher_cdk", "usher_cli", "usher_hooksfile", "usher_local", "usher_simulator"}
OF_CHECK: Final = ("click", "PyYAML", "rich")
_BUILT_FROM: Final = (
    *("LICENSE", "MANIFEST.in", "README.md", "app.py", "cdk.json", "pyproject.toml", "setup.py"),
    *("functions", "infra", "requirements", *sorted(PACKAGES - {"usher", "usher_cdk"})),
)


def copy_source(folder: Path) -> None:
    """Copy what a build reads: it leaves things behind."""
    for name in _BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


def linked(folder: Path, named: Iterable[str], *sites: Path) -> list[str]:
    """Link into `folder` those distributions and all that they declare to need, except what `sites` have.

    The names of all of them, in alphabetical order.
    """
    names = []
    folder.mkdir(exist_ok=True)
    path = [*map(str, sites), *sys.path]
    for distribution in wanted([Requirement(name) for name in named], path):
        names.append(distribution.name)
        for part in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not any((place / part).exists() for place in (folder, *sites)):
                (folder / part).symlink_to(Path(str(distribution.locate_file(part))))
    return sorted(names)


def wanted(named: Iterable[Requirement], path: list[str]) -> Iterator[metadata.Distribution]:
    """What pip would install."""
    waiting, seen = list(named), set()
    while waiting:
        one = waiting.pop()
        if str(one) not in seen:
            seen.add(str(one))
            distribution = next(iter(metadata.distributions(name=one.name, path=path)))
            assert one.specifier.contains(distribution.version), f"{one}: {distribution.version} is here"
            yield distribution
            waiting += [
                Requirement(each)
                for each in distribution.requires or ()
                if any(applies(Requirement(each), extra) for extra in ("", *one.extras))
            ]


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
