"""The sparse index of what is due, in shards, so that no partition of it is hot."""

from __future__ import annotations

import zlib
from typing import Final

SHARDS: Final = 16


def shard(action_id: str) -> int:
    """Where the rows of an action lie."""
    return zlib.crc32(action_id.encode()) % SHARDS


def looks(shard: int) -> str:
    """The name of a shard, for the next evaluation of each open action."""
    return f"{shard:02}"


def questions(shard: int) -> str:
    """And for the turns of questions that are left to the sweep."""
    return f"Q{shard:02}"
