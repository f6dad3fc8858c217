"""What simulated Auto Scaling speaks to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from usher_simulator.autoscaling.groups import Group, Hook


class Undeliverable(Exception):  # noqa: N818 - it reads as what happened
    """A notification target does not take a message."""


class Outside(Protocol):
    """An event bus, notification targets and load balancers."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Put an event on the default bus."""
        ...

    def notify(self, hook: Hook, body: Mapping[str, Any], subject: str) -> None:
        """Send to the target of a hook, with its role. Raises Undeliverable."""
        ...

    def register(self, group: Group, instance_id: str) -> None:
        """Add an instance to the load balancers of its group."""
        ...

    def deregister(self, group: Group, instance_id: str) -> None:
        """Take an instance from the load balancers of its group."""
        ...
