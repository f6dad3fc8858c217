"""What every cold start leaves out."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS: Final = Path(__file__).parents[2] / "models"  # in the asset: see usher_cdk.models


@contextmanager
def cold_start() -> Iterator[None]:
    """No collection in the block, and only the operations that we call in the models of botocore.

    What the block made stays, so it is visited by no later collection either. A full one would else
    fall into the first invocation.
    """
    if MODELS.is_dir():
        os.environ["AWS_DATA_PATH"] = str(MODELS)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
