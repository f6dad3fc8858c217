"""Which instances of a group a failed termination retains, as it is kept, and since when it is known."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

MOST: Final = 5000  # of a group: so many fit into an item
_FORGOTTEN: Final = timedelta(days=7)  # so long after it was first seen one is kept that is gone


def with_new(
    known: Mapping[str, datetime], seen: Collection[str], now: datetime
) -> Mapping[str, datetime] | None:
    """When each retained instance was first seen; None where none is new.

    One that is gone stays for a while: a pass that began before it was seen may not know of it. What is more
    than MOST is left out.
    """
    new = sorted(set(seen) - known.keys())
    kept = {one: at for one, at in known.items() if one in seen or now - at < _FORGOTTEN}
    told = new[: max(0, MOST - len(kept))]
    return {**kept, **dict.fromkeys(told, now)} if told else None
