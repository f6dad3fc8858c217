"""How the time of `usher check` grows with the hooks of a file: 250 and 500 named groups, each with its hook.

Prints one JSON line for each size, the least of five runs in time of the processor, and their ratio: twice
the hooks should take about twice the time.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from cli.doubts import warnings
from cli.hooks_file import load

_SMALL, _LARGE = 250, 500
_RUNS = 5
_HEAD = "version: 1\npolicies: {p: {until: [elapsed: 5m]}}\nhooks:\n"
_HOOK = "  - {{name: drain, group: workers-{:08}, transition: terminating, policy: p}}\n"


def _seconds(folder: Path, hooks: int) -> float:
    file = folder / "hooks.yaml"
    file.write_text(_HEAD + "".join(map(_HOOK.format, range(hooks))))
    taken = []
    for _ in range(_RUNS):
        begun = process_time()
        warnings(load(file))
        taken.append(process_time() - begun)
    return min(taken)


def main() -> None:
    """Measure both sizes, the smaller one first."""
    with TemporaryDirectory() as folder:
        found = {hooks: _seconds(Path(folder), hooks) for hooks in (_SMALL, _LARGE)}
    for hooks, seconds in found.items():
        print(json.dumps({"hooks": hooks, "seconds": round(seconds, 3)}))
    print(json.dumps({"ratio": round(found[_LARGE] / found[_SMALL], 2)}))


if __name__ == "__main__":
    main()
