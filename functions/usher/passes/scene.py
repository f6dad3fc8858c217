"""What one reconcile pass sees: groups, open actions, and the items of hooks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field
from typing import TYPE_CHECKING

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.hook_items import Enrolled
    from usher.core.live_waits import LiveGroup


@frozen
class Scene:
    """What one pass sees."""

    groups: Mapping[str, LiveGroup]
    listed_at: datetime
    open_actions: Sequence[Action]
    items: Mapping[str, Sequence[Enrolled]]  # by the name of their group
    by_group: Mapping[str, Sequence[Action]] = field(init=False)

    def __post_init__(self) -> None:
        by_group: defaultdict[str, list[Action]] = defaultdict(list)
        for action in self.open_actions:
            by_group[action.hook.group].append(action)
        object.__setattr__(self, "by_group", by_group)

    def of(self, group: str) -> Sequence[Action]:
        """The open actions of a group."""
        return self.by_group.get(group, ())
