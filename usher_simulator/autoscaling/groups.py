"""What simulated Auto Scaling keeps: groups, hooks, instances, scaling activities, warm pools."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.moves import MoveKind, Transition

RETAINED: Final = ("Terminating:Retained", "Warmed:Pending:Retained", "Warmed:Terminating:Retained")
_DO_NOT_COUNT: Final = ("Warmed:", "Terminat", "EnteringStandby", "Standby", "Detaching")
BY_USER: Final = "a user health-check"
IN_POOL: Final = ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """A lifecycle hook, as PutLifecycleHook leaves it."""

    name: str
    transition: Transition
    heartbeat_timeout: timedelta = timedelta(hours=1)
    default_result: str = "ABANDON"
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None


@dataclass(kw_only=True, slots=True)
class Activity:
    """A scaling activity."""

    id: str
    group: str
    group_arn: str
    description: str
    cause: str
    started_at: datetime
    status: str
    progress: int
    zone: str | None = None  # of the instance that it moves
    subnet: str | None = None
    ended_at: datetime | None = None
    message: str | None = None
    of_deleted_group: bool = False


@dataclass(kw_only=True, slots=True)
class OngoingMove:
    """A move that has begun: its activity, and the lifecycle actions that hold it."""

    kind: MoveKind
    activity: Activity
    waits: list[Wait] = field(default_factory=list)
    keeps_place: bool = False  # its instance is replaced only when it has ended


@dataclass(kw_only=True, slots=True)
class Instance:
    """An instance of a group or its warm pool. Its states are kept, because reads may lag."""

    id: str
    group: str
    zone: str
    subnet: str
    states: list[tuple[datetime, str | None]]  # None: gone
    launched_from: Mapping[str, Any] = field(default_factory=dict)  # type and template, as they are described
    healthy: bool = True
    health_check: str = BY_USER  # who last spoke of its health, as causes have it
    protected: bool = False
    move: OngoingMove | None = None
    volume_is_new: bool = True
    refreshed: str = ""  # the mark of the instance refresh that launched or renewed it

    @property
    def state(self) -> str:
        """The lifecycle state now; empty once it is gone."""
        return self.states[-1][1] or ""

    def state_at(self, moment: datetime) -> str | None:
        """The lifecycle state as it was at `moment`; None before its beginning and after its end."""
        return next((state for since, state in reversed(self.states) if since <= moment), None)

    @property
    def is_retained(self) -> bool:
        """Whether an abandoned termination has left it standing."""
        return self.state in RETAINED

    @property
    def counts(self) -> bool:
        """Whether it counts to the desired capacity: in service, or on its way there."""
        if not self.state or self.state.startswith(_DO_NOT_COUNT):
            return False
        return self.move is None or self.move.kind.destination == "AutoScalingGroup"

    @property
    def is_of_pool(self) -> bool:
        """Whether it stands in the warm pool, or is on its way into it, and is not retained."""
        warm = self.state.startswith("Warmed:") and not self.state.startswith("Warmed:Terminat")
        return warm and not self.is_retained


@dataclass(kw_only=True, slots=True)
class WarmPool:
    """The settings of a warm pool."""

    min_size: int = 0
    max_prepared: int | None = None
    state: str = "Stopped"
    reuse: bool | None = None  # whether scale-in brings instances back; None: never said, and not described
    deleting: bool = False

    @property
    def instance_state(self) -> str:
        """The lifecycle state of an instance that stands in it."""
        return f"Warmed:{self.state}"


@dataclass(kw_only=True, slots=True)
class Refresh:
    """An instance refresh. What it launched, or renewed, has its mark."""

    id: str
    started_at: datetime
    replaces_volumes: bool
    preferences: Mapping[str, Any]
    wanted: Mapping[str, Any] | None  # the desired configuration
    settings_before: Mapping[str, Any]  # what the group launched from, for a rollback
    status: str = "InProgress"
    mark: str = ""
    total: int = 0  # the instances that it replaces
    reason: str | None = None
    ended_at: datetime | None = None
    ready_at: datetime | None = None  # when the newest instance has warmed up

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None


@dataclass(kw_only=True, slots=True)
class Group:
    """An Auto Scaling group."""

    name: str
    arn: str
    created_at: datetime
    min_size: int
    max_size: int
    desired: int
    settings: dict[str, Any]  # what else Create and Update were given, as it is described again
    hooks: dict[str, Hook] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    suspended: dict[str, datetime] = field(default_factory=dict)  # processes, and since when
    pool: WarmPool | None = None
    notifications: dict[str, list[str]] = field(default_factory=dict)  # topics, and what they are told
    refreshes: list[Refresh] = field(default_factory=list)  # newest first
    deleting: bool = False
    is_due: bool = False  # a reconcile is on its way
    wishes: list[str] = field(default_factory=list)  # why the capacity should change, for causes
    unreplaced: int = 0  # unhealthy instances that were taken out since the last look at the capacity

    @property
    def refresh(self) -> Refresh | None:
        """The instance refresh that goes on."""
        newest = self.refreshes[0] if self.refreshes else None
        return newest if newest is not None and newest.is_active else None

    @property
    def operator(self) -> str | None:
        """The service principal that alone may change it (aws-facts 11.1)."""
        return (self.settings.get("Operator") or {}).get("Principal")

    @property
    def retains(self) -> bool:
        """Whether an abandoned termination leaves its instance standing (aws-facts 2.7)."""
        policy: Mapping[str, Any] = self.settings.get("InstanceLifecyclePolicy") or {}
        return (policy.get("RetentionTriggers") or {}).get("TerminateHookAbandon") == "retain"

    @property
    def counting(self) -> list[Instance]:
        """The instances that count to the desired capacity."""
        return [instance for instance in self.instances.values() if instance.counts]

    @property
    def leaving(self) -> list[Instance]:
        """The instances on their way out whose place is filled only when they are gone."""
        return [one for one in self.instances.values() if one.move is not None and one.move.keeps_place]

    @property
    def warm(self) -> list[Instance]:
        """All that the warm pool is described with: also what leaves it, or is retained (aws-facts 11.2)."""
        return [instance for instance in self.instances.values() if instance.state.startswith("Warmed:")]

    @property
    def pooled(self) -> list[Instance]:
        """The instances in the warm pool, or on their way into it."""
        return [instance for instance in self.instances.values() if instance.is_of_pool]
