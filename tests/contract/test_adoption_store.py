"""What adopted actions need of a store: records without a token or notification, and a memory of tries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.contract.dynamodb import rewrite
from tests.contract.stores import TOKEN, a_raw
from tests.factories import an_action, at, hook_terms
from usher.core.action import Outcome, Phase
from usher.core.field import ConfigurationRefused
from usher.core.hook_timeouts import Described
from usher.core.retained import MOST
from usher.ports.errors import Moved

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.records import RecordTable
    from usher.core.action import Action
    from usher.ports.records import ReconcileStore

RAW: Final = a_raw(seconds=200)


def adopted(**changes: Any) -> Action:
    return an_action(**{"token": None, "id": "adopted-1", "activity_id": "activity-1", **changes})


def with_token(action: Action, token: str = TOKEN, evaluation_id: str = "evaluation-2") -> Action:
    joined = action.noted(at(200), "notified", "by sqs")
    return replace(joined, token=token, version=action.version + 1, evaluation_id=evaluation_id)


def test_an_action_without_token_and_notification_is_stored_once(store: ReconcileStore) -> None:
    first = store.open(adopted(), None)
    assert store.open(adopted(first_seen_at=at(240)), None) == first
    assert list(store.of_instance(first.instance_id)) == [first]
    assert store.raws(first.id) == []


def test_a_token_that_joins_leads_to_the_record_and_its_notification_is_kept(store: ReconcileStore) -> None:
    joined = with_token(store.open(adopted(), None))
    store.join(joined, RAW)
    store.join(joined, RAW)
    assert store.of_token(TOKEN) == store.load(joined.id) == joined
    assert store.raws(joined.id) == [RAW]
    assert [entry.event for entry in store.timeline(joined.id)] == ["notified"]
    assert store.open(an_action(id="action-2"), RAW).id == joined.id


def test_a_token_of_another_action_does_not_join_and_nothing_is_stored(store: ReconcileStore) -> None:
    other = store.open(an_action(), RAW)
    known = store.open(adopted(), None)
    with pytest.raises(Moved):
        store.join(with_token(known), RAW)
    assert store.of_token(TOKEN) == other
    assert store.load(known.id) == known
    assert store.raws(known.id) == []


def test_a_record_that_moved_on_is_not_joined_and_the_token_stays_free(store: ReconcileStore) -> None:
    known = store.open(adopted(), None)
    store.save(replace(known, version=2, evaluation_id="evaluation-9"))
    with pytest.raises(Moved):
        store.join(with_token(known), RAW)
    assert store.of_token(TOKEN) is None


def test_all_open_actions_are_found_and_no_closed_one(store: ReconcileStore) -> None:
    known = [store.open(an_action(id=f"a-{n}", token=f"{n:036}", evaluate_at=at(n)), RAW) for n in range(12)]
    ended = replace(
        known[7], version=2, phase=Phase.CLOSED, evaluate_at=None, outcome=Outcome.ENDED_ELSEWHERE
    )
    store.save(ended)
    left = sorted(action.id for action in known if action.id != ended.id)
    assert sorted(row.action_id for row in store.open_rows()) == left
    assert sorted(action.id for action in store.open_of([one.id for one in known] * 2)) == left


def test_the_hooks_that_open_actions_wait_in_are_counted(store: ReconcileStore) -> None:
    known = [store.open(an_action(id=f"a-{n}", token=f"{n:036}", evaluate_at=at(n)), RAW) for n in range(3)]
    elsewhere = hook_terms(group="web", name="gate")
    store.open(an_action(id="other", token="t" * 36, hook=elsewhere), RAW)
    store.save(replace(known[1], version=2, phase=Phase.CLOSED, evaluate_at=None, outcome=Outcome.COMPLETED))
    here = (known[0].hook.group, known[0].hook.name)
    assert store.hooks_in_use() == {here: 2, ("web", "gate"): 1}


def test_a_record_of_a_newer_release_hides_no_other_and_its_hook_counts_as_in_use(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    """After a rollback: its policy has a kind of condition that this release does not know."""
    for name in ("new", "old"):
        records.open(an_action(id=name, token=f"{name:036}", evaluate_at=at(1)), RAW)
    of_tomorrow = '{"until":[{"http":"https://x"}]}'
    rewrite(client, table, "new", lambda data: data["policy"].update(source=of_tomorrow))
    with pytest.raises(ConfigurationRefused):
        records.load("new")
    assert [action.id for action in records.open_of(["new", "old"])] == ["old"]
    assert set(records.hooks_in_use().values()) == {2}


def test_tries_are_kept_by_group_until_they_are_replaced(store: ReconcileStore) -> None:
    one, other = ("i-1", "gate", "activity-1"), ("i-2", "gate", "Pending:Wait")
    store.keep_foreign_waits("web", [one])
    store.keep_foreign_waits("jobs", [other])
    store.keep_foreign_waits("web", {one, other})
    assert {group: set(foreign_waits) for group, foreign_waits in store.foreign_waits().items()} == {
        "web": {one, other},
        "jobs": {other},
    }
    store.keep_foreign_waits("web", [])
    assert set(store.foreign_waits()) == {"jobs"}


def test_retained_instances_are_kept_by_group_with_when_they_were_first_seen(store: ReconcileStore) -> None:
    assert store.retained("web") == {}
    store.keep_retained("web", {"i-1": at(1), "i-2": at(2)})
    store.keep_retained("jobs", {"i-3": at(3)})
    assert store.retained("web") == {"i-1": at(1), "i-2": at(2)}
    store.keep_retained("web", {"i-2": at(2)})
    assert (store.retained("web"), store.retained("jobs")) == ({"i-2": at(2)}, {"i-3": at(3)})


def test_as_many_retained_instances_as_are_kept_fit_into_an_item(store: ReconcileStore) -> None:
    most = {f"i-{number * 7919:017x}": at(number) for number in range(MOST)}
    store.keep_retained("web", most)
    assert store.retained("web") == most


def test_retained_instances_that_a_newer_release_kept_are_unknown(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    records.keep_retained("web", {"i-1": at(1)})
    key = {"pk": {"S": "GROUP#web"}, "sk": {"S": "RETAINED"}}
    item = client.get_item(TableName=table, Key=key)["Item"]
    del item["retained"]
    client.put_item(TableName=table, Item=item)
    assert records.retained("web") is None


def described(seconds: float, **timeouts_s: float) -> Described:
    timeouts = {name: timedelta(seconds=timeout_s) for name, timeout_s in timeouts_s.items()}
    return Described(at=at(seconds), timeouts=timeouts)


def test_of_what_was_described_of_a_group_the_newest_is_kept(store: ReconcileStore) -> None:
    assert store.described("web") is None
    store.keep_described("web", described(20, gate=30, drain=7200))
    store.keep_described("web", described(10, gate=60))
    store.keep_described("jobs", described(30))
    assert store.described("web") == described(20, gate=30, drain=7200)
    store.keep_described("web", described(21, gate=60))
    assert store.described("web") == described(21, gate=60)


def test_of_several_that_would_describe_a_group_one_does_until_its_call_has_timed_out(
    store: ReconcileStore,
) -> None:
    assert store.claim_describe("web", at(0))
    assert not store.claim_describe("web", at(14.9))
    assert store.claim_describe("jobs", at(0))
    assert store.claim_describe("web", at(15))
