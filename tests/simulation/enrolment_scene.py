"""A scene for the enrolment: simulated groups, the items of hooks in memory, and its passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.factories import at
from usher.aws.groups import GroupsApi
from usher.aws.waiting import WaitingApi
from usher.core.compiled import Compiled, InEffect, compiled
from usher.evaluation.call_budget import CallBudget
from usher.passes.enrolment import INTERVAL, Enrolment
from usher.settings import EnrolmentSettings
from usher_simulator.autoscaling.account import an_account
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_enrolled import MemoryEnrolledHooks
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.parts import enrolment_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.hook_items import Enrolled
    from usher_simulator.autoscaling.query_protocol import Request

INBOX: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"
ROLE: Final = "arn:aws:iam::111122223333:role/usher"
SETTINGS: Final = EnrolmentSettings(
    inbox_arn=INBOX,
    topic_arn="arn:aws:sns:us-east-1:111122223333:topic",
    intake_arn="arn:aws:lambda:us-east-1:111122223333:function:intake",
    hook_role_arn=ROLE,
    per_hour=50,
)
DESCRIBE_HOOKS: Final = "DescribeLifecycleHooks"
THROTTLED: Final = ApiError("Throttling", "Rate exceeded")
FAILED: Final = ApiError("InternalFailure", "", 500)
DENIED: Final = ApiError("AccessDenied", "User is not authorized", 403)


def a_hook(**changes: Any) -> dict[str, Any]:
    hook = {"name": "drain", "group": "workers-*", "transition": "terminating", "heartbeat_timeout": "10m"}
    return {**hook, "policy": "p", **changes}


def a_file(*hooks: Mapping[str, Any], own_groups: Sequence[str] = ()) -> Compiled:
    signalled = {"until": [{"signal": "go"}], "give_up_after": "10h"}
    policies = {"p": {"until": []}, "hold": signalled, "watch": {**signalled, "mode": "observe"}}
    return compiled({"version": 1, "policies": policies, "hooks": list(hooks)}, own_groups)


class Scene:
    """An account of simulated Auto Scaling, with the enrolment in it."""

    def __init__(self, *hooks: Mapping[str, Any], per_hour: int = 50, calls_per_second: float = 1000) -> None:
        self.account = an_account(at(0))
        self.clock = self.account.clock
        self.client = self.account.client
        self.inbox: list[str] = []
        for arn in (INBOX, SETTINGS.topic_arn or "", SETTINGS.intake_arn or ""):
            self.account.outside.targets[arn] = self.inbox.append
        self.records = MemoryEnrolledHooks(self.clock, per_hour)
        self.store = MemoryStore(self.clock)
        self.recorder, self.budget = Recorder(), MemoryBudget(calls_per_second)
        self.asked: list[str] = []
        self.faults: list[Callable[[Request], Exception | None]] = []
        self.account.service.fault = self._fault
        self.groups = GroupsApi(self.client)
        self.deploy(*hooks)

    def _fault(self, request: Request) -> ApiError | None:
        self.asked.append(request.operation)
        for fault in self.faults:
            error = fault(request)
            if isinstance(error, ApiError):
                return error
            if error is not None:
                raise error
        return None

    def deploy(self, *hooks: Mapping[str, Any], own_groups: Sequence[str] = ()) -> None:
        """The sweep has a new file, and it counts."""
        file = a_file(*hooks, own_groups=own_groups)
        self.enrolment = self.enrolment_of(file)
        self.records.put_in_force(InEffect(file=file).in_force)

    def enrolment_of(self, file: Compiled) -> Enrolment:
        return enrolment_of(
            InEffect(file=file),
            SETTINGS.targets,
            groups=self.groups,
            live=WaitingApi(self.client),
            records=self.records.under(file.digest),
            open_actions=self.store,
            call_budget=CallBudget(budget=self.budget, telemetry=self.recorder),
            telemetry=self.recorder,
            clock=self.clock,
            wait=self.wait,
        )

    def wait(self, span_s: float) -> None:
        self.clock.run_until(self.clock() + timedelta(seconds=span_s))

    def create(self, *names: str, **parameters: Any) -> None:
        for name in names:
            self.client.create_auto_scaling_group(
                AutoScalingGroupName=name, MinSize=0, MaxSize=9, **ANY_SOURCE, **parameters
            )

    def put_by_hand(self, group: str, hook: str = "drain", **parameters: Any) -> None:
        transition = "autoscaling:EC2_INSTANCE_TERMINATING"
        self.client.put_lifecycle_hook(
            AutoScalingGroupName=group,
            LifecycleHookName=hook,
            **{"LifecycleTransition": transition, **parameters},
        )

    def run(self, passes: int = 1, has_time: Callable[[], bool] = lambda: True) -> list[str]:
        """Run passes at their interval; return what they told, e.g. "put workers-1/drain"."""
        before = len(self.recorder.enrolments)
        for _ in range(passes):
            self.clock.run_until(self.clock() + INTERVAL)
            self.enrolment.run(has_time)
        return self.told(before)

    def told(self, since: int = 0) -> list[str]:
        return [f"{step} {group}/{hook}" for step, group, hook, _ in self.recorder.enrolments[since:]]

    @property
    def reason(self) -> str:
        """The newest one."""
        return self.recorder.enrolments[-1][3]

    def live_hooks(self, group: str) -> dict[str, dict[str, Any]]:
        """The hooks of a group, by name, without what only repeats who they are."""
        hooks = self.client.describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"]
        dull = ("LifecycleHookName", "AutoScalingGroupName", "GlobalTimeout")
        return {
            hook["LifecycleHookName"]: {key: value for key, value in hook.items() if key not in dull}
            for hook in hooks
        }

    def record(self) -> Enrolled:
        (record,) = self.records.enrolled()
        return record

    def crash(self, *, after: bool) -> None:
        """A pass that ends at its first call that changes something: right before it, or right after."""

        class CutOff(GroupsApi):
            def put_hook(self, record: Enrolled) -> None:
                if after:
                    super().put_hook(record)
                raise Ended

            def delete_hook(self, record: Enrolled) -> None:
                if after:
                    super().delete_hook(record)
                raise Ended

        self.clock.run_until(self.clock() + INTERVAL)
        with pytest.raises(Ended):
            replace(self.enrolment, groups=CutOff(self.client)).run()


class Ended(BaseException):
    """The function was cut off."""


AS_CONFIGURED: Final = {
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "NotificationTargetARN": INBOX,
    "RoleARN": ROLE,
    "HeartbeatTimeout": 600,
    "DefaultResult": "ABANDON",
}
