"""A made-up incident, resolved by the operators' commands alone: an ECS drain that hangs.

The records, queues, bus and stack are moto's; Auto Scaling is simulated; the evaluations and the intake
are production's, on a virtual clock.
"""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from moto import mock_aws

from tests.aws_shapes import ShapedCalls
from tests.ecs import Cluster, task
from tests.factories import START, at
from tests.questions import asking_by
from tests.unit.test_account import client, deploy
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.queues import delay_s
from usher.aws.records import RecordTable
from usher.aws.waiting import WaitingApi
from usher.core import configuration
from usher.evaluation.stale_waits import StaleWaitGuard
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.client import auto_scaling_client
from usher_simulator.autoscaling.groups import Hook, Instance
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Waits, action_of
from usher_simulator.autoscaling.lifecycle_calls import LifecycleCalls
from usher_simulator.autoscaling.notifications import hook_message
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

TOKEN: Final = "c613620e-07e2-4ed2-a9e2-ef8258911ade"
INSTANCE: Final = "i-0f0e0d0c0b0a09080"
OPERATOR: Final = "arn:aws:sts::123456789012:user/moto"
HANGS: Final = "ecs drained in web: draining, tasks: 3 RUNNING, e.g. task task-001 of service:shop"
HOOKS: Final = {
    "version": 1,
    "policies": {
        "drain": {
            "until": [
                {"any": [{"ecs": {"state": "drained", "cluster": "web"}}, {"signal": "drained-by-hand"}]}
            ],
            "give_up_after": "10m",
            "on_give_up": "ABANDON",
        }
    },
    "hooks": [
        {
            "name": "web-drain",
            "group": "web",
            "transition": "terminating",
            "heartbeat_timeout": "4m",
            "default_result": "ABANDON",
            "policy": "drain",
        }
    ],
}


class Line:
    """Implements usher.ports.queues.Questions on the clock of the incident."""

    def __init__(self, incident: Incident) -> None:
        self._incident = incident

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        moment = self._incident.clock() + timedelta(seconds=delay_s(delay))
        self._incident.clock.at(moment, lambda: self._incident.asking.ask(action_id, turn))


