"""An upgrade from any release, also over several: what was deployed is changed in place, and kept.

tests/infra/frozen has the templates of each release, named by their date; RELEASE.md says when one is added.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from usher_cli.install.change_set import NEVER_REPLACED

FROZEN: Final = sorted((Path(__file__).parent / "frozen").iterdir())
GOLDEN: Final = Path(__file__).parent / "golden"
# Whoever changes one of these replaces the resource (createOnlyProperties of the types' published schemas).
REPLACES: Final = {
    "AWS::DynamoDB::Table": ("TableName", "ImportSourceSpecification", "KeySchema"),
    "AWS::IAM::Role": ("Path", "RoleName"),
    "AWS::Lambda::Function": ("FunctionName", "PackageType", "TenancyConfig"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SQS::Queue": ("FifoQueue", "QueueName"),
}


def read(file: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return template


def now(frozen: Path) -> dict[str, Any]:
    """The template of today that the frozen one is upgraded to."""
    return read(GOLDEN / frozen.name.rpartition("-")[2])


def never_replaced(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: each
        for name, each in template["Resources"].items()
        if any(name.startswith(begins) and each["Type"] == kind for begins, kind in NEVER_REPLACED)
    }


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda file: file.stem)
def test_what_hooks_point_at_and_what_stores_data_is_never_replaced(frozen: Path) -> None:
    before, after = never_replaced(read(frozen)), never_replaced(now(frozen))
    assert len(before) == len(NEVER_REPLACED)
    assert before.keys() <= after.keys()
    for name, each in before.items():
        assert after[name]["Type"] == each["Type"]
        for key in REPLACES[each["Type"]]:
            was, is_now = (one.get("Properties", {}).get(key) for one in (each, after[name]))
            assert was == is_now, f"{name}.{key}"


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda file: file.stem)
def test_no_index_that_functions_read_goes(frozen: Path) -> None:
    """The functions of the release before still run until theirs are updated."""
    indexes = [
        {
            index["IndexName"]: index["KeySchema"]
            for each in template["Resources"].values()
            if each["Type"] == "AWS::DynamoDB::Table"
            for index in each["Properties"]["GlobalSecondaryIndexes"]
        }
        for template in (read(frozen), now(frozen))
    ]
    assert indexes[0].items() <= indexes[1].items()


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda file: file.stem)
def test_the_commands_of_an_older_release_find_the_outputs_that_they_read(frozen: Path) -> None:
    assert read(frozen)["Outputs"].keys() <= now(frozen)["Outputs"].keys()
