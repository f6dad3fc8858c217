"""What holds for all tests: none depends on the machine's speed, on the shell's settings, nor on chance."""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import botocore.session
import pytest
from hypothesis import settings

from tests import properties
from tests.own_environment import make_own
from tests.recorded import CAPTURES, read, read_capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded import Recorded

FIELD: Final = Path(__file__).parents[2] / "shared" / "field"

make_own(os.environ)

settings.load_profile(properties.USUAL)

# moto gives each test a session of its own; so the models of AWS's services are read once, not for each.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_collection_finish() -> None:
    """Leave what was imported out of the garbage collection, which costs a fifth of the suite else."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(
    params=[
        pytest.param(read, id="table"),
        *([pytest.param(read_capture, id="capture")] if CAPTURES.is_dir() else []),
    ]
)
def source(request: pytest.FixtureRequest) -> Callable[[str], Recorded]:
    """Where a recorded scenario is read from: its table; its capture too, where the captures are there."""
    of_name: Callable[[str], Recorded] = request.param
    return of_name


@pytest.fixture
def field() -> Path:
    """The folder of inputs from the field."""
    if not FIELD.is_dir():
        pytest.skip("the inputs from the field are not here (../shared/field)")
    return FIELD
