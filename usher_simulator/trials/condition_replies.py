"""What each service answers to a condition, in its own shapes; `then` is the moment that it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.trials.condition_truths import CLUSTER, facts_of
from usher_simulator.trials.policy_model import PossibleStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from usher_simulator.trials.condition_services import Asked

    Data = dict[str, Any]
_CLUSTERS: Final = ("batch", "jobs", CLUSTER)  # all that there are
_PLACE: Final = "us-east-1:111122223333"
_GROUP: Final = f"arn:aws:elasticloadbalancing:{_PLACE}:targetgroup/web/0123456789abcdef"
_MEMBER: Final = f"arn:aws:ecs:{_PLACE}:container-instance/{CLUSTER}/"


# What each service answers, in its own shapes. `then` is the moment of the state that is shown.


def _target_groups(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"TargetGroups": [{"TargetGroupName": "web", "TargetGroupArn": _GROUP, "TargetType": "instance"}]}


def _own_groups(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"LoadBalancerTargetGroups": []}


def _target_health(asked: Asked, _: Mapping[str, Any], then: datetime) -> Data:
    """An instance is a target from its launch on; and how it stands while it waits is its truth."""
    states = dict.fromkeys(asked.launched(), "initial")
    states |= {
        instance: "healthy" if stands is PossibleStatus.HOLDS else "initial"
        for instance, stands in asked.shown("targets healthy", then).items()
    }
    drains = asked.shown("targets drained", then)
    states |= {instance: _not_drained(instance) for instance in drains}
    return {
        "TargetHealthDescriptions": [
            {"Target": {"Id": each, "Port": 80}, "TargetHealth": {"State": state}}
            for each, state in states.items()
            if drains.get(each) is not PossibleStatus.HOLDS
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
    return {"Reservations": [{"Instances": [_instance(each)]} for each in asked_for["Values"]]}


def _instance(instance_id: str) -> Data:
    facts = facts_of(instance_id)
    return {
        "InstanceId": instance_id,
        "Placement": {"AvailabilityZone": facts["availability_zone"]},
        "InstanceType": facts["instance_type"],
        "Tags": [{"Key": key, "Value": value} for key, value in facts["tags"].items()],
    }


def _clusters(_: Asked, __: Mapping[str, Any], ___: datetime) -> Data:
    return {"clusterArns": [f"arn:aws:ecs:{_PLACE}:cluster/{name}" for name in _CLUSTERS]}


def _container_instances(_: Asked, parameters: Mapping[str, Any], __: datetime) -> Data:
    if parameters["cluster"].rpartition("/")[2] != CLUSTER:
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
    return {"taskArns": [] if none else [f"arn:aws:ecs:{_PLACE}:task/{CLUSTER}/{instance}"]}


def _tasks(_: Asked, parameters: Mapping[str, Any], __: datetime) -> Data:
    tasks = [{"taskArn": arn, "lastStatus": "RUNNING", "group": "s"} for arn in parameters["tasks"]]
    return {"tasks": tasks, "failures": []}


def _send(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    del then
    instance = parameters["InstanceIds"][0]
    return {"Command": {"CommandId": command_id(instance, asked.send(instance, parameters["Comment"]))}}


def command_id(instance: str, number: int) -> str:
    """As long as SSM's."""
    return f"{instance}-{number:016}"


def _commands(asked: Asked, parameters: Mapping[str, Any], then: datetime) -> Data:
    """A stale list may lack what was sent, and then it is sent once more."""
    instance = parameters["InstanceId"]
    return {
        "Commands": [
            {"CommandId": command_id(instance, number), "Comment": sent.comment}
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


SERVICES: Final[Mapping[str, Callable[[Asked, Mapping[str, Any], datetime], Any]]] = {
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
