"""Planted bugs in the small worlds: which are found within their bounds, by which world, and how soon.

`python -m tests.simulation.explored` looks for each in so many schedules of each world (--most, 40), and in
all of the worlds that --all names, and prints the table of docs/exploring.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation.bugs import of_a_reader
from tests.simulation.bugs.bug import planted
from tests.simulation.planted import BUGS
from usher_simulator.trials.small.search import explore
from usher_simulator.trials.small.worlds import WORLDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tests.simulation.bugs.bug import Bug

ALL: Final[tuple[Bug, ...]] = (*BUGS, *of_a_reader.BUGS)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a bug was found: in the world of that name, by its so many-th schedule."""

    world: str
    at: int
    line: str


def found(bug: Bug, worlds: Collection[str], most: int | None) -> Found | None:
    """The first world whose first schedules, so many at most, break a promise under a bug."""
    with planted(bug):
        for world in WORLDS:
            if world.name in worlds:
                explored = explore(world, most=most)
                if explored.failing is not None:
                    return Found(world=world.name, at=explored.schedules, line=explored.failing)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Look for every bug that is named, or all of them, and print a row for each."""
    parser = argparse.ArgumentParser(prog="explored", description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="BUG", help="by name; all of them")
    parser.add_argument("--most", type=int, default=40, help="schedules of each world")
    parser.add_argument(
        "--all", nargs="*", default=[], metavar="WORLD", help="of these worlds every schedule"
    )
    asked = parser.parse_args(arguments)
    names = [world.name for world in WORLDS]
    for bug in ALL:
        if asked.bugs and bug.name not in asked.bugs:
            continue
        where = found(bug, names, asked.most) or (asked.all and found(bug, asked.all, None))
        told = f"`{where.world}` | {where.at:,}" if where else "not found | "
        print(f"| {bug.name} | {told} |", flush=True)  # noqa: T201 - the table
    return 0


if __name__ == "__main__":
    sys.exit(main())
