"""The pytest fixture: `pytest_plugins = ["usher_simulator.testing.fixture"]` in a conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3
import pytest

from usher_simulator.testing.simulated import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usher_simulator.testing.simulated import Simulated

# What keeps clients from it: a profile that nobody has made, a token of other keys.
_IN_THE_WAY: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE", "AWS_SESSION_TOKEN")


@pytest.fixture
def auto_scaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    """Simulated Auto Scaling that every boto3 client of the test finds, on a clock that jumps."""
    with simulated() as one:
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        for name in _IN_THE_WAY:
            monkeypatch.delenv(name, raising=False)
        # boto3's default session keeps what it has found: this one's keys must not outlive the test.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield one
