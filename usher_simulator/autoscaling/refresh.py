"""The operations on instance refreshes: started, cancelled, rolled back, described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling import refreshing
from usher_simulator.autoscaling.groups import Refresh
from usher_simulator.autoscaling.launch_settings import SOURCES, changed
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.pages import Page, page_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lookups import Answer, Operations

_PAGE: Final = Page(default=50, most=100)
_DEFAULTS: Final[Mapping[str, Any]] = {  # as captured
    "MinHealthyPercentage": 90,
    "SkipMatching": False,
    "AutoRollback": False,
    "AlarmSpecification": {},
}


class RefreshOperations:
    """StartInstanceRefresh, CancelInstanceRefresh, RollbackInstanceRefresh, DescribeInstanceRefreshes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "StartInstanceRefresh": self._start,
            "CancelInstanceRefresh": self._cancel,
            "RollbackInstanceRefresh": self._roll_back,
            "DescribeInstanceRefreshes": self._describe,
        }

    def _start(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        if group.refresh is not None:
            raise ApiError(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution of this Instance "
                "Refresh.",
            )
        preferences = {**_DEFAULTS, **(asked.get("Preferences") or {})}
        preferences.setdefault("InstanceWarmup", group.settings.get("DefaultInstanceWarmup") or 0)
        wanted, refresh_id = asked.get("DesiredConfiguration"), self._fleet.new_id()
        refresh = Refresh(
            id=refresh_id,
            mark=refresh_id,
            started_at=self._fleet.clock(),
            replaces_volumes=asked.get("Strategy") == "ReplaceRootVolume",
            preferences=preferences,
            wanted=wanted,
            settings_before={name: group.settings[name] for name in SOURCES if name in group.settings},
        )
        group.refreshes.insert(0, refresh)
        refresh.total = len(refreshing.left(group, refresh))
        if wanted:
            group.settings = changed(group.settings, wanted)
        refreshing.tell(self._fleet, group, refresh, "Started")
        if refresh.total:
            self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        else:
            refreshing.end(self._fleet, group, refresh)
        return {"InstanceRefreshId": refresh.id}

    def _cancel(self, asked: Mapping[str, Any], _: str) -> Answer:
        """It waits for instances on their way, also for those in hooks, unless it is told not to."""
        group, refresh = self._active(asked)
        refresh.status = "Cancelling"
        if asked.get("WaitForTransitioningInstances", True):
            self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        else:
            refreshing.end(self._fleet, group, refresh)
        return {"InstanceRefreshId": refresh.id}

    def _roll_back(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, refresh = self._active(asked)
        if not refresh.wanted:
            raise ApiError(
                "IrreversibleInstanceRefresh", "The instance refresh has no desired configuration to undo."
            )
        undone, refresh.mark = refresh.mark, f"{refresh.id}, undone"
        for instance in group.instances.values():
            if instance.refreshed != undone:
                instance.refreshed = refresh.mark  # it has what is wanted again
        group.settings = changed(group.settings, refresh.settings_before)
        refresh.status, refresh.ready_at = "RollbackInProgress", None
        refreshing.tell(self._fleet, group, refresh, "Rollback Started")
        self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        return {"InstanceRefreshId": refresh.id}

    def _active(self, asked: Mapping[str, Any]) -> tuple[Group, Refresh]:
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        refresh = group.refresh
        if refresh is None:
            raise ApiError(
                "ActiveInstanceRefreshNotFound",
                f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}.",
            )
        return group, refresh

    def _describe(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, ids = group_of(self._fleet, asked["AutoScalingGroupName"]), asked.get("InstanceRefreshIds")
        found = [refresh for refresh in group.refreshes if not ids or refresh.id in ids]
        page, token = page_of(found, asked, _PAGE)
        return {"InstanceRefreshes": [_described(group, one) for one in page], "NextToken": token}


def _described(group: Group, refresh: Refresh) -> Mapping[str, Any]:
    return {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StatusReason": refresh.reason,
        "StartTime": refresh.started_at,
        "EndTime": refresh.ended_at,
        "PercentageComplete": refreshing.percentage(group, refresh),
        "InstancesToUpdate": len(refreshing.left(group, refresh)) if refresh.is_active else 0,
        "Preferences": refresh.preferences,
        "DesiredConfiguration": refresh.wanted,
        "Strategy": "ReplaceRootVolume" if refresh.replaces_volumes else "Rolling",
    }
