"""Planted bugs held against `usher audit`: which of them it finds in records, and which leave no trace there.

`python -m tests.simulation.audited` plants each at its seed, and writes the table of docs/history.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.simulation.bugs.bug import planted
from tests.simulation.planted import ALL
from usher_cli.audit.audit import Audit
from usher_cli.audit.told import Told
from usher_cli.audit.verdicts import PROMISES
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from tests.simulation.bugs.bug import Bug
    from usher_cli.audit.verdicts import Verdict

_TABLE: Final = Path("docs/history.md")
_SEARCHED: Final = range(1, 26)  # for a bug that its seed finds no more
_BEGINS, _ENDS = "<!-- audited bugs -->", "<!-- end of audited bugs -->"

# The seed at which the audit finds each bug that leaves a trace in records.
FOUND: Final = {
    "forgets its result when the call fails": 3,
    "takes success for failure, and failure for success": 1,
    "takes a failed signal for a done one": 1,
    "gives up after half of its patience": 1,
    "at_once: counts nothing": 20,
    "adds heartbeats up instead of restarting the period": 3,
    "drops a due evaluation on a throttle": 9,
    "sends no wake-ups": 6,
    "takes every hook for its own": 4,
    "calls in observe mode": 20,
    "takes 'no active action' for an acceptance": 1,
    "closes the record on a throttle": 3,
    "closes every record after its first heartbeat": 1,
    "tells a default as ended elsewhere": 3,
    "does not note the answers": 1,
    "notes a heartbeat and sends none": 1,
    "beats at the expiry, not before": 1,
    "gives no heartbeat a turn": 1,
    "tells what others ended as its own": 1,
    "notes no reason to wait": 1,
    "targets: believes a single answer": 10,
    "ecs: believes a single answer": 3,
    "instance_status: believes a single answer": 3,
    "not: turns nothing round": 1,
    "any: waits for all": 4,
    "then: looks at the last stage alone": 6,
    "elapsed: counts twice as fast": 5,
    "counts a signal for the next life of an instance": 1,
    "limits: counts nothing": 1,
    "stalls whatever progress there is": 11,
    "sends no heartbeat for some tokens": 2,
    "takes a stopped instance for ended, whatever it does": 1,
    "lets a dead launch into service": 10,
    "hold: ends at the next heartbeat": 1,
    "hold: is noted and not kept": 1,
    "complete: is forgotten": 1,
    "complete: sends the other result": 1,
    "extend: moves nothing": 2,
    "removal: abandons what waits": 1,
    "a hold is not written": 6,
    "a result that came too late is told as the end": 103,
    "the global timeout counts from first sight": 13,
    "no call goes out over budget, not even at the last moment": 78,
}


def verdicts_of(trial: Trial) -> list[Verdict]:
    """What the audit says of all records of a trial that has run."""
    memory, audit = trial.usher.memory, Audit()
    for action in memory.with_findings(memory.actions()):
        audit.add(Told(action=action, timeline=memory.timeline(action.id)))
    return audit.verdicts()


def found(bug: Bug, seed: int) -> list[Verdict]:
    """What the audit finds broken with a bug in production code. It judges without the bug."""
    with planted(bug):
        trial = Trial(seed, watched=[], things=bug.things)
        trial.run()
    return [verdict for verdict in verdicts_of(trial) if verdict.is_broken]


# Those that leave no trace in records, or none that proves anything, by the reason.
NO_TRACE: Final = {
    "what is not stored is in no record": (
        "acknowledges what could not be stored",
        "drops what it does not understand",
        "acknowledges a batch whatever failed in it",
    ),
    "the record has the token as it was read": ("compares tokens without regard to case",),
    "the record has only the new policy, under the same name": (
        "puts open actions under a new configuration",
    ),
    "the rules and what EC2 told for them are in no record": (
        "rules: chooses before EC2 has told anything",
        "rules: forgets what EC2 told",
        "rules: never chooses",
    ),
    "the call is in no line": (
        "sends a heartbeat after the result",
        "sends a result without the table",
        "beats without the table what is decided",
        "takes a closed record up without a heartbeat",
    ),
    "its second call is answered as if someone else had completed the action": (
        "completes before the result is stored",
    ),
    "wake-ups, and evaluations that change nothing, are in no record": (
        "evaluates whatever the version of its wake-up",
        "goes on from wake-up to wake-up beside the table",
        "sends six times as many wake-ups",
        "runs wake where Lambda ends loops",
    ),
    "a late message, or functions that did not run, look the same": (
        "leaves a signal to the next heartbeat",
        "complete: waits for the next evaluation",
        "begins no questions",
        "an evaluation sends its wake-ups after the store",
        "asks an hour later, whatever the condition says",
    ),
    "a finding is what Usher read from an answer; the answer itself is in no record": (
        "command: takes what is pending for done",
        "ecs: takes what is pending for done",
        "function: takes what is pending for done",
        "instance_status: takes what is pending for done",
        "targets: takes what is pending for done",
        "an unhealthy target counts as drained",
    ),
    "a start that was refused is started again with the same line": (
        "command: sends again without an evaluation",
        "command: forgets that it was sent",
    ),
    "a signal that was refused, or did not count, is in no line": (
        "hears a signal under any name",
        "a signal to the token of another action counts",
    ),
    "what other records count, before the period too, is not known": ("limits: counts each result twice",),
    "an order to release an instance stands beside the records": ("release: is forgotten",),
    "a pause that has ended is in no record": ("pause: is not read",),
    "hooks and their items are in no record": (
        "deletes a hook on its way out while somebody waits",
        "takes no hook back that left the file",
        "puts no hook",
        "puts no hook again that others deleted",
        "notes a hook as put without a call",
        "takes an update for a removal",
        "lets through what its hook held before it left the file",
        "begins under the newest item, not the file",
        "works by an applied version for hours after the next",
        "enrols by the version before for good",
        "a late notice is let through",
    ),
    "events out are in no record": ("announces no end by others", "announces no beginning"),
    "what is written over is in no record": (
        "the removal replaces a decided result",
        "an answer writes over an operator's word",
    ),
    "the start of an adopted action is inferred": ("an adopted wait began with its activity",),
}


def main() -> int:
    """Plant each bug that leaves a trace, and write the table; 1 where one is not found."""
    rows, missed = [], 0
    for bug in ALL:
        if bug.name not in FOUND:
            reason = next(reason for reason, names in NO_TRACE.items() if bug.name in names)
            rows.append(f"| {bug.name} | none | {reason} |")
            continue
        seed = FOUND[bug.name]
        broken = found(bug, seed)
        if not broken:
            missed += 1
            moved = next((other for other in _SEARCHED if found(bug, other)), None)
            print(f"{bug.name}: not at seed {seed}, but at seed {moved}: change FOUND", file=sys.stderr)  # noqa: T201 - likewise
        said = broken[0].text if broken else "NOT FOUND"
        print(f"{bug.name}: {said}", file=sys.stderr, flush=True)  # noqa: T201 - progress
        promise = PROMISES[broken[0].promise] if broken else ""
        rows.append(f"| {bug.name} | seed {seed} | {promise}: {said.replace('|', ';')} |")
    text = _TABLE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGINS)
    table = "\n".join(
        ["| planted bug | found at | what the audit says, or why it cannot |", "|---|---|---|", *rows]
    )
    after = rest.partition(_ENDS)[2]
    _TABLE.write_text(f"{before}{_BEGINS}\n\n{table}\n\n{_ENDS}{after}", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
