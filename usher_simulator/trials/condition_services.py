"""The services that conditions ask, and the truth that they show of each instance.

A truth is drawn for each lifecycle action and condition. What AWS shows of it may be as old as LAG; now
and then it lies for one answer, is throttled, denied, slow, odd or silent. The judge reads the truths.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.probe import Reply, ReplyKind
from usher_simulator.trials.faults import LONGEST_SKEW, Fault, Part
from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from usher.core.conditions.probe import Call
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.effects import Effects
    from usher_simulator.trials.policy_model import Answers, Possible, Written

    Data = dict[str, Any]

LAG: Final = timedelta(seconds=60)  # how old the state may be that AWS shows
_COUNTS: Final = timedelta(minutes=5)  # an answer
_SURE_AFTER: Final = timedelta(minutes=6)
_OF_QUESTIONS: Final = (
    Fault.QUESTION_REFUSED,
    Fault.QUESTION_SILENT,
    Fault.QUESTION_STALE,
    Fault.QUESTION_ODD,
    Fault.QUESTION_LIES,
)
_MARGIN: Final = timedelta(seconds=15)  # of a turn of questions, and of clocks
_CALL_S: Final = (0.02, 0.3)
ZONE: Final = "us-east-1a"  # of each instance
_CLUSTER: Final = "web"
_CLUSTERS: Final = ("batch", "jobs", _CLUSTER)  # all that there are
_PLACE: Final = "us-east-1:111122223333"
_GROUP: Final = f"arn:aws:elasticloadbalancing:{_PLACE}:targetgroup/web/0123456789abcdef"
_MEMBER: Final = f"arn:aws:ecs:{_PLACE}:container-instance/{_CLUSTER}/"
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
CONDITIONS: Final[Mapping[str, Written]] = {
    "targets healthy": {"targets": {"groups": ["web"], "state": "healthy"}},
    "targets drained": {"targets": {"groups": ["web"], "state": "drained"}},
    "ecs active": {"ecs": {"state": "active", "cluster": _CLUSTER, "grace": "1h"}},
    "ecs drained": {"ecs": {"state": "drained", "cluster": _CLUSTER, "absent": "failed", "grace": "1h"}},
    "instance_status": {"instance_status": "ok"},
    "command": {"command": {"document": "upload-logs", "timeout": "2h"}},
    "function": {"function": "smoke-test"},
}
# The same, as others write them.
OTHERWISE: Final[Mapping[str, Written]] = {
    "ecs active": {"ecs": "active"},
    "ecs drained": {"ecs": {"state": "drained", "absent": "failed", "grace": "1h"}},
    "command": {
        "command": {
            "document": "upload-logs",
            "version": "3",
            "parameters": {"commands": ["true"], "level": "all"},
            "timeout": "2h",
        }
    },
}
_MAY_FAIL: Final = ("instance_status", "command", "function")
_ENDS_FOR_GOOD: Final = ("command", "function", "ecs drained")  # and so do not flap
_STARTED: Final = ("command", "ecs drained")  # by Usher: what is true follows from when it was
_OF_LAUNCHES: Final = ("targets healthy", "ecs active", "instance_status", "command", "function")
_OF_TERMINATIONS: Final = ("targets drained", "ecs drained", "command", "function")


def kinds_of(transition: str) -> Sequence[str]:
    """The names of the conditions that a hook of that transition may have."""
    return _OF_LAUNCHES if transition == "launching" else _OF_TERMINATIONS


def kind_of(condition: Written) -> str:
    """The name of a condition in CONDITIONS, or OTHERWISE."""
    return next(name for name, written in _written() if written == condition)


def kinds_in(policies: Iterable[Written]) -> list[str]:
    """The names of the conditions that policies ask AWS about."""
    text = json.dumps([policy["until"] for policy in policies], sort_keys=True)
    found = (name for name, written in _written() if json.dumps(written, sort_keys=True)[1:-1] in text)
    return list(dict.fromkeys(found))


def _written() -> list[tuple[str, Written]]:
    return [*CONDITIONS.items(), *OTHERWISE.items()]


@dataclass(kw_only=True)
class Truth:
    """How one condition stands in truth, from its first moment on: `states` from each of `since` on.

    One that Usher starts takes `takes` from then; before it is pending.
    """

    kind: str
    since: list[datetime]
    states: list[PossibleStatus]
    takes: timedelta
    end: PossibleStatus
    started_at: datetime | None = None

    def start(self, now: datetime) -> None:
        """Usher starts it. What it was started for once goes on."""
        if self.started_at is None:
            self.started_at = now
            self.since.append(now + self.takes)
            self.states.append(self.end)

    def at(self, moment: datetime) -> PossibleStatus:
        """How it stands then; before its first moment pending."""
        place = bisect_right(self.since, moment)
        return self.states[place - 1] if place else PossibleStatus.PENDING

    def between(self, first: datetime, last: datetime) -> set[PossibleStatus]:
        """Every way in which it stands from `first` to `last`."""
        changes = self.since[bisect_right(self.since, first) : bisect_right(self.since, last)]
        return {self.at(first), *map(self.at, changes)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A command, and what becomes of it."""

    at: datetime
    comment: str
    truth: Truth | None


