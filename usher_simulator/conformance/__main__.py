"""Runs the conformance scenarios: `python -m usher_simulator.conformance [--endpoint URL]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from usher_simulator.conformance.endpoints import InProcess, OverHttp, Unreachable
from usher_simulator.conformance.runner import run
from usher_simulator.conformance.scenarios import load
from usher_simulator.spans import span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_simulator.conformance.runner import Outcome

_FOLDER: Final = Path("conformance") / "scenarios"
_EXAMPLE: Final = """\
examples:
  python -m usher_simulator.conformance
  python -m usher_simulator.conformance --endpoint http://127.0.0.1:5000 --json
  python -m usher_simulator.conformance --endpoint http://127.0.0.1:8090 --clock http://127.0.0.1:8090/clock
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print. 0: all that was run agrees; 1: something differs; 2: wrong usage."""
    asked = _parser().parse_args(arguments)
    try:
        scenarios, longest = load(asked.scenarios), span_of(asked.longest_wait)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not scenarios:
        sys.stderr.write(f"{asked.scenarios} has no scenarios. Name their folder with --scenarios.\n")
        return 2

    def endpoint() -> InProcess | OverHttp:
        return OverHttp(asked.endpoint, longest, asked.clock) if asked.endpoint else InProcess()

    try:
        if asked.endpoint:
            OverHttp(asked.endpoint, longest).try_it()
        outcomes = [run(scenario, endpoint(), number) for number, scenario in enumerate(scenarios, start=1)]
    except Unreachable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(_as_json(outcomes) if asked.json else _as_text(outcomes))
    return int(any(outcome.status == "differs" for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m usher_simulator.conformance",
        description="Run scenarios of EC2 Auto Scaling on an implementation of its API.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--endpoint",
        type=_url,
        metavar="URL",
        help="a server of the API (default: the simulator, in this process)",
    )
    add(
        "--clock",
        type=_url,
        metavar="URL",
        help="where a form such as advance=40s lets time pass at that endpoint",
    )
    add("--scenarios", type=Path, default=_FOLDER, metavar="FOLDER", help=f"default: {_FOLDER}")
    add(
        "--longest-wait",
        default="5s",
        metavar="SPAN",
        help="how long one scenario may wait on an endpoint without a virtual clock (default: 5s)",
    )
    add("--json", action="store_true", help="one JSON object for each scenario")
    return parser


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"must be a URL such as http://127.0.0.1:8090, got {text!r}")
    return text


def _as_json(outcomes: Sequence[Outcome]) -> str:
    lines = [
        {"scenario": one.scenario, "status": one.status, **({"why": one.why} if one.why else {})}
        for one in outcomes
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _as_text(outcomes: Sequence[Outcome]) -> str:
    lines = [f"{one.status:8}  {one.scenario}{f': {one.why}' if one.why else ''}" for one in outcomes]
    counts = Counter(one.status for one in outcomes)
    lines.append(f"{len(outcomes)} scenarios: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
