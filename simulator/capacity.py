"""How a group comes to its desired capacity, and its warm pool to its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator import moves
from simulator.announcements import REGION
from simulator.groups import IN_POOL, Instance

if TYPE_CHECKING:
    from simulator.fleet import Fleet
    from simulator.groups import Group

_KEEP_THE_UNHEALTHY: Final = frozenset({"Terminate", "HealthCheck", "ReplaceUnhealthy"})


def reconcile(fleet: Fleet, group: Group) -> None:
    """Take out what is unhealthy, launch what lacks, terminate what is too many."""
    wishes, group.wishes = "  ".join(group.wishes), []
    if not group.suspended & _KEEP_THE_UNHEALTHY and _take_out_unhealthy(fleet, group):
        fleet.reconcile_soon(group, fleet.latencies.replace)
        return
    before = len(group.counting)
    if "Launch" not in group.suspended:
        for size in range(before, group.desired):
            _grow(fleet, group, _joined(wishes, _growing(fleet, size)))
    if before > group.desired and "Terminate" not in group.suspended:
        _shrink(fleet, group, before, wishes)
    _reconcile_pool(fleet, group, wishes)


def _take_out_unhealthy(fleet: Fleet, group: Group) -> bool:
    unhealthy = [one for one in group.counting if not one.healthy and one.state == "InService"]
    for instance in unhealthy:
        fleet.terminate(instance, "an instance was taken out of service in response to a health check")
    return bool(unhealthy)


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
    subnets = str(group.settings.get("VPCZoneIdentifier") or "subnet-00000000000000000").split(",")
    instance = Instance(
        id=fleet.new_instance_id(),
        group=group.name,
        zone=f"{REGION}a",
        subnet=subnets[0].strip(),
        states=[(fleet.clock(), None)],
        protected=bool(group.settings.get("NewInstancesProtectedFromScaleIn")),
    )
    group.instances[instance.id] = instance
    return instance


def _shrink(fleet: Fleet, group: Group, before: int, wishes: str) -> None:
    free = [one for one in group.counting if not one.protected and one.state == "InService"]
    reuse = group.pool is not None and group.pool.reuse and not group.pool.deleting
    for size, instance in zip(range(before, group.desired, -1), free, strict=False):
        now = fleet.now_in_seconds()
        why = (
            f"At {now} an instance was taken out of service in response to a difference between desired "
            f"and actual capacity, shrinking the capacity from {size} to {size - 1}.  "
            f"At {now} instance {instance.id} was selected for termination."
        )
        fleet.begin(instance, moves.RETURN_TO_POOL if reuse else moves.TERMINATE, _joined(wishes, why))
    if all(instance.protected for instance in group.counting):
        _refuse_to_shrink(fleet, group, wishes)


def _refuse_to_shrink(fleet: Fleet, group: Group, wishes: str) -> None:
    """All are protected: the attempt is an activity too (aws-facts 9.19)."""
    said = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    cause = _joined(wishes, f"At {fleet.now_in_seconds()} group reached equilibrium.")
    fleet.end_activity(fleet.activity(group, said, cause), "Cancelled")


def _reconcile_pool(fleet: Fleet, group: Group, wishes: str) -> None:
    pool = group.pool
    if pool is None:
        return
    if pool.deleting:
        group.pool = pool if group.pooled else None
        return
    most = group.max_size if pool.max_prepared is None else pool.max_prepared
    wanted = max(pool.min_size, most - max(group.desired, len(group.counting)))
    if "Launch" not in group.suspended:
        for size in range(len(group.pooled), wanted):
            cause = _joined(wishes, _growing(fleet, size))
            fleet.begin(_new_instance(fleet, group), moves.LAUNCH_INTO_POOL, cause)
    settled = [instance for instance in group.pooled if instance.move is None]
    for instance in settled[: max(0, len(group.pooled) - wanted)]:
        fleet.terminate(instance, "an instance was taken out of the warm pool")


def _joined(wishes: str, why: str) -> str:
    return f"{wishes}  {why}" if wishes else why