@dataclass(kw_only=True)
class _OfInstance:
    """The conditions of an instance in one of its waits, or in several at once."""

    since: datetime | None = None
    truths: dict[str, Truth] = field(default_factory=dict)
    sent: list[_Sent] = field(default_factory=list)
    has_lied: bool = False
    errors: int = 0  # of the user's function, in a row
    has_erred: bool = False  # so often in a row that it counts as failed


class Asked:
    """Implements usher.ports.conditions.Calls for every condition there is."""

    def __init__(self, effects: Effects, random: Dice, tell: Callable[..., None] = lambda *_: None) -> None:
        self._effects = effects
        self._tell = tell  # a line of the trace
        self._random = random
        self._of: defaultdict[str, _OfInstance] = defaultdict(_OfInstance)
        self._of_wait: dict[str, _OfInstance] = {}  # by token
        self.starts: Counter[tuple[str, str]] = Counter()  # of each command, by its instance and comment
        self.command_ended: Callable[[Mapping[str, str]], None] = lambda _: None  # as SSM says on the bus
        self.in_doubt: set[str] = set()  # instances of whose commands some answer was none, odd or stale

    # -- the truth

    def begins(self, wait: Wait, kinds: Sequence[str], lasts: timedelta) -> None:
        """A lifecycle action begins: draw what becomes of its conditions, within about `lasts`."""
        of = self._of[wait.instance_id]
        if of.since != wait.started_at:  # else it waits in another hook already, and stands as it does there
            self._of[wait.instance_id] = of = _OfInstance(since=wait.started_at, sent=of.sent)
        for kind in kinds:
            if kind not in of.truths:
                of.truths[kind] = self._draw(kind, wait.started_at, lasts)
        self._of_wait[wait.token] = of

    def _draw(self, kind: str, now: datetime, lasts: timedelta) -> Truth:
        random = self._random
        fails = kind in _MAY_FAIL and random.chance(0.2)
        end = PossibleStatus.FAILED if fails else PossibleStatus.HOLDS
        if kind in _STARTED:
            return Truth(kind=kind, since=[], states=[], takes=lasts * random.random(), end=end)
        flaps = 0 if kind in _ENDS_FOR_GOOD else 2 * random.choice((0, 0, 1, 2))
        since = sorted(now + lasts * random.uniform(0, 1.2) for _ in range(flaps + 1))
        states = [
            PossibleStatus.PENDING if number % 2 else PossibleStatus.HOLDS for number in range(flaps)
        ] + [end]
        return Truth(kind=kind, since=since, states=states, takes=lasts, end=end)

    def answers(self, wait: Wait, first_seen_at: datetime) -> KnownAnswers:
        """For the judge: what Usher may have been answered of an action's conditions."""
        return KnownAnswers(
            of=self._of_wait.get(wait.token, _OfInstance()),
            newest=self._of[wait.instance_id],
            since=first_seen_at - LAG - _MARGIN,
        )

    def sure(self, answers: Answers) -> Answers:
        """For the judge: the answers that must have come, where nothing goes wrong with questions."""
        swarm = self._effects.faults.swarm
        faulty = any(each in swarm.rates for each in _OF_QUESTIONS)
        faulty |= any(down.part is Part.ASKED for down in swarm.downs)
        return SureAnswers(known=answers) if isinstance(answers, KnownAnswers) and not faulty else answers

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
        effects.invocations.pause(timedelta(seconds=self._random.uniform(*_CALL_S)))
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
        answer: Data = _SERVICES[call.operation](self, parameters, then)
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
        of.sent.append(_Sent(at=now, comment=comment, truth=truth))
        number = len(of.sent)
        if truth is not None and truth.started_at == now:
            detail = {"command-id": _command_id(instance_id, number), "instance-id": instance_id}
            self._effects.clock.at(now + truth.takes, lambda: self.command_ended(detail))
        return number

    def sent(self, instance_id: str) -> list[_Sent]:
        """The commands that were sent to an instance."""
        return self._of[instance_id].sent


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAnswers:
    """The policy model's Answers: they count for minutes, and show a moment of the last one."""

    of: _OfInstance
    newest: _OfInstance  # another one, once the instance is in a later wait: then answers are of that
    since: datetime

    def at(self, condition: Written, now: datetime) -> Possible:
        """See Answers. That something failed for good, or a command is done, counts for ever."""
        if self.newest is not self.of:
            return frozenset(PossibleStatus)
        kind = kind_of(condition)
        truth = self.of.truths.get(kind)
        if truth is None:  # of a policy that came with a deploy after it began: no truth was drawn for it
            return frozenset(PossibleStatus)
        seen = truth.between(self.since, now + LONGEST_SKEW)
        recent = truth.between(max(self.since, now - _COUNTS - LAG - _MARGIN), now + LONGEST_SKEW)
        if not self.of.has_lied and kind not in _ENDS_FOR_GOOD:
            seen = recent | (seen & {PossibleStatus.FAILED})
        failed = {PossibleStatus.FAILED} if kind == "function" and self.of.has_erred else set()
        return frozenset({*seen, *failed, PossibleStatus.UNKNOWN})

    def held(self, condition: Written, now: datetime) -> bool:
        """See Answers."""
        truth = self.of.truths.get(kind_of(condition))
        return truth is not None and PossibleStatus.HOLDS in truth.between(self.since, now + LONGEST_SKEW)


