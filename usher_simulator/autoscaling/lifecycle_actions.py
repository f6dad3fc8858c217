"""Lifecycle actions as Auto Scaling keeps them: open, kept alive by heartbeats, ended once.

Every rule here names its source in docs/simulator.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher_simulator.autoscaling.groups import Hook, Instance
    from usher_simulator.autoscaling.moves import MoveKind
    from usher_simulator.autoscaling.virtual_clock import VirtualClock

_LONGEST: Final = timedelta(hours=48)
_LONGEST_IN_TIMEOUTS: Final = 100


class EndedBy(StrEnum):
    """Who or what ended a wait."""

    CALL = "CompleteLifecycleAction"
    DELETED = "DeleteLifecycleHook"
    HEARTBEAT_TIMEOUT = "Heartbeat Timeout"
    GLOBAL_TIMEOUT = "Global Timeout"
    UNDELIVERABLE = "Undeliverable"  # its notification target took no message
    OTHER = "someone else"


@dataclass(kw_only=True, slots=True)
class Wait:
    """One lifecycle action, as Auto Scaling has it."""

    token: str
    group: str
    hook: str
    instance_id: str
    transition: str  # launching | terminating
    origin: str | None
    destination: str | None
    heartbeat_timeout: timedelta
    default_result: str
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None
    result: str | None = None

    @property
    def global_end(self) -> datetime:
        """No heartbeat reaches further."""
        return self.started_at + min(_LONGEST, _LONGEST_IN_TIMEOUTS * self.heartbeat_timeout)

    @property
    def is_open(self) -> bool:
        """Whether the instance still waits for this action."""
        return self.ended_at is None


def action_of(instance: Instance, kind: MoveKind, hook: Hook, token: str, now: datetime) -> Wait:
    """The lifecycle action that begins now. It keeps the hook's terms, whatever becomes of the hook."""
    return Wait(
        token=token,
        group=instance.group,
        hook=hook.name,
        instance_id=instance.id,
        transition=kind.transition,
        origin=kind.origin,
        destination=kind.destination,
        heartbeat_timeout=hook.heartbeat_timeout,
        default_result=hook.default_result,
        started_at=now,
        expires_at=now + hook.heartbeat_timeout,
    )


class Waits:
    """All lifecycle actions, open and ended. Calls `on_end` once for each that ends."""

    def __init__(self, clock: VirtualClock, on_end: Callable[[Wait], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_end = on_end
        self._by_token: dict[str, Wait] = {}
        self._by_instance: dict[str, list[Wait]] = {}

    def begin(self, wait: Wait) -> None:
        """Open a lifecycle action; its token must be new."""
        if wait.token in self._by_token:
            raise ValueError(f"token must be new, got {wait.token}")
        self._by_token[wait.token] = wait
        self._by_instance.setdefault(wait.instance_id, []).append(wait)
        self._clock.at(wait.expires_at, lambda: self._expire(wait))

    def of_instance(self, instance_id: str) -> list[Wait]:
        """Every lifecycle action that the instance ever had, oldest first."""
        return self._by_instance.get(instance_id, [])

    def of_hook(self, group: str, hook: str) -> list[Wait]:
        """Every lifecycle action that there ever was in a hook."""
        return [wait for wait in self._by_token.values() if (wait.group, wait.hook) == (group, hook)]

    def of_token(self, token: str) -> Wait | None:
        """The lifecycle action of that token, open or ended."""
        return self._by_token.get(token)

    def active(self, group: str, hook: str, token: str | None, instance_id: str | None) -> Wait:
        """The open action that a call names. Raises ApiError as AWS words it (aws-facts 1.2)."""
        if token is not None:
            named = [self._by_token[token]] if token in self._by_token else []
            said = f"token {token}"
        else:
            named = self.of_instance(instance_id or "")
            said = f"instance ID {instance_id}"
        for wait in named:
            if wait.is_open and (wait.group, wait.hook) == (group, hook):
                return wait
        raise ApiError("ValidationError", f"No active Lifecycle Action found with {said}")

    def heartbeat(self, wait: Wait) -> None:
        """Restart the heartbeat timeout from now; it cannot pass the global timeout."""
        wait.expires_at = min(self._clock() + wait.heartbeat_timeout, wait.global_end)

    def end(self, wait: Wait, result: str, by: EndedBy) -> None:
        """End an open action with `result`."""
        wait.ended_at, wait.result, wait.ended_by = self._clock(), result, by
        self._on_end(wait)

    def of_group(self, group: str) -> list[Wait]:
        """Every lifecycle action that there ever was in a group, oldest first."""
        return [wait for wait in self._by_token.values() if wait.group == group]

    def expire(self, wait: Wait) -> None:
        """Its timeout ends now."""
        if wait.is_open:
            wait.expires_at = self._clock()
            self._expire(wait)

    def _expire(self, wait: Wait) -> None:
        """At an expiry: the default result, unless a heartbeat has moved it."""
        if not wait.is_open:
            return
        if wait.expires_at > self._clock():
            self._clock.at(wait.expires_at, lambda: self._expire(wait))
            return
        at_global_end = wait.expires_at >= wait.global_end
        by = EndedBy.GLOBAL_TIMEOUT if at_global_end else EndedBy.HEARTBEAT_TIMEOUT
        self.end(wait, wait.default_result, by)
