"""Operators who release retained instances, as `usher release` does: the order first, then the call."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher.core.action import OperatorNote
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher_simulator.autoscaling.virtual_clock import VirtualClock
    from usher_simulator.trials.deployment import Deployment
    from usher_simulator.trials.dice import Dice
    from usher_simulator.trials.judge.scene import Scene

_APART_MIN: Final = (5, 40)
_WHO: Final = "arn:aws:iam::111122223333:user/ann"


class Releases:
    """Lets one retained instance go now and then, until `end`. The scene knows since when each may go."""

    def __init__(
        self,
        usher: Deployment,
        clock: VirtualClock,
        random: Dice,
        scene: Scene,
        service: Callable[[Request], Mapping[str, Any]],
    ) -> None:
        self._usher = usher
        self._clock = clock
        self._random = random
        self._scene = scene
        self._service = service
        self._has_ended = False

    def begin(self) -> None:
        """From here on."""
        later = timedelta(minutes=self._random.uniform(*_APART_MIN))
        self._clock.at(self._clock() + later, self._go_on)

    def end(self) -> None:
        """No instance is released any more."""
        self._has_ended = True

    def _go_on(self) -> None:
        if self._has_ended or self._usher.is_removed:
            return
        groups = self._scene.groups.values()
        retained = sorted(
            each.id for group in groups for each in group.instances.values() if each.is_retained
        )
        if retained:
            self._release(self._random.choice(retained))
        self.begin()

    def _release(self, instance_id: str) -> None:
        order = OperatorNote(who=_WHO, at=self._clock(), reason="looked into")
        self._usher.memory.keep_release(instance_id, order)
        self._scene.released.setdefault(instance_id, order.at)  # it counts for days
        self._scene.happened.add("operator: release")
        asked = {"InstanceId": instance_id, "ShouldDecrementDesiredCapacity": False}
        with suppress(ApiError):  # the order stands all the same
            self._service(
                Request(
                    operation="TerminateInstanceInAutoScalingGroup", parameters=asked, request_id="operator"
                )
            )
