"""An account in which Usher runs, as far as hooks go: intake, evaluation, enrolment, reconcile, provision."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.enrolment_scene import SETTINGS, Scene, a_file
from usher.aws.autoscaling import AutoScalingApi
from usher.aws.waiting import WaitingApi
from usher.core.file_versions import NO_VERSION
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.passes.enrolment import INTERVAL
from usher.provision import Provision
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of, reconcile_of, release_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher.core.action import Action
    from usher.core.compiled import Compiled, InEffect
    from usher.intake.intake import Intake
    from usher.passes.reconcile import Reconcile
    from usher_simulator.autoscaling.lifecycle_actions import Wait

STACK: Final = "arn:aws:cloudformation:us-east-1:111122223333:stack/Usher/1"
_STEP: Final = timedelta(seconds=1)


class Account(Scene, OneByOne):
    """Scene, with all of Usher that touches hooks. Time passes in `live` only."""

    def __init__(self, *hooks: Mapping[str, Any], per_hour: int = 1000) -> None:
        self.answers: list[dict[str, Any]] = []
        self.status: str | None = "UPDATE_IN_PROGRESS"
        self.statuses: list[str | None] = []  # what is answered first
        self.ids = count(1)
        super().__init__(*hooks, per_hour=per_hour)
        self.waiting = WaitingApi(self.client)
        self.evaluator = evaluator_of(
            store=self.store,
            auto_scaling=StaleWaitGuard(
                calls=AutoScalingApi(self.client),
                activities=self.waiting,
                budget=self.budget,
                clock=self.clock,
            ),
            budget=self.budget,
            wake_ups=self,
            telemetry=self.recorder,
            clock=self.clock,
            new_id=self.new_id,
        )

    def send(self, action_id: str, version: int, delay: object, wait: object = None) -> None:
        """Wake-ups are not needed here: what is due is looked at each second."""

    def states(self, instance_ids: Sequence[str]) -> Mapping[str, str]:
        """EC2 knows nothing of the instances of the simulation."""
        return dict.fromkeys(instance_ids, "running")

    def put(self, body: str, reason: str) -> None:
        raise AssertionError(f"not understood: {reason}: {body}")

    def new_id(self) -> str:
        return f"id-{next(self.ids):06d}"

    # -- what is deployed

    def deploy(self, *hooks: Mapping[str, Any], own_groups: Sequence[str] = ()) -> None:
        """The functions of a release are all there at once, and its file counts."""
        self.of_file(a_file(*hooks, own_groups=own_groups))
        super().deploy(*hooks, own_groups=own_groups)

    def of_file(self, file: Compiled) -> None:
        """Intake and reconcile have a new file."""
        self.file = file

    @property
    def intake(self) -> Intake:
        return intake_of(self.evaluator, self.file.configuration, items=self.records, dead_letters=self)

    @property
    def reconcile(self) -> Reconcile:
        return reconcile_of(
            self.evaluator,
            self.file.configuration,
            items=self.records,
            live=self.waiting,
            instances=self,
            wait=self.wait,
        )

    def provision(
        self,
        kind: str,
        file: Compiled | None = None,
        *,
        properties: Mapping[str, str] | None = None,
        in_effect: Callable[[], InEffect] = lambda: NO_VERSION,
    ) -> dict[str, Any]:
        """What CloudFormation is answered."""
        release = release_of(
            self.evaluator,
            targets=SETTINGS.targets,
            hooks=self.groups,
            live=self.waiting,
            enrolments=self.records,
            open_actions=self.store,
            wait=self.wait,
        )
        Provision(
            enrolment=self.enrolment_of,
            release=release,
            status=lambda _: self.statuses.pop(0) if self.statuses else self.status,
            respond=lambda _, answer: self.answers.append(answer),
            in_effect=in_effect,
        ).handle(
            {
                "RequestType": kind,
                "ResponseURL": "https://answer.example",
                "StackId": STACK,
                "RequestId": "request",
                "LogicalResourceId": "Hooks",
                "ResourceProperties": properties or {"File": file.text if file else ""},
            }
        )
        return self.answers[-1]

    def update(self, *hooks: Mapping[str, Any], own_groups: Sequence[str] = ()) -> dict[str, Any]:
        """A deploy: the functions change, and then CloudFormation calls."""
        file = a_file(*hooks, own_groups=own_groups)
        self.of_file(file)
        self.enrolment = self.enrolment_of(file)
        return self.provision("Update", file)

    # -- what happens

    def wait(self, span_s: float) -> None:
        """A function waits; the others go on."""
        self.live(span_s)

    def live(self, span_s: float) -> None:
        """Let time pass, with intake and looks at work."""
        until = self.clock() + timedelta(seconds=span_s)
        while self.clock() < until:
            self.clock.run_until(min(self.clock() + _STEP, until))
            self.take()

    def take(self) -> None:
        for body in [self.inbox.pop(0) for _ in range(len(self.inbox))]:
            self.intake.take(body, "sqs")
        for due in list(self.store.due(self.clock())):
            self.evaluator.evaluate(due.action_id)

    def run_passes(self, passes: int = 1) -> list[str]:
        """Passes at their interval; what they told of hooks."""
        before = len(self.recorder.enrolments)
        for _ in range(passes):
            self.live(INTERVAL.total_seconds())
            self.reconcile.run()
            self.enrolment.run()
            self.take()
        return self.told(before)

    def resize(self, group: str, size: int) -> None:
        self.client.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=size)

    def signal(self, *instances: str) -> None:
        """The work of each is done."""
        for instance in instances:
            event = {
                "version": "0",
                "id": self.new_id(),
                "source": "usher.signal",
                "detail-type": "Usher Signal",
                "account": "111122223333",
                "region": "us-east-1",
                "time": self.clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
                "detail": {"InstanceId": instance, "Signal": "go", "Status": "done"},
            }
            self.intake.take(json.dumps(event), "eventbridge")
        self.take()

    # -- what there is

    def instances(self, group: str) -> list[str]:
        return list(self.account.fleet.groups[group].instances)

    def state(self, instance: str) -> str:
        found = self.account.fleet.instance(instance)
        return found.state if found else ""

    def waits(self, *instances: str) -> list[Wait]:
        return [wait for one in instances for wait in self.account.fleet.waits.of_instance(one)]

    def actions(self, instance: str) -> list[Action]:
        return list(self.store.of_instance(instance))

    def ends(self, *instances: str) -> Counter[tuple[str, str | None]]:
        """How the waits of these instances ended."""
        return Counter(
            (str(wait.ended_by) if wait.ended_by else "open", wait.result) for wait in self.waits(*instances)
        )


CALLED: Final = str(EndedBy.CALL)
