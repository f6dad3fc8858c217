"""A condition in a test: as a hooks file writes it, and asked as the function `questions` asks it.

`tests/contract/test_probes.py` holds each condition that asks AWS to what all promise, by the SAMPLES of
`tests/unit/test_condition_KIND.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tests.aws_shapes import ShapedCalls
from tests.factories import an_action, at
from tests.questions import free_turns, with_finding
from usher.core import conditions
from usher.core.conditions.probe import Found, Later, Probe, Reply, ReplyKind, as_finding
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus, Finding
from usher.questions.probing import Prober
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition
    from usher.core.finding import Memory
    from usher.ports.conditions import Calls

HOLDS, PENDING, UNKNOWN, FAILED = (
    ConditionStatus.HOLDS,
    ConditionStatus.PENDING,
    ConditionStatus.UNKNOWN,
    ConditionStatus.FAILED,
)
INSTANCE: Final = an_action().instance_id
ANOTHER: Final = "i-00000000000000001"
BUSY: Final = Reply(kind=ReplyKind.UNKNOWN, code="Throttling", text="Throttling: Rate exceeded")
SILENT: Final = Reply(kind=ReplyKind.TIMED_OUT, text="not answered in time")

Answers: TypeAlias = Mapping[str, Mapping[str, Any] | Reply]  # by operation
_TURN: Final = timedelta(seconds=60)
_MOST_TRIES: Final = 20  # to ask, while an answer that is shared is too old


def parsed(value: object) -> tuple[Condition | None, list[Problem]]:
    """What a hooks file's condition becomes, and every problem with it."""
    problems: list[Problem] = []
    try:
        return conditions.parse(Field(path=("until", 0), value=value, problems=problems)), problems
    except Refused:
        return None, problems


def assert_refused(value: Mapping[str, object], place: str, rule: str) -> None:
    """It is refused at that place below its kind, by a rule with these words, and for nothing else."""
    _, problems = parsed(value)
    assert [problem.field for problem in problems] == [f"until[0].{next(iter(value))}{place}"]
    assert rule in problems[0].rule


def refused(code: str, text: str = "no") -> Reply:
    """A refusal as AwsCalls hands it on."""
    return Reply(kind=ReplyKind.REFUSED, code=code, text=f"{code}: {text}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One way to write a condition, and what AWS answers of an instance while it holds, and while not."""

    written: Mapping[str, object]
    holds: Callable[[str], Answers]
    pending: Callable[[str], Answers]
    fails: Answers | None = None
    more: tuple[Answers, ...] = ()  # without which some call is not made
    of_another: tuple[Answers, ConditionStatus] | None = None  # answers that tell of others only
    missing: tuple[tuple[str, str], ...] = ()  # operations, and the codes that something does not exist
    told_only: frozenset[str] = frozenset()  # operations whose answers only add to what is told

    @property
    def condition(self) -> Probe:
        """As it is read from the hooks file."""
        condition, problems = parsed(self.written)
        assert isinstance(condition, Probe), problems
        return condition

    @property
    def answers(self) -> list[Answers]:
        """All that AWS may say."""
        return [
            self.pending(INSTANCE),
            self.holds(INSTANCE),
            *([self.fails] if self.fails else []),
            *self.more,
        ]


ASKED: Final = [kind for kind, condition in conditions.KINDS.items() if issubclass(condition, Probe)]


def samples_of(kind: str) -> Sequence[Sample]:
    """Those that stand in the test of the condition."""
    samples: Sequence[Sample] = import_module(f"tests.unit.test_condition_{kind}").SAMPLES
    return samples


@dataclass
class Watch:
    """An action that waits for one condition: each question is asked with what the one before it left."""

    condition: Probe
    calls: Calls
    action: Action = field(default_factory=an_action)
    memory: Memory = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(at(0)))
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)
    started: list[Memory] = field(
        default_factory=list
    )  # what was stored before a call that changes something
    finding: Finding | None = None

    def __post_init__(self) -> None:
        self._prober = Prober(
            calls=self.calls, answers=self.answers, call_budget=free_turns(), clock=self.clock
        )

    def ask(self, seconds: float | None = None) -> Found | Later:
        """The one answer, so many seconds after the start, or now."""
        if seconds is not None:
            self.clock.run_until(at(seconds))
        until = self.clock() + _TURN
        found = self._prober.probe(self.condition, self.action, self.memory, until, self._before_start)
        self._keep(found.memory)
        if isinstance(found, Later):
            self.finding = replace(self.finding or self._not_asked(), ask_again_at=found.at)
            return found
        self.finding = as_finding(self.condition, found, self.finding, self.clock())
        self.action = with_finding(self.action, self.finding)
        return found

    def found(self, seconds: float | None = None) -> Found:
        """The one answer, which can be had."""
        found = self.ask(seconds)
        assert isinstance(found, Found), "nothing new can be had yet"
        return found

    def recorded(self, seconds: float | None = None) -> Finding:
        """What the record has after that answer."""
        self.ask(seconds)
        assert self.finding is not None
        return self.finding

    def stands(self, seconds: float | None = None) -> ConditionStatus:
        """How the condition stands for the record after that answer."""
        return self.recorded(seconds).status

    def recorded_when_due(self) -> Finding:
        """What the record has after the next answer, asked for when it is due, or now."""
        for _ in range(_MOST_TRIES):
            due = self.finding.ask_again_at if self.finding else None
            self.clock.run_until(max(self.clock(), due or self.clock()))
            if isinstance(self.ask(), Found):
                break
        assert self.finding is not None
        return self.finding

    def keep_asking(self) -> None:
        """Ask now, and again each time that it is due, until it holds or fails."""
        finding = self.recorded()
        if finding.status in (PENDING, UNKNOWN):
            assert finding.ask_again_at is not None
            self.clock.at(finding.ask_again_at, self.keep_asking)

    def _before_start(self, intent: Memory) -> None:
        self.started.append(intent)
        self._keep(intent)

    def _keep(self, memory: Memory) -> None:
        """As it is stored."""
        self.memory = json.loads(json.dumps(dict(memory)))
        assert self.memory == memory, "it comes back as it was stored"

    def _not_asked(self) -> Finding:
        return Finding(
            condition=self.condition.name,
            status=UNKNOWN,
            detail="not asked yet",
            asked_at=self.clock(),
            ask_again_at=None,
        )


def answering(answers: Answers) -> ShapedCalls:
    """Calls that are answered so, whatever their parameters are."""
    return ShapedCalls(lambda operation, _: answers[operation])


def operations(calls: ShapedCalls) -> list[str]:
    """What was called."""
    return [operation for operation, _ in calls.made]
