"""Which hooks the configuration asks for on a group, and with which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from usher.core.frozen import frozen
from usher.core.hook_items import HookSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.hook_items import Enrolled, GroupSeen, Target
    from usher.core.policy import Channel, Hook


@frozen
class Wish:
    """A hook of the file, on one group."""

    hook: Hook
    settings: HookSettings


@frozen
class Obstacle:
    """Why a hook of the configuration cannot be put."""

    reason: str


Asked: TypeAlias = "Wish | Obstacle | None"  # None: the group's own template holds it


@frozen
class Wanted:
    """What the configuration asks for, and the targets that its hooks can notify."""

    hooks: Sequence[Hook]
    targets: Mapping[Channel, Target]
    own_groups: frozenset[str] = frozenset()

    @property
    def named_groups(self) -> frozenset[str]:
        """The groups that must be there: those that a hook names, and whose template does not hold it."""
        names = {str(hook.group.glob) for hook in self.hooks if hook.group.is_one_name}
        return frozenset(names) - self.own_groups

    def on(self, group: GroupSeen) -> dict[str, Asked]:
        """What is asked for on `group`, by the name of the hook."""
        found: dict[str, list[Hook]] = {}
        for hook in self.hooks:
            if hook.group.selects(group.name, group.tags):
                found.setdefault(hook.name, []).append(hook)
        return {name: self._asked(group, hooks) for name, hooks in found.items()}

    def successors(self, record: Enrolled, group: GroupSeen) -> list[Wish]:
        """What is asked for on its group in place of a hook: all others of its transition."""
        return [
            asked
            for name, asked in self.on(group).items()
            if name != record.hook
            and isinstance(asked, Wish)
            and asked.settings.transition is record.settings.transition
        ]

    def _asked(self, group: GroupSeen, hooks: Sequence[Hook]) -> Asked:
        if len(hooks) > 1:
            return Obstacle(reason=f"{len(hooks)} hooks of the file have this name for this group")
        (hook,) = hooks
        if group.name in self.own_groups and hook.group.glob is not None:
            return None
        target = self.targets.get(hook.notify)
        if target is None:
            return Obstacle(reason=f"this stack has no target for notify: {hook.notify}")
        return Wish(hook=hook, settings=settings_of(hook, target))

    def is_ours(self, live: HookSettings) -> bool:
        """Whether a hook notifies a target of this very deployment."""
        ours = {target.arn for target in self.targets.values() if target.arn is not None}
        return live.target_arn in ours

    def is_of(self, record: Enrolled, live: HookSettings) -> bool:
        """Whether what stands is the hook of an item: as Usher put it, or at least one that notifies Usher.

        Else someone else has put it in its place.
        """
        return record.may_have_put(live) or self.is_ours(live)

    def has_by_tags(self, record: Enrolled) -> bool:
        """Whether the hook of an item is in the file still, and chosen by the same tags."""
        chosen = record.selector
        return any(
            hook.group.glob is None
            and (hook.name, hook.transition, hook.group) == (record.hook, record.settings.transition, chosen)
            for hook in self.hooks
        )


def settings_of(hook: Hook, target: Target) -> HookSettings:
    """The settings with which a hook of the file is put."""
    return HookSettings(
        transition=hook.transition,
        heartbeat_timeout=hook.heartbeat_timeout,
        default_result=hook.default_result,
        target_arn=target.arn,
        role_arn=target.role_arn,
        metadata=hook.metadata,
    )
