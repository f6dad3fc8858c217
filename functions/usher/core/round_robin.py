"""Takes of many names a few in each turn, so that all have theirs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def share(names: Sequence[T], size: int, turn: int) -> Sequence[T]:
    """At most `size` of `names`, others in each turn, so that all have theirs within two rounds.

    Each round begins one further on, so that each name comes first in some turn, also where turns
    end early, or are missed at regular intervals.
    """
    if not names:
        return names
    rounds = math.ceil(len(names) / size)
    first = (turn % rounds * size + turn // rounds) % len(names)
    return [*names[first:], *names[:first]][:size]
