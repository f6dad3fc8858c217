"""Outages of AWS against the deployed simulation: what is held, and what gets its default result, by timeout.

`python -m benchmarks.outages` writes the two tables of docs/operations.md. The judge is the simulated
service's own log; the records are asked only whether they tell of what fell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.storm_plan import START as STORM_START
from benchmarks.storm_plan import Storm
from benchmarks.storm_usher import UsherInStorm, away
from usher.core import duration
from usher.core.action import Outcome
from usher.core.closing import KNOWN_TOO_LATE
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials import trial
from usher_simulator.trials.faults import Down, How, Part, Swarm
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait

BEGINS: Final = timedelta(hours=1)
HOOKS: Final = {
    "30s": "40m",
    "1m": "90m",
    "5m": "4h",
    "16m": "4h",
    "1h": "4h",
}  # and when the policy gives up
_ASKS: Final = {"targets": {"groups": ["web"], "state": "drained"}}  # of the policies where that is away
OUTAGES: Final[tuple[tuple[str, tuple[Part | How, ...], timedelta], ...]] = (
    ("DynamoDB", (Part.STORE,), timedelta(minutes=10)),
    ("DynamoDB", (Part.STORE,), timedelta(hours=2)),
    ("DynamoDB refuses", (Part.STORE, How.DENIED), timedelta(hours=2)),
    ("SQS accepts no message", (Part.QUEUES,), timedelta(hours=2)),
    ("SQS cannot be reached", (Part.QUEUES, How.UNREACHED), timedelta(hours=2)),
    ("the schedule does not run", (Part.SWEEP,), timedelta(hours=2)),
    ("wake is throttled", (Part.WAKE,), timedelta(hours=2)),
    ("intake is throttled", (Part.INTAKE,), timedelta(minutes=10)),
    ("Auto Scaling refuses all", (Part.AUTO_SCALING,), timedelta(minutes=10)),
    ("EventBridge delivers nothing", (Part.BUS,), timedelta(hours=2)),
    ("EC2, ECS, SSM, load balancers", (Part.ASKED,), timedelta(hours=2)),
    ("DynamoDB and the schedule", (Part.STORE, Part.SWEEP), timedelta(hours=2)),
    ("DynamoDB and SQS", (Part.STORE, Part.QUEUES), timedelta(hours=2)),
)
_SEEDS: Final = (1, 3, 7)
_MINUTE: Final = timedelta(minutes=1)
# A hundred instances at once without the table: by heartbeat timeout, with the calls a second that two
# heartbeats a period need, and the longest outage that the global timeout of the hook leaves room for.
STORMS: Final = (
    (timedelta(seconds=30), 20, 40 * _MINUTE),
    (_MINUTE, 10, 80 * _MINUTE),
    (5 * _MINUTE, 10, 120 * _MINUTE),
    (timedelta(hours=1), 10, 120 * _MINUTE),
)
_STORM_LASTS: Final = (2 * _MINUTE, 10 * _MINUTE, 120 * _MINUTE)
_TABLE: Final = Path("docs/operations.md")


def hooks_file(timeout: str, policy: dict[str, object]) -> dict[str, Any]:
    """One hook on three groups, whose default is ABANDON."""
    hook = {"name": "drain", "transition": "terminating", "heartbeat_timeout": timeout, "policy": "job"}
    groups = ("web-1", "jobs-a", "jobs-b")
    hooks = [{**hook, "group": group, "default_result": "ABANDON", "notify": "sqs"} for group in groups]
    return {"version": 1, "policies": {"job": policy}, "hooks": hooks}


def outage(
    seed: int, hooks: dict[str, Any], parts: Sequence[Part | How], begins: timedelta, lasts: timedelta
) -> Trial:
    """A trial in which nothing goes wrong but that these parts are away; last how, if not broken."""
    since = trial.START + begins
    how = next((each for each in parts if isinstance(each, How)), How.BROKEN)
    downs = [
        Down(part=part, since=since, until=since + lasts, how=how) for part in parts if isinstance(part, Part)
    ]
    return Trial(seed, swarm=Swarm(downs=downs), hooks=hooks, tells=True)


def waits_of(run: Trial) -> list[Wait]:
    """The waits of our hook that began so far."""
    tokens = (line.split()[3] for line in run.audience.trace if " begins " in line and " drain " in line)
    waits = (run.fleet.waits.of_token(token) for token in tokens)
    return [wait for wait in waits if wait is not None]


def fallen(waits: Sequence[Wait]) -> list[str]:
    """The tokens of those that got the default result for want of a heartbeat."""
    return [wait.token for wait in waits if wait.ended_by is EndedBy.HEARTBEAT_TIMEOUT]


@dataclass(kw_only=True, slots=True)
class Count:
    """Of the waits that an outage met."""

    held: int = 0
    defaulted: int = 0
    reported: int = 0  # of these, recorded as defaulted, or as known too late

    def __str__(self) -> str:
        """As the table has it."""
        return (
            f"{self.held} held"
            if not self.defaulted
            else f"{self.held} held, **{self.defaulted} defaulted** ({self.reported} reported)"
        )


def is_reported(action: Action) -> bool:
    """Whether its record tells that it fell: under Usher's eyes, or before its notification was handled."""
    return action.outcome is Outcome.DEFAULTED or action.reason == KNOWN_TOO_LATE


