"""The hooks that Usher puts, as values: their settings, what is seen of them, the item kept of each."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from usher.core.configuration import parse_source
from usher.core.field import ConfigurationRefused
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from usher.core.action import Result, Transition
    from usher.core.policy import GroupSelector, Hook

GRACE: Final = timedelta(seconds=60)  # what began so soon after the change is finished as before it
NOT_TAKEN_BACK: Final = timedelta(seconds=60)  # a delete that was announced may still be on its way
FORMER_KEPT: Final = timedelta(hours=49)  # as long as an action under a former timeout may be open
MOST_FORMER: Final = 5
_NEVER_CLEARED: Final = ("role_arn", "metadata")  # PutLifecycleHook takes no empty one (aws-facts 1.1)

Key: TypeAlias = "tuple[str, str]"  # group, hook


@frozen
class Target:
    """Whom a hook notifies, in which role. No ARN: nobody, so EventBridge alone tells."""

    arn: str | None
    role_arn: str | None = None


@frozen
class HookSettings:
    """What PutLifecycleHook sets."""

    transition: Transition | None  # None: one that this release does not know
    heartbeat_timeout: timedelta
    default_result: Result
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None

    def differences(self, live: HookSettings) -> tuple[str, ...]:
        """In what a standing hook is not as these settings ask.

        A role or metadata that is not asked for makes none: it cannot be taken off a hook.
        """
        names = (field.name for field in fields(self))
        differing = (name for name in names if getattr(self, name) != getattr(live, name))
        return tuple(name for name in differing if name not in _NEVER_CLEARED or getattr(self, name))


@frozen
class GroupSeen:
    """A live group. Its ARN tells it from earlier groups of that name."""

    name: str
    arn: str
    tags: tuple[tuple[str, str], ...] = ()
    is_ending: bool = False  # it is being deleted
    operator: str | None = None  # a service that alone may change it (aws-facts 11.1)
    retains: bool = False  # what is abandoned in a termination hook (aws-facts 2.7)


@frozen
class HookSeen:
    """A hook that stands on a group."""

    name: str
    settings: HookSettings


class HookState(StrEnum):
    """Whether the hook of an item is asked for, or on its way out."""

    WANTED = "wanted"
    RETIRING = "retiring"


@frozen
class Former:
    """A heartbeat timeout that stood before, and until when."""

    heartbeat_timeout: timedelta
    until: datetime


@frozen
class Enrolled:
    """The item of a hook that Usher put, or is about to put where `put_at` is absent.

    `before` is what stands there until a put is noted, so that a crash in between disowns nothing.
    `source` is a hooks file with this hook only: the policy and terms under which its actions begin.
    An action that began at `let_through_from` or later is let go at once. `is_out_of_file`: it retires
    because the file lacks it; False where its tags took it out, or an older release did not say.
    """

    group: str
    group_arn: str
    hook: str
    settings: HookSettings
    source: str
    before: HookSettings | None = None
    put_at: datetime | None = None  # when the last put was answered
    kept_at: datetime | None = None  # None: not stored yet
    version: int = 0  # counts the stored states
    former: tuple[Former, ...] = ()
    state: HookState = HookState.WANTED
    retiring_since: datetime | None = None
    let_through_from: datetime | None = None
    is_out_of_file: bool = False
    seen_at: datetime | None = None  # when it was last seen standing
    quiet_at: datetime | None = None  # when nobody waited in it, nor was on the way
    deleting_at: datetime | None = None  # when its deletion was announced
    missed: int = 0  # passes in a row in which its tags, or its group, were not found

    @property
    def key(self) -> Key:
        """What names the hook."""
        return self.group, self.hook

    @property
    def place(self) -> tuple[str, str, str]:
        """What names the item: a group made again under the same name is another one."""
        return self.group, self.hook, self.group_arn

    @property
    def own_hook(self) -> Hook:
        """The hook as the file had it. Raises ConfigurationRefused where this release cannot read it."""
        return parse_source(self.source)

    @property
    def selector(self) -> GroupSelector | None:
        """By what its group was chosen; None where this release cannot read it."""
        try:
            return self.own_hook.group
        except ConfigurationRefused:
            return None

    @property
    def is_retiring(self) -> bool:
        """Whether the hook is on its way out."""
        return self.state is HookState.RETIRING

    @property
    def is_noted(self) -> bool:
        """Whether the last put is known to have succeeded."""
        return self.put_at is not None and self.before is None

    def may_have_put(self, live: HookSettings) -> bool:
        """Whether a standing hook is as Usher put it, now or before."""
        mine = (self.settings, *([self.before] if self.before else []))
        return any(not settings.differences(live) for settings in mine)

    def is_being_deleted(self, now: datetime) -> bool:
        """Whether a delete that was announced may still be on its way."""
        return self.deleting_at is not None and now - self.deleting_at < NOT_TAKEN_BACK

    def noted(self, now: datetime) -> Enrolled:
        """The item once the put was answered at `now`."""
        former = self.formers(now)
        return replace(self, put_at=now, seen_at=now, before=None, former=former)

    def formers(self, now: datetime) -> tuple[Former, ...]:
        """The former timeouts that still matter, with the one that `before` had until now."""
        kept = [each for each in self.former if now - each.until < FORMER_KEPT]
        if self.before is not None and self.before.heartbeat_timeout != self.settings.heartbeat_timeout:
            kept.append(Former(heartbeat_timeout=self.before.heartbeat_timeout, until=now))
        newest: dict[timedelta, Former] = {each.heartbeat_timeout: each for each in kept}
        return tuple(sorted(newest.values(), key=lambda each: each.heartbeat_timeout)[:MOST_FORMER])

    def retired(self, now: datetime, let_through_from: datetime | None) -> Enrolled:
        """The item of a hook that is on its way out from `now` on."""
        return replace(
            self,
            state=HookState.RETIRING,
            retiring_since=now,
            let_through_from=let_through_from,
            is_out_of_file=False,
            quiet_at=None,
            deleting_at=None,
            missed=0,
        )

    def taken_back(self) -> Enrolled:
        """The item of a hook that is asked for again."""
        return replace(
            self,
            state=HookState.WANTED,
            retiring_since=None,
            let_through_from=None,
            is_out_of_file=False,
            quiet_at=None,
            deleting_at=None,
            missed=0,
        )


@frozen
class FileInForce:
    """Which compiled hooks file counts, by its digest; what it says of own groups; whether Usher goes.

    `version`: its number among those applied at run time; None: the deployment has it compiled in.
    """

    digest: str
    own_groups: tuple[str, ...] = ()
    is_closing: bool = False
    version: int | None = None

    def gives_way_to(self, later: FileInForce) -> bool:
        """Whether a pass may put `later` in force in its place: a later version, and no other file."""
        if self.version is None or later.version is None or self.is_closing:
            return False
        return self.version < later.version


def items_by_arn(groups: Iterable[GroupSeen], enrolled: Iterable[Enrolled]) -> dict[str, list[Enrolled]]:
    """The items of each live group, by its ARN."""
    found: dict[str, list[Enrolled]] = {group.arn: [] for group in groups}
    for record in sorted(enrolled, key=lambda record: record.key):
        if record.group_arn in found:
            found[record.group_arn].append(record)
    return found
