"""What CloudFormation makes in Auto Scaling: its groups and hooks, put into the simulator by API calls."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import Shape
    from mypy_boto3_autoscaling import AutoScalingClient

    from usher_local.monotonic import Seconds

Properties = dict[str, Any]

_PATIENCE: Final = timedelta(hours=2)  # with which CloudFormation waits for a group to become empty
_BETWEEN_LOOKS_S: Final = 0.2
_GONE: Final = ("not found", "No Lifecycle Hook found")
_ARNS: Final = {"AutoScalingGroupARN", "Arn"}


class Resources:
    """Creates, updates and deletes as CloudFormation would."""

    def __init__(self, client: AutoScalingClient, seconds: Seconds) -> None:
        self._client = client
        self._seconds = seconds
        self._closing = Event()
        self._kinds: dict[str, dict[str, Callable[..., str]]] = {
            "AWS::AutoScaling::AutoScalingGroup": {
                "create": self._create_group,
                "update": self._update_group,
                "delete": self._delete_group,
            },
            "AWS::AutoScaling::LifecycleHook": {
                "create": self._put_hook,
                "update": self._change_hook,
                "delete": self._delete_hook,
            },
        }

    def change(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answers the emulator: the physical id, and what GetAtt may ask for; or the error."""
        parts = {name: asked[name] for name in ("id", "old", "properties") if name in asked}
        try:
            made = self._kinds[asked["type"]][asked["request"]](**parts)
            attributes = self._group_arns(made) if asked["type"].endswith("Group") else {}
        except (BotoCoreError, ClientError, TimeoutError) as error:
            return {"error": str(error)}
        return {"id": made, "attributes": attributes}

    def close(self) -> None:
        """Wait for nothing any more."""
        self._closing.set()

    # -- groups ---------------------------------------------------------------------------------

    def _create_group(self, id: str, properties: Properties) -> str:  # noqa: A002 - as CloudFormation has it
        name = str(properties.get("AutoScalingGroupName") or id)
        asked = self._fitted("CreateAutoScalingGroup", _group_parameters(properties, name))
        self._client.create_auto_scaling_group(**asked)
        return name

    def _update_group(self, id: str, old: Properties, properties: Properties) -> str:  # noqa: A002
        name = str(properties.get("AutoScalingGroupName") or id)
        if name != id:
            self._create_group(name, properties)
            self._delete_group(id, old)
            return name
        asked = self._fitted("UpdateAutoScalingGroup", _group_parameters(properties, name))
        self._client.update_auto_scaling_group(**asked)
        self._change_tags(name, old, properties)
        specified = _hooks_of(properties)
        for hook in specified.values():
            self._put_hook(id, hook | {"AutoScalingGroupName": name})
        for gone in _hooks_of(old).keys() - specified.keys():
            self._delete_hook(gone, {"AutoScalingGroupName": name})
        return name

    def _change_tags(self, name: str, old: Properties, properties: Properties) -> None:
        owner = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
        wanted: list[Any] = [tag | owner for tag in properties.get("Tags", [])]
        keys = {tag["Key"] for tag in wanted}
        gone: list[Any] = [
            {"Key": tag["Key"]} | owner for tag in old.get("Tags", []) if tag["Key"] not in keys
        ]
        if wanted:
            self._client.create_or_update_tags(
                Tags=self._fitted("CreateOrUpdateTags", {"Tags": wanted})["Tags"]
            )
        if gone:
            self._client.delete_tags(Tags=gone)

    def _delete_group(self, id: str, properties: Properties) -> str:  # noqa: A002, ARG002
        """Scaled in first: its instances pass through their hooks."""
        try:
            self._client.update_auto_scaling_group(
                AutoScalingGroupName=id, MinSize=0, MaxSize=0, DesiredCapacity=0
            )
            self._wait_until_empty(id)
            self._client.delete_auto_scaling_group(AutoScalingGroupName=id)
        except ClientError as error:
            _pass_over_what_is_gone(error)
        return id

    def _wait_until_empty(self, name: str) -> None:
        deadline = self._seconds() + _PATIENCE.total_seconds()
        while self._instances(name):
            if self._closing.wait(_BETWEEN_LOOKS_S) or self._seconds() > deadline:
                raise TimeoutError(f"{name} still has instances")

    def _instances(self, name: str) -> list[Any]:
        described = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return [instance for group in described["AutoScalingGroups"] for instance in group["Instances"]]

    def _group_arns(self, name: str) -> dict[str, str]:
        described = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        arns = [group["AutoScalingGroupARN"] for group in described["AutoScalingGroups"]]
        return dict.fromkeys(_ARNS, arns[0]) if arns else {}

    # -- hooks ----------------------------------------------------------------------------------

    def _put_hook(self, id: str, properties: Properties) -> str:  # noqa: A002
        name = str(properties.get("LifecycleHookName") or id)
        asked = self._fitted("PutLifecycleHook", properties | {"LifecycleHookName": name})
        self._client.put_lifecycle_hook(**asked)
        return name

    def _change_hook(self, id: str, old: Properties, properties: Properties) -> str:  # noqa: A002
        name = self._put_hook(id, properties)
        moved = old["AutoScalingGroupName"] != properties["AutoScalingGroupName"]
        if name != id or moved:
            self._delete_hook(id, old)
        return name

    def _delete_hook(self, id: str, properties: Properties) -> str:  # noqa: A002
        group = properties["AutoScalingGroupName"]
        try:
            self._client.delete_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName=id)
        except ClientError as error:
            _pass_over_what_is_gone(error)
        return id

    def _fitted(self, operation: str, properties: Properties) -> Any:  # noqa: ANN401 - any parameters
        shape = self._client.meta.service_model.operation_model(operation).input_shape
        return fitted(shape, properties)


def fitted(shape: Shape | None, value: Any) -> Any:  # noqa: ANN401 - any shape
    """A template's value as an API parameter: numbers may be text in it, and it may say more."""
    match getattr(shape, "type_name", None):
        case "structure":
            known: Mapping[str, Shape] = getattr(shape, "members", {})
            return {name: fitted(known[name], one) for name, one in value.items() if name in known}
        case "list":
            return [fitted(getattr(shape, "member", None), one) for one in value]
        case "integer" | "long":
            return int(value)
        case "boolean":
            return str(value).lower() == "true"
        case "string":
            return str(value)
        case _:
            return value


def _group_parameters(properties: Properties, name: str) -> Properties:
    """Where the template and the API differ in names or form."""
    given = properties | {"AutoScalingGroupName": name}
    if "Cooldown" in properties:
        given["DefaultCooldown"] = properties["Cooldown"]
    if isinstance(properties.get("VPCZoneIdentifier"), list):
        given["VPCZoneIdentifier"] = ",".join(properties["VPCZoneIdentifier"])
    owner = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
    given["Tags"] = [tag | owner for tag in properties.get("Tags", [])]
    return given


def _hooks_of(properties: Properties) -> dict[str, Properties]:
    specified = properties.get("LifecycleHookSpecificationList", [])
    return {hook["LifecycleHookName"]: hook for hook in specified}


def _pass_over_what_is_gone(error: ClientError) -> None:
    if not any(words in str(error) for words in _GONE):
        raise error