@dataclass(frozen=True, kw_only=True, slots=True)
class SureAnswers:
    """The policy model's Answers: what has not changed for long was asked, and answered, twice.

    Of an instance in a later wait nothing is sure: what AWS shows is of that one.
    """

    known: KnownAnswers

    def at(self, condition: Written, now: datetime) -> Possible:
        """See Answers. The user's function and AWS's own polling take up to a minute each time."""
        truth = self.known.of.truths.get(kind_of(condition))
        lately = truth.between(now - _SURE_AFTER, now) if truth else set()
        is_of_it = self.known.newest is self.known.of
        is_sure = is_of_it and len(lately) == 1 and now - _SURE_AFTER >= self.known.since
        return frozenset(lately) if is_sure else self.known.at(condition, now)

    def held(self, condition: Written, now: datetime) -> bool:
        """See Answers."""
        return self.known.held(condition, now)


# What each service answers, in its own shapes. `then` is the moment of the state that is shown.


def _target_groups(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"TargetGroups": [{"TargetGroupName": "web", "TargetGroupArn": _GROUP, "TargetType": "instance"}]}


def _own_groups(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"LoadBalancerTargetGroups": []}


def _target_health(asked: Asked, _: Mapping[str, Any], then: datetime) -> Data:
    states = {
        instance: "healthy" if stands is PossibleStatus.HOLDS else "initial"
        for instance, stands in asked.shown("targets healthy", then).items()
    }
    drains = asked.shown("targets drained", then).items()
    states |= {
        instance: _not_drained(instance) for instance, stands in drains if stands is not PossibleStatus.HOLDS
    }
    return {
        "TargetHealthDescriptions": [
            {"Target": {"Id": each, "Port": 80}, "TargetHealth": {"State": state}}
            for each, state in states.items()
        ]
    }


def _not_drained(instance: str) -> str:
    """Some targets are unhealthy when they are to go, and stay so until they are deregistered."""
    return "unhealthy" if instance[-1] in "0123" else "draining"


