"""What a call names: groups and instances, or the error that says that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group, Instance

    Answer = Mapping[str, Any]
    Operations = dict[str, Callable[[Mapping[str, Any], str], Answer]]  # of the parameters and the request id


def group_of(fleet: Fleet, name: str) -> Group:
    """The group of that name, or the error that says there is none."""
    if name not in fleet.groups:
        raise ApiError(
            "ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"
        )
    return fleet.groups[name]


def instance_of(fleet: Fleet, instance_id: str) -> Instance:
    """The instance of that id, in whatever group. Raises ApiError."""
    instance = fleet.instance(instance_id)
    if instance is None:
        raise ApiError(
            "ValidationError",
            f"Instance Id not found - No managed instance found for instance ID: {instance_id}",
        )
    return instance


def members_of(group: Group, ids: list[str]) -> list[Instance]:
    """Those instances of a group; all, or none. Raises ApiError."""
    found = [group.instances.get(instance_id) for instance_id in ids]
    known = [instance for instance in found if instance is not None and instance.state]
    if len(known) < len(ids):
        gone = next(one for one in ids if one not in {instance.id for instance in known})
        raise ApiError(
            "ValidationError", f"The instance {gone} is not part of Auto Scaling group {group.name}."
        )
    return known
