"""The operations on warm pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.capacity import pool_size
from usher_simulator.autoscaling.groups import WarmPool
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.lookups import Answer, Operations


class PoolOperations:
    """PutWarmPool and DeleteWarmPool."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {"PutWarmPool": self._put, "DeleteWarmPool": self._delete}

    def _put(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        pool = group.pool or WarmPool()
        if pool.deleting:
            raise ApiError("ScalingActivityInProgress", "The warm pool of the group is being deleted.")
        pool.min_size = asked.get("MinSize", pool.min_size)
        prepared = asked.get("MaxGroupPreparedCapacity", pool.max_prepared)
        pool.max_prepared = None if prepared == -1 else prepared
        pool.state = asked.get("PoolState", pool.state)
        policy = asked.get("InstanceReusePolicy") or {}
        pool.reuse = policy.get("ReuseOnScaleIn", pool.reuse)
        group.pool = pool
        self._fleet.wish(
            group,
            f"a user request put a new WarmPool with MinSize: {pool.min_size} and "
            f"MaxGroupPreparedCapacity: {'null' if pool.max_prepared is None else pool.max_prepared} "
            f"changing the capacity of WarmPool from {len(group.pooled)} to {pool_size(group)}",
        )
        return {}

    def _delete(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        if group.pool is None:
            raise ApiError("ValidationError", f"No warm pool found for Auto Scaling group: {group.name}")
        if group.warm and not asked.get("ForceDelete"):
            raise ApiError(
                "ResourceInUse",
                "You cannot delete a warm pool while there are instances still in it unless you use the "
                "force delete option.",
            )
        if not group.pool.deleting:
            self._fleet.end_pool(group)
        return {}
