"""How a group comes to its desired capacity, and its warm pool to its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling import moves, refreshing
from usher_simulator.autoscaling.groups import BY_USER, IN_POOL, Instance
from usher_simulator.autoscaling.launch_settings import launch_members
from usher_simulator.autoscaling.notifications import REGION

if TYPE_CHECKING:
    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group

_KEEP_THE_UNHEALTHY: Final = frozenset({"Terminate", "ReplaceUnhealthy"})


def reconcile(fleet: Fleet, group: Group) -> None:
    """Take out what is unhealthy, launch what lacks, terminate what is too many."""
    wishes, group.wishes = "  ".join(group.wishes), []
    if not group.suspended.keys() & _KEEP_THE_UNHEALTHY and _take_out_unhealthy(fleet, group):
        fleet.reconcile_soon(group, fleet.latencies.replace)
        return
    if group.refresh is not None:
        refreshing.advance(fleet, group, group.refresh)
    before = len(group.counting)
    unreplaced, group.unreplaced = group.unreplaced, 0
    if "Launch" not in group.suspended:
        for number, size in enumerate(range(before, group.desired - len(group.leaving))):
            why = _replacing(fleet) if number < unreplaced else joined(wishes, _growing(fleet, size))
            _grow(fleet, group, why)
    if before > group.desired and "Terminate" not in group.suspended:
        _shrink(fleet, group, before, wishes)
    _reconcile_pool(fleet, group, wishes)


def _take_out_unhealthy(fleet: Fleet, group: Group) -> bool:
    only_of_users = "HealthCheck" in group.suspended  # whose own health checks go on (aws-facts 2.4)
    unhealthy = [
        one
        for one in group.counting
        if not one.healthy and one.state == "InService" and (one.health_check == BY_USER or not only_of_users)
    ]
    for instance in unhealthy:
        why = f"an instance was taken out of service in response to {instance.health_check}"
        fleet.terminate(instance, why, replaced_at_once=True)
    group.unreplaced += len(unhealthy)
    return bool(unhealthy)


def _replacing(fleet: Fleet) -> str:
    now = fleet.now_in_seconds()
    return f"At {now} an instance was launched in response to an unhealthy instance needing to be replaced."


def _growing(fleet: Fleet, size: int) -> str:
    return (
        f"At {fleet.now_in_seconds()} an instance was started in response to a difference between desired "
        f"and actual capacity, increasing the capacity from {size} to {size + 1}."
    )


def _grow(fleet: Fleet, group: Group, cause: str) -> None:
    ready = [instance for instance in group.pooled if instance.state in IN_POOL and not instance.move]
    if ready:
        fleet.begin(ready[0], moves.LAUNCH_FROM_POOL, cause)
    else:
        fleet.begin(_new_instance(fleet, group), moves.LAUNCH, cause)


def _new_instance(fleet: Fleet, group: Group) -> Instance:
    return add_instance(fleet, group, fleet.new_instance_id())


def add_instance(fleet: Fleet, group: Group, instance_id: str) -> Instance:
    """An instance of a group that is nowhere yet. All stand in the group's first zone and subnet."""
    subnets = str(group.settings.get("VPCZoneIdentifier") or "subnet-00000000000000000").split(",")
    zones = group.settings.get("AvailabilityZones") or [f"{REGION}a"]
    instance = Instance(
        id=instance_id,
        group=group.name,
        zone=zones[0],
        subnet=subnets[0].strip(),
        states=[(fleet.clock(), None)],
        launched_from=launch_members(group.settings),
        protected=bool(group.settings.get("NewInstancesProtectedFromScaleIn")),
        refreshed=group.refresh.mark if group.refresh else "",
    )
    group.instances[instance_id] = instance
    return instance


def _shrink(fleet: Fleet, group: Group, before: int, wishes: str) -> None:
    free = [one for one in group.counting if not one.protected and one.state == "InService"]
    reuse = group.pool is not None and bool(group.pool.reuse) and not group.pool.deleting
    for size, instance in zip(range(before, group.desired, -1), free, strict=False):
        why = shrinking(fleet, instance, size, to_pool=reuse)
        fleet.begin(instance, moves.RETURN_TO_POOL if reuse else moves.TERMINATE, joined(wishes, why))
    left = group.counting
    if len(left) > group.desired and all(instance.protected for instance in left):
        _refuse_to_shrink(fleet, group, wishes)


def shrinking(fleet: Fleet, instance: Instance, size: int, *, to_pool: bool = False) -> str:
    """Why an instance is taken out of a group, or of a warm pool, that has `size` of them."""
    now, selected = fleet.now_in_seconds(), "scale in to warm pool" if to_pool else "termination"
    return (
        f"At {now} an instance was taken out of service in response to a difference between desired "
        f"and actual capacity, shrinking the capacity from {size} to {size - 1}.  "
        f"At {now} instance {instance.id} was selected for {selected}."
    )


def _refuse_to_shrink(fleet: Fleet, group: Group, wishes: str) -> None:
    """All are protected: the attempt is an activity too (aws-facts 9.19)."""
    said = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    cause = joined(wishes, f"At {fleet.now_in_seconds()} group reached equilibrium.")
    fleet.activities.end(fleet.activities.begin(group, said, cause), "Cancelled")


def pool_size(group: Group) -> int:
    """How many instances the warm pool should have."""
    if group.pool is None:
        return 0
    prepared = group.pool.max_prepared
    most = group.max_size if prepared is None else prepared
    return max(group.pool.min_size, most - max(group.desired, len(group.counting)))


def _reconcile_pool(fleet: Fleet, group: Group, wishes: str) -> None:
    pool = group.pool
    if pool is None:
        return
    if pool.deleting:
        for size, instance in zip(range(len(group.pooled), 0, -1), group.pooled, strict=True):
            fleet.take_out(instance, joined(wishes, shrinking(fleet, instance, size)))
        group.pool = pool if any(not instance.is_retained for instance in group.warm) else None
        return
    wanted = pool_size(group)
    if "Launch" not in group.suspended:
        for size in range(len(group.pooled), wanted):
            cause = joined(wishes, _growing(fleet, size))
            fleet.begin(_new_instance(fleet, group), moves.LAUNCH_INTO_POOL, cause)
    if "Terminate" in group.suspended:
        return
    settled = [instance for instance in group.pooled if instance.move is None]
    for size, instance in zip(range(len(group.pooled), wanted, -1), settled, strict=False):
        fleet.take_out(instance, joined(wishes, shrinking(fleet, instance, size)))


def joined(wishes: str, why: str) -> str:
    """A cause that begins with what was asked for, if anything was."""
    return f"{wishes}  {why}" if wishes else why
