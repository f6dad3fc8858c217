"""What an earlier Usher stored is read by this one: a deploy leaves records open, and so does a rollback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from tests.contract import freeze

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", sorted(freeze.FROZEN.glob("*.json")), ids=lambda path: path.stem)
def test_frozen_records_are_read_as_they_were_meant(path: Path) -> None:
    frozen = json.loads(path.read_text(encoding="utf-8"))
    with mock_aws():
        client = freeze.a_client()
        freeze.load(client, frozen["items"])
        told = json.loads(json.dumps(freeze.told(client)))
    assert {key: told[key] for key in frozen["told"]} == frozen["told"]


def test_something_is_frozen() -> None:
    assert list(freeze.FROZEN.glob("*.json"))
