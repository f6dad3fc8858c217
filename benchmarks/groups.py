"""How the time of `usher check`, and of the CDK, grows with the groups that a hooks file names.

Prints one JSON line for each: the least of five runs, and how many times it is that of half the groups, which
should be about two, and is at most 2.5. 1,000 groups the check refuses, in the time that it takes for others:
the policies of a role hold 520 such names. So the CDK has half of each.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from usher_cdk.configuration import Deployment
from usher_cdk.controller import Controller
from usher_hooksfile.load import HooksFileRefused, examine, load
from usher_hooksfile.warnings import warnings

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNS: Final = 5
_MOST: Final = 2.5  # times as long
_HEAD: Final = "version: 1\npolicies: {p: {until: [elapsed: 5m]}}\nhooks:\n"
_HOOK: Final = "  - {{name: drain, group: workers-{:08}, transition: terminating, policy: p}}\n"


def _check(file: Path) -> None:
    with suppress(HooksFileRefused):
        warnings(load(file))


def _synthesise(file: Path) -> None:
    examined = examine(file)
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(file.parent / "out"))
    Controller(
        app,
        "Usher",
        deployment=Deployment(configuration=examined.configuration, hooks_data=examined.data),
    )
    app.synth()


def _seconds(folder: Path, groups: int, what: Callable[[Path], None]) -> float:
    file = folder / "hooks.yaml"
    file.write_text(_HEAD + "".join(map(_HOOK.format, range(groups))))
    taken = []
    for _ in range(_RUNS):
        begun = perf_counter()
        what(file)
        taken.append(perf_counter() - begun)
    return min(taken)


def _ratio(name: str, groups: int, what: Callable[[Path], None]) -> float:
    with TemporaryDirectory() as folder:
        small, large = (_seconds(Path(folder), count, what) for count in (groups, 2 * groups))
    ratio = round(large / small, 2)
    said = {"what": name, "groups": 2 * groups, "seconds": round(large, 3), "times_half": ratio}
    print(json.dumps(said), flush=True)
    return ratio


def main() -> int:
    """Measure both; 1 where one grows faster than the groups."""
    ratios = [_ratio("usher check", 500, _check), _ratio("cdk synth", 250, _synthesise)]
    return int(max(ratios) > _MOST)


if __name__ == "__main__":
    sys.exit(main())
