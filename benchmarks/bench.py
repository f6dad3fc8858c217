"""`make bench`: every figure in one run: a table for people, and build/bench.jsonl for machines.

Exit code 1 where a bound is not kept. docs/performance.md explains each figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks import asset, cold_start, command_line, counted, warm
from benchmarks.figures import Figure
from usher_cdk.wheels import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_OUTPUT: Final = ROOT / "build" / "bench.jsonl"
_CPU: Final = "processor time"


def main() -> int:
    """Measure; 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(_PARTS)}")
    names = parser.parse_args().parts or list(_PARTS)
    if unknown := set(names) - set(_PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(_PARTS)}")
    figures = []
    for name in names:
        begun = monotonic()
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        figures += list(_PARTS[name]())
        print(f"bench: {name} took {monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    _OUTPUT.parent.mkdir(exist_ok=True)
    _OUTPUT.write_text("".join(f"{json.dumps(each.as_data())}\n" for each in figures), encoding="utf-8")
    _show(figures)
    return 0 if all(each.is_kept for each in figures) else 1


def _show(figures: Iterable[Figure]) -> None:
    table = Table("figure", "value", "floor", "ratio", "bound", "", box=None)
    for each in figures:
        table.add_row(*each.as_row())
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _lines(module: str, *arguments: str) -> list[dict[str, Any]]:
    """The JSON lines that another benchmark prints, whether or not it keeps its own bounds."""
    environment = os.environ | {"CDK_VALIDATION": "false"}
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE)  # noqa: S603
    return [json.loads(line) for line in done.stdout.splitlines()]


def _replay() -> Iterator[Figure]:
    small, large, _ = _lines("replay")
    yield Figure(
        name="replay_us_a_message",
        value=large["cpu_us_per_notification"],
        floor=large["parse_us_per_notification"],
        how=f"{_CPU}, 30,000 messages; floor: json.loads of each",
    )
    yield Figure(
        name="replay_us_a_message_of_many",
        value=large["cpu_us_per_notification"],
        floor=small["cpu_us_per_notification"],
        bound=1.3,
        how=f"{_CPU}, 30,000 messages; floor: with 3,000",
    )
    yield Figure(name="replay_s", value=large["seconds"], bound=60, how="30,000 messages, wall clock")
    yield Figure(name="replay_peak_mb", value=large["peak_mb"], bound=500, how="30,000 messages")


def _simulator() -> Iterator[Figure]:
    (line,) = _lines("auto_scaling")
    yield Figure(
        name="simulator_calls_a_second",
        value=line["engine_calls_per_s"],
        bound=20_000,
        at_least=True,
        how="wall clock, best of 5 rounds",
    )
    yield Figure(
        name="simulator_client_calls_a_second",
        value=line["client_calls_per_s"],
        floor=line["canned_client_calls_per_s"],
        bound=0.7,
        at_least=True,
        how="wall clock, best of 5 rounds in turn; floor: the same client with a canned answer",
    )


def _storm() -> Iterator[Figure]:
    for line in _lines("storm"):
        yield from _of_storm(line)


def _of_storm(line: Mapping[str, Any]) -> Iterator[Figure]:
    name = f"storm_{line['storm'].replace('-', '_')}"
    how = "counted, seed 1"
    if line["storm"] == "sweep":
        yield Figure(name=f"{name}_reads", value=line["reads_ratio"], bound=1.2, how=f"{how}, to 1/100 open")
        yield Figure(name=f"{name}_time", value=line["time_ratio"], bound=1.2, how="processor time, likewise")
        return
    shares = {"usher-300": 0.95, "usher-60": 0.9, "usher-30": 0.8}
    most = {"ample-300": 1.1, "ample-60": 1.3, "ample-30": 2.0}.get(line["storm"])
    is_usher = line["scheduler"] == "usher"
    if not line["storm"].startswith("ample"):
        share = shares.get(line["storm"])
        held = f"{how}; the share of R x T that is held"
        yield Figure(name=f"{name}_held", value=line["ratio"], bound=share, at_least=True, how=held)
    yield Figure(name=f"{name}_calls", value=line["calls"], floor=line["calls_minimum"], bound=most, how=how)
    yield Figure(name=f"{name}_fallen", value=line["defaulted"], bound=0 if is_usher else None, how=how)
    if "lost" in line:
        yield Figure(name=f"{name}_lost", value=line["lost"], bound=0, how=how)
    if "in_order" in line:
        yield Figure(name=f"{name}_in_order", value=line["in_order"], bound=0.9, at_least=True, how=how)


def _scale() -> Iterator[Figure]:
    """Each in a process of its own, for its peak."""
    (few,), (many,) = _lines("scale", "96"), _lines("scale", "96000")
    how = "counted, a sweep with its reconcile at 96,000 open"
    yield Figure(name="scale_read_units", value=many["read_units"], bound=3500 * 0.96, how=how)
    yield Figure(name="scale_records_loaded", value=many["loaded"], bound=0, how=how)
    yield Figure(
        name="scale_peak_mb",
        value=many["peak_mb"],
        floor=few["peak_mb"],
        bound=1.5,
        how="of the process, with the live state of as many instances; floor: with 96 open",
    )


def _wake() -> Iterator[Figure]:
    (line,) = _lines("wake_rate")
    yield Figure(
        name="wake_heartbeats_a_second",
        value=line["heartbeats_a_second"],
        bound=160,
        at_least=True,
        how=f"counted, 50 at once and 150 ms each: {line['invocations_a_heartbeat']} invocations a heartbeat",
    )


def _groups() -> Iterator[Figure]:
    for line in _lines("groups"):
        yield Figure(
            name=f"{line['what'].replace(' ', '_')}_{line['groups']}_groups_s",
            value=line["seconds"],
            floor=line["seconds"] / line["times_half"],
            bound=2.5,
            how="wall clock, least of 5; floor: half of the groups",
        )


def _audit() -> Iterator[Figure]:
    (line,) = _lines("audit")
    how = f"{_CPU}, 10,000 actions; of it {line['read_s']} s to read their records"
    yield Figure(name="audit_s", value=line["cpu_s"], bound=60, how=how)


_PARTS: Final[Mapping[str, Callable[[], Iterable[Figure]]]] = {
    "counted": counted.figures,
    "asset": asset.figures,
    "cold-start": cold_start.figures,
    "warm": warm.figures,
    "command-line": command_line.figures,
    "replay": _replay,
    "audit": _audit,
    "simulator": _simulator,
    "groups": _groups,
    "scale": _scale,
    "wake": _wake,
    "storm": _storm,
}

if __name__ == "__main__":
    sys.exit(main())
