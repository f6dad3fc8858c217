"""What every budget of calls promises, over the one in memory and the one in DynamoDB."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.dynamodb import NO_ANSWER, a_client, a_table, before, refuse
from tests.factories import at
from usher.aws.budget import TRIES, BudgetTable
from usher.ports.errors import Unavailable
from usher_simulator.fakes.memory_budget import MemoryBudget

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.ports.budget import Budget

Making: TypeAlias = "Callable[[float], Budget]"


@pytest.fixture(params=["memory", "dynamodb"])
def a_budget(request: pytest.FixtureRequest) -> Making:
    if request.param == "memory":
        return MemoryBudget
    client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return lambda calls_per_second: BudgetTable(client, table, calls_per_second)


def booked(
    budget: Budget, first: float, best: float, last: float, *, times: int, now: float = 0
) -> list[int | None]:
    """What is booked one after the other, in seconds."""
    slots = [budget.book(at(first), at(best), at(last), at(now)) for _ in range(times)]
    return [None if slot is None else round((slot - at(0)).total_seconds()) for slot in slots]


# Every budget


def test_calls_fill_the_best_second_then_those_before_it_then_those_after_it(a_budget: Making) -> None:
    assert booked(a_budget(2), 0, 2, 4, times=11) == [2, 2, 1, 1, 0, 0, 3, 3, 4, 4, None]


def test_what_may_go_out_no_later_than_before_now_goes_out_now(a_budget: Making) -> None:
    """A booked slot that has passed is no reason to hold a result back."""
    assert booked(a_budget(2), 20, 20, 0, times=3, now=20) == [20, 20, None]


@pytest.mark.parametrize("seconds", [0, 0.4, 0.999_999])
def test_a_second_is_named_by_its_beginning(a_budget: Making, seconds: float) -> None:
    assert a_budget(1).book(at(seconds), at(seconds), at(seconds), at(seconds)) == at(0)


def test_where_the_best_second_is_over_the_earliest_is_booked(a_budget: Making) -> None:
    assert booked(a_budget(1), 5, 0, 7, times=4) == [5, 6, 7, None]


def test_under_one_call_a_second_slots_are_wider(a_budget: Making) -> None:
    assert booked(a_budget(0.25), 0, 11, 11, times=4) == [8, 4, 0, None]


def test_a_second_that_is_given_back_is_booked_again(a_budget: Making) -> None:
    budget = a_budget(2)
    assert booked(budget, 0, 1, 1, times=5) == [1, 1, 0, 0, None]

    budget.give_back(at(1.5))

    assert booked(budget, 0, 1, 1, times=2) == [1, None]


def test_more_than_was_booked_cannot_be_given_back(a_budget: Making) -> None:
    budget = a_budget(2)
    booked(budget, 0, 0, 0, times=1)
    for _ in range(3):
        budget.give_back(at(0))
        budget.give_back(at(60))

    assert booked(budget, 0, 0, 0, times=3) == [0, 0, None]
    assert booked(budget, 60, 60, 60, times=3) == [60, 60, None]


def test_after_a_throttle_less_is_booked_for_a_while(a_budget: Making) -> None:
    budget = a_budget(10)
    budget.throttled(at(0))

    assert booked(budget, 1, 1, 1, times=8, now=0) == [1] * 7 + [None]
    assert booked(budget, 2, 2, 2, times=11, now=300) == [2] * 10 + [None]


def test_what_is_booked_already_stays_so_when_the_pace_is_lowered(a_budget: Making) -> None:
    budget = a_budget(10)
    booked(budget, 1, 1, 1, times=8)
    budget.throttled(at(0))

    assert booked(budget, 1, 1, 1, times=1) == [None]
    assert booked(budget, 0, 1, 1, times=8) == [0] * 7 + [None]


def test_a_burst_of_throttles_lowers_the_pace_once_and_a_later_one_again(a_budget: Making) -> None:
    budget = a_budget(10)
    for seconds in (0, 0.1, 2, 4.9):
        budget.throttled(at(seconds))
    assert booked(budget, 9, 9, 9, times=8, now=4.9) == [9] * 7 + [None]

    budget.throttled(at(5))

    assert booked(budget, 10, 10, 10, times=6, now=5) == [10] * 5 + [None]


steps = st.one_of(
    st.tuples(st.just("book"), st.lists(st.integers(0, 6), min_size=3, max_size=3).map(sorted)),
    st.tuples(st.just("give back"), st.integers(0, 6)),
    st.tuples(st.just("throttled"), st.just(None)),
    st.tuples(st.just("time passes"), st.integers(1, 120)),
)


def carried_out(budget: Budget, todo: list[tuple[str, Any]]) -> list[datetime | None]:
    """What the bookings among these steps came to."""
    now, slots = at(0), []
    for step, detail in todo:
        match step:
            case "book":
                first, best, last = map(at, detail)
                slots.append(budget.book(first, best, last, now))
            case "give back":
                budget.give_back(at(detail))
            case "throttled":
                budget.throttled(now)
            case _:
                now += at(detail) - at(0)
    return slots


@given(rate=st.sampled_from([0.3, 1, 2.5, 4]), todo=st.lists(steps, max_size=25))
def test_both_budgets_book_the_same(account: None, rate: float, todo: list[tuple[str, Any]]) -> None:  # noqa: ARG001
    client = a_client()

    in_dynamodb = carried_out(BudgetTable(client, a_table(client), rate), todo)

    assert in_dynamodb == carried_out(MemoryBudget(rate), todo)


# DynamoDB's own


def test_all_functions_draw_on_one_budget(client: DynamoDBClient, table: str) -> None:
    functions = [BudgetTable(client, table, 2) for _ in range(3)]

    assert [booked(one, 0, 1, 1, times=1) for one in functions] == [[1], [1], [0]]


def test_who_is_overtaken_after_reading_chooses_again(client: DynamoDBClient, table: str) -> None:
    other = BudgetTable(a_client(), table, 1)
    times = iter([1, 1])
    before(client, "UpdateItem", lambda: booked(other, 0, 3, 3, times=next(times, 0)))

    assert booked(BudgetTable(client, table, 1), 0, 3, 3, times=1) == [1]


def test_who_is_overtaken_until_all_is_full_books_nothing(client: DynamoDBClient, table: str) -> None:
    other = BudgetTable(a_client(), table, 1)
    before(client, "UpdateItem", lambda: booked(other, 0, 3, 3, times=9))

    assert booked(BudgetTable(client, table, 1), 0, 3, 3, times=1) == [None]


def test_who_is_overtaken_again_and_again_comes_back_later(client: DynamoDBClient, table: str) -> None:
    other = BudgetTable(a_client(), table, 1)
    calls = before(client, "UpdateItem", lambda: booked(other, 0, 99, 99, times=1))

    with pytest.raises(Unavailable, match="reserved the slots first"):
        BudgetTable(client, table, 1).book(at(0), at(99), at(99), at(0))
    assert calls["UpdateItem"] == TRIES


def test_of_ten_functions_that_are_throttled_at_once_one_lowers_the_pace(
    client: DynamoDBClient, table: str
) -> None:
    others = [BudgetTable(a_client(), table, 10) for _ in range(9)]

    def all_throttled() -> None:
        for other in others:
            other.throttled(at(0.2))

    before(client, "PutItem", all_throttled)
    budget = BudgetTable(client, table, 10)

    budget.throttled(at(0))

    assert booked(budget, 1, 1, 1, times=8) == [1] * 7 + [None]


@pytest.mark.parametrize("earlier", [[], [-100]], ids=["never lowered before", "lowered before"])
def test_a_late_word_of_one_throttle_does_not_undo_what_others_lowered(
    client: DynamoDBClient, table: str, earlier: list[float]
) -> None:
    other = BudgetTable(a_client(), table, 10)
    for seconds in earlier:
        other.throttled(at(seconds))
    moments = iter([0, 5])

    def throttled_again() -> None:
        for seconds in moments:
            other.throttled(at(seconds))

    before(client, "PutItem", throttled_again)
    budget = BudgetTable(client, table, 10)

    budget.throttled(at(0))

    assert booked(budget, 9, 9, 9, times=6, now=5) == [9] * 5 + [None]


def test_a_booking_in_an_empty_second_takes_one_write_and_no_read(client: DynamoDBClient, table: str) -> None:
    counts = [before(client, name) for name in ("GetItem", "Query", "UpdateItem", "PutItem")]
    budget = BudgetTable(client, table, 10)

    for second in range(3):
        booked(budget, 0, 3300 + second, 3595, times=1)

    assert [count.total() for count in counts] == [0, 0, 3, 0]


def test_in_a_second_with_calls_the_pace_is_read_each_five_seconds(
    client: DynamoDBClient, table: str
) -> None:
    counts = [before(client, name) for name in ("GetItem", "UpdateItem", "PutItem")]
    budget = BudgetTable(client, table, 10)

    for now in (0, 0, 0, 4.9, 5):
        booked(budget, 0, 3300, 3595, times=1, now=now)

    assert [count.total() for count in counts] == [2, 7, 0]


def test_a_throttle_that_another_function_met_counts_five_seconds_later(
    client: DynamoDBClient, table: str
) -> None:
    budget, other = (BudgetTable(client, table, 10) for _ in range(2))
    booked(budget, 1, 1, 1, times=8)

    other.throttled(at(0))

    assert booked(budget, 1, 1, 1, times=1, now=4.9) == [1]
    assert booked(budget, 1, 1, 1, times=1, now=5) == [None]


def test_room_is_found_behind_many_full_seconds(client: DynamoDBClient, table: str) -> None:
    budget = BudgetTable(client, table, 1)
    for seconds in range(150):
        name = f"{int(at(seconds).timestamp()):011}"
        item = {"pk": {"S": "BUDGET#1"}, "sk": {"S": name}, "booked": {"N": "1"}}
        client.put_item(TableName=table, Item=item)

    assert booked(budget, -1, 149, 151, times=4) == [-1, 150, 151, None]


def test_every_item_has_a_time_to_live(client: DynamoDBClient, table: str) -> None:
    budget = BudgetTable(client, table, 1)
    booked(budget, 60, 60, 60, times=1)
    budget.throttled(at(120))

    kept = {item["sk"]["S"]: int(item["keep_until"]["N"]) for item in client.scan(TableName=table)["Items"]}
    assert kept == {
        f"{int(at(60).timestamp()):011}": at(61 + 3600).timestamp(),
        "PACE": at(120 + 3600).timestamp(),
    }


DOINGS: Final = [
    pytest.param("UpdateItem", lambda budget: budget.book(at(0), at(0), at(0), at(0)), id="book"),
    pytest.param("Query", lambda budget: booked(budget, 0, 0, 0, times=2), id="book, reading"),
    pytest.param("UpdateItem", lambda budget: budget.give_back(at(0)), id="give back"),
    pytest.param("PutItem", lambda budget: budget.throttled(at(0)), id="throttled"),
]


@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_does_not_answer_is_unavailable(
    client: DynamoDBClient, table: str, operation: str, do: Callable[[Budget], object]
) -> None:
    refuse(client, operation, itertools.repeat(NO_ANSWER))

    with pytest.raises(Unavailable, match="did not answer"):
        do(BudgetTable(client, table, 1))
