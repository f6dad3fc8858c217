"""What one reconcile pass sees: groups, open actions, and the items of hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.hook_items import Enrolled
    from usher.core.live_waits import LiveGroup
    from usher.core.open_waits import OpenWaits


@frozen
class Scene:
    """What one pass sees."""

    groups: Mapping[str, LiveGroup]
    listed_at: datetime
    open_waits: OpenWaits
    items: Mapping[str, Sequence[Enrolled]]  # by the name of their group
