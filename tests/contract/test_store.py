"""What every Store promises of actions, over the one in memory and the one in DynamoDB."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.contract.stores import INSTANCE, LATER, TOKEN, a_raw, after, closed, due_ids, loaded, opened, told
from tests.factories import an_action, at
from tests.properties import examples
from usher.core.action import MOST_DETAIL, MOST_RECENT
from usher.core.lines import MOST_OF_A_STORE
from usher.ports.errors import Moved
from usher.ports.records import MOST_OF_INSTANCE, Due
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from tests.contract.dynamodb import Clock
    from usher.ports.records import Store

numbers: Final = itertools.count()


# Opening


def test_an_opened_action_is_loaded_as_it_was_with_its_last_lines(store: Store) -> None:
    action = an_action(evaluation_id="evaluation-1", received_by=("sqs",)).noted(at(0), "notified", "by sqs")

    assert store.open(action, a_raw()) == action
    assert loaded(store) == action
    assert store.of_token(TOKEN) == action


def test_lines_leave_the_record_once_they_are_more_than_a_dozen_and_none_is_lost(store: Store) -> None:
    action = opened(store)
    held: list[int] = []
    for number in range(1, 30):
        action = after(action, f"evaluation-{number}").noted(at(number), "wait", f"{number}")
        store.save(action)
        action = loaded(store)
        held.append(len(action.recent))

    assert held[:MOST_RECENT] == list(range(1, MOST_RECENT + 1))
    assert held[MOST_RECENT:] == [0, *range(1, MOST_RECENT + 1), 0, 1, 2, 3]
    assert told(store) == [(number, f"{number}", 1) for number in range(1, 30)]


def test_a_line_that_counts_on_is_told_once_whether_or_not_it_has_left_the_record(store: Store) -> None:
    action = opened(store)
    for number in range(1, MOST_RECENT + 2):
        action = action.noted(at(number), "wait", f"{number}")
    store.save(after(action))
    action = loaded(store).noted(at(99), "wait", f"{MOST_RECENT + 1}")
    store.save(after(action, "evaluation-3"))

    assert [line.number for line in loaded(store).recent] == [MOST_RECENT + 1]
    assert told(store)[-2:] == [
        (MOST_RECENT, f"{MOST_RECENT}", 1),
        (MOST_RECENT + 1, f"{MOST_RECENT + 1}", 2),
    ]


def test_a_few_long_lines_leave_the_record_too(store: Store) -> None:
    action = opened(store)
    for number in range(1, 7):
        action = action.noted(at(number), "wait", f"{number}" * MOST_DETAIL)
    store.save(after(action))

    assert loaded(store).recent == ()
    assert len(store.timeline("action-1")) == 6


def test_what_was_never_stored_is_not_found(store: Store) -> None:
    assert store.load("action-1") is None
    assert store.of_token(TOKEN) is None
    assert list(store.of_instance(INSTANCE)) == []
    assert list(store.due(LATER)) == []
    assert list(store.timeline("action-1")) == []
    assert list(store.raws("action-1")) == []
    assert list(store.tests("workers-1")) == []


def test_a_second_action_of_a_token_is_not_stored_and_the_first_returned(store: Store) -> None:
    first = opened(store)
    second = an_action(id="action-2").noted(at(5), "notified", "by sns")

    assert store.open(second, a_raw("other")) == first
    assert store.load("action-2") is None
    assert list(store.of_instance(INSTANCE)) == [first]
    assert list(store.timeline("action-2")) == []
    assert list(store.raws("action-2")) == []
    assert due_ids(store, LATER) == ["action-1"]


def test_the_same_open_again_changes_nothing_and_returns_the_stored_state(store: Store) -> None:
    first = opened(store)
    store.save(after(first, evaluate_at=at(60)))

    assert opened(store) == after(first, evaluate_at=at(60))
    assert list(store.of_instance(INSTANCE)) == [after(first, evaluate_at=at(60))]
    assert due_ids(store, LATER) == ["action-1"]


def test_tokens_are_case_sensitive(store: Store) -> None:
    lower = opened(store, id="lower", token=TOKEN.lower())
    upper = opened(store, id="upper", token=TOKEN.upper())

    assert store.of_token(TOKEN.lower()) == lower
    assert store.of_token(TOKEN.upper()) == upper


def test_the_actions_of_an_instance_come_oldest_first(store: Store) -> None:
    """Tokens of earlier actions do arrive late."""
    for name, start in (("b", 60), ("a", 600), ("c", 0)):
        opened(store, id=name, token=f"{name:-<36}", started_at=at(start))
    opened(store, id="elsewhere", token="e" * 36, instance_id="i-1")

    assert [action.id for action in store.of_instance(INSTANCE)] == ["c", "b", "a"]


# Saving


def test_a_save_on_a_version_that_moved_stores_nothing(store: Store) -> None:
    action = opened(store)
    store.save(after(action, evaluate_at=at(60)))
    stale = after(action, "evaluation-3").noted(at(9), "wait", "stale")

    with pytest.raises(Moved):
        store.save(stale, raw=a_raw("late"))

    assert loaded(store) == after(action, evaluate_at=at(60))
    assert told(store) == []
    assert list(store.raws("action-1")) == [a_raw()]


def test_a_save_that_skips_a_version_stores_nothing(store: Store) -> None:
    action = opened(store)

    with pytest.raises(Moved):
        store.save(replace(action, version=3))

    assert loaded(store) == action


def test_a_save_of_what_is_not_kept_any_more_has_moved_and_stores_nothing(store: Store) -> None:
    with pytest.raises(Moved):
        store.save(after(an_action()), raw=a_raw())

    assert store.load("action-1") is None
    assert list(store.raws("action-1")) == []
    assert due_ids(store, LATER) == []


def test_the_same_save_again_succeeds_and_changes_nothing(store: Store) -> None:
    action = opened(store)
    saved = closed(after(action).noted(at(1), "closed", "completed"))

    for _ in range(2):
        store.save(saved, raw=a_raw("copy"))

    assert loaded(store) == saved
    assert told(store) == [(1, "completed", 1)]
    assert len(store.raws("action-1")) == 2
    assert due_ids(store, LATER) == []


def test_the_timeline_has_each_line_once_and_counts_repetitions(store: Store) -> None:
    action = store.open(an_action().noted(at(0), "notified", "by sqs"), a_raw())
    for number in range(1, 4):
        action = after(loaded(store), f"evaluation-{number}").noted(at(number), "wait", "no signal")
        store.save(action)
    store.save(after(loaded(store), "evaluation-4").noted(at(4), "heartbeat", "in time"))

    assert told(store) == [(1, "by sqs", 1), (2, "no signal", 3), (3, "in time", 1)]
    waits = store.timeline("action-1")[1]
    assert (waits.at, waits.last_at) == (at(1), at(3))


def test_a_repetition_counts_on_the_last_of_many_lines(store: Store) -> None:
    action = opened(store)
    for number in range(1, 91):
        action = action.noted(at(number), "signal", f"line {number}")
    store.save(after(action))
    store.save(
        after(loaded(store), "evaluation-3").noted(at(99), "signal", "line 90").noted(at(100), "wait", "x")
    )

    assert told(store)[:89] == [(number, f"line {number}", 1) for number in range(1, 90)]
    assert told(store)[89:] == [(90, "line 90", 2), (91, "x", 1)]


def test_equal_notifications_are_kept_once_oldest_first(store: Store) -> None:
    action = opened(store)
    store.save(after(action), raw=a_raw("copy by sns", seconds=0))
    store.save(after(after(action), "evaluation-3"), raw=a_raw(seconds=9))

    assert list(store.raws("action-1")) == [a_raw("copy by sns", seconds=0), a_raw(seconds=1)]


# What is due


def test_due_is_exactly_what_is_to_be_looked_at_by_then(store: Store) -> None:
    for number, seconds in enumerate((0, 60, 61, 3600)):
        opened(store, id=f"action-{number}", token=f"{number:036}", evaluate_at=at(seconds))

    assert due_ids(store, at(-1)) == []
    assert due_ids(store, at(60)) == ["action-0", "action-1"]
    assert due_ids(store, LATER) == ["action-0", "action-1", "action-2", "action-3"]


def test_due_carries_the_version_and_the_expiry(store: Store) -> None:
    action = opened(store)
    beaten = after(action, evaluate_at=at(90), beaten_at=at(60))
    store.save(beaten)

    expected = Due(action_id="action-1", evaluate_at=at(90), expires_at=beaten.expires_at)
    assert list(store.due(at(90))) == [expected]
    assert list(store.due(at(89))) == []


def test_an_evaluation_that_is_put_off_or_brought_forward_is_due_at_its_new_time_only(store: Store) -> None:
    actions = [opened(store, id=f"action-{number}", token=f"{number:036}") for number in range(3)]
    store.save(after(actions[0], evaluate_at=at(60)))
    store.save(after(actions[1], evaluate_at=at(-60)))

    assert due_ids(store, at(-60)) == ["action-1"]
    assert due_ids(store, at(59)) == ["action-1", "action-2"]
    assert due_ids(store, at(60)) == ["action-0", "action-1", "action-2"]


def test_a_closed_action_may_be_saved_again_to_note_something(store: Store) -> None:
    action = closed(after(opened(store)))
    store.save(action)

    store.save(after(action, "evaluation-3").noted(at(400), "notified", "again, by sns"), raw=a_raw("copy"))

    assert due_ids(store, LATER) == []
    assert told(store) == [(1, "again, by sns", 1)]
    assert loaded(store).version == 3
    with pytest.raises(Moved):
        store.save(after(action, "evaluation-4"))


class Counted(datetime):
    """A moment that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: Any) -> bool:
        Counted.compared += 1
        return super().__lt__(other)

    def __ge__(self, other: Any) -> bool:
        Counted.compared += 1
        return super().__ge__(other)


