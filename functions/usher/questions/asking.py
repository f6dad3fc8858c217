"""Asks what the conditions of an action want to know, and keeps the answers.

Load, ask, send the next turn, store. Each turn asks everything that is due, so that the answers of one
policy are fresh together however long the queue is. Of two copies of a turn one stores; before something
is started, that it will be is stored, so the other one starts nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.batches import batch_handler, body_of
from usher.core import questions
from usher.core.action import Phase, shortened
from usher.core.conditions.probe import Found, Later, as_finding, finding_of
from usher.core.decide import Complete, decide
from usher.core.finding import ConditionStatus, Finding
from usher.core.frozen import frozen
from usher.core.policy import Mode
from usher.core.queue_messages import NOT_READ, numbered
from usher.evaluation.evaluator import observed
from usher.evaluation.question_chain import sweep_at, tell_unreadable
from usher.evaluation.wake_ups import WAKE_UP_HORIZON
from usher.ports.errors import Moved, Unavailable
from usher.ports.queues import WHATEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Probe
    from usher.core.finding import Findings, Memory
    from usher.invocation import Event, Handler
    from usher.ports.conditions import Probing
    from usher.ports.queues import DeadLetters, Questions, WakeUps
    from usher.ports.records import Store
    from usher.ports.telemetry import Telemetry

_LONGEST: Final = timedelta(seconds=40)  # of all questions of a turn; a function has a minute for all
_WAKES_AGAIN: Final = timedelta(seconds=60)
_AT_ONCE: Final = timedelta(0)
_FIRST_BACKOFF: Final = timedelta(seconds=3)
_LONGEST_BACKOFF: Final = timedelta(seconds=20)
_MOST_DOUBLINGS: Final = 3
_CLOCKS: Final = timedelta(seconds=5)  # of two functions differ by no more


@frozen
class Asking:
    """Everything that a turn of questions touches."""

    store: Store
    probing: Probing
    questions: Questions
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def ask(self, action_id: str, turn: int) -> None:
        """Take one turn of an action; do nothing where another turn stands."""
        findings = self.store.findings(action_id)
        action = self.store.load(action_id) if findings is not None and findings.turn == turn else None
        if findings is None or action is None:
            return
        if not findings.is_readable:
            tell_unreadable(self.telemetry, action_id)
            return
        try:
            self._ask(action, findings)
        except Moved:
            return  # another one took this turn

    def _ask(self, action: Action, findings: Findings) -> None:
        now = self.clock()
        evidence = self.store.evidence(action)
        action = replace(observed(action, evidence, now), findings=findings.found)
        is_paused = evidence.paused is not None and action.policy.mode is not Mode.OBSERVE
        if is_paused:
            self._store(action, findings, None)
            return
        after, asked = self._asked(action, findings)
        now = self.clock()
        next_at = questions.next_at(after, now)
        wakes = _ends(action, after, now)
        if wakes:  # and again, should that wake-up be lost
            next_at = min(next_at or now + _WAKES_AGAIN, now + _WAKES_AGAIN)
        self._store(after, asked, next_at)
        if wakes:
            self.wake_ups.send(action.id, WHATEVER, _AT_ONCE)

    def _store(self, action: Action, findings: Findings, next_at: datetime | None) -> None:
        """Store, with the message of the next turn sent before, unless that is due at once.

        A message too many ends by itself, and without one nobody would ask. What is too far ahead for
        the queue is left to the sweep.
        """
        now = self.clock()
        after = _next(findings, ask_at=next_at, sweep_at=sweep_at(next_at, now))
        delay = None if next_at is None or next_at - now > WAKE_UP_HORIZON else max(next_at - now, _AT_ONCE)
        if delay is not None and delay > _AT_ONCE:
            self._send(action.id, after.turn, delay)
        self.store.keep_findings(action, after)
        if delay == _AT_ONCE:
            self._send(action.id, after.turn, _AT_ONCE)

    def _send(self, action_id: str, turn: int, delay: timedelta) -> None:
        """A queue that does not take it loses no answer: the sweep sends it later."""
        try:
            self.questions.send(action_id, turn, delay)
        except Unavailable as error:
            self.telemetry.trouble("the next turn of questions was not sent", error)

    def _asked(self, action: Action, findings: Findings) -> tuple[Action, Findings]:
        """What the conditions find, one asked after the other as far as the time goes.

        For whoever sent this turn the time had come, by a clock that may be ahead of ours. If nothing were
        due here, nobody would ask until the next heartbeat.
        """
        now = self.clock()
        until = now + _LONGEST
        due_at = findings.ask_at if findings.ask_at and findings.ask_at <= now + _CLOCKS else now
        asked: set[str] = set()
        while True:
            now = max(self.clock(), due_at)
            due = (probe for probe in questions.due(action, now) if probe.name not in asked)
            probe = next(due, None)
            if probe is None:
                return action, findings
            asked.add(probe.name)
            findings = self._found(probe, action, findings, until)
            action = replace(action, findings=findings.found)

    def _found(self, probe: Probe, action: Action, findings: Findings, until: datetime) -> Findings:
        """The findings with what is found now of one condition. Raises Moved."""
        before = finding_of(probe, action)

        def before_start(intent: Memory) -> None:
            """Store what is about to be started: who comes after a crash sees it."""
            nonlocal findings
            about = replace(before or _not_asked(probe, action), memory=intent)
            started = findings.with_one(about).noted(self.clock(), "starts", probe.name)
            started = _next(started, ask_at=findings.ask_at, sweep_at=findings.sweep_at)
            self.store.keep_findings(action, started)
            findings = started

        memory = before.memory if before else {}
        try:
            found = self.probing.probe(probe, action, memory, until, before_start)
        except Moved:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: told, and no other question waits for it
            self.telemetry.trouble(f"{probe.name} was not asked for action {action.id}", error)
            found = _failed(error, findings.memory_of(probe.name))
        now = self.clock()
        if isinstance(found, Later):
            return findings.with_one(_asked_later(before or _not_asked(probe, action), found, now))
        finding = as_finding(probe, found, before, now)
        if before is None or before.status is not finding.status:
            findings = findings.noted(now, "found", f"{probe.name}: {finding.status}: {finding.detail}")
        if finding.status is ConditionStatus.FAILED:
            self.telemetry.count("ConditionFailed", dimensions={"Condition": probe.name.split()[0]})
        if finding.status is ConditionStatus.UNKNOWN:
            self.telemetry.count("ConditionUnknown")
        if found.not_permitted:
            self.telemetry.message_handled("not permitted", f"{probe.name}: {found.not_permitted}")
            self.telemetry.count("Refused")
        return findings.with_one(finding)


def _next(findings: Findings, *, ask_at: datetime | None, sweep_at: datetime | None) -> Findings:
    return replace(findings, turn=findings.turn + 1, ask_at=ask_at, sweep_at=sweep_at)


def _not_asked(probe: Probe, action: Action) -> Finding:
    """As if it had been asked first of all, so that its turn comes before those that were."""
    return Finding(
        condition=probe.name,
        status=ConditionStatus.UNKNOWN,
        detail="not asked yet",
        asked_at=action.first_seen_at,
        ask_again_at=action.first_seen_at,
    )


def _failed(error: Exception, memory: Memory) -> Found:
    """What a question says that could not be asked, or whose answer could not be read."""
    detail = shortened(f"it could not be asked: {type(error).__name__}: {error}")
    return Found(status=ConditionStatus.UNKNOWN, detail=detail, memory=memory)


def _asked_later(known: Finding, later: Later, now: datetime) -> Finding:
    """What is known already, to be asked later: with backoff, or all would try while one call hangs."""
    backoff = min(_FIRST_BACKOFF * 2 ** min(known.unknowns, _MOST_DOUBLINGS), _LONGEST_BACKOFF)
    at = max(later.at, now + backoff)
    return replace(known, ask_again_at=at, memory=later.memory, unknowns=known.unknowns + 1)


def _ends(before: Action, after: Action, now: datetime) -> bool:
    """Whether an evaluation has something to do: the action can end, or it was the last answer to a question.

    That one may be what an evaluation is missing that has heard the rest, and no later turn would wake it.
    """
    if after.phase is not Phase.OPEN:
        return False
    if isinstance(decide(after, now), Complete):
        return True
    last = {found.condition for found in after.findings if found.ask_again_at is None}
    return not last <= {found.condition for found in before.findings if found.ask_again_at is None}


def questions_handler(asking: Asking, dead_letters: DeadLetters) -> Handler:
    """The function `questions`: a turn for each message that still counts."""

    def take(record: Event) -> None:
        body = body_of(record)
        try:
            action_id, turn = numbered(body, "turn")
        except NOT_READ as error:
            dead_letters.put(body, f"not a question: {type(error).__name__}")
            return
        asking.ask(action_id, turn)

    return batch_handler(take, asking.telemetry, "FailedQuestions")
