"""What every cold start leaves out."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS: Final = Path(__file__).parents[2] / "models"  # in the asset: see usher_cdk.models


@contextmanager
def cold_start() -> Iterator[None]:
    """No collection in the block, and of the services only what we use: see service_data.

    What the block made stays, so it is visited by no later collection either. A full one would else
    fall into the first invocation.
    """
    gc.disable()
    try:
        if MODELS.is_dir():
            from usher.aws import service_data  # noqa: PLC0415 - boto3, with the collector off

            service_data.read_from(MODELS)
        yield
    finally:
        gc.freeze()
        gc.enable()