def test_the_store_in_memory_asks_what_is_due_not_what_is_open(clock: Clock) -> None:
    store = MemoryStore(clock)
    for number in range(1000):
        opened(store, id=f"action-{number}", token=f"{number:036}", evaluate_at=at(number))
    until = Counted.fromtimestamp(at(2).timestamp(), tz=at(2).tzinfo)

    assert due_ids(store, until) == ["action-0", "action-1", "action-2"]
    assert 0 < until.compared <= 60  # those of its own minute, not the thousand


# What is bounded


def test_of_the_history_of_an_instance_the_newest_actions_are_read(store: Store) -> None:
    for number in range(MOST_OF_INSTANCE + 3):
        opened(store, id=f"action-{number:03}", token=f"{number:036}", started_at=at(number))

    found = [action.id for action in store.of_instance(INSTANCE)]

    assert found == [f"action-{number:03}" for number in range(3, MOST_OF_INSTANCE + 3)]


LETTERS: Final = st.characters(exclude_categories=["Cs"])


@examples(12, suppress_health_check=list(HealthCheck))
@given(
    detail=st.text(LETTERS, min_size=1, max_size=40),
    times=st.integers(1, 200),
    lines=st.integers(1, 400),
)
def test_lines_of_any_text_and_number_are_stored_and_what_is_left_out_is_told(
    store: Store, detail: str, times: int, lines: int
) -> None:
    name = f"action-{next(numbers)}"
    action = store.open(an_action(id=name, token=None), a_raw())
    for number in range(lines):
        action = action.noted(at(number), "wait", f"{number} {detail * times}")

    store.save(after(action))

    told = store.timeline(name)
    left_out = [line.detail for line in told if line.event == "gap"]
    assert len(told) == min(lines, MOST_OF_A_STORE)
    assert left_out == (
        [f"{lines - MOST_OF_A_STORE + 1} lines are left out"] if lines > MOST_OF_A_STORE else []
    )
    assert all(len(line.detail) <= MOST_DETAIL for line in told)
    assert (told[0].at, told[-1].at) == (at(0), at(lines - 1))
