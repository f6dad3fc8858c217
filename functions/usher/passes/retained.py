"""The part of reconcile that keeps which instances a failed termination retains: each is told of once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from usher.core import retained
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.live_waits import LiveGroup
    from usher.passes.scene import Scene
    from usher.ports.records import RetainedInstances
    from usher.ports.telemetry import Telemetry


@frozen
class RetainedPass:
    """Reads one item of each group that has a retained instance, and stores it where one is new."""

    store: RetainedInstances
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def run(self, scene: Scene) -> None:
        """Count them, tell the age of the oldest, and keep the new ones."""
        seen = {name: _retained(group) for name, group in scene.groups.items()}
        if count := sum(map(len, seen.values())):
            self.telemetry.count("RetainedInstances", count)
        now, oldest = self.clock(), timedelta(0)
        for name, instances in seen.items():
            known = self.store.retained(name) if instances else None
            if known is None:
                continue
            oldest = max([oldest, *(now - known[one] for one in instances if one in known)])
            if kept := retained.with_new(known, instances, now):
                self.store.keep_retained(name, kept)
        if oldest:
            self.telemetry.count("RetainedHours", oldest / timedelta(hours=1))


def _retained(group: LiveGroup) -> Sequence[str]:
    return [one.instance_id for one in group.members.values() if one.is_retained]
