"""What the record of one action tells: its facts, apart from what Usher concluded from them.

Facts are what others said or did: times, notifications, signals, findings, answers of Auto Scaling, words
of operators. Conclusions are lines to wait, to send a heartbeat or to complete, with their reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import MOST_LINES
from usher.core.conditions.probe import Probe
from usher.core.policy import Mode
from usher.ports.autoscaling import AnswerKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from usher.core.action import Action, Entry

HEARTBEAT: Final = "RecordLifecycleActionHeartbeat"
COMPLETE: Final = "CompleteLifecycleAction"
CLOCKS: Final = timedelta(
    seconds=5
)  # so much clocks may differ: Auto Scaling's, the functions', whole seconds
_OF_FINDINGS: Final = ("found", "starts")  # lines beside the record, with numbers of their own
_OBSERVED: Final = "observe mode: "
# Auto Scaling's words for an action that was abandoned, by a timeout or by a result (aws-facts 2.2).
_TIMED_OUT: Final = "was abandoned: Heartbeat Timeout"
_ABANDONED: Final = "was abandoned: Lifecycle Action Completed with ABANDON Result"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call on Auto Scaling whose answer the timeline has, `count` times in a row.

    `decided_at` is the time of the line that led to it, just before it was sent; None: no line did.
    """

    name: str
    result: str  # of a CompleteLifecycleAction
    decided_at: datetime | None
    answered_at: datetime
    kind: str  # an AnswerKind
    text: str  # Auto Scaling's own words
    number: int  # of the line of the answer
    count: int

    @property
    def is_accepted(self) -> bool:
        """Whether Auto Scaling did what it was asked for."""
        return self.kind == AnswerKind.ACCEPTED

    @property
    def sent_at(self) -> datetime:
        """When it was sent, at the earliest that is known."""
        return self.decided_at or self.answered_at


@dataclass(frozen=True, kw_only=True)
class Told:
    """The record of one action, and its timeline in the order of time."""

    action: Action
    timeline: Sequence[Entry]

    @cached_property
    def lines(self) -> list[Entry]:
        """The record's own lines, in the order of their numbers."""
        own = [line for line in self.timeline if line.event not in _OF_FINDINGS]
        return sorted(own, key=lambda line: line.number)

    @cached_property
    def found(self) -> list[Entry]:
        """What was found of its conditions, at each change; of very many changes the last."""
        return [line for line in self.timeline if line.event == "found"]

    @cached_property
    def calls(self) -> list[Call]:
        """The calls that were answered."""
        return list(_calls(self.lines))

    @cached_property
    def is_whole(self) -> bool:
        """Whether no line is missing: of very long timelines some are left out.

        From MOST_LINES on a line that is left out takes no number.
        """
        numbers = [line.number for line in self.lines]
        is_counted = numbers == list(range(1, len(numbers) + 1))
        return is_counted and len(numbers) < MOST_LINES and not self.has("gap")

    @property
    def is_observed(self) -> bool:
        """Whether its policy only observes."""
        return self.action.policy.mode is Mode.OBSERVE

    @cached_property
    def is_adopted(self) -> bool:
        """Whether it was opened without a notification, so that its start was inferred."""
        return self.has("adopted")

    @cached_property
    def decision(self) -> Entry | None:
        """The line of its result; None where nothing was decided, or only observed."""
        return next(iter(self.decisions), None)

    @cached_property
    def decisions(self) -> list[Entry]:
        """All lines of results."""
        return [line for line in self.of("complete") if not line.detail.startswith(_OBSERVED)]

    @cached_property
    def timed_out(self) -> bool:
        """Whether Auto Scaling itself says that its heartbeat timeout expired; of CONTINUE it does not."""
        return self._says(_TIMED_OUT)

    @cached_property
    def was_abandoned(self) -> bool:
        """Whether Auto Scaling itself says that somebody completed it with ABANDON."""
        return self._says(_ABANDONED)

    def _says(self, words: str) -> bool:
        end = self.action.activity_end
        told = [line.detail for line in self.of("outcome")] + ([end.detail] if end else [])
        return any(f"{self.action.token} {words}" in said for said in told)

    @property
    def written_policy(self) -> dict[str, Any]:
        """Its policy, as the hooks file has it."""
        return _written(self.action.policy.source)

    @cached_property
    def unsure_probes(self) -> list[str]:
        """The names of its conditions that ask AWS, and whose first answer is not enough."""
        probes = [leaf for leaf in self.action.policy.leaves if isinstance(leaf, Probe)]
        return [probe.name for probe in probes if probe.takes_two_answers]

    @cached_property
    def started(self) -> list[Entry]:
        """What its conditions started, such as a command."""
        return [line for line in self.timeline if line.event == "starts"]

    def of(self, *events: str) -> list[Entry]:
        """The record's own lines of these kinds."""
        return [line for line in self.lines if line.event in events]

    def has(self, *events: str) -> bool:
        """Whether there is a line of one of these kinds."""
        return any(line.event in events for line in self.lines)

    def before(self, number: int, *events: str) -> list[Entry]:
        """The record's own lines of these kinds before the line of that number."""
        return [line for line in self.of(*events) if line.number < number]


def result_of(line: Entry) -> str:
    """The result in the line of a decision."""
    return line.detail.partition(":")[0]


@lru_cache(maxsize=1000)
def _written(source: str) -> dict[str, Any]:
    """The policy, with a list of conditions in every `any`: a file may have one alone."""
    written: dict[str, Any] = json.loads(source)
    until = [
        {"any": [each["any"]]} if isinstance(each.get("any"), dict) else each for each in written["until"]
    ]
    return {**written, "until": until}


def _calls(lines: Sequence[Entry]) -> Iterator[Call]:
    decided_at: datetime | None = None
    for line in lines:
        if line.event in ("heartbeat", "complete"):
            decided_at = line.last_at
        elif line.event == "answer":
            name, _, rest = line.detail.partition(": ")
            operation, _, result = name.partition(" ")
            kind, _, text = rest.partition(": ")
            yield Call(
                name=operation,
                result=result,
                decided_at=decided_at,
                answered_at=line.last_at,
                kind=kind,
                text=text,
                number=line.number,
                count=line.count,
            )
            decided_at = None
