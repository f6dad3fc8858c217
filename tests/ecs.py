"""A cluster of ECS for the suites of the condition `ecs`: what it answers, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.aws_shapes import ShapedCalls
from tests.conditions import INSTANCE, Answers, Watch, refused
from usher.core.conditions.ecs import Absence, Ecs, TaskState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher.core.conditions.probe import Found, Reply
    from usher.core.finding import Memory

ARN: Final = "arn:aws:ecs:us-east-1:123456789012"
WEB: Final = f"{ARN}:cluster/web"
MEMBER: Final = f"{ARN}:container-instance/web/0123abcd"
GHOST: Final = f"{ARN}:container-instance/web/99990000"  # another one of the same EC2 instance
ACTIVE: Final = Ecs(state=TaskState.ACTIVE, cluster="web")
DRAINED: Final = Ecs(state=TaskState.DRAINED, cluster="web")
ANYWHERE: Final = Ecs(state=TaskState.DRAINED)
STRICT: Final = Ecs(state=TaskState.DRAINED, absent=Absence.FAILED)
FOUND: Final = {"cluster": "web", "instance": MEMBER, "others": []}
GONE: Final = refused("ClusterNotFoundException", "Cluster not found.")
NOTHING: Final[Memory] = {}
LATE: Final = 120  # the default grace, in seconds
NEVER_OVER: Final = frozenset(
    {"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"}
)
LIST, DESCRIBE, UPDATE = (
    "ListContainerInstances",
    "DescribeContainerInstances",
    "UpdateContainerInstancesState",
)


def shown(status: str = "ACTIVE", arn: str = MEMBER, **parts: Any) -> dict[str, Any]:
    """What ECS says of a container instance."""
    return {
        "containerInstanceArn": arn,
        "status": status,
        "agentConnected": True,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        **parts,
    }


def saying(told: dict[str, Any], *tasks: str, **more: Any) -> Answers:
    """A cluster with one container instance and its tasks, which run."""
    running = [{"taskArn": arn, "lastStatus": "RUNNING", "group": "service:shop"} for arn in tasks]
    described = {"containerInstances": [told], "failures": []}
    listed = {LIST: {"containerInstanceArns": [MEMBER]}, DESCRIBE: described}
    return {**listed, "ListTasks": {"taskArns": [*tasks]}, "DescribeTasks": {"tasks": running}, **more}


def without_tasks(answers: Answers) -> Answers:
    return {operation: answer for operation, answer in answers.items() if "Tasks" not in operation}


NOWHERE: Final[Answers] = {LIST: {"containerInstanceArns": []}}
ALL: Final = {"ListClusters": {"clusterArns": [WEB]}}


# A cluster to play with


@dataclass(kw_only=True)
class Cluster:
    """ECS with one cluster, or several: an answer to every call that the condition may make."""

    clusters: list[str] = field(default_factory=lambda: [WEB])
    members: list[str] = field(default_factory=lambda: [MEMBER])  # of the cluster web
    status: dict[str, str] = field(default_factory=dict)  # else ACTIVE
    connected: dict[str, bool] = field(default_factory=dict)  # else True
    tasks: dict[str, tuple[str, str]] = field(default_factory=dict)  # desired and last status, by ARN
    counts: tuple[int, int] = (0, 0)
    instead: dict[str, Mapping[str, Any] | Reply] = field(default_factory=dict)  # other answers, by operation

    def __call__(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        answers: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "ListClusters": lambda _: {"clusterArns": self.clusters},
            LIST: self._list,
            DESCRIBE: lambda asked: self._described(asked["containerInstances"]),
            UPDATE: self._update,
            "ListTasks": self._list_tasks,
            "DescribeTasks": lambda asked: self._described_tasks(asked["tasks"]),
        }
        return self.instead.get(operation) or answers[operation](parameters)

    def _list(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert parameters["filter"] == f"ec2InstanceId == {INSTANCE}"
        here = self.members if parameters["cluster"] in ("web", WEB) else []
        return {"containerInstanceArns": [arn for arn in here if self.status.get(arn) != "INACTIVE"]}

    def _described(self, asked: list[str]) -> Mapping[str, Any]:
        running, pending = self.counts
        counts = {"runningTasksCount": running, "pendingTasksCount": pending}
        return {
            "containerInstances": [
                shown(
                    self.status.get(arn, "ACTIVE"),
                    arn,
                    agentConnected=self.connected.get(arn, True),
                    **counts,
                )
                for arn in asked
                if arn in self.members
            ],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in self.members],
        }

    def _update(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.status |= dict.fromkeys(parameters["containerInstances"], parameters["status"])
        return self._described(parameters["containerInstances"])

    def _list_tasks(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = parameters["desiredStatus"]
        return {"taskArns": [arn for arn, (desired, _) in self.tasks.items() if desired == wanted]}

    def _described_tasks(self, asked: list[str]) -> Mapping[str, Any]:
        assert len(asked) <= 100
        known = {arn: self.tasks[arn] for arn in asked if arn in self.tasks}
        told = [
            {"taskArn": arn, "desiredStatus": desired, "lastStatus": last, "group": "service:shop"}
            for arn, (desired, last) in known.items()
        ]
        return {"tasks": told, "failures": []}


def asked_of(condition: Ecs, cluster: Cluster, memory: Memory = NOTHING) -> tuple[Watch, ShapedCalls]:
    calls = ShapedCalls(cluster)
    return Watch(condition, calls, memory=memory), calls


def found_at(condition: Ecs, cluster: Cluster, seconds: float = 0, memory: Memory = NOTHING) -> Found:
    return asked_of(condition, cluster, memory)[0].found(seconds)


def task(number: int) -> str:
    return f"{ARN}:task/web/task-{number:03}"


def searched(calls: ShapedCalls) -> list[str]:
    """The clusters in which the instance was looked for."""
    return [made["cluster"] for operation, made in calls.made if operation == LIST]


def failing(arn: str, reason: str) -> dict[str, Any]:
    return {"containerInstances": [], "failures": [{"arn": arn, "reason": reason}]}


# Tasks


def draining(*states: tuple[str, str], **parts: Any) -> Cluster:
    """With a task for each desired and last status."""
    tasks = {task(number): state for number, state in enumerate(states, start=1)}
    return Cluster(status={MEMBER: "DRAINING"}, tasks=tasks, **parts)
