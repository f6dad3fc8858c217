"""Each alarm rings on what it names, and none on a busy, healthy day."""

from __future__ import annotations

import json
import uuid
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools import Metrics as PowertoolsMetrics
from botocore.exceptions import ClientError

from benchmarks.storm_usher import AllRun
from tests.alarms import Metrics, alarms, ringing
from usher.aws.calls import AwsCalls
from usher.aws.telemetry import ALARM_OF, NAMESPACE, PowertoolsTelemetry
from usher.core.compiled import compiled
from usher.core.conditions.probe import Reply, ReplyKind
from usher.passes.dead_letters import DeadLetterWatch
from usher.passes.reconcile import INTERVAL
from usher.passes.silent_groups import SilentGroups
from usher.ports.errors import Denied
from usher_simulator.autoscaling.engine import Fleet
from usher_simulator.autoscaling.fast_client import ShortWire
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.moves import TRANSITION_NAMES
from usher_simulator.autoscaling.query_protocol import Request
from usher_simulator.autoscaling.service import AutoScalingService
from usher_simulator.autoscaling.simulated_targets import SimulatedOutside
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.fakes.unknown_calls import NoCalls
from usher_simulator.trials.choosers.by_seed import BySeed
from usher_simulator.trials.deployed import QUESTIONS
from usher_simulator.trials.deployment import Deployment
from usher_simulator.trials.dice import Dice
from usher_simulator.trials.effects import Effects, Watch
from usher_simulator.trials.faults import Down, Faults, Part, Swarm, Thing
from usher_simulator.trials.faulty_door import ShakyDoor
from usher_simulator.trials.invocations import Invocations
from usher_simulator.trials.trial import START

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.probe import Call
    from usher.ports.conditions import Calls
    from usher.ports.records import Evidence

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
GROUPS = 3
INBOX = "arn:aws:sqs:us-east-1:111122223333:usher-inbox"
ROLE = "arn:aws:iam::111122223333:role/usher"
HOOKS: dict[str, Any] = {
    "version": 1,
    "policies": {
        "quick": {"until": [{"elapsed": "90s"}]},
        "slow": {"until": [{"elapsed": "25m"}]},
        "work": {"until": [{"signal": "done"}], "give_up_after": "20m"},
    },
    "hooks": [
        {
            "group": f"web-{group}",
            "name": name,
            "transition": to,
            "heartbeat_timeout": every,
            "policy": policy,
        }
        for group in range(GROUPS)
        for name, to, every, policy in (
            ("settle", "launching", "30s", "quick"),
            ("drain", "terminating", "5m", "slow"),
            ("finish", "terminating", "1m", "work"),
        )
    ],
}


