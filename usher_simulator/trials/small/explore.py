"""Every schedule of the small worlds: `python -m usher_simulator.trials.small.explore [WORLD ...]`.

Prints a row for each world. With --schedule "17:2 31:1" it replays that one, and shows all that happens;
with --most it stops after so many, and with --quick it leaves out the worlds that take minutes. The exit
code is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import gc
import sys
from time import process_time
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.choosers import written
from usher_simulator.trials.small.reached import CAN_COUNT, lines_reached
from usher_simulator.trials.small.search import explore, replay
from usher_simulator.trials.small.worlds import WORLDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.trials.small.search import Explored
    from usher_simulator.trials.small.world import World

_TITLES: Final = """\
| world | what happens at once | faults | schedules | states | complete | lines | seconds of processor time |
|---|---|---|---|---|---|---|---|"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    asked = _parser().parse_args(arguments)
    worlds = [world for world in WORLDS if not asked.worlds or world.name in asked.worlds]
    if asked.schedule is not None:
        return _show(worlds[0], asked.schedule)
    print(_TITLES)  # noqa: T201 - the table
    if not CAN_COUNT:
        print("The lines of the functions are counted from Python 3.12 on.", file=sys.stderr)  # noqa: T201 - a hint
    failed = 0
    gc.collect()
    gc.freeze()  # what is loaded stays: to go through it again and again is a fifteenth of the time
    for world in worlds:
        if asked.quick and not world.is_quick:
            continue
        gc.collect()
        began = process_time()
        with lines_reached() as lines:
            explored = explore(world, most=asked.most)
        print(_row(world, explored, len(lines), process_time() - began), flush=True)  # noqa: T201 - as above
        if explored.failing is not None:
            failed += 1
            _tell(world, explored)
    return 1 if failed else 0


def _row(world: World, explored: Explored, lines: int, took_s: float) -> str:
    complete = "yes" if explored.is_complete else "no"
    bounds = f"{world.most_faults} of {len(world.faults)} kinds" if world.most_faults else "none"
    counts = f"{explored.schedules:,} | {explored.states:,} | {complete} | {lines:,}"
    return f"| `{world.name}` | {world.about} | {bounds} | {counts} | {took_s:.0f} |"


def _tell(world: World, explored: Explored) -> None:
    for each in explored.violations:
        print(f"{world.name}: {each}", file=sys.stderr)  # noqa: T201 - what the command is for
    again = f'make explore WORLDS={world.name} SCHEDULE="{explored.failing}"'
    print(f"  shows it: {again}", file=sys.stderr)  # noqa: T201 - as above


def _show(world: World, line: str) -> int:
    trial, chosen = replay(world, written.read(line), tells=True)
    for each in (*trial.audience.trace, *(f"chosen {each}" for each in chosen.told)):
        print(each.encode(errors="backslashreplace").decode())  # noqa: T201 - what was asked for
    for violation in trial.scene.violations:
        print(f"{world.name}: {violation}")  # noqa: T201 - as above
    return 1 if trial.scene.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="explore", description=__doc__)
    names = [world.name for world in WORLDS]
    parser.add_argument("worlds", nargs="*", metavar="WORLD", help=f"of {', '.join(names)}; all of them")
    parser.add_argument("--schedule", help="one schedule, as it was printed")
    parser.add_argument("--most", type=int, help="so many schedules of each world, at most")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
