"""How much Usher holds when all wait at once, and Auto Scaling accepts so many calls a second.

Prints one JSON line for each storm. Exit code 1 where a bound is not kept; docs/benchmarks.md has
the method, the bounds and results. Each storm runs in a process of its own, as many at once as
there are processors.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from time import process_time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks import storm_recovery, storm_sweep
from benchmarks.storm_naive import NaiveInStorm, most_held
from benchmarks.storm_plan import Storm
from benchmarks.storm_recovery import Backlog
from benchmarks.storm_usher import STORE, UsherInStorm

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARES: Final = {300: 0.95, 60: 0.9, 30: 0.8}  # of the bound to hold, by the heartbeat timeout in seconds
_MOST_CALLS: Final = {300: 1.1, 60: 1.3, 30: 2.0}  # times the minimum, where the budget is ample
_RATE: Final = 10.0
_AMPLE_RATE: Final = 100.0
_AMPLE_HELD: Final = 200
_HELD_WITHOUT_FUNCTIONS: Final = 18_000  # half of 10 calls a second x 1 hour
_HELD_WITHOUT_TABLE: Final = 6_000
_MOST_SWEEP_RATIO: Final = 1.2
_LEAST_IN_ORDER: Final = 0.9

Line: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A storm to run: what it comes to with a seed, and whether that keeps the bound."""

    run: Callable[[int], Line]
    holds: Callable[[Line], bool]


def main() -> int:
    """Run the benchmark; 1 where a bound is not kept."""
    cases = _cases()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=cases, help="run one of the storms")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(cases)
    broken = []
    with ProcessPoolExecutor(max_workers=arguments.jobs) as pool:
        for name, line in zip(names, pool.map(_line, names, [arguments.seed] * len(names)), strict=True):
            print(json.dumps(line), flush=True)
            if not cases[name].holds(line):
                broken.append(name)
    for name in broken:
        print(f"A bound is not kept: {name}", file=sys.stderr)
    return 1 if broken else 0


def _line(name: str, seed: int) -> Line:
    began = process_time()
    line = {"storm": name} | _cases()[name].run(seed)
    return line | {"cpu_s": round(process_time() - began, 1)}


def _cases() -> dict[str, Case]:
    """By name. The long ones come early, so that no processor is idle at the end."""
    return {
        "usher-300": _usher(300),
        "functions-off": Case(run=_functions_off, holds=_worked_off),
        "usher-60": _usher(60),
        "usher-30": _usher(30),
        "table-off": Case(run=_table_off, holds=_all_kept),
        "ample-300": _ample(300),
        "ample-60": _ample(60),
        "ample-30": _ample(30),
        "naive-300": _naive(300),
        "naive-60": _naive(60),
        "naive-30": _naive(30),
        "sweep": Case(run=_sweep, holds=_costs_what_is_due),
    }


def _usher(timeout_s: int) -> Case:
    share = _SHARES[timeout_s]

    def run(seed: int) -> Line:
        held = round(share * _RATE * timeout_s)
        return _ran(Storm(held=held, heartbeat_timeout=timedelta(seconds=timeout_s), rate=_RATE, seed=seed))

    return Case(run=run, holds=lambda line: _all_kept(line) and line["ratio"] >= share)


def _ample(timeout_s: int) -> Case:
    most = _MOST_CALLS[timeout_s]

    def run(seed: int) -> Line:
        timeout = timedelta(seconds=timeout_s)
        return _ran(Storm(held=_AMPLE_HELD, heartbeat_timeout=timeout, rate=_AMPLE_RATE, seed=seed))

    return Case(run=run, holds=lambda line: _all_kept(line) and line["calls"] <= most * line["calls_minimum"])


def _naive(timeout_s: int) -> Case:
    """It is there to compare with, so it has no bound to keep."""

    def run(seed: int) -> Line:
        timeout = timedelta(seconds=timeout_s)
        return _told("naive", most_held(Storm(held=1, heartbeat_timeout=timeout, rate=_RATE, seed=seed)))

    return Case(run=run, holds=lambda _: True)


def _ran(storm: Storm) -> Line:
    run = UsherInStorm(storm)
    run.run()
    return _told("usher", run)


def _functions_off(seed: int) -> Line:
    run = storm_recovery.functions_off(_HELD_WITHOUT_FUNCTIONS, seed)
    backlog = Backlog(run, storm_recovery.FUNCTIONS_ON_AT)
    run.run()
    return _told("usher", run) | backlog.told()


def _table_off(seed: int) -> Line:
    run = storm_recovery.table_off(_HELD_WITHOUT_TABLE, seed)
    run.run()
    return _told("usher", run)


def _sweep(_: int) -> Line:
    return storm_sweep.sweep_costs() | {"store": STORE}


def _all_kept(line: Line) -> bool:
    return bool(line["defaulted"] == line["lost"] == 0)


def _worked_off(line: Line) -> bool:
    return _all_kept(line) and bool(line["backlog"] > 0 and line["in_order"] >= _LEAST_IN_ORDER)


def _costs_what_is_due(line: Line) -> bool:
    return bool(max(line["reads_ratio"], line["time_ratio"]) <= _MOST_SWEEP_RATIO)


def _told(scheduler: str, run: UsherInStorm | NaiveInStorm) -> Line:
    storm = run.storm
    line = {
        "scheduler": scheduler,
        "rate": storm.rate,
        "heartbeat_timeout_s": storm.heartbeat_timeout.total_seconds(),
        "held": storm.held,
        "bound": storm.bound,
        "ratio": round(storm.held / storm.bound, 3),
        "defaulted": len(run.defaulted),
        "calls": run.calls,
        "calls_minimum": storm.least_calls,
        "calls_ratio": round(run.calls / storm.least_calls, 3),
        "throttled": run.throttled,
        "least_margin_s": round(min((beat.expires_at - beat.at).total_seconds() for beat in run.beats), 1),
    }
    if isinstance(run, UsherInStorm):
        line |= {"lost": run.lost, "store": STORE}
    return line


if __name__ == "__main__":
    raise SystemExit(main())