def counted(
    timeout: str, parts: Sequence[Part | How], lasts: timedelta, seeds: Sequence[int] = _SEEDS
) -> Count:
    """The waits of some trials that were under way in the outage, or began in it."""
    count = Count()
    begins, ends = trial.START + BEGINS, trial.START + BEGINS + lasts
    until = _ASKS if Part.ASKED in parts else {"signal": "done"}
    policy: dict[str, object] = {"until": [until], "give_up_after": HOOKS[timeout]}
    for seed in seeds:
        run = outage(seed, hooks_file(timeout, policy), parts, BEGINS, lasts)
        run.run()
        met = [wait for wait in waits_of(run) if wait.started_at < ends and (wait.ended_at or ends) > begins]
        defaulted = fallen(met)
        records = (run.usher.memory.of_token(token) for token in defaulted)
        count.held += len(met) - len(defaulted)
        count.defaulted += len(defaulted)
        count.reported += sum(one is not None and is_reported(one) for one in records)
    return count


def storm_rows() -> list[str]:
    """How many of a hundred instances are held while the table is away."""
    hooks = " | ".join(f"hooks of {duration.written(timeout)}, {rate}/s" for timeout, rate, _ in STORMS)
    rows = [f"| DynamoDB is away for | {hooks} |", f"|{'---|' * (1 + len(STORMS))}"]
    for lasts in _STORM_LASTS:
        cells = [storm_cell(timeout, rate, min(lasts, longest)) for timeout, rate, longest in STORMS]
        rows.append(f"| {duration.written(lasts)} | {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def storm_cell(timeout: timedelta, rate: float, lasts: timedelta, held: int = 100) -> str:
    """As the table has it: held, and for how long where that is not the whole row."""
    off = away(Part.STORE, 5 * _MINUTE, lasts)
    storm = Storm(
        held=held, heartbeat_timeout=timeout, rate=rate, lasts=off.until - STORM_START + 4 * _MINUTE
    )
    run = UsherInStorm(storm, [off])
    run.run()
    defaulted = len(run.defaulted)
    count = f"{held - defaulted} held" + (f", **{defaulted} defaulted**" if defaulted else "")
    return count if lasts in _STORM_LASTS else f"{count} for {duration.written(lasts)}"


def outage_rows() -> list[str]:
    """What is held, for each outage and heartbeat timeout."""
    rows = [
        f"| outage | for | {' | '.join(f'hooks of {timeout}' for timeout in HOOKS)} |",
        f"|{'---|' * (2 + len(HOOKS))}",
    ]
    for name, parts, lasts in OUTAGES:
        cells = [str(counted(timeout, parts, lasts)) for timeout in HOOKS]
        rows.append(f"| {name} | {int(lasts.total_seconds() // 60)} min | {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def write(name: str, rows: Sequence[str]) -> None:
    """Put a table between its two marks in the page."""
    begins, ends = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = _TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(begins)
    _, _, after = rest.partition(ends)
    table = "\n".join(rows)
    _TABLE.write_text(f"{before}{begins}\n\n{table}\n\n{ends}{after}", encoding="utf-8")


def main() -> int:
    """Write both tables."""
    write("storms", storm_rows())
    write("outages", outage_rows())
    return 0


if __name__ == "__main__":
    sys.exit(main())
