"""`make arena`: Usher beside other ways to hold an instance: a table for people, and build/arena.json.

docs/alternatives.md says what each way is, and when to take it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.arena.daemon import Daemon
from benchmarks.arena.durable import Durable
from benchmarks.arena.scenes import LONGER_HOOK, MORE, SCENES, STORMS, drain
from benchmarks.arena.self_sending import SelfSending
from benchmarks.arena.sleeping import Sleeping
from benchmarks.arena.state_machine import StateMachine
from benchmarks.arena.usher import UsherInScene
from benchmarks.arena.world import ConsumerWorld
from benchmarks.prices import AS_OF, PRICES
from tests.lives import KINDS, lived
from usher_cdk.wheels import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.arena.world import Consumer
    from benchmarks.storm_plan import Storm

_OUTPUT: Final = ROOT / "build" / "arena.json"
HALF_AN_HOUR: Final = timedelta(minutes=30)
_AN_HOUR: Final = timedelta(hours=1)
USHER: Final = "Usher"
CONSUMERS: Final[Mapping[str, Callable[[ConsumerWorld], Consumer]]] = {
    "daemon": Daemon,
    "daemon, careful": partial(Daemon, is_careful=True),
    "self-sending function": SelfSending,
    "self-sending, careful": partial(SelfSending, is_careful=True),
    "Step Functions loop": StateMachine,
    "sleeping function": Sleeping,
    "durable function": Durable,
}
WAYS: Final = (*CONSUMERS, USHER)


class Used(NamedTuple):
    """What one drain takes."""

    calls: int  # of Auto Scaling
    operations: int  # invocations, transitions or durable operations
    dollars: float  # for a million


def run(way: str, storm: Storm) -> ConsumerWorld | UsherInScene:
    """A scene or storm, to its end."""
    world = UsherInScene(storm) if way == USHER else ConsumerWorld(storm, CONSUMERS[way])
    world.run()
    return world


def lost_of(way: str, scenes: Mapping[str, Storm]) -> Mapping[str, int]:
    """The instances that were lost, by scene."""
    return {name: run(way, scene).lost_instances for name, scene in scenes.items()}


def used(way: str, lasts: timedelta) -> Used:
    """By a drain of this length in a hook of five minutes."""
    if way == USHER:
        life = lived(replace(KINDS["b"], lasts=lasts))
        return Used(life.auto_scaling, life.invoked, life.dollars)
    world = ConsumerWorld(drain(lasts), CONSUMERS[way])
    world.run()
    amounts = world.used
    operations = round(sum(amounts[name] for name in ("invocation", "state transition", "durable operation")))
    dollars = sum(PRICES.get(name, 0.0) * amount for name, amount in amounts.items())
    return Used(world.calls, operations, dollars)


def measured(way: str, *, with_storms: bool = True) -> dict[str, Any]:
    """A row."""
    scenes, short, long = lost_of(way, SCENES), used(way, HALF_AN_HOUR), used(way, HALF_AN_HOUR + _AN_HOUR)
    return {
        "way": way,
        "lost": sum(scenes.values()),
        "lost_in": [name for name, lost in scenes.items() if lost],
        "lost_in_a_longer_hook": lost_of(way, MORE)[LONGER_HOOK],
        "lost_in_storms": lost_of(way, STORMS) if with_storms else {},
        "calls": short.calls,
        "operations": short.operations,
        "dollars_a_million": round(short.dollars, 1),
        "dollars_an_hour": round((long.dollars - short.dollars) / 1e6, 6),
    }


def main() -> int:
    """Run all."""
    parser = argparse.ArgumentParser(prog="make arena", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    jobs = parser.parse_args().jobs
    rows = []
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for row in pool.map(measured, WAYS):
            print(f"arena: {row['way']} done", file=sys.stderr, flush=True)
            rows.append(row)
    _OUTPUT.parent.mkdir(exist_ok=True)
    _OUTPUT.write_text(json.dumps({"prices_as_of": AS_OF, "ways": rows}, indent=1) + "\n", encoding="utf-8")
    _show(rows)
    return 0


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None)
    for title in (
        "way",
        f"lost of {len(SCENES)}",
        *STORMS,
        "calls",
        "operations",
        "$ a million",
        "$ an hour",
    ):
        table.add_column(title, justify="left" if title == "way" else "right")
    for row in rows:
        storms = [str(row["lost_in_storms"][name]) for name in STORMS]
        figures = (str(row["calls"]), str(row["operations"]))
        dollars = (f"{row['dollars_a_million']:.0f}", f"{row['dollars_an_hour']:.6f}")
        table.add_row(row["way"], str(row["lost"]), *storms, *figures, *dollars)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())