class Measured(Recorder):
    """Telemetry that keeps when it counted."""

    def __init__(self, metrics: Metrics, clock: VirtualClock) -> None:
        super().__init__()
        self._metrics = metrics
        self._clock = clock

    def count(self, metric: str, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:
        super().count(metric, value, dimensions)
        if value and not dimensions:
            for name in {metric, ALARM_OF.get(metric, metric)}:
                self._metrics.put(name, value, self._clock())


class MeasuredDeployment(Deployment):
    """Counts invocations and errors, as Lambda does."""

    metrics: Metrics

    def _invoke(self, settings: Any, work: Any, ended: Any, *rest: Any, **named: Any) -> Any:
        of = f"{settings.function.capitalize()}Function"
        self.metrics.put("Invocations", 1, self.clock(), "AWS/Lambda", of)

        def told(returned: Any, error: BaseException | None) -> None:
            self.metrics.put("Errors", error is not None, self.clock(), "AWS/Lambda", of)
            ended(returned, error)

        return super()._invoke(settings, work, told, *rest, **named)


class Day:
    """A fleet that is replaced all day long, and Usher, with what is down."""

    def __init__(
        self,
        *downs: Down,
        hooks: Mapping[str, Any] = HOOKS,
        calls: Calls | None = None,
        deployment: type[MeasuredDeployment] = MeasuredDeployment,
    ) -> None:
        self.hooks = hooks
        self.metrics = Metrics()
        self.clock = VirtualClock(START)
        of_faults, of_steps = BySeed(Dice.of(1, "faults")), BySeed(Dice.of(1, "steps"))
        faults = Faults(Swarm(downs=downs, things=frozenset({Thing.RECONCILED})), of_faults)
        effects = Effects(self.clock, Invocations(self.clock, lambda *_: None), faults, of_steps)
        ids = Dice.of(1, "ids")
        outside = SimulatedOutside(
            clock=self.clock, random=Dice.of(1, "outside"), bus=lambda event: self._send(json.dumps(event))
        )
        outside.targets[INBOX] = self._send
        self.fleet = Fleet(
            clock=self.clock,
            outside=outside,
            latencies=PROMPT,
            new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4)),
            new_instance_id=lambda: f"i-0{ids.getrandbits(64):016x}",
        )
        self.service = AutoScalingService(self.fleet)
        wire = ShortWire()
        wire.answer = ShakyDoor(effects, self.service, Watch(), lambda _: None)
        file = compiled(hooks)
        telemetry = self.telemetry = Measured(self.metrics, self.clock)
        deployment.metrics = self.metrics
        self.usher = deployment(
            file, effects, wire.client, telemetry, Watch(), calls=calls or NoCalls(), instances=AllRun()
        )
        self.silence = SilentGroups(
            hooks=file.configuration.hooks, store=self.usher.memory, telemetry=telemetry
        )
        self.letters = DeadLetterWatch(kept=self, telemetry=telemetry, clock=self.clock)
        self._turns = deque(f"web-{group}" for group in range(GROUPS))

    def _send(self, body: str) -> None:
        self.usher.inbox.send(body)

    def counts(self) -> dict[str, int]:
        """As DeadLettersKept."""
        return {"inbox": len(self.usher.inbox_dead_letters), "wake-ups": len(self.usher.wake_dead_letters)}

    def ask(self, operation: str, **parameters: object) -> None:
        self.service(Request(operation=operation, parameters=parameters, request_id="by-the-test"))

    def run(self, lasts: timedelta) -> set[str]:
        """The alarms that rang meanwhile."""
        for group in range(GROUPS):
            sizes = {"MinSize": 0, "MaxSize": 40, "DesiredCapacity": 3, **ANY_SOURCE}
            self.ask("CreateAutoScalingGroup", AutoScalingGroupName=f"web-{group}", **sizes)
        for hook in self.hooks["hooks"]:
            self._put(hook)
        end = START + lasts
        self._each_minute(end)
        self.clock.run_until(end)
        return ringing(self.metrics, START, end)

    def _put(self, hook: Any) -> None:
        self.ask(
            "PutLifecycleHook",
            AutoScalingGroupName=hook["group"],
            LifecycleHookName=hook["name"],
            LifecycleTransition=TRANSITION_NAMES[hook["transition"]],
            HeartbeatTimeout={"30s": 30, "1m": 60, "5m": 300}[hook["heartbeat_timeout"]],
            DefaultResult="ABANDON",
            NotificationTargetARN=INBOX,
            RoleARN=ROLE,
        )

    def _each_minute(self, end: datetime) -> None:
        now = self.clock()
        if now >= end:
            return
        self.clock.at(now + MINUTE, lambda: self._each_minute(end))
        usher = self.usher
        age = max(((now - one.sent_at).total_seconds() for one in usher.inbox.messages), default=0)
        self.metrics.put("ApproximateAgeOfOldestMessage", age, now, "AWS/SQS", "InboxQueue")
        if now.minute % 2 == 0:
            for each in (self.silence, self.letters):
                each.run(lambda: True)
        if now.minute % 10 == 0:
            for instance in self.fleet.groups[self._turns[0]].counting:
                asked = {"InstanceId": instance.id, "ShouldDecrementDesiredCapacity": False}
                self.ask("TerminateInstanceInAutoScalingGroup", **asked)
            self._turns.rotate()


def down(part: Part, lasts: timedelta) -> Down:
    return Down(part=part, since=START + QUARTER, until=START + QUARTER + lasts)


def test_no_alarm_rings_on_a_busy_healthy_day() -> None:
    day = Day()
    rang = day.run(HOUR + QUARTER)
    assert len(day.usher.memory.actions()) > 50
    assert rang == set()


def test_a_minute_without_the_table_is_no_alarm_on_failed_messages_or_evaluations() -> None:
    rang = Day(down(Part.STORE, MINUTE / 6)).run(2 * QUARTER)
    assert not rang & {"Failures", "OverdueLooks"}


@pytest.mark.parametrize(
    ("part", "lasts", "expected"),
    [
        pytest.param(
            Part.STORE, 14 * MINUTE, {"Failures", "BeatsWithoutTable", "SweepErrors"}, id="the table"
        ),
        pytest.param(Part.INTAKE, 12 * MINUTE, {"OldMessage", "Lost"}, id="intake"),
        pytest.param(Part.SWEEP, 12 * MINUTE, {"NoSweep"}, id="the sweep"),
        pytest.param(Part.AUTO_SCALING, 2 * MINUTE, {"Lost"}, id="Auto Scaling"),
    ],
)
def test_what_is_down_rings_its_alarms(part: Part, lasts: timedelta, expected: set[str]) -> None:
    assert expected <= Day(down(part, lasts)).run(2 * QUARTER)


