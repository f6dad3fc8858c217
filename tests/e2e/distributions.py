"""What pip needs to install Usher without a network: the distributions that are here."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


PACKAGES: Final = {"usher", "usher_cdk", "usher_cli", "usher_hooksfile", "usher_local", "usher_simulator"}
OF_CHECK: Final = ("click", "PyYAML", "rich")
HOOKS: Final = """\
version: 1
policies:
  settle: {until: [elapsed: 30s]}
hooks:
  - {name: ours-in, group: ours, transition: launching, policy: settle}
"""


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
