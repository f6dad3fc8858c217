"""What every counter of results promises, over the one in memory and the one in DynamoDB."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.dynamodb import a_client, a_table, before, lose_answers
from tests.factories import at
from usher.aws import table as dynamodb
from usher.aws.dynamodb_answers import TRIES
from usher.aws.result_limits import SentResults
from usher.ports.errors import Unavailable
from usher_simulator.fakes.memory_budget import MemoryLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.budget import ResultLimits

MINUTE: Final = timedelta(minutes=1)
LIMIT: Final = "usher-drain of workers-*: results per minute"


@pytest.fixture(params=["memory", "dynamodb"])
def limits(request: pytest.FixtureRequest) -> ResultLimits:
    if request.param == "memory":
        return MemoryLimits()
    return SentResults(request.getfixturevalue("shared_client"), request.getfixturevalue("table"))


def asked(
    limits: ResultLimits, action_id: str, seconds: float, *, most: int = 2, limit: str = LIMIT
) -> float | None:
    """When the next result may be sent, in seconds; None where this one may."""
    again_at = limits.grant(limit, action_id, most, MINUTE, at(seconds))
    return None if again_at is None else (again_at - at(0)).total_seconds()


# Every counter


def test_as_many_results_are_granted_as_the_limit_says(limits: ResultLimits) -> None:
    assert [asked(limits, name, 10) for name in "abcd"] == [None, None, 70, 70]


def test_what_is_asked_beforehand_is_what_would_be_granted_and_counts_nothing(limits: ResultLimits) -> None:
    def next_at(action_id: str) -> datetime | None:
        return limits.next_at(LIMIT, action_id, 1, MINUTE, at(10))

    assert [next_at("a"), next_at("b")] == [None, None]
    assert asked(limits, "a", 10, most=1) is None
    assert [next_at("a"), next_at("b")] == [None, at(70)]


@pytest.mark.parametrize(
    ("seconds", "again_at"),
    [
        pytest.param(59.999_999, 60, id="just inside"),
        pytest.param(60, None, id="at the edge"),
        pytest.param(60.000_001, None, id="just outside"),
    ],
)
def test_a_result_counts_for_exactly_the_time_of_the_limit(
    limits: ResultLimits, seconds: float, again_at: float | None
) -> None:
    asked(limits, "a", 0)
    asked(limits, "b", 30)

    assert asked(limits, "c", seconds) == again_at


def test_the_moment_that_is_named_is_the_first_at_which_another_is_granted(limits: ResultLimits) -> None:
    for name, seconds in (("a", 0), ("b", 7)):
        asked(limits, name, seconds)
    assert asked(limits, "c", 8) == 60

    assert asked(limits, "c", 60) is None
    assert asked(limits, "d", 60) == 67


def test_an_action_counts_once_however_often_it_asks(limits: ResultLimits) -> None:
    assert [asked(limits, "a", seconds) for seconds in (0, 1, 2)] == [None, None, None]
    assert [asked(limits, name, 3) for name in "bc"] == [None, 62]


def test_an_action_that_asks_again_counts_from_then(limits: ResultLimits) -> None:
    """It had not sent its result before; else two would go out in one minute where one may."""
    asked(limits, "a", 0, most=1)
    asked(limits, "a", 59, most=1)

    assert asked(limits, "b", 60, most=1) == 119


def test_a_refused_action_does_not_count(limits: ResultLimits) -> None:
    asked(limits, "a", 0, most=1)
    assert asked(limits, "b", 30, most=1) == 60

    assert asked(limits, "c", 60, most=1) is None


def test_limits_do_not_touch_each_other(limits: ResultLimits) -> None:
    assert [asked(limits, "a", 0, most=1, limit=limit) for limit in ("x", "y", "X")] == [None, None, None]
    assert asked(limits, "b", 0, most=1, limit="y") == 60


def test_a_limit_that_was_lowered_holds_at_once(limits: ResultLimits) -> None:
    for name, seconds in (("a", 0), ("b", 1), ("c", 2)):
        asked(limits, name, seconds, most=3)

    assert asked(limits, "d", 3, most=1) == 62
    assert asked(limits, "d", 62, most=1) is None


def test_a_clock_that_lags_does_not_bring_the_next_result_forward(limits: ResultLimits) -> None:
    for seconds in (1, 0):
        asked(limits, "a", seconds, most=1)

    assert asked(limits, "b", 60, most=1) == 61


wishes = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 40, width=16), st.booleans()), max_size=30
)


def sent_at(limits: ResultLimits, todo: Sequence[tuple[str, float, bool]], most: int) -> list[float]:
    """When results are sent, by actions that ask after some time each and may be cut off after it."""
    now, sent = 0.0, {}
    for name, after, cut_off in todo:
        now += after
        if name not in sent and asked(limits, name, now, most=most) is None and not cut_off:
            sent[name] = now
    return list(sent.values())


@given(most=st.integers(1, 3), todo=wishes)
def test_in_no_minute_are_more_results_sent_than_the_limit_says(
    most: int, todo: list[tuple[str, float, bool]]
) -> None:
    sent = sent_at(MemoryLimits(), todo, most)

    for end in sent:
        assert sum(end - 60 < moment <= end for moment in sent) <= most


@given(most=st.integers(1, 3), todo=wishes)
def test_both_counters_say_the_same(
    account: None,  # noqa: ARG001 - stands around it
    most: int,
    todo: list[tuple[str, float, bool]],
) -> None:
    client = a_client()
    in_dynamodb, now = SentResults(client, a_table(client)), 0.0
    in_memory = MemoryLimits()
    for name, after, _ in todo:
        now += after
        assert asked(in_dynamodb, name, now, most=most) == asked(in_memory, name, now, most=most)


# DynamoDB's own


def test_who_is_overtaken_counts_again(client: DynamoDBClient, table: str) -> None:
    other, names = SentResults(a_client(), table), iter("ab")
    before(client, "PutItem", lambda: [asked(other, name, 0) for name in itertools.islice(names, 1)])

    assert asked(SentResults(client, table), "c", 1) == 60


def test_who_is_overtaken_again_and_again_comes_back_later(client: DynamoDBClient, table: str) -> None:
    other, numbers = SentResults(a_client(), table), itertools.count()
    calls = before(client, "PutItem", lambda: asked(other, f"other-{next(numbers)}", 0, most=1000))

    with pytest.raises(Unavailable, match="counted by others"):
        asked(SentResults(client, table), "c", 1, most=1000)
    assert calls["PutItem"] == TRIES


def test_a_lost_answer_counts_once(client: DynamoDBClient, table: str) -> None:
    lose_answers(client, "PutItem", [True])
    limits = SentResults(client, table)
    with pytest.raises(Unavailable, match="did not answer"):
        asked(limits, "a", 0)

    assert [asked(limits, name, 1) for name in "abc"] == [None, None, 61]


def test_an_item_holds_as_many_results_as_a_limit_may_allow(client: DynamoDBClient, table: str) -> None:
    limits = SentResults(client, table)
    sent = {f"{number:036}": at(number / 1000).isoformat(timespec="microseconds") for number in range(999)}
    whole = dynamodb.as_json(sent)
    key = {"pk": {"S": f"LIMIT#{LIMIT}"}, "sk": {"S": "SENT"}}
    client.put_item(TableName=table, Item={**key, "version": {"N": "7"}, "doc": whole})

    assert asked(limits, "x" * 36, 1, most=1000) is None
    assert asked(limits, "y" * 36, 1, most=1000) == 60


def test_every_item_has_a_time_to_live(client: DynamoDBClient, table: str) -> None:
    asked(SentResults(client, table), "a", 0)

    (item,) = client.scan(TableName=table)["Items"]
    assert int(item["keep_until"]["N"]) == at(60 + 3600).timestamp()
