"""Many trials, seed by seed: `python -m usher_simulator.trials.simulate --seeds 1000 --from 1 --jobs 2`.

Progress and rate go to stderr. The last line says whether a promise was broken; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from usher_simulator.trials.outcome import Outcome


_TOLD_EVERY_S: Final = 10.0
_INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell has it
_COLLECTED_EVERY: Final = 10  # trials, of some 5 MB
_AT_ONCE: Final = 5  # seeds that a process takes together


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What came of a trial, and the processor time that it took."""

    outcome: Outcome
    took_s: float


@dataclass(kw_only=True)
class Totals:
    """Of all trials so far."""

    seeds: int = 0
    evaluations: int = 0
    decisions: int = 0
    actions: int = 0
    action_hours: float = 0.0
    faults: int = 0
    took_s: float = 0.0
    fewest_actions: int | None = None
    hooks: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)  # in how many seeds
    failed: list[Outcome] = field(default_factory=list)

    def add(self, timed: Timed) -> None:
        """One more trial."""
        outcome = timed.outcome
        self.seeds += 1
        self.evaluations += outcome.evaluations
        self.decisions += outcome.decisions
        self.actions += outcome.actions
        self.action_hours += outcome.action_hours
        self.faults += outcome.faults
        self.took_s += timed.took_s
        self.hooks.update(outcome.hooks)
        self.happened.update(outcome.happened)
        if self.fewest_actions is None or outcome.actions < self.fewest_actions:
            self.fewest_actions = outcome.actions
        if outcome.violations:
            self.failed.append(outcome)

    def __str__(self) -> str:
        """What was simulated, and how fast."""
        rate = self.evaluations / self.took_s if self.took_s else 0.0
        return (
            f"{self.seeds} seeds: {self.actions} actions (at least {self.fewest_actions} a seed), "
            f"{self.action_hours:.0f} action-hours, {self.evaluations} evaluations, "
            f"{self.decisions} decisions, {self.faults} faults; {rate:.0f} evaluations a second and core"
        )


def run(seed: int) -> Timed:
    """One trial. Garbage is looked for between trials, and not often: it would take a tenth of the whole."""
    began = process_time()
    gc.disable()
    try:
        outcome = Trial(seed).run()
    finally:
        gc.enable()
    if seed % _COLLECTED_EVERY == 0:
        gc.collect()
    return Timed(outcome=outcome, took_s=process_time() - began)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    asked = _parser().parse_args(arguments)
    gc.freeze()  # the code stays
    if asked.trace:
        return _show(asked.first)
    return tell(_run_all(range(asked.first, asked.first + asked.seeds), asked.jobs), asked.first)


def tell(trials: Iterable[Timed], first: int) -> int:
    """Tell how they go, and their verdict. Ctrl-C ends them, and there is one on those that are done."""
    totals, told_at, code = Totals(), perf_counter(), 0
    try:
        for timed in trials:
            totals.add(timed)
            if timed.outcome.violations:
                _tell_failure(timed.outcome)
            if perf_counter() - told_at > _TOLD_EVERY_S:
                told_at = perf_counter()
                print(totals, file=sys.stderr, flush=True)  # noqa: T201 - the command's progress
    except KeyboardInterrupt:
        code = _INTERRUPTED
    return _conclude(totals, first) or code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=_count, default=300, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=_count, default=1, help="how many processes")
    parser.add_argument("--trace", action="store_true", help="show all that happens in the first seed")
    return parser


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text}")
    return number


def _run_all(seeds: Iterable[int], jobs: int) -> Iterator[Timed]:
    if jobs == 1:
        yield from map(run, seeds)
        return
    # Ctrl-C reaches every process of a terminal: the first one ends the others, and tells what there is.
    ignored = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=ignored) as processes:
        yield from processes.map(run, seeds, chunksize=_AT_ONCE)


def _show(seed: int) -> int:
    outcome = Trial(seed, tells=True).run()
    for line in outcome.trace:
        print(line.encode(errors="backslashreplace").decode())  # noqa: T201 - what was asked for
    for violation in outcome.violations:
        print(f"seed {seed}: {violation}")  # noqa: T201 - as above
    return 1 if outcome.violations else 0


def _tell_failure(outcome: Outcome) -> None:
    for violation in outcome.violations:
        print(f"seed {outcome.seed}: {violation}")  # noqa: T201 - what the command is for
    print(f"  faults: {outcome.swarm}")  # noqa: T201 - as above
    print(f"  its trace: make simulate SEEDS=1 FROM={outcome.seed} TRACE=1", flush=True)  # noqa: T201 - as above


def _conclude(totals: Totals, first: int) -> int:
    print(totals)  # noqa: T201 - what the command is for
    mix = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.hooks.items()))
    print(f"hooks: {mix}")  # noqa: T201 - as above
    shares = sorted((f"{what} {seeds / totals.seeds:.1%}" for what, seeds in totals.happened.items()))
    print(f"of the seeds: {', '.join(shares)}")  # noqa: T201 - as above
    failed = len(totals.failed)
    verdict = f"{failed} violations" if failed else "no violation"
    print(f"{totals.seeds} seeds from {first}: {verdict}")  # noqa: T201 - as above
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