def test_a_right_that_is_missing_rings_the_alarms_on_evaluations() -> None:
    """Lambda counts no error where a batch fails in part, and the sweep finds the evaluations late."""
    day = Day()

    def denied(action: Action) -> Evidence:
        raise PermissionError(f"not authorized to read what was heard of {action.instance_id}")

    day.clock.at(START + QUARTER, lambda: setattr(day.usher.memory, "evidence", denied))
    rang = day.run(2 * QUARTER)
    assert {"Failures", "OverdueLooks", "SweepErrors"} <= rang
    assert not rang & {"WakeErrors", "IntakeErrors"}


def test_a_table_that_says_no_rings_as_what_it_is_while_all_is_held() -> None:
    day = Day()

    def denied(action_id: str) -> Action | None:
        raise Denied(f"DynamoDB refuses: AccessDeniedException for {action_id}")

    day.clock.at(START + QUARTER, lambda: setattr(day.usher.memory, "load", denied))
    rang = day.run(2 * QUARTER)
    assert {"Refused", "BeatsWithoutTable"} <= rang
    assert not rang & {"Lost", "WakeErrors"}


def asking(**policy: Any) -> dict[str, Any]:
    """The same hooks, with a policy that asks AWS in the place of the signal's."""
    work = {"until": [{"ecs": {"state": "drained", "cluster": "jobs"}}], "give_up_after": "20m", **policy}
    return {**HOOKS, "policies": {**HOOKS["policies"], "work": work}}


class Denying:
    """A client of any AWS service, as boto3 makes it, whose calls are all denied."""

    def __init__(self, service: str, **_: object) -> None:
        self._service = service

    def __getattr__(self, operation: str) -> Any:
        def denied(*_: object, **__: object) -> None:
            error = {"Code": "AccessDeniedException", "Message": f"no boundary allows {self._service}"}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation)

        return denied


def test_a_condition_whose_call_is_denied_rings_the_alarm_on_what_is_refused() -> None:
    """Else its policy gives up in the end, and nobody has heard of the right that is missing."""
    day = Day(hooks=asking(), calls=AwsCalls(Denying))
    assert day.run(2 * QUARTER) == {"Refused"}
    told = {reason for kind, reason in day.telemetry.taken if kind == "not permitted"}
    assert told == {"ecs drained in jobs: AccessDeniedException: no boundary allows ecs"}


class NobodyAsks(MeasuredDeployment):
    """The function `questions` is not invoked: its mapping is off."""

    def _map(self, queue: Any, settings: Any) -> None:
        if settings is not QUESTIONS:
            super()._map(queue, settings)


def test_conditions_that_nobody_asks_ring_the_alarm_on_failures() -> None:
    assert Day(hooks=asking(), deployment=NobodyAsks).run(HOUR) == {"Failures"}


class Answering:
    """Implements usher.ports.conditions.Calls: a function that wants to be asked again in half an hour."""

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:  # noqa: ARG002 - as every Calls
        pending = json.dumps({"status": "pending", "ask_again_after_s": 1800})
        return Reply(kind=ReplyKind.ANSWERED, data={"Payload": pending, "Reservations": []})


def test_conditions_that_are_seldom_asked_ring_nothing() -> None:
    """What is more than a quarter of an hour ahead is the sweep's to send, and is not overdue."""
    policy = {"until": [{"function": "smoke"}], "give_up_after": "50m"}
    day = Day(hooks=asking(**policy), calls=Answering())
    assert day.run(2 * HOUR) == set()
    assert day.telemetry.counts["OverdueQuestions"] == 0


def test_a_message_that_is_not_understood_rings_the_alarm_on_its_letter() -> None:
    day = Day()
    day.clock.at(START + QUARTER, lambda: day.usher.inbox.send("no JSON"))
    assert day.run(2 * QUARTER) == {"DeadLetters"}


def every_minute(value: float) -> list[float]:
    return [value] * 60


