"""What shared answers promise, over those in memory and those in DynamoDB."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.dynamodb import NO_ANSWER, before, refuse
from tests.factories import at
from usher.aws.answers import Answers
from usher.ports.conditions import SharedAnswer
from usher.ports.errors import Unavailable
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.conditions import SharedAnswers

EVERY: Final = timedelta(seconds=15)
QUESTION: Final = 'elbv2 DescribeTargetHealth {"TargetGroupArn": "arn:1"}'


@pytest.fixture(params=["memory", "dynamodb"])
def answers(request: pytest.FixtureRequest) -> SharedAnswers:
    if request.param == "memory":
        return MemoryAnswers()
    return Answers(request.getfixturevalue("shared_client"), request.getfixturevalue("table"))


def an_answer(seconds: float = 0, **members: Any) -> SharedAnswer:
    return SharedAnswer(taken_at=at(seconds), members=members or {"i-1": "healthy"})


# The newest answer


def test_a_kept_answer_is_the_newest_of_its_question_alone(answers: SharedAnswers) -> None:
    answers.keep(QUESTION, an_answer())

    assert answers.newest(QUESTION) == an_answer()
    assert answers.newest(QUESTION.upper()) is None
    assert answers.newest("") is None


def test_a_refusal_is_an_answer_too(answers: SharedAnswers) -> None:
    refused = SharedAnswer(taken_at=at(0), members={}, refusal=("TargetGroupNotFound", "no such group"))

    answers.keep(QUESTION, refused)

    assert answers.newest(QUESTION) == refused


@pytest.mark.parametrize(
    ("seconds", "newest"),
    [
        pytest.param(1, "second", id="newer"),
        pytest.param(0, "first", id="of the same moment"),
        pytest.param(-1, "first", id="older, and late"),
    ],
)
def test_only_a_newer_answer_takes_the_place_of_another(
    answers: SharedAnswers, seconds: float, newest: str
) -> None:
    answers.keep(QUESTION, an_answer(0, which="first"))
    answers.keep(QUESTION, an_answer(seconds, which="second"))

    kept = answers.newest(QUESTION)
    assert kept is not None
    assert kept.members == {"which": newest}


def test_a_question_may_be_longer_than_a_key(answers: SharedAnswers) -> None:
    long = "x" * 5000
    answers.keep(f"{long}1", an_answer(which=1))
    answers.keep(f"{long}2", an_answer(which=2))

    assert (answers.newest(f"{long}1"), answers.newest(f"{long}2")) == (
        an_answer(which=1),
        an_answer(which=2),
    )


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(members=st.dictionaries(st.text(), json_data, max_size=4), seconds=st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_comes_back_as_it_was(
    answers: SharedAnswers, members: dict[str, Any], seconds: int
) -> None:
    answer = SharedAnswer(taken_at=at(seconds), members=members)
    question = f"{seconds} {members}"
    answers.keep(question, answer)

    assert answers.newest(question) == answer


# Whom it is made for


def test_members_are_enlisted_once_and_sorted_for_their_question(answers: SharedAnswers) -> None:
    for member in ("i-2", "i-1", "i-2"):
        answers.enlist(QUESTION, member, at(0))
    answers.enlist("another", "i-3", at(0))

    assert list(answers.enlisted(QUESTION, at(0))) == ["i-1", "i-2"]
    assert list(answers.enlisted("nobody's", at(0))) == []


@pytest.mark.parametrize(
    ("minutes", "enlisted"),
    [
        pytest.param(4.9, ["i-1"], id="before five minutes are over"),
        pytest.param(5, [], id="after five minutes"),
    ],
)
def test_a_member_that_does_not_ask_again_is_left_out(
    answers: SharedAnswers, minutes: float, enlisted: list[str]
) -> None:
    answers.enlist(QUESTION, "i-1", at(0))

    assert list(answers.enlisted(QUESTION, at(60 * minutes))) == enlisted


@given(gaps=st.lists(st.floats(0, 149), min_size=1, max_size=8), after=st.floats(0, 149))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_member_that_asks_every_two_minutes_is_always_enlisted(
    answers: SharedAnswers, gaps: list[float], after: float
) -> None:
    question, now = f"{gaps} {after}", 0.0
    for gap in gaps:
        now += gap
        answers.enlist(question, "i-1", at(now))

    assert list(answers.enlisted(question, at(now + after))) == ["i-1"]
    assert list(answers.enlisted(question, at(now + 300))) == []


# Who asks


def test_one_asks_at_a_time(answers: SharedAnswers) -> None:
    assert [answers.lease(QUESTION, at(seconds), EVERY) for seconds in (0, 0, 14.9)] == [True, False, False]
    assert answers.lease("another", at(1), EVERY)


def test_after_a_while_another_may_ask_whatever_became_of_the_first(answers: SharedAnswers) -> None:
    answers.lease(QUESTION, at(0), EVERY)

    assert [answers.lease(QUESTION, at(seconds), EVERY) for seconds in (15, 16, 30)] == [True, False, True]


# DynamoDB's own


def test_an_enlisted_member_is_written_anew_only_when_half_of_its_time_is_gone(
    client: DynamoDBClient, table: str
) -> None:
    answers, puts = Answers(client, table), before(client, "PutItem")
    written = []
    for seconds in (0, 15, 149, 150, 165, 299, 300):
        answers.enlist(QUESTION, "i-1", at(seconds))
        written.append(puts["PutItem"])

    assert written == [1, 1, 1, 2, 2, 2, 3]


def test_what_is_known_of_thousands_of_members_can_be_kept(client: DynamoDBClient, table: str) -> None:
    members = {f"i-{number:017x}": ["draining", f"port {number}"] for number in range(10_000)}
    answer = SharedAnswer(taken_at=at(0), members=members)
    answers = Answers(client, table)

    answers.keep(QUESTION, answer)

    assert answers.newest(QUESTION) == answer


def test_an_answer_that_no_item_could_hold_is_not_kept_and_says_so(
    client: DynamoDBClient, table: str
) -> None:
    answers = Answers(client, table)
    answers.keep(QUESTION, an_answer())
    noise = random.Random(1).randbytes(400_000).hex()  # noqa: S311 - it cannot be compressed below its half

    with pytest.raises(Unavailable, match=r"DescribeTargetHealth .* has \d+ bytes, and at most 350000"):
        answers.keep(QUESTION, an_answer(60, noise=noise))
    assert answers.newest(QUESTION) == an_answer()


def test_every_item_has_a_time_to_live(client: DynamoDBClient, table: str) -> None:
    answers = Answers(client, table)
    answers.keep(QUESTION, an_answer())
    answers.enlist(QUESTION, "i-1", at(0))
    answers.lease(QUESTION, at(0), EVERY)

    kept = {item["sk"]["S"]: int(item["keep_until"]["N"]) for item in client.scan(TableName=table)["Items"]}
    hour_later = at(3600).timestamp()
    assert kept == {"NEWEST": hour_later, "MEMBER#i-1": hour_later + 300, "LEASE": hour_later + 15}


DOINGS: Final = [
    pytest.param("GetItem", lambda answers: answers.newest(QUESTION), id="newest"),
    pytest.param("PutItem", lambda answers: answers.enlist(QUESTION, "i-1", at(0)), id="enlist"),
    pytest.param("Query", lambda answers: answers.enlisted(QUESTION, at(0)), id="enlisted"),
    pytest.param("PutItem", lambda answers: answers.lease(QUESTION, at(0), EVERY), id="lease"),
    pytest.param("PutItem", lambda answers: answers.keep(QUESTION, an_answer()), id="keep"),
]


@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_does_not_answer_is_unavailable(
    client: DynamoDBClient, table: str, operation: str, do: Callable[[SharedAnswers], object]
) -> None:
    refuse(client, operation, itertools.repeat(NO_ANSWER))

    with pytest.raises(Unavailable, match="did not answer"):
        do(Answers(client, table))
