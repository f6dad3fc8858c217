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
LAST: Final = FROZEN[-2 * 2 :]  # two templates of each of the last two releases
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


def indexes(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By table: its indexes by name."""
    return {
        name: {
            index["IndexName"]: index
            for index in each.get("Properties", {}).get("GlobalSecondaryIndexes", [])
        }
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::DynamoDB::Table"
    }


def refused_of_indexes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What CloudFormation would refuse of an update, and no emulator does.

    "Cannot perform more than one GSI creation or deletion in a single update"; and no index can be changed
    (AWS::DynamoDB::Table in its reference).
    """
    refused = []
    was_in, is_in = indexes(before), indexes(after)
    for table in sorted(was_in.keys() & is_in.keys()):
        was, will = was_in[table], is_in[table]
        refused += [
            f"{table}: changes {name}" for name in was.keys() & will.keys() if was[name] != will[name]
        ]
        moved = sorted(was.keys() ^ will.keys())
        if len(moved) > 1:
            refused.append(f"{table}: makes or deletes {', '.join(moved)}")
    return refused


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


@pytest.mark.parametrize("frozen", LAST, ids=lambda file: file.stem)
def test_an_update_makes_or_deletes_at_most_one_index_of_a_table_and_changes_none(frozen: Path) -> None:
    """From each of the last two releases: whoever comes from an older one installs one between."""
    assert refused_of_indexes(read(frozen), now(frozen)) == []


def an_index(name: str, *shown: str) -> dict[str, Any]:
    return {"IndexName": name, "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(shown)}}


def of_indexes(*made: dict[str, Any]) -> dict[str, Any]:
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {"GlobalSecondaryIndexes": list(made)}}
    return {"Resources": {"Table": table}}


A, B, C = map(an_index, "abc")
MORE: Final = an_index("a", "more")


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        pytest.param([A, B], [B, A], [], id="the same"),
        pytest.param([A], [A, B], [], id="one is made"),
        pytest.param([A, B], [A], [], id="one is deleted"),
        pytest.param([A], [A, B, C], ["Table: makes or deletes b, c"], id="two are made"),
        pytest.param([A, B, C], [A], ["Table: makes or deletes b, c"], id="two are deleted"),
        pytest.param([A], [B], ["Table: makes or deletes a, b"], id="one in place of another"),
        pytest.param([A], [MORE], ["Table: changes a"], id="one shows more"),
        pytest.param([A], [MORE, B], ["Table: changes a"], id="one shows more and one is made"),
    ],
)
def test_the_rule_on_indexes(
    before: list[dict[str, Any]], after: list[dict[str, Any]], refused: list[str]
) -> None:
    assert refused_of_indexes(of_indexes(*before), of_indexes(*after)) == refused


def test_a_new_table_may_have_any_indexes() -> None:
    assert refused_of_indexes({"Resources": {}}, of_indexes(A, B)) == []


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda file: file.stem)
def test_the_commands_of_an_older_release_find_the_outputs_that_they_read(frozen: Path) -> None:
    assert read(frozen)["Outputs"].keys() <= now(frozen)["Outputs"].keys()
