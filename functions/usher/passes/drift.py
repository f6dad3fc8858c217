"""Tells of hooks that are not as configured, and shortens what is open to the timeout that its hook has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from usher.core import live_waits, reconcile
from usher.core.frozen import frozen
from usher.core.hook_timeouts import described, known
from usher.core.round_robin import share
from usher.core.wait_moves import WaitKind
from usher.passes.hooks_read import read_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.hook_items import HookSeen
    from usher.core.hook_timeouts import Described
    from usher.core.live_waits import LiveGroup
    from usher.core.open_waits import OpenWaits
    from usher.core.policy import Configuration
    from usher.passes.failing_groups import PassedOver
    from usher.passes.scene import Scene
    from usher.ports.autoscaling import LiveWaits
    from usher.ports.records import ReconcileStore
    from usher.ports.telemetry import EnrolmentTelemetry

    NextSlot = Callable[[], datetime]

MOST_HOOKS_IN_USE: Final = 5  # groups with open actions whose hooks one pass describes; all in turn
MOST_HOOKS_IDLE: Final = 2  # and of the other groups


@frozen
class Drift:
    """What looks at hooks. `change` stores on top of whatever is newest."""

    configuration: Configuration
    live: LiveWaits
    store: ReconcileStore
    telemetry: EnrolmentTelemetry
    clock: Callable[[], datetime]
    change: Callable[[Action, Callable[[Action], Action]], None]
    known: dict[str, int]  # by group: how many of its hooks had drifted when they were last read

    def run(self, scene: Scene, number: int, next_slot: NextSlot, passed_over: PassedOver) -> None:
        """A few groups in each pass: what drifted at once again, and those with open actions sooner."""
        waiting = scene.open_waits.groups
        in_use = sorted(name for name in scene.groups if name in waiting)
        idle = sorted(name for name in scene.groups if name not in waiting)
        for gone in self.known.keys() - scene.groups.keys():
            del self.known[gone]
        drifted = sorted(name for name, count in self.known.items() if count)
        turns = ((drifted, MOST_HOOKS_IDLE), (in_use, MOST_HOOKS_IN_USE), (idle, MOST_HOOKS_IDLE))
        for name in dict.fromkeys(name for names, most in turns for name in share(names, most, number)):
            with passed_over.on(name):
                live = read_hooks(self.live, self.store, name, next_slot)
                self.known[name] = self._tell_drift(scene.groups[name], live)
                self._shorten(name, scene.open_waits, live)

    def _tell_drift(self, group: LiveGroup, live: Sequence[HookSeen]) -> int:
        hooks = live_waits.hooks_on(self.configuration.hooks, group)
        drifts = reconcile.drifts(hooks, live)
        for hook, reason in drifts.items():
            self.telemetry.enrolment("drift", group.name, hook, reason)
        return len(drifts)

    def _shorten(self, group: str, open_waits: OpenWaits, live: Sequence[HookSeen]) -> None:
        """What is open goes by what stands, where that is less than what its record has."""
        at = self.clock()
        seen = described(live, at)
        for place in open_waits.places(group):
            if place.wait is None or _is_less(seen, place.hook, place.wait):
                for action in self.store.open_of(open_waits.in_place(place)):
                    if _is_less(seen, action.hook.name, WaitKind.of(action)):
                        self.change(action, lambda action: known(action, seen, at) or action)


def _is_less(seen: Described, hook: str, wait: WaitKind) -> bool:
    """Whether less stands than a record has, or its timeout is assumed."""
    return wait.timeout_assumed or seen.timeouts.get(hook, wait.heartbeat_timeout) < wait.heartbeat_timeout
