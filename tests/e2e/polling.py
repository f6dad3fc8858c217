"""Waiting for what other processes do: asked again and again, until it is so or the deadline has passed.

What takes long is asked less often: an answer costs the account some 10 ms of processor time.
"""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE_S: Final = 60  # for what takes a second or two on a machine that does nothing else
_AT_LAST_S: Final = 0.5
_SHORTER_AT_FIRST: Final = 5


class NotInTime(AssertionError):  # noqa: N818 - it reads as what happened
    """What was waited for did not happen; the text has what was found last."""


def until(find: Callable[[], T], *, within_s: float = PATIENCE_S, every_s: float = _AT_LAST_S) -> T:
    """The first that `find` finds and that is true, asked every `every_s` in the end. Raises NotInTime."""
    deadline_s = time.monotonic() + within_s
    between, pause_s = Event(), every_s / _SHORTER_AT_FIRST
    while not (found := find()):
        if time.monotonic() > deadline_s:
            raise NotInTime(f"not within {within_s:g} s; found last: {found!r}")
        between.wait(pause_s)
        pause_s = min(2 * pause_s, every_s)
    return found
