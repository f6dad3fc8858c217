"""Reads the hooks of a group, and keeps them for all evaluations: to read them again costs calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.hook_timeouts import described
from usher.ports.errors import GroupGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from usher.core.hook_items import HookSeen
    from usher.ports.autoscaling import HooksOf
    from usher.ports.records import DescribedHooks


def read_hooks(
    live: HooksOf, store: DescribedHooks, group: str, next_slot: Callable[[], datetime]
) -> Sequence[HookSeen]:
    """As they are now; none where the group is gone. Raises TryLater and CallRefused."""
    at = next_slot()
    try:
        hooks = live.hooks_of(group)
    except GroupGone:
        return ()
    store.keep_described(group, described(hooks, at))
    return hooks
