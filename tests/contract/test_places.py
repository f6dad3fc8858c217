"""What every keeper of places promises, over the one in memory and the one in DynamoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.factories import an_action, at
from usher.aws.places import PlaceTable
from usher.core.configuration.hooks import MOST_AT_ONCE
from usher.core.places import MOST_WAITING, NONE, Places, Waiting
from usher_simulator.fakes.memory_budget import MemoryPlaces

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.budget import PlacesKept

NAME: Final = "es-drain of the group es-data"


@pytest.fixture(params=["memory", "dynamodb"])
def kept(request: pytest.FixtureRequest) -> PlacesKept:
    if request.param == "memory":
        return MemoryPlaces()
    return PlaceTable(request.getfixturevalue("shared_client"), request.getfixturevalue("table"))


def test_nothing_is_stored_at_first(kept: PlacesKept) -> None:
    assert kept.places(NAME) == NONE


def test_what_is_stored_is_read(kept: PlacesKept) -> None:
    first = NONE.given("a-1", at(1))
    second = first.waited_for(an_action(id="a-2"), at(2.5))
    assert kept.keep_places(NAME, first, at(1))
    assert kept.keep_places(NAME, second, at(3))
    assert kept.places(NAME) == second
    assert kept.places("es-drain of the group es-other") == NONE


@pytest.mark.parametrize("known", [0, 1], ids=["the first", "a later one"])
def test_of_two_that_take_a_place_one_is_refused(kept: PlacesKept, known: int) -> None:
    stands = NONE
    for number in range(known):
        stands = stands.given(f"known-{number}", at(0))
        assert kept.keep_places(NAME, stands, at(0))
    mine, others = stands.given("a-1", at(1)), stands.given("a-2", at(1))

    assert kept.keep_places(NAME, others, at(1))
    assert not kept.keep_places(NAME, mine, at(1))
    assert kept.places(NAME) == others


def test_an_item_holds_as_many_as_a_hook_may_have(client: DynamoDBClient, table: str) -> None:
    def ids(prefix: str, many: int) -> list[str]:
        return [f"{prefix}-{number:034}" for number in range(many)]

    whole = Places(
        held=dict.fromkeys(ids("h", MOST_AT_ONCE), at(1)),
        waiting=dict.fromkeys(ids("w", MOST_WAITING), Waiting(ends_at=at(9), asked_at=at(2))),
        version=1,
    )
    places = PlaceTable(client, table)
    assert places.keep_places(NAME, whole, at(3))
    assert places.places(NAME) == whole
    (item,) = client.scan(TableName=table)["Items"]
    assert len(item["doc"]["S"]) < 10_000
    assert int(item["keep_until"]["N"]) == at(3 + 4 * 24 * 3600).timestamp()
