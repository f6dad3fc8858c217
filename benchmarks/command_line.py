"""How long the command line takes to start, beside a program of nothing but click, in turns."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROUNDS: Final = 11
_MOST: Final = 2.5  # times as long
_BARE: Final = """\
import click

@click.command()
def main():
    click.echo("hello")

main()
"""
_USHER: Final = str(Path(sys.executable).with_name("usher"))
_HOOKS: Final = str(Path(__file__).parents[1] / "hooks.yaml")
_STARTS: Final = {
    "start_help_ms": (_USHER, "--help"),
    "start_version_ms": (_USHER, "--version"),
    "start_check_ms": (_USHER, "check", _HOOKS),
}


def figures() -> Iterator[Figure]:
    """Milliseconds of processor time."""
    for name, command in _STARTS.items():
        pairs = [(_cpu_ms(command), _cpu_ms((sys.executable, "-c", _BARE))) for _ in range(_ROUNDS)]
        yield Figure(
            name=name,
            value=median(usher for usher, _ in pairs),
            floor=median(bare for _, bare in pairs),
            measured_ratio=median(usher / bare for usher, bare in pairs),
            bound=_MOST,
            how=f"processor time, median of {_ROUNDS} pairs in turn",
        )


def _cpu_ms(command: Sequence[str]) -> float:
    """Of a process from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


if __name__ == "__main__":
    for figure in figures():
        print(json.dumps(figure.as_data()))