def _statuses(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    shown = {each: asked.shows(each, "instance_status", then) for each in parameters["members"]}
    return {
        "InstanceStatuses": [
            {
                "InstanceId": each,
                "InstanceState": {"Name": "terminated" if stands is PossibleStatus.FAILED else "running"},
                "SystemStatus": {"Status": "ok"},
                "InstanceStatus": {"Status": "ok" if stands is PossibleStatus.HOLDS else "initializing"},
            }
            for each, stands in shown.items()
        ]
    }


def _instances(_: Asked, parameters: Mapping[str, Any], __: datetime) -> Data:
    (asked_for,) = parameters["Filters"]
    placed = [{"InstanceId": each, "Placement": {"AvailabilityZone": ZONE}} for each in asked_for["Values"]]
    return {"Reservations": [{"Instances": placed}]}


def _clusters(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"clusterArns": [f"arn:aws:ecs:{_PLACE}:cluster/{name}" for name in _CLUSTERS]}


def _container_instances(_: Asked, parameters: Mapping[str, Any], __: datetime) -> Data:
    if parameters["cluster"].rpartition("/")[2] != _CLUSTER:
        return {"containerInstanceArns": []}
    return {"containerInstanceArns": [_MEMBER + parameters["filter"].removeprefix("ec2InstanceId == ")]}


def _described(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    arns = [*parameters["members"], *parameters.get("containerInstances", ())]
    return {"containerInstances": [_container_instance(asked, arn, then) for arn in arns], "failures": []}


def _container_instance(asked: Asked, arn: str, then: datetime) -> dict[str, Any]:
    instance = arn.removeprefix(_MEMBER)
    drains = asked.is_started(instance, "ecs drained", then)
    holds = asked.shows(instance, "ecs drained" if drains else "ecs active", then) is PossibleStatus.HOLDS
    is_active = drains or holds or "ecs active" not in asked.kinds(instance)
    return {
        "containerInstanceArn": arn,
        "status": "DRAINING" if drains else "ACTIVE" if is_active else "REGISTERING",
        "agentConnected": True,
        "runningTasksCount": 0 if drains and holds else 1,
        "pendingTasksCount": 0,
    }


def _drain(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    for arn in parameters["containerInstances"]:
        asked.start(arn.removeprefix(_MEMBER), "ecs drained")
    return _described(asked, parameters, then)


def _tasks_listed(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    instance = parameters["containerInstance"].removeprefix(_MEMBER)
    is_stopped = parameters["desiredStatus"] == "STOPPED"
    none = is_stopped or asked.shows(instance, "ecs drained", then) is PossibleStatus.HOLDS
    return {"taskArns": [] if none else [f"arn:aws:ecs:{_PLACE}:task/{_CLUSTER}/{instance}"]}


def _tasks(_: Asked, parameters: Mapping[str, Any], __: datetime) -> Data:
    tasks = [{"taskArn": arn, "lastStatus": "RUNNING", "group": "s"} for arn in parameters["tasks"]]
    return {"tasks": tasks, "failures": []}


def _send(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    del then
    instance = parameters["InstanceIds"][0]
    return {"Command": {"CommandId": _command_id(instance, asked.send(instance, parameters["Comment"]))}}


def _command_id(instance: str, number: int) -> str:
    """As long as SSM's."""
    return f"{instance}-{number:016}"


def _commands(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    """A stale list may lack what was sent, and then it is sent once more."""
    instance = parameters["InstanceId"]
    return {
        "Commands": [
            {"CommandId": _command_id(instance, number), "Comment": sent.comment}
            for number, sent in enumerate(asked.sent(instance), 1)
            if sent.at <= then
        ]
    }


def _invocations(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    instance, _, number = parameters["CommandId"].rpartition("-")
    truth = asked.sent(instance)[int(number) - 1].truth
    stands = truth.at(then) if truth else PossibleStatus.HOLDS
    status = {PossibleStatus.FAILED: "Failed", PossibleStatus.HOLDS: "Success"}.get(stands, "InProgress")
    one = {"CommandId": parameters["CommandId"], "InstanceId": parameters["InstanceId"], "Status": status}
    return {"CommandInvocations": [one]}


def _invoked(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    """A user's function knows the truth of this moment."""
    instance = json.loads(parameters["Payload"])["instance_id"]
    stands = asked.shows(instance, "function", then)
    status = {PossibleStatus.FAILED: "failed", PossibleStatus.HOLDS: "done"}.get(stands, "pending")
    return {"StatusCode": 200, "Payload": json.dumps({"status": status})}


_SERVICES: Final[Mapping[str, Callable[[Asked, Mapping[str, Any], datetime], Any]]] = {
    "DescribeTargetGroups": _target_groups,
    "DescribeTargetHealth": _target_health,
    "DescribeLoadBalancerTargetGroups": _own_groups,
    "DescribeInstanceStatus": _statuses,
    "DescribeInstances": _instances,
    "ListClusters": _clusters,
    "ListContainerInstances": _container_instances,
    "DescribeContainerInstances": _described,
    "UpdateContainerInstancesState": _drain,
    "ListTasks": _tasks_listed,
    "DescribeTasks": _tasks,
    "SendCommand": _send,
    "ListCommands": _commands,
    "ListCommandInvocations": _invocations,
    "Invoke": _invoked,
}
