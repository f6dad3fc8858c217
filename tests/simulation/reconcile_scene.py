"""A scene for reconcile: simulated groups, the store in memory, evaluations and passes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from tests.factories import at
from usher import handlers
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.instances import InstancesApi
from usher.aws.queues import delay_s
from usher.aws.waiting import WaitingApi
from usher.core import configuration, duration
from usher.core.queue_messages import wake_up_body
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.hook_timeouts import HookTimeouts
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.ports.autoscaling import Answer, AnswerKind
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of, reconcile_of, sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.trials.invocations import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.exceptions import ClientError

    from usher.core.action import Action, Result
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.query_protocol import Request

INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
ROLE: Final = "arn:aws:iam::111122223333:role/usher"
THROTTLED: Final = ApiError("Throttling", "Rate exceeded")
BEAT: Final = "RecordLifecycleActionHeartbeat"
COMPLETE: Final = "CompleteLifecycleAction"
NO_ACTION: Final = ApiError("ValidationError", "No active Lifecycle Action found with token")
HOOKS: Final = "DescribeLifecycleHooks"
GROUPS: Final = "DescribeAutoScalingGroups"
POOL: Final = "DescribeWarmPool"
ACTIVITIES: Final = "DescribeScalingActivities"
TWO_PASSES: Final = timedelta(minutes=4)
PATIENT: Final = {"until": [{"signal": "go"}]}


def a_hook(**changes: Any) -> dict[str, Any]:
    """A launch hook of the configuration, and as it stands on the group."""
    hook = {"name": "gate", "group": "web", "transition": "launching", "heartbeat_timeout": "10m"}
    return {**hook, "policy": "patient", **changes}


@dataclass
class Ec2:
    """What EC2 says of instances; also how often it was asked."""

    states: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    refusal: ClientError | None = None

    def get_paginator(self, operation: str) -> Ec2:
        """As boto3's client has it; it pages itself."""
        assert operation == "describe_instances"
        return self

    def paginate(self, **asked: Any) -> list[Any]:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        wanted = asked["Filters"][0]["Values"]
        found = [
            {"InstanceId": one, "State": {"Name": state}}
            for one, state in self.states.items()
            if one in wanted
        ]
        return [{"Reservations": [{"Instances": found}]}]


class LosingAnswers(AutoScalingApi):
    """Results arrive, and their answers do not."""

    loses = False

    def complete(self, action: Action, result: Result) -> Answer:
        answer = super().complete(action, result)
        return Answer(kind=AnswerKind.UNANSWERED, text="lost") if self.loses else answer


