"""The world outside simulated Auto Scaling: an event bus and notification targets, with their faults.

Lag, loss and duplication come from a seeded Random, and reordering from the lag.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.notifications import REGION, written
from usher_simulator.autoscaling.outside import Undeliverable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from usher_simulator.autoscaling.groups import Group, Hook
    from usher_simulator.autoscaling.virtual_clock import VirtualClock

# The delays of the lifecycle events that were captured, in seconds (aws-facts 9.1): the shortest,
# the median and the longest of 19 are facts; those between are spread as the facts tell.
CAPTURED_LAGS_S: Final = (3.5, 5, 8, 11, 15, 19, 22, 24, 27, 29, 33, 41, 61, 80, 104, 108, 114, 122, 129.9)
_QUEUE_LAG_S: Final = (0.05, 0.8)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryFaults:
    """How often a message is lost or comes twice, of 1."""

    lost: float = 0.0
    doubled: float = 0.0


@dataclass(kw_only=True)
class SimulatedOutside:
    """Implements usher_simulator.autoscaling.outside.Outside on the virtual clock.

    `targets` has what takes messages, by ARN: a function of the body's text. An ARN that is not
    there takes none. `bus` takes every event that is delivered.
    """

    clock: VirtualClock
    random: Random
    bus: Callable[[Mapping[str, Any]], None] = lambda _: None
    targets: dict[str, Callable[[str], None]] = field(default_factory=dict)
    faults: DeliveryFaults = field(default_factory=DeliveryFaults)
    bus_lags_s: tuple[float, ...] = CAPTURED_LAGS_S
    events: list[Mapping[str, Any]] = field(default_factory=list)  # all that were sent, in order
    registered: list[tuple[str, str]] = field(default_factory=list)  # "register" or "deregister", instance

    def event(self, event: Mapping[str, Any]) -> None:
        """EventBridge: late, out of order, and now and then never."""
        self.events.append(event)
        self._deliver(lambda: self.random.choice(self.bus_lags_s), lambda: self.bus(event))

    def notify(self, hook: Hook, body: Mapping[str, Any], subject: str) -> None:
        """A hook's own target: prompt. SNS puts an envelope around it; Lambda takes it as it is."""
        arn = hook.target_arn or ""
        if arn not in self.targets:
            raise Undeliverable(arn)
        text = json.dumps(body, separators=(",", ":"))
        if arn.split(":")[2:3] == ["sns"]:
            text = json.dumps(self._envelope(arn, text, subject), separators=(",", ":"))
        take = self.targets[arn]
        self._deliver(lambda: self.random.uniform(*_QUEUE_LAG_S), lambda: take(text))

    def register(self, group: Group, instance_id: str) -> None:
        """Noted, for groups that have a load balancer."""
        if group.settings.get("TargetGroupARNs"):
            self.registered.append(("register", instance_id))

    def deregister(self, group: Group, instance_id: str) -> None:
        """Noted, for groups that have a load balancer."""
        if group.settings.get("TargetGroupARNs"):
            self.registered.append(("deregister", instance_id))

    def _deliver(self, lag_s: Callable[[], float], do: Callable[[], None]) -> None:
        if self.random.random() < self.faults.lost:
            return
        copies = 2 if self.random.random() < self.faults.doubled else 1
        for _ in range(copies):
            self.clock.at(self.clock() + timedelta(seconds=lag_s()), do)

    def _envelope(self, topic_arn: str, text: str, subject: str) -> dict[str, Any]:
        return {
            "Type": "Notification",
            "MessageId": f"{self.random.getrandbits(128):032x}",
            "TopicArn": topic_arn,
            "Subject": subject,
            "Message": text,
            "Timestamp": written(self.clock()),
            "SignatureVersion": "1",
            "Signature": "simulated",
            "SigningCertURL": f"https://sns.{REGION}.amazonaws.com/simulated.pem",
            "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe",
        }
