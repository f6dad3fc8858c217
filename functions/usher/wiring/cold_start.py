"""Keeps the garbage collector out of a cold start, which makes only what stays."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_collection() -> Iterator[None]:
    """No collection in the block; what it made is visited by none of the later ones either.

    A full collection would else fall into the first invocation.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
