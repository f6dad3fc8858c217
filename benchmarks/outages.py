"""Outages of AWS against the deployed simulation: what is held, and what gets its default result, by timeout.

`python -m benchmarks.outages` writes the table of docs/operations.md. The judge is the simulated
service's own log; the records are asked only whether they tell of what fell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import Outcome
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials import trial
from usher_simulator.trials.faults import Down, How, Part, Swarm
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    ("EC2, ECS, SSM, load balancers", (Part.ASKED,), timedelta(hours=2)),
    ("DynamoDB and the schedule", (Part.STORE, Part.SWEEP), timedelta(hours=2)),
    ("DynamoDB and SQS", (Part.STORE, Part.QUEUES), timedelta(hours=2)),
)
_SEEDS: Final = (1, 3, 7)
_TABLE: Final = Path("docs/operations.md")
_BEGINS, _ENDS = "<!-- outages -->", "<!-- end of outages -->"


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
    reported: int = 0  # of these, recorded as defaulted

    def __str__(self) -> str:
        """As the table has it."""
        return (
            f"{self.held} held"
            if not self.defaulted
            else f"{self.held} held, **{self.defaulted} defaulted** ({self.reported} reported)"
        )


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
        count.reported += sum(one is not None and one.outcome is Outcome.DEFAULTED for one in records)
    return count


def main() -> int:
    """Write the table."""
    rows = [
        f"| outage | for | {' | '.join(f'hooks of {timeout}' for timeout in HOOKS)} |",
        f"|{'---|' * (2 + len(HOOKS))}",
    ]
    for name, parts, lasts in OUTAGES:
        cells = [str(counted(timeout, parts, lasts)) for timeout in HOOKS]
        rows.append(f"| {name} | {int(lasts.total_seconds() // 60)} min | {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    text = _TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGINS)
    _, _, after = rest.partition(_ENDS)
    table = "\n".join(rows)
    _TABLE.write_text(f"{before}{_BEGINS}\n\n{table}\n\n{_ENDS}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
