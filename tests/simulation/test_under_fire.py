"""Promise 2 under fire: conditions whose questions are throttled, lost, answered late, oddly or with a lie.

A seed draws a few actions, what becomes of each instance and when, and a fault for every call. The
production looks, prober and shared answers run against it on a virtual clock, with wake-ups that come
late, twice or never. The promise, as precisely as it can be kept where AWS may lag by `LAG`:

- An action completes with success only if its condition held in truth at a moment that an answer of
  after the first sight could have shown: from the first sight less `LAG` on.
- What may stop holding (targets, ecs active, instance_status) held within the last `KEPT` and `LAG`, too,
  unless the run has a lie: then one answer of the two may be it, and the other may be older.
- One lie never is enough. It is said by every call of a round, so that no round of ecs gainsays it.
- None is failed unless the truth failed for good, and all end as the truth says once the faults stop.
- What starts something is started at least once, and once where no answer is lost.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from simulator.clock import VirtualClock
from simulator.memory_budget import MemoryBudget, MemoryLimits
from simulator.memory_store import MemoryStore
from simulator.recorder import Recorder
from tests.aws_shapes import checked
from tests.factories import START, a_policy, an_action, at, hook_terms
from tests.questions import asking_of
from usher.core.conditions.ecs import Ecs
from usher.core.conditions.instance_status import InstanceStatus
from usher.core.conditions.probe import Reply, ReplyKind
from usher.core.conditions.targets import Targets
from usher.core.model import Outcome, Result, Transition
from usher.looks import Looks
from usher.ports import Answer, AnswerKind, Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.conditions.probe import Call
    from usher.core.conditions.verdict import Condition
    from usher.core.model import Action

SEEDS: Final = 200
ACTIONS: Final = 5
CALM_AT: Final = 420  # seconds: the faults stop, and what is to come has come
END_AT: Final = 1020
LAG: Final = 60  # seconds: how old the state may be that AWS shows
KEPT: Final = {"targets healthy": 45, "ecs active": 80, "instance_status": 65}  # shared, and counted on

CONDITIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "targets healthy": {"targets": {"groups": ["web"], "state": "healthy"}},
    "targets drained": {"targets": {"groups": ["web"], "state": "drained"}},
    "ecs active": {"ecs": {"state": "active", "cluster": "web", "grace": "1h"}},
    "ecs drained": {"ecs": {"state": "drained", "cluster": "web", "absent": "failed", "grace": "1h"}},
    "instance_status": {"instance_status": "ok"},
    "command": {"command": {"document": "upload-logs", "timeout": "40m"}},
    "function": {"function": "smoke-test"},
}
MAY_FAIL: Final = ("instance_status", "command", "function")  # for good
ENDS_FOR_GOOD: Final = (*MAY_FAIL[1:], "ecs drained")  # and so do not flap
GROUP: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
MEMBER: Final = "arn:aws:ecs:us-east-1:123456789012:container-instance/web/"
STARTS: Final = ("SendCommand", "UpdateContainerInstancesState")
ODD: Final[Sequence[Any]] = (
    None,
    {},
    [],
    "?",
    {"containerInstances": 5},
    {"TargetHealthDescriptions": ["x"]},
)
ACCEPTED: Final = Answer(kind=AnswerKind.ACCEPTED, text="")


@dataclass(kw_only=True)
class Instance:
    """One instance, and the truth of its condition: it holds where an odd number of changes was."""

    id: str
    kind: str
    changes: Sequence[float]
    fails: bool
    sent_at: float | None = None
    sent: list[str] = field(default_factory=list)  # the comments of its commands
    starts: int = 0
    lost: int = 0  # starts that were applied, and not answered

    def holds(self, seconds: float) -> bool:
        """Whether the condition holds then. What is started first takes its time from there."""
        if self.kind in ("command", "ecs drained"):
            begun = self.sent_at is not None and seconds >= self.sent_at + self.changes[0] / 4
            return begun and not self.fails
        return not self.has_failed(seconds) and sum(change <= seconds for change in self.changes) % 2 == 1

    def has_failed(self, seconds: float) -> bool:
        if not self.fails:
            return False
        if self.kind == "command":
            return self.sent_at is not None and seconds >= self.sent_at + self.changes[0] / 4
        return seconds >= self.changes[-1]

    def held_in(self, first: float, last: float) -> bool:
        """Whether it held at any moment between."""
        moments = [first, last, *(change for change in self.changes if first <= change <= last)]
        if self.sent_at is not None:
            moments.append(min(max(first, self.sent_at + self.changes[0] / 4), last))
        return any(self.holds(moment) for moment in moments)


def an_instance(number: int, kind: str, random: Random) -> Instance:
    """Flapping or not, it stays as it becomes before the faults stop."""
    flaps = 0 if kind in ENDS_FOR_GOOD else 2 * random.choice((0, 0, 1, 2))
    changes = sorted(random.uniform(0, CALM_AT - LAG) for _ in range(flaps + 1))
    fails = kind in MAY_FAIL and random.random() < 0.25
    return Instance(id=f"i-{number:017x}", kind=kind, changes=changes, fails=fails)


@dataclass
class Fire:
    """Implements Calls: the world of a seed, with its faults. Implements AutoScaling and WakeUps, too."""

    seed: int
    believes: bool = False  # one answer is enough: what must go wrong then shows that the checkers check
    now: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    calls: Counter[str] = field(default_factory=Counter)
    completed: dict[str, tuple[float, Result]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - drawn from one printed seed
        kinds = self.random.choices(list(CONDITIONS), k=ACTIONS)
        self.instances = [an_instance(number, kind, self.random) for number, kind in enumerate(kinds)]
        self.of = {instance.id: instance for instance in self.instances}
        self.loses = self.random.random() < 0.5
        self.trouble = self.random.choice((0.05, 0.2, 0.4))
        self.liar = self.random.choice(
            (None, *(each for each in self.instances if each.kind not in MAY_FAIL[1:]))
        )
        self.lies_from = self.random.uniform(0, CALM_AT / 3)
        self.lies_until: float | None = None
        self.store = MemoryStore(self.now)
        ids = count(1)
        self.looks = Looks(
            store=self.store,
            auto_scaling=self,
            budget=MemoryBudget(10),
            limits=MemoryLimits(),
            questions=Questions(self),
            wake_ups=self,
            telemetry=Recorder(),
            clock=self.now,
            new_id=lambda: f"look-{next(ids)}",
        )
        self.asking = asking_of(self.looks, self)

    @property
    def seconds(self) -> float:
        return (self.now() - START).total_seconds()

    @property
    def burns(self) -> bool:
        return self.seconds < CALM_AT

    # Calls

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        self.calls[call.operation] += 1
        kind = self._fault(call)
        if kind == "busy":
            return Reply(kind=ReplyKind.UNKNOWN, text="Throttling: Rate exceeded")
        if kind == "denied":
            return Reply(kind=ReplyKind.UNKNOWN, text="AccessDenied")
        if kind == "lost before":
            return Reply(kind=ReplyKind.TIMED_OUT, text="no answer in time")
        stale = self.random.uniform(0, LAG) if kind == "stale" else 0
        data = WORLD[call.operation](self, {**call.parameters, "members": members}, self.seconds - stale)
        if kind == "lost after":
            for instance in self._started_by(call):
                instance.lost += 1
            return Reply(kind=ReplyKind.TIMED_OUT, text="no answer in time")
        answer = checked(call.service, call.operation, data)
        return Reply(kind=ReplyKind.ANSWERED, data=self.random.choice(ODD) if kind == "odd" else answer)

    def _fault(self, call: Call) -> str:
        if not self.burns or self.random.random() > self.trouble:
            return ""
        if call.operation == "Invoke":  # of its errors five in a row are a failure, and its word is its own
            return self.random.choice(("busy", "denied"))
        if call.operation in STARTS:
            lost = ["lost before", "lost after"] if self.loses else []
            return self.random.choice(["busy", "denied", *lost])
        return self.random.choice(("busy", "denied", "lost before", "odd", "stale", "stale"))

    def _started_by(self, call: Call) -> list[Instance]:
        named = json.dumps(call.parameters)
        return [each for each in self.instances if each.id in named and call.operation in STARTS]

    def shows(self, instance: Instance, seconds: float) -> bool:
        """Whether AWS says that the condition holds. The lie lasts for a moment, and comes once."""
        truth = instance.holds(seconds)
        if instance is not self.liar or self.seconds < self.lies_from or instance.has_failed(seconds):
            return truth
        if self.lies_until is None:
            self.lies_until = self.seconds
        return not truth if self.seconds <= self.lies_until else truth

    # AutoScaling and WakeUps

    def complete(self, action: Action, result: Result) -> Answer:
        self.completed.setdefault(action.id, (self.seconds, result))
        return ACCEPTED

    def heartbeat(self, action: Action) -> Answer:
        assert action.is_open
        return ACCEPTED

    def ongoing(self, action: Action) -> None:
        raise AssertionError(f"{action.id} has a token")

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        """Late, or twice, or never: then the sweep looks."""
        self.later(delay, lambda: self.looks.look(action_id, version))

    def later(self, delay: timedelta, do: Callable[[], None]) -> None:
        for _ in range(self.random.choice((0, 1, 1, 1, 2)) if self.burns else 1):
            late = self.random.choice((0, 0, 0.5, 7)) if self.burns else 0
            moment = self.now() + delay + timedelta(seconds=late)
            self.now.at(moment, do)

    # The run

    def run(self) -> None:
        for instance in self.instances:
            first_seen = self.random.uniform(0, 90)
            self.now.at(at(first_seen), lambda each=instance: self._open(each))  # type: ignore[misc]
        for minute in range(1, END_AT // 60):
            self.now.at(at(60 * minute), self._sweep)
        self.now.run_until(at(END_AT))

    def _open(self, instance: Instance) -> None:
        kind = instance.kind
        terms = hook_terms(
            transition=Transition.TERMINATING if "drained" in kind else Transition.LAUNCHING,
            heartbeat_timeout=timedelta(minutes=10),
        )
        policy = a_policy([CONDITIONS[kind]], on_failure="ABANDON", give_up_after="4h")
        if self.believes:
            policy = replace(policy, until=tuple(credulous(each) for each in policy.until))
        action = an_action(
            id=instance.id,
            token=None,
            activity_id="activity-1",
            instance_id=instance.id,
            hook=terms,
            policy=policy,
            first_seen_at=self.now(),
            started_at=self.now(),
            look_at=self.now(),
        )
        self.store.open(action, Raw(received_at=self.now(), body="{}"))
        self.looks.look(instance.id)

    def _sweep(self) -> None:
        for due in list(self.store.due(self.now())):
            self.looks.look(due.action_id)
        for row in self.store.unasked(self.now()):
            self.looks.chains.repair(row)


class Questions:
    """Implements usher.ports.Questions with the same faults."""

    def __init__(self, fire: Fire) -> None:
        self._fire = fire

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        self._fire.later(delay, lambda: self._fire.asking.ask(action_id, turn))


# What AWS shows of the truth, in its own shapes. `then` is the second of the state that is shown.


def target_groups(_: Fire, __: Mapping[str, Any], ___: float) -> dict[str, Any]:
    group = {"TargetGroupName": "web", "TargetGroupArn": GROUP, "TargetType": "instance"}
    return {"TargetGroups": [group]}


def own_groups(_: Fire, __: Mapping[str, Any], ___: float) -> dict[str, Any]:
    return {"LoadBalancerTargetGroups": []}


def target_health(fire: Fire, _: Mapping[str, Any], then: float) -> dict[str, Any]:
    states = {}
    for instance in fire.instances:
        if instance.kind == "targets healthy":
            states[instance.id] = "healthy" if fire.shows(instance, then) else "initial"
        if instance.kind == "targets drained" and not fire.shows(instance, then):
            states[instance.id] = "draining"
    return {
        "TargetHealthDescriptions": [
            {"Target": {"Id": each, "Port": 80}, "TargetHealth": {"State": state}}
            for each, state in states.items()
        ]
    }


def statuses(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    return {
        "InstanceStatuses": [
            {
                "InstanceId": each,
                "InstanceState": {"Name": "terminated" if fire.of[each].has_failed(then) else "running"},
                "SystemStatus": {"Status": "ok"},
                "InstanceStatus": {"Status": "ok" if fire.shows(fire.of[each], then) else "initializing"},
            }
            for each in parameters["members"]
        ]
    }


def container_instances(_: Fire, parameters: Mapping[str, Any], __: float) -> dict[str, Any]:
    return {"containerInstanceArns": [MEMBER + parameters["filter"].removeprefix("ec2InstanceId == ")]}


def described(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    return {
        "containerInstances": [
            container_instance(fire, arn, then)
            for arn in [*parameters["members"], *parameters.get("containerInstances", ())]
        ],
        "failures": [],
    }


def container_instance(fire: Fire, arn: str, then: float) -> dict[str, Any]:
    instance = fire.of[arn.removeprefix(MEMBER)]
    holds = fire.shows(instance, then)
    drains = instance.sent_at is not None and then >= instance.sent_at
    status = "ACTIVE" if not drains else "DRAINING"
    if instance.kind == "ecs active":
        status = "ACTIVE" if holds else "REGISTERING"
    return {
        "containerInstanceArn": arn,
        "status": "DRAINING" if instance.kind == "ecs drained" and holds else status,
        "agentConnected": True,
        "runningTasksCount": 0 if holds else 1,
        "pendingTasksCount": 0,
    }


def drain(fire: Fire, parameters: Mapping[str, Any], _: float) -> dict[str, Any]:
    for arn in parameters["containerInstances"]:
        instance = fire.of[arn.removeprefix(MEMBER)]
        instance.starts += 1
        instance.sent_at = instance.sent_at or fire.seconds
    return described(fire, parameters, fire.seconds)


def tasks_listed(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    instance = fire.of[parameters["containerInstance"].removeprefix(MEMBER)]
    none = parameters["desiredStatus"] == "STOPPED" or fire.shows(instance, then)
    return {"taskArns": [] if none else [f"arn:aws:ecs:us-east-1:123456789012:task/web/{instance.id}"]}


def tasks(_: Fire, parameters: Mapping[str, Any], __: float) -> dict[str, Any]:
    return {
        "tasks": [{"taskArn": arn, "lastStatus": "RUNNING", "group": "s"} for arn in parameters["tasks"]],
        "failures": [],
    }


def send(fire: Fire, parameters: Mapping[str, Any], _: float) -> dict[str, Any]:
    instance = fire.of[parameters["InstanceIds"][0]]
    instance.starts += 1
    instance.sent_at = instance.sent_at or fire.seconds
    instance.sent.append(parameters["Comment"])
    return {"Command": {"CommandId": command_id(instance, len(instance.sent))}}


def command_id(instance: Instance, number: int) -> str:
    """As long as SSM's."""
    return f"{instance.id}-{number:016}"