ON_ITS_METRIC = [
    pytest.param("IntakeErrors", [1], id="intake cannot begin"),
    pytest.param("WakeErrors", [1], id="wake cannot begin"),
    pytest.param("HookDrift", [1], id="a hook that was changed"),
    pytest.param("LimitReached", [1], id="a limit"),
    pytest.param("OldEvent", [301], id="an event that is not taken in"),
    pytest.param("OverBudget", [1, 1, 1], id="more than the budget holds"),
    pytest.param("SilentGroups", every_minute(1), id="a group without a word"),
    pytest.param("RetainedInstances", [24.1], id="an instance that was retained a day ago"),
    pytest.param("WakeStorm", every_minute(20_000), id="wake-ups in floods"),
    pytest.param("QuestionsErrors", [1], id="questions cannot begin"),
    pytest.param("WakeThrottles", every_minute(1), id="no concurrency for wake"),
]
IN_A_SCENE = {
    "BeatsWithoutTable", "DeadLetters", "Failures", "Lost", "NoSweep", "OldMessage", "OverdueLooks",
    "Refused", "SweepErrors",
}  # fmt: skip


def test_each_alarm_has_what_rings_it() -> None:
    on_metric = {str(each.values[0]) for each in ON_ITS_METRIC}
    assert {alarm.name for alarm in alarms()} == IN_A_SCENE | on_metric


@pytest.mark.parametrize(("name", "values"), ON_ITS_METRIC)
def test_an_alarm_rings_on_its_metric(name: str, values: list[float]) -> None:
    (alarm,) = [each for each in alarms() if each.name == name]
    metrics, quiet = Metrics(), Metrics()
    for minute, value in enumerate(values):
        at = START + minute * MINUTE
        metrics.points[alarm.metric].append((at, value))
        quiet.points[alarm.metric].append((at, 0))
    end = START + max(HOUR, len(values) * MINUTE)
    assert alarm.rings(metrics, START, end)
    assert not alarm.rings(quiet, START, end)


@pytest.mark.parametrize(
    ("metric", "values", "rings"),
    [
        pytest.param("FailedMessages", [1, 1], "Failures", id="messages that cannot be handled"),
        pytest.param("FailedLooks", [1, 0, 0, 0, 0, 0, 1], "Failures", id="a wake-up that fails twice"),
        pytest.param("FailedQuestions", [1, 0, 0, 0, 0, 1], "Failures", id="questions that fail"),
        pytest.param("OverdueQuestions", [1, 0, 0, 0, 0, 0, 1], "Failures", id="questions that nobody asks"),
        pytest.param("Defaulted", [1], "Lost", id="a default result"),
        pytest.param("KnownTooLate", [1], "Lost", id="a notification that came too late"),
        pytest.param("TableDenied", [1], "Refused", id="a table that says no"),
        pytest.param("Refused", [1], "Refused", id="a call that is refused"),
        pytest.param("HookDrift", [1], "HookDrift", id="a hook that was changed"),
        pytest.param("EnrolmentConflicts", [1], "HookDrift", id="a hook of someone else"),
        pytest.param("HeldByLimit", [1], "LimitReached", id="a result that a limit holds"),
        pytest.param("SignalsRefused", [1], "LimitReached", id="a signal that is not kept"),
    ],
)
def test_what_is_counted_rings_its_alarm_and_no_other(
    metric: str, values: list[float], rings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the lines that CloudWatch reads."""
    metrics = Metrics()
    for minute, value in enumerate(values):
        sent = PowertoolsMetrics(namespace=NAMESPACE)
        PowertoolsTelemetry(Logger(service="usher"), sent).count(metric, value)
        if sent.metric_set:
            sent.flush_metrics()
        for line in map(json.loads, capsys.readouterr().out.splitlines()):
            for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                metrics.put(each["Name"], sum(line[each["Name"]]), START + minute * MINUTE)
    # The sweep runs meanwhile.
    for minute in range(60):
        metrics.put("Invocations", 1, START + minute * MINUTE, "AWS/Lambda", "SweepFunction")
    assert ringing(metrics, START, START + HOUR) == {rings}


def test_evaluations_that_are_overdue_now_and_then_ring_nothing() -> None:
    (alarm,) = [each for each in alarms() if each.name == "OverdueLooks"]
    metrics = Metrics()
    for minute in range(0, 60, 4):
        metrics.put("OverdueLooks", 1, START + minute * MINUTE)
    assert not alarm.rings(metrics, START, START + HOUR)


def test_the_alarm_on_drift_stays_on_from_pass_to_pass() -> None:
    """One in two minutes counts what drifted, and one may be left out."""
    (alarm,) = [each for each in alarms() if each.name == "HookDrift"]
    assert alarm.period > 2 * INTERVAL
