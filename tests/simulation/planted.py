"""Bugs on purpose: each is planted in production code for a while, and a checker has to find it.

`python -m tests.simulation.planted` looks for each in up to 150 seeds and writes the table of
docs/testing.md. A bug that survives is a check that is missing.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.simulation.bugs import (
    of_a_reader,
    of_changes,
    of_conditions,
    of_evaluations,
    of_operators,
    of_records,
    of_what_is_told,
)
from tests.simulation.bugs.bug import MOST_SEEDS, caught_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.bugs.bug import Bug

_TABLE: Final = Path("docs/testing.md")
LEAST_OF_READER: Final = 9
_BEGINS, _ENDS = "<!-- planted bugs -->", "<!-- end -->"
BUGS: Final[tuple[Bug, ...]] = (
    *of_evaluations.BUGS,
    *of_records.BUGS,
    *of_conditions.BUGS,
    *of_operators.BUGS,
    *of_changes.BUGS,
    *of_what_is_told.BUGS,
)


ALL: Final = (*BUGS, *of_a_reader.BUGS)
_JOBS: Final = 2


def main() -> int:
    """Look for every bug, and write the table."""
    with ProcessPoolExecutor(max_workers=_JOBS) as processes:
        return _write_table(processes.map(_caught_at, range(len(ALL))))


def _caught_at(number: int) -> int | None:
    """A bug is planted in the process that looks for it."""
    return caught_at(ALL[number], range(1, MOST_SEEDS + 1))


def _write_table(seeds: Iterable[int | None]) -> int:
    rows, survivors, of_reader = [], 0, 0
    for bug, seed in zip(ALL, seeds, strict=True):
        survivors += seed is None and bug in BUGS
        of_reader += seed is not None and bug not in BUGS
        caught = f"seed {seed}" if seed is not None else "survives"
        print(f"{bug.name}: {caught}", file=sys.stderr, flush=True)  # noqa: T201 - progress
        rows.append(f"| {bug.name} | {bug.promise} | {caught} |")
    text = _TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGINS)
    _, _, after = rest.partition(_ENDS)
    table = "\n".join(["| planted bug | promise | caught at |", "|---|---|---|", *rows])
    _TABLE.write_text(f"{before}{_BEGINS}\n\n{table}\n\n{_ENDS}{after}", encoding="utf-8")
    return 1 if survivors or of_reader < LEAST_OF_READER else 0  # a reader may show a gap


if __name__ == "__main__":
    sys.exit(main())