def commands(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    """A stale list may lack what was sent, and then it is sent once more."""
    instance = fire.of[parameters["InstanceId"]]
    seen = instance.sent if instance.sent_at is not None and then >= instance.sent_at else []
    return {
        "Commands": [
            {"CommandId": command_id(instance, number), "Comment": comment}
            for number, comment in enumerate(seen, 1)
        ]
    }


def invocations(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    """The last word on a command is not eventually consistent: it may come late, but is no lie."""
    instance = fire.of[parameters["InstanceId"]]
    status = "Failed" if instance.has_failed(then) else "Success" if instance.holds(then) else "InProgress"
    one = {"CommandId": parameters["CommandId"], "InstanceId": instance.id, "Status": status}
    return {"CommandInvocations": [one]}


def invoked(fire: Fire, parameters: Mapping[str, Any], then: float) -> dict[str, Any]:
    instance = fire.of[json.loads(parameters["Payload"])["instance_id"]]
    status = "failed" if instance.has_failed(then) else "done" if instance.holds(then) else "pending"
    return {"StatusCode": 200, "Payload": json.dumps({"status": status})}


WORLD: Final[Mapping[str, Callable[[Fire, Mapping[str, Any], float], Any]]] = {
    "DescribeTargetGroups": target_groups,
    "DescribeTargetHealth": target_health,
    "DescribeLoadBalancerTargetGroups": own_groups,
    "DescribeInstanceStatus": statuses,
    "ListContainerInstances": container_instances,
    "DescribeContainerInstances": described,
    "UpdateContainerInstancesState": drain,
    "ListTasks": tasks_listed,
    "DescribeTasks": tasks,
    "SendCommand": send,
    "ListCommands": commands,
    "ListCommandInvocations": invocations,
    "Invoke": invoked,
}


# The checkers


def too_early(fire: Fire, instance: Instance, first_seen: float) -> str | None:
    ended_at, result = fire.completed.get(instance.id, (0.0, Result.ABANDON))
    if result is not Result.CONTINUE:
        return None
    if not instance.held_in(first_seen - LAG, ended_at):
        return "completed, and its condition never held"
    kept = KEPT.get(instance.kind)
    if kept is None or fire.liar is instance or instance.held_in(ended_at - kept - LAG, ended_at):
        return None
    return "completed, and its condition had not held for long"


def not_as_it_ended(fire: Fire, instance: Instance, _: float) -> str | None:
    """Success and failure as the truth has it, and an end at all."""
    action = fire.store.load(instance.id)
    assert action is not None
    if action.outcome is not Outcome.COMPLETED:
        return f"is not done: {action.outcome}, {action.reason}, {action.findings}"
    if action.result is Result.ABANDON and not instance.has_failed(fire.completed[instance.id][0]):
        return f"was failed, and the truth did not fail: {action.reason}"
    if action.result is Result.CONTINUE and instance.fails and instance.kind in ENDS_FOR_GOOD:
        return "is done, and the truth failed"
    return None


def started_wrongly(_: Fire, instance: Instance, __: float) -> str | None:
    if instance.kind not in ("command", "ecs drained"):
        return None
    once_at_most = instance.lost == 0
    sound = instance.starts == 1 if once_at_most else instance.starts >= 1
    return None if sound else f"was started {instance.starts} times, {instance.lost} answers were lost"


def broken(fire: Fire) -> list[str]:
    """Every promise that the run broke, in words."""
    problems = []
    for instance in fire.instances:
        action = fire.store.load(instance.id)
        assert action is not None
        first_seen = (action.first_seen_at - START).total_seconds()
        said = (check(fire, instance, first_seen) for check in (too_early, not_as_it_ended, started_wrongly))
        problems += [f"seed {fire.seed}: {instance.kind} {instance.id} {each}" for each in said if each]
    return problems


def burnt(seeds: range, *, believes: bool = False) -> list[str]:
    """What is broken after these runs."""
    problems = []
    for seed in seeds:
        fire = Fire(seed, believes=believes)
        fire.run()
        problems += broken(fire)
    return problems


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_no_action_completes_before_its_condition_really_held(first: int) -> None:
    assert burnt(range(first, first + 50)) == []


# One who believes a single answer


class CredulousTargets(Targets):
    __slots__ = ()
    takes_two_answers = False


class CredulousEcs(Ecs):
    __slots__ = ()
    takes_two_answers = False


class CredulousInstanceStatus(InstanceStatus):
    __slots__ = ()
    takes_two_answers = False


CREDULOUS: Final[Mapping[type, Callable[..., Condition]]] = {
    Targets: CredulousTargets,
    Ecs: CredulousEcs,
    InstanceStatus: CredulousInstanceStatus,
}


def credulous(condition: Condition) -> Condition:
    kind = CREDULOUS.get(type(condition))
    if kind is None or not is_dataclass(condition):
        return condition
    return kind(**{each.name: getattr(condition, each.name) for each in fields(condition)})


def test_who_believes_one_answer_is_caught_by_the_lie_in_each_kind_of_condition() -> None:
    problems = burnt(range(160), believes=True)

    early = {kind for kind in CONDITIONS for said in problems if f": {kind} " in said and "never" in said}
    assert early == {"targets healthy", "targets drained", "ecs active", "ecs drained", "instance_status"}
