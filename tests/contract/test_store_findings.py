"""What every Store promises of the findings of conditions, and of whose turn it is to ask."""

from __future__ import annotations

import zlib
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.stores import LATER
from tests.factories import a_finding, a_policy, an_action, at
from usher.aws import table as dynamodb
from usher.core.finding import Findings
from usher.ports.errors import Moved
from usher.ports.records import Unasked

if TYPE_CHECKING:
    from usher.aws.records import RecordTable
    from usher.ports.records import Store


def test_findings_are_kept_apart_and_move_no_version(store: Store) -> None:
    action = store.open(an_action(), None)
    kept = Findings(turn=1, found=(a_finding(),), ask_at=at(40), sweep_at=at(340)).noted(at(20), "found", "3")

    store.keep_findings(action, kept)

    assert store.findings(action.id) == kept
    assert store.load(action.id) == action
    assert [(line.event, line.at) for line in store.timeline(action.id)][-1] == ("found", at(20))
    assert [due.action_id for due in store.due(LATER)] == [action.id]


def test_of_two_who_store_the_same_turn_one_moves(store: Store) -> None:
    action = store.open(an_action(), None)
    first = Findings(turn=1, found=(a_finding(),), ask_at=at(40))
    store.keep_findings(action, first)

    for late in (first, replace(first, turn=3)):
        with pytest.raises(Moved):
            store.keep_findings(action, replace(late, found=()))

    assert store.findings(action.id) == first
    store.keep_findings(action, replace(first, turn=2, found=()))


@pytest.mark.parametrize(
    "packed",
    [b"no compression", zlib.compress(b"no json"), zlib.compress(b'{"found": [{"standing": "new"}]}')],
    ids=["packed otherwise", "no JSON", "of a newer release"],
)
def test_findings_that_cannot_be_read_are_none_and_keep_their_turn(
    records: RecordTable, packed: bytes
) -> None:
    """It stopped the beats of its action, and `usher list`."""
    policy = a_policy([{"ecs": "drained"}])
    broken, sound = (records.open(an_action(id=each, token=each, policy=policy), None) for each in "ab")
    for action in (broken, sound):
        records.keep_findings(action, Findings(turn=1, found=(a_finding(),), ask_at=at(40), sweep_at=at(340)))
    table: Any = records._table  # noqa: SLF001 - no release writes such an item
    key = dynamodb.key("ACTION#a", "FINDINGS")
    assert table.change(key, "packed = :packed", {":packed": {"B": packed}}, None, "attribute_exists(pk)")

    unreadable = Findings(turn=1, ask_at=at(40), sweep_at=at(340), is_readable=False)
    assert records.findings("a") == unreadable
    assert records.put_off("a", 1, at(640))
    assert [len(each.findings) for each in records.with_findings([broken, sound])] == [0, 1]
    assert [line.event for line in records.timeline("a")] == []


def test_nothing_is_found_of_an_action_that_was_not_asked_about(store: Store) -> None:
    assert store.findings("action-1") is None
    assert list(store.unasked(LATER)) == []
    assert not store.put_off("action-1", 1, at(60))


def test_a_turn_is_the_sweeps_business_from_its_moment_on_and_can_be_put_off(store: Store) -> None:
    action = store.open(an_action(), None)
    store.keep_findings(action, Findings(turn=1, found=(a_finding(),), ask_at=at(40), sweep_at=at(340)))

    assert list(store.unasked(at(339))) == []
    assert list(store.unasked(at(340))) == [Unasked(action_id=action.id, turn=1, sweep_at=at(340))]
    assert not store.put_off(action.id, 2, at(640))
    assert store.put_off(action.id, 1, at(640))
    assert list(store.unasked(at(639))) == []
    found = store.findings(action.id)
    assert found is not None
    assert (found.turn, found.ask_at, found.sweep_at, len(found.found)) == (1, at(40), at(640), 1)


def test_where_nothing_is_to_be_asked_it_is_not_the_sweeps_business(store: Store) -> None:
    action = store.open(an_action(), None)
    store.keep_findings(action, Findings(turn=1, ask_at=at(40), sweep_at=at(340)))

    store.keep_findings(action, Findings(turn=2))

    assert list(store.unasked(LATER)) == []


def test_what_a_condition_remembers_is_shed_where_no_item_could_hold_it(records: RecordTable) -> None:
    """Fault 18: the names of thousands of clusters are to be searched."""
    random = Random(1)  # noqa: S311 - of no use to anyone who guesses it
    names = [f"{random.getrandbits(800):x}" for _ in range(4500)]
    action = records.open(an_action(), None)
    small = a_finding(condition="command")

    records.keep_findings(action, Findings(turn=1, found=(a_finding(memory={"left": names}), small)))

    kept = records.findings(action.id)
    assert kept is not None
    assert [found.memory for found in kept.found] == [{}, small.memory]
