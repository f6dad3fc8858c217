"""Instance refreshes: started, and for now all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_simulator.autoscaling.lookups import group_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.lookups import Answer, Operations


class RefreshOperations:
    """StartInstanceRefresh."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {"StartInstanceRefresh": self._start}

    def _start(self, asked: Mapping[str, Any], _: str) -> Answer:
        """Simplified: all instances at once, with no checkpoints and no rollback."""
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        for instance in [one for one in group.counting if one.state == "InService"]:
            if asked.get("Strategy") == "ReplaceRootVolume":
                self._fleet.replace_root_volume(instance)
            else:
                self._fleet.terminate(instance, "an instance refresh replaced the instance")
        self._fleet.reconcile_soon(group, self._fleet.latencies.replace)
        return {"InstanceRefreshId": self._fleet.new_id()}
