"""What a message can say, once it is understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from usher.core.action import ActivityEnd, Signal
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Transition


@frozen
class Home:
    """An account and Region: where Usher is, or where a message says that it is from. None: not told."""

    account: str | None
    region: str | None

    def differs(self, other: Home) -> bool:
        """Whether both tell, and not the same."""
        pairs = ((self.account, other.account), (self.region, other.region))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def __str__(self) -> str:
        """As a reason has it."""
        parts = [f"account {self.account}"] if self.account is not None else []
        return ", ".join([*parts, *([f"Region {self.region}"] if self.region is not None else [])])


@frozen
class LifecycleNotice:
    """An instance waits in a hook."""

    token: str
    group: str
    hook: str
    instance_id: str
    transition: Transition
    origin: str | None  # absent in messages from before 2021 (aws-facts 1.4)
    destination: str | None
    metadata: str | None = None  # the hook's NotificationMetadata
    at: datetime
    channel: str  # sqs | sns | eventbridge | lambda


@frozen
class TestNotice:
    """A TEST_NOTIFICATION: some hook of the group reaches us. It does not name the hook."""

    group: str
    request_id: str
    at: datetime


@frozen
class InstanceEnd:
    """EC2 is ending an instance, or has: a hook that holds it has nothing to wait for."""

    instance_id: str
    at: datetime
    detail: str  # the event and its state


@frozen
class InstanceState:
    """EC2 says whether an instance is stopped, which is no end: it may run again."""

    instance_id: str
    at: datetime
    is_stopped: bool
    detail: str  # the event and its state


@frozen
class CommandEnd:
    """A command of SSM Run Command ended on an instance: a hint to ask how."""

    instance_id: str
    command_id: str
    at: datetime
    detail: str  # the event and its status


@frozen
class Unrelated:
    """Understood, and nothing that Usher acts on."""

    reason: str


Notice: TypeAlias = (
    LifecycleNotice | TestNotice | ActivityEnd | Signal | InstanceEnd | InstanceState | CommandEnd | Unrelated
)


class NotUnderstood(Exception):  # noqa: N818 - it reads as what happened
    """A message says nothing that can be acted on or ignored with confidence; the text says why."""
