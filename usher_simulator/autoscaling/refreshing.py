"""An instance refresh on its way: batch after batch, as its preferences allow, and through the hooks.

Simplified: no checkpoints, no alarms; a group of one, or one that allows it, terminates before it launches.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.notifications import refresh_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group, Instance, Refresh

_MIN_HEALTHY_PERCENTAGE: Final = 90
_KEEP_THE_REST: Final = frozenset({"InstanceRefresh", "Launch", "Terminate"})  # while one is suspended
_ENDS: Final = {  # status that an active one has: the status of its end, and its event
    "InProgress": ("Successful", "Succeeded"),
    "Cancelling": ("Cancelled", "Cancelled"),
    "RollbackInProgress": ("RollbackSuccessful", "Rollback Succeeded"),
}


def left(group: Group, refresh: Refresh) -> list[Instance]:
    """What is in service and still to be replaced; what is protected or stands by is passed over."""
    return [
        one
        for one in group.counting
        if one.refreshed != refresh.mark and one.state == "InService" and _is_touched(one, group, refresh)
    ]


def _is_touched(instance: Instance, group: Group, refresh: Refresh) -> bool:
    if refresh.preferences.get("SkipMatching") and refresh.wanted is not None:
        wanted, has = refresh.wanted.get("LaunchTemplate"), instance.launched_from.get("LaunchTemplate")
        if wanted == has:
            return False
    preference = refresh.preferences.get("ScaleInProtectedInstances", "Ignore")
    return not instance.protected or preference == "Refresh" or refresh.replaces_volumes or group.deleting


def percentage(group: Group, refresh: Refresh) -> int:
    """How much of it is done."""
    if refresh.status in ("Successful", "RollbackSuccessful") or not refresh.total:
        return 100
    done = sum(one.refreshed == refresh.mark and one.state == "InService" for one in group.counting)
    return min(100, 100 * done // refresh.total)


def advance(fleet: Fleet, group: Group, refresh: Refresh) -> None:
    """Look at an active refresh: the next batch, its end, or nothing yet."""
    moving = [one for one in group.instances.values() if _is_moving(one)]
    waiting = refresh.ready_at is not None and refresh.ready_at > fleet.clock()
    if refresh.status == "Cancelling":
        if not moving:
            end(fleet, group, refresh)
        return
    _note_warm_up(fleet, group, refresh)
    if moving or waiting or len(group.counting) < group.desired:
        return
    batch = left(group, refresh)[: _size(group, refresh.preferences)]
    if not batch:
        end(fleet, group, refresh)
    if group.suspended.keys() & _KEEP_THE_REST:
        return
    for instance in batch:
        if refresh.replaces_volumes:
            fleet.replace_root_volume(instance)
        else:
            fleet.terminate(instance, "an instance refresh replaced the instance")


def _is_moving(instance: Instance) -> bool:
    """In or out of the group, or renewed: not of the warm pool."""
    return instance.move is not None and not instance.state.startswith("Warmed:")


def _size(group: Group, preferences: Mapping[str, Any]) -> int:
    least: int = preferences.get("MinHealthyPercentage", _MIN_HEALTHY_PERCENTAGE)
    return max(1, group.desired - math.ceil(group.desired * least / 100))


def _note_warm_up(fleet: Fleet, group: Group, refresh: Refresh) -> None:
    """The next batch waits until the newest instance has warmed up."""
    warm_up = timedelta(seconds=refresh.preferences.get("InstanceWarmup") or 0)
    since = [one.states[-1][0] for one in group.counting if one.refreshed == refresh.mark]
    if not warm_up or not since:
        return
    refresh.ready_at = max(since) + warm_up
    if refresh.ready_at > fleet.clock():
        fleet.clock.at(refresh.ready_at, lambda: fleet.reconcile_soon(group, timedelta(0)))


def end(fleet: Fleet, group: Group, refresh: Refresh) -> None:
    """It has come to its end, as its status says."""
    refresh.status, what = _ENDS[refresh.status]
    refresh.ended_at, refresh.reason = fleet.clock(), None
    tell(fleet, group, refresh, what)


def tell(fleet: Fleet, group: Group, refresh: Refresh, what: str) -> None:
    """The bus hears of it."""
    fleet.outside.event(refresh_event(group, refresh.id, what, fleet.clock(), fleet.new_id()))