class Incident(OneByOne):
    """An instance of the group `web` that began to wait at noon."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        running = {task(number): ("RUNNING", "RUNNING") for number in (1, 2, 3)}
        self.cluster = Cluster(tasks=running, counts=(3, 0))
        self.waits = Waits(self.clock)
        self.deployed = deploy()
        self.records = RecordTable(client("dynamodb"), self.deployed.outputs["TableName"], self.clock)
        ids = count(1)
        telemetry = Recorder()
        self.questions = Line(self)
        api = auto_scaling_client(LifecycleCalls(self.waits), lambda: f"request-{next(ids)}")
        self.evaluator = evaluator_of(
            store=self.records,
            auto_scaling=StaleWaitGuard(
                calls=AutoScalingApi(api),
                activities=WaitingApi(api),
                budget=MemoryBudget(1000),
                clock=self.clock,
            ),
            budget=MemoryBudget(10),
            questions=self.questions,
            wake_ups=self,
            telemetry=telemetry,
            clock=self.clock,
        )
        self.asking = asking_by(self.evaluator, ShapedCalls(self.cluster))
        self.intake = intake_of(self.evaluator, configuration.parse(HOOKS))
        self._begin()

    def _begin(self) -> None:
        hook = Hook(name="web-drain", transition="terminating", heartbeat_timeout=timedelta(minutes=4))
        instance = Instance(id=INSTANCE, group="web", zone="", subnet="", states=[])
        self.wait = action_of(instance, moves.TERMINATE, hook, TOKEN, self.clock())
        self.waits.begin(self.wait)
        self.intake.take(json.dumps(hook_message(self.wait, hook, "request-0")), "sqs")

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        """Implements usher.ports.queues.WakeUps for the functions, on the virtual clock."""
        moment = self.clock() + timedelta(seconds=delay_s(delay))
        self.clock.at(moment, lambda: self.evaluator.evaluate(action_id, version))

    def until(self, minutes: float) -> None:
        self.clock.run_until(at(60 * minutes))

    def usher(self, *arguments: str) -> str:
        """Run a command, and deliver what it sends."""
        self.deployed.now = self.clock()
        outcome = self.deployed.usher(*arguments)
        assert outcome.exit_code == 0, outcome.output
        self.deliver()
        return outcome.stdout

    def deliver(self) -> None:
        """What an operator put into queues and on the bus arrives within a second."""
        for wake_up in self.deployed.messages("WakeUpsUrl"):
            self.send(wake_up["action_id"], wake_up["version"], timedelta(seconds=1))
        for event in self.deployed.messages("InboxUrl"):
            event["time"] = self.clock().isoformat()  # the bus's clock is the machine's own
            self.intake.take(json.dumps(event), "eventbridge")

    def json(self, *arguments: str) -> dict[str, Any]:
        (action,) = json.loads(self.usher(*arguments, "--json"))["actions"]
        assert isinstance(action, dict)
        return action

    def end(self) -> tuple[datetime | None, EndedBy | None, str | None]:
        """When and by whom the wait was ended, and with which result."""
        return self.wait.ended_at, self.wait.ended_by, self.wait.result

    def said(self, event: str) -> list[str]:
        timeline: list[dict[str, Any]] = self.json("show", TOKEN)["timeline"]
        return [line["detail"] for line in timeline if line["event"] == event]


@pytest.fixture
def incident() -> Iterator[Incident]:
    with mock_aws(config={"core": {"passthrough": {"services": ["autoscaling"], "urls": []}}}):
        yield Incident()


def test_the_list_shows_what_hangs_and_show_explains_it(incident: Incident) -> None:
    incident.until(8)
    listed = incident.json("list", "--group", "web")
    assert (listed["instance_id"], listed["state"], listed["age_s"]) == (INSTANCE, "waiting", 8 * 60)
    assert listed["to_giving_up_s"] == 2 * 60
    (condition,) = listed["conditions"]
    assert condition["status"] == "pending"
    assert condition["detail"] == f"any of: {HANGS} | no signal drained-by-hand"
    shown = incident.usher("show", INSTANCE)
    assert f"any of: {HANGS} | no signal drained-by-hand (asked " in shown
    assert "found     ecs drained in web: pending: " in shown
    assert "heartbeats 2, smallest margin 20s" in shown


def test_left_alone_it_gives_up_with_abandon(incident: Incident) -> None:
    """What the operators below prevent."""
    incident.until(11)
    assert incident.end() == (at(10 * 60), EndedBy.CALL, "ABANDON")


def test_an_order_ends_it_within_seconds_with_the_operator_s_result(incident: Incident) -> None:
    incident.until(8)
    incident.usher("complete", INSTANCE, "--result", "CONTINUE", "--reason", "tasks are stuck", "--yes")
    incident.until(8.1)
    assert incident.end() == (at(8 * 60 + 1), EndedBy.CALL, "CONTINUE")
    assert incident.said("operator") == [f"{OPERATOR}: complete CONTINUE: tasks are stuck"]
    assert incident.json("show", TOKEN)["reason"] == f"requested by {OPERATOR}: tasks are stuck"


def test_a_signal_over_the_bus_ends_it_within_seconds(incident: Incident) -> None:
    incident.until(8)
    incident.usher("signal", INSTANCE, "drained-by-hand", "--reason", "stopped the imports")
    incident.until(8.1)
    assert incident.end() == (at(8 * 60), EndedBy.CALL, "CONTINUE")
    assert incident.said("signal") == [f"drained-by-hand done: {OPERATOR}: stopped the imports"]


def test_an_extension_gives_the_drain_the_time_that_it_needs(incident: Incident) -> None:
    incident.until(8)
    incident.usher("extend", INSTANCE, "--by", "1h", "--reason", "the last import takes its time")
    incident.until(14)
    assert incident.wait.is_open
    incident.cluster.tasks.clear()
    incident.cluster.counts = (0, 0)
    incident.until(15)
    ended_at, ended_by, result = incident.end()
    assert ended_at is not None
    assert at(14 * 60) <= ended_at <= at(14 * 60 + 45)
    assert (ended_by, result) == (EndedBy.CALL, "CONTINUE")
    assert incident.said("operator") == [
        f"{OPERATOR}: extend to 2026-03-01T13:10:00.000Z: the last import takes its time"
    ]


def test_a_hold_keeps_it_whatever_its_policy_says_until_it_is_ended(incident: Incident) -> None:
    incident.until(8)
    incident.usher("hold", INSTANCE, "--reason", "we look into it")
    incident.until(14)
    assert incident.wait.is_open
    assert incident.json("list")["state"] == "held"
    incident.usher("hold", INSTANCE, "--off", "--reason", "understood")
    incident.until(15)
    assert incident.end() == (at(14 * 60 + 1), EndedBy.CALL, "ABANDON")
    assert incident.said("operator") == [
        f"{OPERATOR}: hold: we look into it",
        f"{OPERATOR}: hold off: understood",
    ]


def test_what_fell_to_its_default_while_paused_is_told_so_after_the_resume(incident: Incident) -> None:
    incident.until(1)
    incident.usher("pause", "--reason", "a bad release", "--yes")
    incident.until(6)
    assert incident.end() == (at(4 * 60), EndedBy.HEARTBEAT_TIMEOUT, "ABANDON")
    assert incident.json("show", TOKEN)["outcome"] is None
    incident.usher("resume")
    incident.until(7)
    shown = incident.json("show", TOKEN)
    assert shown["outcome"] == "defaulted"
    assert shown["reason"].startswith(
        "got the default result ABANDON: its heartbeat timeout expired while Usher was paused: "
        f"{OPERATOR} at 2026-03-01T12:01"
    )
