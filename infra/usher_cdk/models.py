"""What botocore knows of the services that the functions call, reduced to the operations that they call.

At each cold start botocore reads the model of each service that gets a client, and the endpoints of all 300
services. EC2's model has 800 operations, which take 65 ms of processor time; the two that we call take 4.
The endpoints take 17, those of our services one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.loaders import Loader

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "autoscaling": (
        "CompleteLifecycleAction",
        "DeleteLifecycleHook",
        "DescribeAutoScalingGroups",
        "DescribeLifecycleHooks",
        "DescribeLoadBalancerTargetGroups",
        "DescribeScalingActivities",
        "DescribeWarmPool",
        "PutLifecycleHook",
        "RecordLifecycleActionHeartbeat",
    ),
    "cloudformation": ("DescribeStacks",),
    "dynamodb": (
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "ec2": ("DescribeInstanceStatus", "DescribeInstances"),
    "ecs": (
        "DescribeContainerInstances",
        "DescribeTasks",
        "ListClusters",
        "ListContainerInstances",
        "ListTasks",
        "UpdateContainerInstancesState",
    ),
    "elbv2": ("DescribeTargetGroups", "DescribeTargetHealth"),
    "events": ("PutEvents",),
    "lambda": ("Invoke",),
    "sqs": ("GetQueueAttributes", "SendMessage", "SendMessageBatch"),
    "ssm": ("GetCommandInvocation", "ListCommandInvocations", "ListCommands", "SendCommand"),
}


def write_models(folder: Path) -> None:
    """Write a model for each service, and the endpoints of all, where botocore looks for them in a folder."""
    loader, prefixes = Loader(), set()
    for service, operations in OPERATIONS.items():
        version = loader.determine_latest_version(service, "service-2")
        model = loader.load_service_model(service, "service-2", version)
        prefixes.add(model["metadata"]["endpointPrefix"])
        _write(folder / service / version / "service-2.json", _reduced(model, operations))
    _write(folder / "endpoints.json", _endpoints_of(prefixes, loader.load_data("endpoints")))


def _write(file: Path, data: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")


def _endpoints_of(prefixes: Container[str], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Every partition and Region is kept, and of the services these."""
    partitions = [
        {**each, "services": {name: of for name, of in each["services"].items() if name in prefixes}}
        for each in whole["partitions"]
    ]
    return {**whole, "partitions": partitions}


def _reduced(model: Mapping[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    wanted = list(_shapes_in(kept))
    while wanted:
        name = wanted.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            wanted += _shapes_in(shapes[name])
    reduced: dict[str, Any] = _without_documentation({**model, "operations": kept, "shapes": shapes})
    return reduced


def _shapes_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _shapes_in(each)


def _without_documentation(part: Any) -> Any:  # noqa: ANN401 - JSON
    """A member may have that name, too; what it is then is no text."""
    if isinstance(part, dict):
        return {
            key: _without_documentation(value)
            for key, value in part.items()
            if key != "documentation" or not isinstance(value, str)
        }
    return [_without_documentation(each) for each in part] if isinstance(part, list) else part
