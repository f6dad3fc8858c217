"""The services that conditions ask, and the truth that they show of each instance.

A truth is drawn for each lifecycle action and condition. What AWS shows of it may be as old as LAG; now
and then it lies for one answer, is throttled, denied, slow, odd or silent. The judge reads the truths.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.probe import Reply, ReplyKind
from usher_simulator.trials.condition_answers import KnownAnswers, SureAnswers
from usher_simulator.trials.condition_replies import SERVICES, command_id
from usher_simulator.trials.condition_truths import (
    ENDS_FOR_GOOD,
    LAG,
    MARGIN,
    MAY_FAIL,
    STARTED,
    OfInstance,
    Sent,
    Truth,
)
from usher_simulator.trials.faults import Fault, Part
from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from usher.core.conditions.probe import Call
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.choosers.chooser import Chooser
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.effects import Effects
    from usher_simulator.trials.policy_model import Answers

    Data = dict[str, Any]
_OF_QUESTIONS: Final = (
    Fault.QUESTION_REFUSED,
    Fault.QUESTION_SILENT,
    Fault.QUESTION_STALE,
    Fault.QUESTION_ODD,
    Fault.QUESTION_LIES,
)
_CALL_S: Final = (0.02, 0.3)
_MOST_ERRORS: Final = 5  # docs/configuration.md: of a function, in a row
_STARTS: Final = ("SendCommand", "UpdateContainerInstancesState")
_ODD: Final[Sequence[Any]] = (
    None,
    {},
    [],
    "?",
    {"containerInstances": 5},
    {"TargetHealthDescriptions": ["x"]},
)


class Asked:
    """Implements usher.ports.conditions.Calls for every condition there is."""

    def __init__(
        self, effects: Effects, random: Dice, chooser: Chooser, tell: Callable[..., None] = lambda *_: None
    ) -> None:
        self._effects = effects
        self._chooser = chooser
        self._tell = tell  # a line of the trace
        self._random = random
        self._of: defaultdict[str, OfInstance] = defaultdict(OfInstance)
        self._of_wait: dict[str, OfInstance] = {}  # by token
        self.starts: Counter[tuple[str, str]] = Counter()  # of each command, by its instance and comment
        self.command_ended: Callable[[Mapping[str, str]], None] = lambda _: None  # as SSM says on the bus
        self.launched: Callable[[], Sequence[str]] = tuple  # instances of simulated Auto Scaling
        self.in_doubt: set[str] = set()  # instances of whose commands some answer was none, odd or stale

    # -- the truth

    def begins(self, wait: Wait, kinds: Sequence[str], lasts: timedelta) -> None:
        """A lifecycle action begins: draw what becomes of its conditions, within about `lasts`."""
        of = self._of[wait.instance_id]
        if of.since != wait.started_at:  # else it waits in another hook already, and stands as it does there
            self._of[wait.instance_id] = of = OfInstance(since=wait.started_at, sent=of.sent)
        for kind in kinds:
            if kind not in of.truths:
                of.truths[kind] = self._draw(kind, wait.started_at, lasts)
        self._of_wait[wait.token] = of

    def _draw(self, kind: str, now: datetime, lasts: timedelta) -> Truth:
        random = self._random
        fails = kind in MAY_FAIL and random.chance(0.2)
        end = PossibleStatus.FAILED if fails else PossibleStatus.HOLDS
        if kind in STARTED:
            return Truth(kind=kind, since=[], states=[], takes=lasts * random.random(), end=end)
        flaps = 0 if kind in ENDS_FOR_GOOD else 2 * random.choice((0, 0, 1, 2))
        since = sorted(now + lasts * random.uniform(0, 1.2) for _ in range(flaps + 1))
        states = [
            PossibleStatus.PENDING if number % 2 else PossibleStatus.HOLDS for number in range(flaps)
        ] + [end]
        return Truth(kind=kind, since=since, states=states, takes=lasts, end=end)

    def answers(self, wait: Wait, first_seen_at: datetime) -> KnownAnswers:
        """For the judge: what Usher may have been answered of an action's conditions."""
        return KnownAnswers(
            of=self._of_wait.get(wait.token, OfInstance()),
            newest=self._of[wait.instance_id],
            since=first_seen_at - LAG - MARGIN,
        )

    def sure(self, answers: Answers) -> Answers:
        """For the judge: the answers that must have come, where nothing goes wrong with questions."""
        if self.is_faulty or not isinstance(answers, KnownAnswers):
            return answers
        return SureAnswers(known=answers)

    @property
    def is_faulty(self) -> bool:
        """Whether something may go wrong with questions in this seed."""
        swarm = self._effects.faults.swarm
        is_down = any(down.part is Part.ASKED for down in swarm.downs)
        return is_down or any(each in swarm.rates for each in _OF_QUESTIONS)

    def kinds(self, instance_id: str) -> Collection[str]:
        """The conditions that its instance has."""
        return self._of[instance_id].truths

    # -- the services

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        """See usher.ports.conditions.Calls."""
        reply = self._reply(call, members)
        self._tell("asked", self._effects.invocation, call.operation, reply.kind, reply.text, reply.data)
        return reply

    def _reply(self, call: Call, members: Sequence[str]) -> Reply:
        effects, faults = self._effects, self._effects.faults
        effects.invocations.step()
        if faults.is_down(Part.ASKED, effects.clock()) or faults.hits(Fault.QUESTION_SILENT):
            effects.meets(Fault.QUESTION_SILENT)
            self._note_error(call, is_error=True)
            if call.operation in _STARTS and self._random.chance(0.5):  # it is done, and nobody hears of it
                self._answer(call, {**call.parameters, "members": members})
            effects.invocations.pause(call.longest)
            return Reply(kind=ReplyKind.TIMED_OUT, text="no answer in time")
        effects.invocations.pause(timedelta(seconds=self._chooser.number(*_CALL_S)), call.operation)
        if faults.hits(Fault.QUESTION_REFUSED):
            effects.meets(Fault.QUESTION_REFUSED)
            text = self._random.choice(("Throttling: Rate exceeded", "AccessDenied"))
            return Reply(kind=ReplyKind.UNKNOWN, text=text)
        self._note_error(call, is_error=False)
        data: object = self._answer(call, {**call.parameters, "members": members})
        effects.invocations.step()
        is_question = call.operation not in (*_STARTS, "Invoke")
        if is_question and faults.hits(Fault.QUESTION_ODD):
            effects.meets(Fault.QUESTION_ODD)
            self._doubt(call)
            data = self._random.choice(_ODD)
        return Reply(kind=ReplyKind.ANSWERED, data=data)

    def _doubt(self, call: Call) -> None:
        """Whoever is told nothing sure of a command may send it once more."""
        if call.service == "ssm":
            self.in_doubt.update(call.parameters.get("InstanceIds", [call.parameters.get("InstanceId", "")]))

    def _note_error(self, call: Call, *, is_error: bool) -> None:
        """What is asked of nothing else than this function, by the payload, has one instance."""
        if call.operation == "Invoke":
            of = self._of[json.loads(call.parameters["Payload"])["instance_id"]]
            of.errors = of.errors + 1 if is_error else 0
            of.has_erred |= of.errors >= _MOST_ERRORS

    def _answer(self, call: Call, parameters: Mapping[str, Any]) -> Data:
        now = self._effects.clock()
        is_stale = call.operation not in _STARTS and self._effects.faults.hits(Fault.QUESTION_STALE)
        then = now - LAG * self._random.random() if is_stale else now
        if is_stale:
            self._doubt(call)
        answer: Data = SERVICES[call.operation](self, parameters, then)
        return answer

    def shows(self, instance_id: str, kind: str, then: datetime) -> PossibleStatus:
        """How AWS says that a condition stands. It lies once of an instance at most, for one answer."""
        of = self._of[instance_id]
        truth = of.truths.get(kind)
        stands = truth.at(then) if truth else PossibleStatus.PENDING
        may_lie = (
            not of.has_lied and kind not in ("command", "function") and stands is not PossibleStatus.FAILED
        )
        if not may_lie or not self._effects.faults.hits(Fault.QUESTION_LIES):
            return stands
        of.has_lied = True
        self._effects.faults.count += 1  # it excuses nothing: the judge knows what may have been answered
        return PossibleStatus.PENDING if stands is PossibleStatus.HOLDS else PossibleStatus.HOLDS

    def shown(self, kind: str, then: datetime) -> dict[str, PossibleStatus]:
        """Of all instances that have such a condition."""
        return {each: self.shows(each, kind, then) for each, of in self._of.items() if kind in of.truths}

    def start(self, instance_id: str, kind: str) -> None:
        """Usher starts what a condition waits for."""
        truth = self._of[instance_id].truths.get(kind)
        if truth is not None:
            truth.start(self._effects.clock())

    def is_started(self, instance_id: str, kind: str, then: datetime) -> bool:
        """Whether that shows."""
        truth = self._of[instance_id].truths.get(kind)
        return truth is not None and truth.started_at is not None and then >= truth.started_at

    def send(self, instance_id: str, comment: str) -> int:
        """Send a command. Returns its number."""
        self.starts[instance_id, comment] += 1
        self.start(instance_id, "command")
        of, now = self._of[instance_id], self._effects.clock()
        truth = of.truths.get("command")
        of.sent.append(Sent(at=now, comment=comment, truth=truth))
        number = len(of.sent)
        if truth is not None and truth.started_at == now:
            detail = {"command-id": command_id(instance_id, number), "instance-id": instance_id}
            self._effects.clock.at(now + truth.takes, lambda: self.command_ended(detail))
        return number

    def sent(self, instance_id: str) -> list[Sent]:
        """The commands that were sent to an instance."""
        return self._of[instance_id].sent