class Scene(OneByOne):
    """Usher in an account of simulated Auto Scaling; its passes run in every second minute."""

    def __init__(
        self,
        *hooks: Mapping[str, Any],
        policy: Mapping[str, Any] = PATIENT,
        seed: int = 0,
        calls_per_second: float = 1000,
        evaluations_per_second: float = 1000,
    ) -> None:
        self.account = an_account(at(0), seed)
        self.clock, self.client, self.fleet = self.account.clock, self.account.client, self.account.fleet
        self.asked: list[Request] = []
        self.fault: Callable[[Request], ApiError | None] = lambda _: None
        self.account.service.fault = self._fault
        self.drops: Callable[[Mapping[str, Any]], bool] = lambda _: False
        self.dropped: list[str] = []
        self.account.outside.targets[INBOX] = self._deliver
        self.store, self.recorder, self.ec2 = MemoryStore(self.clock), Recorder(), Ec2()
        self.ids = count(1)
        self.losing = LosingAnswers(self.client)
        self._build(hooks, policy, calls_per_second, evaluations_per_second)
        self.clock.at(at(0), self._sweep)

    def _build(
        self,
        hooks: Sequence[Mapping[str, Any]],
        policy: Mapping[str, Any],
        calls_per_second: float,
        evaluations_per_second: float,
    ) -> None:
        data = {
            "version": 1,
            "policies": {"patient": dict(policy), "park": {"until": []}},
            "hooks": [dict(hook) for hook in hooks],
        }
        self.budget = MemoryBudget(calls_per_second)
        waiting = WaitingApi(self.client)
        same_wait = StaleWaitGuard(
            calls=self.losing, activities=waiting, budget=MemoryBudget(1000), clock=self.clock
        )
        evaluations_budget = MemoryBudget(evaluations_per_second)
        self.evaluator = evaluator_of(
            store=self.store,
            auto_scaling=same_wait,
            budget=evaluations_budget,
            wake_ups=self,
            telemetry=self.recorder,
            clock=self.clock,
            new_id=self._new_id,
            hook_timeouts=HookTimeouts(
                live=waiting,
                store=self.store,
                call_budget=CallBudget(budget=evaluations_budget, telemetry=self.recorder),
                telemetry=self.recorder,
                clock=self.clock,
            ),
        )
        self.intake = intake_of(self.evaluator, configuration.parse(data), dead_letters=self)
        self.reconcile = reconcile_of(
            self.evaluator,
            self.intake.configuration,
            items=FileItems(self.intake.configuration),
            live=waiting,
            instances=InstancesApi(self.ec2),
            call_budget=CallBudget(budget=self.budget, telemetry=self.recorder),
            wait=self._wait,
        )

    def _wait(self, span_s: float) -> None:
        self.clock.run_until(self.clock() + timedelta(seconds=span_s))

    def _new_id(self) -> str:
        return f"id-{next(self.ids)}"

    def _fault(self, request: Request) -> ApiError | None:
        self.asked.append(request)
        return self.fault(request)

    def _deliver(self, body: str) -> None:
        if self.drops(json.loads(body)):
            self.dropped.append(body)
        else:
            self.intake.take(body, "sqs")

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        """As usher.ports.queues.WakeUps."""
        moment = self.clock() + timedelta(seconds=delay_s(delay))
        record = {"messageId": "m", "eventSource": "aws:sqs", "body": wake_up_body(action_id, version)}
        self.clock.at(moment, lambda: self._wake({"Records": [record]}))

    def _wake(self, event: dict[str, Any]) -> None:
        handlers.wake_handler(self.evaluator, self)(event, None)

    def put(self, body: str, reason: str) -> None:
        """As usher.ports.queues.DeadLetters."""
        raise AssertionError(f"{reason}: {body}")

    def _sweep(self) -> None:
        time_left = TimeLeft(clock=self.clock, ends_at=self.clock() + timedelta(minutes=1))
        sweep_of(self.evaluator, self.reconcile).handle({}, time_left)
        self.clock.at(self.clock() + timedelta(minutes=1), self._sweep)

    def create(self, name: str = "web", *hooks: Mapping[str, Any], size: int = 1, **parameters: Any) -> None:
        """A group with hooks that notify the inbox."""
        wire = {"launching": "LAUNCHING", "terminating": "TERMINATING"}
        specifications: list[Any] = [
            {
                "LifecycleHookName": hook["name"],
                "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{wire[hook['transition']]}",
                "HeartbeatTimeout": int(duration.parse(hook["heartbeat_timeout"]).total_seconds()),
                "DefaultResult": hook.get("default_result", "ABANDON"),
                "NotificationTargetARN": INBOX,
                "RoleARN": ROLE,
            }
            for hook in hooks
        ]
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=200,
            DesiredCapacity=size,
            LifecycleHookSpecificationList=specifications,
            **ANY_SOURCE,
            **parameters,
        )

    def put_by_hand(self, hook: str, group: str = "web", **parameters: Any) -> None:
        self.client.put_lifecycle_hook(
            AutoScalingGroupName=group,
            LifecycleHookName=hook,
            **{"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", **parameters},
        )

    def beat_by_hand(self, wait: Wait) -> None:
        self.client.record_lifecycle_action_heartbeat(
            AutoScalingGroupName=wait.group, LifecycleHookName=wait.hook, LifecycleActionToken=wait.token
        )

    def complete_by_hand(self, wait: Wait, result: str = "CONTINUE") -> None:
        self.client.complete_lifecycle_action(
            AutoScalingGroupName=wait.group,
            LifecycleHookName=wait.hook,
            LifecycleActionToken=wait.token,
            LifecycleActionResult=result,
        )

    def run(self, minutes: float) -> None:
        self.clock.run_until(self.clock() + timedelta(minutes=minutes))
        self.recorder.raise_bugs()

    def run_until_called(self, operation: str) -> None:
        """Run until that call was made, and no further: three minutes at most."""
        last = self.clock() + timedelta(minutes=3)
        while not self.calls(operation) and self.clock() < last:
            self.run(0.1)

    def instances(self, group: str = "web") -> list[str]:
        return list(self.fleet.groups[group].instances)

    def state(self, instance_id: str) -> str:
        instance = self.fleet.instance(instance_id)
        return instance.state if instance else "gone"

    def waits(self, group: str = "web") -> list[Wait]:
        """Every lifecycle action that there was, as Auto Scaling has it."""
        return [wait for one in self.instances(group) for wait in self.fleet.waits.of_instance(one)]

    def action(self, number: int = 0) -> Action:
        return self.store.actions()[number]

    def events(self, action: Action) -> list[str]:
        return [entry.event for entry in self.store.timeline(action.id)]

    def calls(self, operation: str) -> list[Mapping[str, Any]]:
        return [request.parameters for request in self.asked if request.operation == operation]

    def go(self, instance_id: str | None = None) -> None:
        """The workload's signal, that it is done."""
        for one in [instance_id] if instance_id else self.instances():
            event = {
                "id": self._new_id(),
                "source": "usher.signal",
                "detail-type": "Usher Signal",
                "time": self.clock().isoformat(),
                "detail": {"InstanceId": one, "Signal": "go", "Status": "done"},
            }
            self.intake.take(json.dumps(event), "sqs")


def all_lost(_: Mapping[str, Any]) -> bool:
    return True


def of_named_groups(many: int, *, size: int) -> Scene:
    """Groups with a launch hook, each named by the file, and so many instances on their way into each."""
    names = [f"web-{number:02}" for number in range(many)]
    scene = Scene(*(a_hook(group=name) for name in names))
    for name in names:
        scene.create(name, a_hook(), size=size)
    scene.run(1)
    return scene


def lost(*, minutes: float, size: int = 1, **changes: Any) -> Scene:
    """A group with a launch hook whose notifications are all lost, after so many minutes."""
    hook = a_hook(**changes)
    scene = Scene(hook)
    scene.create("web", hook, size=size)
    scene.drops = all_lost
    scene.run(minutes)
    return scene


def record_of(scene: Scene, wait: Wait) -> Action:
    """The one record of a wait."""
    (found,) = [
        action
        for action in scene.store.of_instance(wait.instance_id)
        if action.hook.name == wait.hook and abs(action.started_at - wait.started_at) <= timedelta(seconds=2)
    ]
    return found
