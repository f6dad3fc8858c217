"""What every Store promises, over the one in memory and the one in DynamoDB; then DynamoDB's own."""

from __future__ import annotations

import itertools
import json
import zlib
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import botocore.exceptions
import botocore.parsers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.contract.dynamodb import Clock, a_table
from tests.factories import a_policy, a_signal, an_action, an_activity_end, at
from usher.aws import table as dynamodb
from usher.aws.dynamodb_answers import TRIES
from usher.aws.records import RecordTable
from usher.core import evidence, notifications
from usher.core.action import MOST_DETAIL, MOST_RECENT, Outcome, Phase, Result, Status
from usher.core.evidence import Kept
from usher.core.finding import ConditionStatus, Finding, Findings
from usher.core.lines import MOST_OF_A_STORE
from usher.ports.errors import Denied, Moved, NoAnswer, Unavailable, is_denied
from usher.ports.records import MOST_OF_INSTANCE, Due, Raw, Unasked
from usher_simulator.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.core.action import Action, Signal
    from usher.ports.records import Store

    PausingStore: TypeAlias = MemoryStore | RecordTable

TOKEN: Final = an_action().token or ""
INSTANCE: Final = an_action().instance_id
LATER: Final = at(48 * 3600)
numbers: Final = itertools.count()


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    shared_client, table = request.getfixturevalue("shared_client"), request.getfixturevalue("table")
    return RecordTable(shared_client, table, clock)


@pytest.fixture
def records(client: DynamoDBClient, table: str, clock: Clock) -> RecordTable:
    return RecordTable(client, table, clock)


def a_raw(body: str = '{"Origin":"EC2"}', *, seconds: float = 1) -> Raw:
    return Raw(received_at=at(seconds), body=body)


def a_test(request_id: str, at: datetime, group: str = "workers-1") -> notifications.TestNotice:
    return notifications.TestNotice(group=group, request_id=request_id, at=at)


def opened(store: Store, **changes: Any) -> Action:
    return store.open(an_action(**changes), a_raw())


def after(action: Action, look_id: str = "look-2", **changes: Any) -> Action:
    return replace(action, version=action.version + 1, look_id=look_id, **changes)


def closed(action: Action) -> Action:
    return replace(
        action,
        phase=Phase.CLOSED,
        look_at=None,
        outcome=Outcome.COMPLETED,
        result=Result.CONTINUE,
        closed_at=at(300),
    )


def loaded(store: Store, action_id: str = "action-1") -> Action:
    action = store.load(action_id)
    assert action is not None
    return action


def told(store: Store, action_id: str = "action-1") -> list[tuple[int, str, int]]:
    return [(entry.number, entry.detail, entry.count) for entry in store.timeline(action_id)]


def due_ids(store: Store, until: datetime) -> list[str]:
    return sorted(due.action_id for due in store.due(until))


def heard_ids(store: Store, action: Action) -> list[str]:
    return sorted(signal.event_id for signal in store.evidence(action).signals)


# Opening


def test_an_opened_action_is_loaded_as_it_was_with_its_last_lines(store: Store) -> None:
    action = an_action(look_id="look-1", received_by=("sqs",)).noted(at(0), "notified", "by sqs")

    assert store.open(action, a_raw()) == action
    assert loaded(store) == action
    assert store.of_token(TOKEN) == action


def test_lines_leave_the_record_once_they_are_more_than_a_dozen_and_none_is_lost(store: Store) -> None:
    action = opened(store)
    held: list[int] = []
    for number in range(1, 30):
        action = after(action, f"look-{number}").noted(at(number), "wait", f"{number}")
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
    store.save(after(action, "look-3"))

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
    store.save(after(first, look_at=at(60)))

    assert opened(store) == after(first, look_at=at(60))
    assert list(store.of_instance(INSTANCE)) == [after(first, look_at=at(60))]
    assert due_ids(store, LATER) == ["action-1"]


def test_an_action_without_a_token_is_opened_once_too(store: Store) -> None:
    adopted = opened(store, token=None)
    store.save(after(adopted))

    assert opened(store, token=None) == after(adopted)
    assert list(store.of_instance(INSTANCE)) == [after(adopted)]


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


def test_a_save_is_what_is_loaded_from_then_on(store: Store) -> None:
    action = opened(store)

    store.save(after(action, look_at=at(90), heartbeats=1, beaten_at=at(60)))

    assert loaded(store) == after(action, look_at=at(90), heartbeats=1, beaten_at=at(60))


def test_a_save_on_a_version_that_moved_stores_nothing(store: Store) -> None:
    action = opened(store)
    store.save(after(action, look_at=at(60)))
    stale = after(action, "look-3").noted(at(9), "wait", "stale")

    with pytest.raises(Moved):
        store.save(stale, raw=a_raw("late"))

    assert loaded(store) == after(action, look_at=at(60))
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
    for look in range(1, 4):
        action = after(loaded(store), f"look-{look}").noted(at(look), "wait", "no signal")
        store.save(action)
    store.save(after(loaded(store), "look-4").noted(at(4), "heartbeat", "in time"))

    assert told(store) == [(1, "by sqs", 1), (2, "no signal", 3), (3, "in time", 1)]
    waits = store.timeline("action-1")[1]
    assert (waits.at, waits.last_at) == (at(1), at(3))


def test_a_repetition_counts_on_the_last_of_many_lines(store: Store) -> None:
    action = opened(store)
    for number in range(1, 91):
        action = action.noted(at(number), "signal", f"line {number}")
    store.save(after(action))
    store.save(after(loaded(store), "look-3").noted(at(99), "signal", "line 90").noted(at(100), "wait", "x"))

    assert told(store)[:89] == [(number, f"line {number}", 1) for number in range(1, 90)]
    assert told(store)[89:] == [(90, "line 90", 2), (91, "x", 1)]


def test_equal_notifications_are_kept_once_oldest_first(store: Store) -> None:
    action = opened(store)
    store.save(after(action), raw=a_raw("copy by sns", seconds=0))
    store.save(after(after(action), "look-3"), raw=a_raw(seconds=9))

    assert list(store.raws("action-1")) == [a_raw("copy by sns", seconds=0), a_raw(seconds=1)]


# What is due


def test_due_is_exactly_what_is_to_be_looked_at_by_then(store: Store) -> None:
    for number, seconds in enumerate((0, 60, 61, 3600)):
        opened(store, id=f"action-{number}", token=f"{number:036}", look_at=at(seconds))

    assert due_ids(store, at(-1)) == []
    assert due_ids(store, at(60)) == ["action-0", "action-1"]
    assert due_ids(store, LATER) == ["action-0", "action-1", "action-2", "action-3"]


def test_due_carries_the_version_and_the_expiry(store: Store) -> None:
    action = opened(store)
    beaten = after(action, look_at=at(90), beaten_at=at(60))
    store.save(beaten)

    expected = Due(action_id="action-1", version=2, look_at=at(90), expires_at=beaten.expires_at)
    assert list(store.due(at(90))) == [expected]
    assert list(store.due(at(89))) == []


def test_what_is_closed_is_not_due(store: Store) -> None:
    store.save(closed(after(opened(store))))

    assert due_ids(store, LATER) == []


def test_a_look_that_is_put_off_or_brought_forward_is_due_at_its_new_time_only(store: Store) -> None:
    actions = [opened(store, id=f"action-{number}", token=f"{number:036}") for number in range(3)]
    store.save(after(actions[0], look_at=at(60)))
    store.save(after(actions[1], look_at=at(-60)))

    assert due_ids(store, at(-60)) == ["action-1"]
    assert due_ids(store, at(59)) == ["action-1", "action-2"]
    assert due_ids(store, at(60)) == ["action-0", "action-1", "action-2"]


def test_a_closed_action_may_be_saved_again_to_note_something(store: Store) -> None:
    action = closed(after(opened(store)))
    store.save(action)

    store.save(after(action, "look-3").noted(at(400), "notified", "again, by sns"), raw=a_raw("copy"))

    assert due_ids(store, LATER) == []
    assert told(store) == [(1, "again, by sns", 1)]
    assert loaded(store).version == 3
    with pytest.raises(Moved):
        store.save(after(action, "look-4"))


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
        opened(store, id=f"action-{number}", token=f"{number:036}", look_at=at(number))
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


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
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


# What was heard


def test_a_signal_is_kept_once_and_heard_by_its_instance(store: Store) -> None:
    action = opened(store)
    signal = a_signal(at=at(0))
    store.keep_signal(signal)
    store.keep_signal(signal)
    store.keep_signal(a_signal(event_id="event-2", instance_id="i-1"))

    assert store.evidence(action).signals == (signal,)


def test_a_signal_that_names_no_instance_is_heard_by_its_token(store: Store) -> None:
    action = opened(store)
    signal = a_signal(at=at(0), instance_id=None, token=TOKEN)
    store.keep_signal(signal)
    store.keep_signal(a_signal(event_id="event-2", instance_id=None, token=TOKEN.upper()))

    assert store.evidence(action).signals == (signal,)
    assert store.evidence(replace(action, token=None)).signals == ()


def test_a_signal_that_names_both_is_heard_once(store: Store) -> None:
    action = opened(store)
    store.keep_signal(a_signal(at=at(0), token=TOKEN))

    assert heard_ids(store, action) == ["event-1"]


def test_a_signal_is_heard_by_every_action_of_its_instance_and_again_by_each_look(store: Store) -> None:
    one = opened(store)
    other = opened(store, id="action-2", token="o" * 36)
    store.keep_signal(a_signal(at=at(0)))

    store.save(closed(after(one)))

    assert heard_ids(store, one) == ["event-1"]
    assert heard_ids(store, other) == ["event-1"]


def test_one_signal_a_minute_is_put_aside_for_an_export(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    for second in range(0, 180, 5):
        progress = a_signal(event_id=f"event-{second:03}", at=at(second), status=Status.PROGRESS)
        records.keep_signal(progress)

    said = [item["sk"]["S"] for item in items(client, table) if item["pk"]["S"].startswith("SAID#")]
    assert [name.rpartition("#")[2] for name in sorted(said)] == ["event-055", "event-115"]


DONE: Final = a_signal(event_id="event-2", at=at(60))


@pytest.mark.parametrize(
    ("second", "stands", "change"),
    [
        pytest.param({"at": at(61)}, "event-1", Kept.REPEATED, id="the same again"),
        pytest.param({"at": at(121)}, "event-1", Kept.NEWS, id="the same, over a minute later"),
        pytest.param({"at": at(59)}, "event-2", Kept.REPEATED, id="an older one"),
        pytest.param({"at": at(61), "status": Status.FAILED}, "event-1", Kept.NEWS, id="a change"),
        pytest.param({"status": Status.FAILED}, "event-1", Kept.NEWS, id="failed of the same second"),
        pytest.param({"event_id": "event-1"}, "event-2", Kept.REPEATED, id="equal, of a smaller id"),
        pytest.param({"event_id": "event-3"}, "event-3", Kept.REPEATED, id="equal, of a greater id"),
        pytest.param({"event_id": "event-2", "at": at(99)}, "event-2", Kept.NEWS, id="the same event"),
    ],
)
def test_of_one_name_the_last_result_is_kept(
    store: Store, second: dict[str, Any], stands: str, change: Kept
) -> None:
    assert store.keep_signal(DONE) is Kept.NEWS

    assert store.keep_signal(replace(DONE, **({"event_id": "event-1"} | second))) is change

    assert heard_ids(store, an_action()) == [stands]


def test_progress_takes_no_place_of_a_result(store: Store) -> None:
    progress = [a_signal(event_id=f"p-{n}", at=at(60 + n), status=Status.PROGRESS) for n in range(3)]
    for signal in (progress[0], DONE, progress[2], progress[1]):
        store.keep_signal(signal)

    assert set(store.evidence(an_action()).signals) == {DONE, progress[2]}


@pytest.mark.parametrize("place", [{}, {"instance_id": None, "token": TOKEN}], ids=["instance", "token"])
def test_signals_of_a_bounded_number_of_names_are_kept(store: Store, place: dict[str, Any]) -> None:
    names = [f"name-{number}" for number in range(evidence.MOST_NAMES)]
    for number, name in enumerate(names):
        assert store.keep_signal(a_signal(event_id=f"d-{number}", name=name, **place)) is Kept.NEWS

    assert store.keep_signal(a_signal(name="one-too-many", **place)) is Kept.REFUSED
    failed = a_signal(event_id="last", name=names[0], status=Status.FAILED, **place)
    assert store.keep_signal(failed) is Kept.NEWS
    progress = a_signal(event_id="more", name=names[1], status=Status.PROGRESS, **place)
    assert store.keep_signal(progress) is Kept.NEWS

    assert {signal.name for signal in store.evidence(an_action()).signals} == set(names)


def test_an_adopted_action_hears_by_instance_what_names_its_token_too(store: Store) -> None:
    by_both = a_signal(event_id="both", token=TOKEN)
    by_instance = a_signal(event_id="instance", at=at(61))
    for signal in (by_both, by_instance):
        store.keep_signal(signal)

    assert heard_ids(store, an_action(token=None)) == ["both", "instance"]
    assert heard_ids(store, an_action()) == ["both", "instance"]
    assert heard_ids(store, an_action(token="o" * 36)) == ["both", "instance"]  # for the look to tell apart


@pytest.mark.parametrize("opens_first", [True, False])
def test_an_adopted_action_does_not_hear_what_names_the_token_of_another(
    store: Store, opens_first: bool
) -> None:
    signal = a_signal(token=TOKEN)
    if opens_first:
        opened(store)
        store.keep_signal(signal)
    else:
        store.keep_signal(signal)
        opened(store)

    assert heard_ids(store, an_action(id="adopted", token=None)) == []


HEARD_FROM = [
    pytest.param(-3000, 600, True, id="an hour old"),
    pytest.param(-3001, 600, False, id="older"),
    pytest.param(-60, 86400, True, id="a minute before the action, a day ago"),
    pytest.param(-61, 86400, False, id="before that"),
]


def test_an_outcome_event_is_kept_once_and_heard_by_its_instance(store: Store) -> None:
    action = opened(store)
    clocked = an_activity_end(ended_at=at(0))
    store.keep_move_end(clocked)
    store.keep_move_end(clocked)
    store.keep_move_end(an_activity_end(activity_id="activity-2", instance_id="i-1"))

    assert store.evidence(action).activity_ends == (clocked,)


@pytest.mark.parametrize(("ended", "now", "is_heard"), HEARD_FROM)
def test_an_outcome_event_is_heard_for_an_hour_and_as_long_as_its_action_is_open(
    store: Store, clock: Clock, ended: float, now: float, is_heard: bool
) -> None:
    action = opened(store)
    store.keep_move_end(an_activity_end(ended_at=at(ended)))
    clock.now = at(now)

    assert len(store.evidence(action).activity_ends) == is_heard


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=2)], ids=["at once", "two days later"])
def test_the_end_of_an_instance_is_heard_by_its_actions_and_the_first_word_counts(
    store: Store, clock: Clock, age: timedelta
) -> None:
    store.keep_instance_end(INSTANCE, at(9))
    store.keep_instance_end(INSTANCE, at(99))
    clock.now = at(0) + age
    action = opened(store)

    assert store.evidence(action).instance_ended_at == at(9)
    assert store.evidence(replace(action, instance_id="i-1")).instance_ended_at is None


def test_of_what_ec2_says_of_an_instance_the_newest_counts_and_running_alone_is_not_kept(
    store: Store, clock: Clock
) -> None:
    action, heard = opened(store), []
    for second, is_stopped in [(1, False), (5, True), (3, False), (9, False), (9, True), (12, True)]:
        store.keep_instance_state(INSTANCE, at(second), is_stopped=is_stopped)
        heard.append(store.evidence(action).stopped_at)
    assert heard == [None, at(5), at(5), None, None, at(12)]
    assert store.evidence(replace(action, instance_id="i-1")).stopped_at is None
    assert clock.now == at(0)


def test_the_end_of_an_instance_is_neither_signal_nor_outcome(store: Store) -> None:
    store.keep_instance_end(INSTANCE, at(0))
    store.keep_signal(a_signal(at=at(0)))
    store.keep_move_end(an_activity_end(ended_at=at(0)))

    heard = store.evidence(an_action())
    assert (len(heard.signals), len(heard.activity_ends), heard.instance_ended_at) == (1, 1, at(0))


# What an operator paused


@pytest.mark.parametrize(
    ("hooks", "paused"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["usher-gate", "usher", "usher-drain-2"], None, id="others"),
        pytest.param(["usher-drain"], "usher-drain by me", id="its hook"),
        pytest.param(["*"], "* by me", id="all"),
        pytest.param(["usher-drain", "*"], "* by me", id="its hook and all"),
    ],
)
def test_an_action_sees_who_paused_its_hook_or_all(
    store: PausingStore, hooks: list[str], paused: str | None
) -> None:
    for hook in hooks:
        store.pause(hook, f"{hook} by me")

    assert store.evidence(an_action()).paused == paused
    assert store.pauses() == {hook: f"{hook} by me" for hook in hooks}


def test_what_is_resumed_is_not_paused_until_it_is_paused_again(store: PausingStore) -> None:
    store.pause("usher-drain", "me")
    store.pause("*", "her")
    for hook in ("*", "never-paused"):
        store.resume(hook)
    assert (store.evidence(an_action()).paused, store.pauses()) == ("me", {"usher-drain": "me"})

    store.resume("usher-drain")
    assert (store.evidence(an_action()).paused, store.pauses()) == (None, {})

    store.pause("usher-drain", "him")
    assert store.evidence(an_action()).paused == "him"


def test_the_last_who_paused_a_hook_is_named(store: PausingStore) -> None:
    store.pause("usher-drain", "me")
    store.pause("usher-drain", "her")

    assert store.pauses() == {"usher-drain": "her"}


def test_test_messages_are_kept_once_for_their_group_oldest_first(store: Store) -> None:
    second, first = a_test("request-1", at(60)), a_test("request-2", at(0))
    for test in (second, first, second, a_test("request-3", at(30), group="workers-2")):
        store.keep_test(test)

    assert list(store.tests("workers-1")) == [first, second]


def test_a_group_reaches_us_by_a_test_message_or_a_lifecycle_message(store: Store) -> None:
    store.keep_test(a_test("request-1", at(0), group="tested"))
    store.keep_heard("heard", at(0))

    assert [store.reaches_us(group) for group in ("tested", "heard", "silent")] == [True, True, False]


# Both stores are one


class Twins(RuleBasedStateMachine):
    """Does the same to both stores, whose answers must be the same."""

    client: DynamoDBClient
    TOKENS = (None, "A" * 36, "a" * 36, "b" * 36)
    INSTANCES = ("i-1", "i-2")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(at(0))
        self.memory = MemoryStore(self.clock)
        self.table = a_table(self.client)
        self.records = RecordTable(self.client, self.table, self.clock)
        self.signals: list[Signal] = []
        self.saves: list[tuple[Action, Raw | None]] = []
        self.opens = 0

    def both(self, do: Callable[[Store], object]) -> None:
        """Do it to both, and compare what they say."""
        assert self.outcome(do, self.records) == self.outcome(do, self.memory)

    def outcome(self, do: Callable[[Store], object], store: Store) -> object:
        try:
            return do(store)
        except Moved:
            return Moved

    @rule(seconds=st.integers(1, 1800))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    @rule(token=st.sampled_from(TOKENS), instance_id=st.sampled_from(INSTANCES))
    def open(self, token: str | None, instance_id: str) -> None:
        now = self.clock.now
        changes = {"token": token, "instance_id": instance_id, "started_at": now, "look_at": now}
        action = an_action(id=f"action-{self.opens:02}", **changes).noted(now, "notified", "by sqs")
        self.both(lambda store: store.open(action, Raw(received_at=now, body=f"{token}")))
        self.opens += 1

    @precondition(lambda self: self.memory.actions())
    @rule(
        data=st.data(),
        closes=st.booleans(),
        stale=st.sampled_from([False, False, False, True]),
        detail=st.sampled_from(["no signal", "done"]),
        body=st.sampled_from([None, "copy", "other copy"]),
    )
    def save(self, data: st.DataObject, closes: bool, stale: bool, detail: str, body: str | None) -> None:
        action = data.draw(st.sampled_from(self.memory.actions()))
        action = after(action, f"look-{len(self.saves)}").noted(self.clock.now, "wait", detail)
        action = closed(action) if closes or not action.is_open else replace(action, look_at=self.clock.now)
        action = replace(action, version=action.version - 1) if stale else action
        raw = Raw(received_at=self.clock.now, body=body) if body else None
        self.saves.append((action, raw))
        self.both(lambda store: store.save(action, raw=raw))

    @precondition(lambda self: self.saves)
    @rule(data=st.data())
    def save_again(self, data: st.DataObject) -> None:
        action, raw = data.draw(st.sampled_from(self.saves))
        self.both(lambda store: store.save(action, raw=raw))

    @rule(
        age=st.integers(0, 5400),
        instance_id=st.sampled_from([None, *INSTANCES]),
        token=st.sampled_from(TOKENS),
        status=st.sampled_from(Status),
    )
    def hear_signal(self, age: int, instance_id: str | None, token: str | None, status: Status) -> None:
        place = {"instance_id": instance_id, "token": token if instance_id else token or "b" * 36}
        event_id = f"event-{len(self.signals):02}"
        signal = a_signal(
            event_id=event_id, status=status, at=self.clock.now - timedelta(seconds=age), **place
        )
        self.signals.append(signal)
        self.both(lambda store: store.keep_signal(signal))

    @precondition(lambda self: self.signals)
    @rule(data=st.data())
    def hear_signal_again(self, data: st.DataObject) -> None:
        signal = data.draw(st.sampled_from(self.signals))
        self.both(lambda store: store.keep_signal(signal))

    @rule(age=st.integers(0, 5400), instance_id=st.sampled_from(INSTANCES))
    def hear_move_end(self, age: int, instance_id: str) -> None:
        ended_at = self.clock.now - timedelta(seconds=age)
        activity_id = f"activity-{ended_at}"
        activity_end = an_activity_end(activity_id=activity_id, instance_id=instance_id, ended_at=ended_at)
        self.both(lambda store: store.keep_move_end(activity_end))

    @rule(age=st.integers(0, 5400), instance_id=st.sampled_from(INSTANCES))
    def hear_instance_end(self, age: int, instance_id: str) -> None:
        ended_at = self.clock.now - timedelta(seconds=age)
        self.both(lambda store: store.keep_instance_end(instance_id, ended_at))

    @rule(age=st.integers(0, 9), instance_id=st.sampled_from(INSTANCES), is_stopped=st.booleans())
    def hear_instance_state(self, age: int, instance_id: str, *, is_stopped: bool) -> None:
        at = self.clock.now - timedelta(seconds=age)
        self.both(lambda store: store.keep_instance_state(instance_id, at, is_stopped=is_stopped))

    @rule(hook=st.sampled_from(["usher-drain", "usher-gate", "*"]), pauses=st.booleans())
    def pause_or_resume(self, hook: str, pauses: bool) -> None:
        by = f"{self.clock.now}"
        for store in (self.memory, self.records):
            if pauses:
                store.pause(hook, by)
            else:
                store.resume(hook)

    @rule(number=st.integers(1, 3), group=st.sampled_from(["workers-1", "workers-2"]))
    def hear_test(self, number: int, group: str) -> None:
        test = a_test(f"request-{number}", at(number), group)
        self.both(lambda store: store.keep_test(test))

    def teardown(self) -> None:
        self.both(lambda store: due_ids(store, self.clock.now))
        self.both(lambda store: sorted(store.due(LATER), key=lambda due: due.action_id))
        self.both(lambda store: [list(store.of_instance(name)) for name in self.INSTANCES])
        self.both(lambda store: [store.of_token(token) for token in self.TOKENS if token])
        self.both(lambda store: [list(store.tests(group)) for group in ("workers-1", "workers-2")])
        assert self.records.pauses() == self.memory.pauses()
        for action in self.memory.actions():
            self.both(partial(everything_of, action))
        self.client.delete_table(TableName=self.table)


def everything_of(action: Action, store: Store) -> object:
    evidence = store.evidence(action)
    return (
        store.load(action.id),
        list(store.timeline(action.id)),
        sorted(store.raws(action.id), key=lambda raw: raw.body),
        sorted(evidence.signals, key=lambda signal: signal.event_id),
        sorted(evidence.activity_ends, key=lambda activity_end: activity_end.activity_id),
        (evidence.instance_ended_at, evidence.stopped_at, evidence.paused),
    )


def test_both_stores_say_the_same_after_the_same_doings(shared_client: DynamoDBClient) -> None:
    class Here(Twins):
        client = shared_client

    few = settings(max_examples=10, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(Here, settings=few)


# DynamoDB only


def items(client: DynamoDBClient, table: str) -> list[dict[str, Any]]:
    return list(client.scan(TableName=table, ConsistentRead=True)["Items"])


def state_item(client: DynamoDBClient, table: str) -> dict[str, Any]:
    key = {"pk": {"S": "ACTION#action-1"}, "sk": {"S": "STATE"}}
    return dict(client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"])


def lose_answers(client: DynamoDBClient, operation: str, answers: Iterable[bool]) -> None:
    """Lose the answer of each call for which `answers` says so, after it was applied."""
    left = iter(answers)

    def lose(**_: object) -> None:
        if next(left, False):
            raise botocore.exceptions.ReadTimeoutError(endpoint_url="https://dynamodb")

    client.meta.events.register(f"after-call.dynamodb.{operation}", lose)


def refuse(client: DynamoDBClient, operation: str, errors: Iterable[BaseException | None]) -> Counter[str]:
    """Answer the calls by these errors, before anything is applied; returns the count of calls."""
    left = iter(errors)
    calls: Counter[str] = Counter()

    def answer(**_: object) -> None:
        calls[operation] += 1
        error = next(left, None)
        if error is not None:
            raise error

    client.meta.events.register(f"before-call.dynamodb.{operation}", answer)
    return calls


def client_error(code: str, reasons: Sequence[str] = ()) -> botocore.exceptions.ClientError:
    response: dict[str, Any] = {"Error": {"Code": code, "Message": "as DynamoDB says it"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return botocore.exceptions.ClientError(response, "AnyOperation")


def cancelled(*reasons: str) -> botocore.exceptions.ClientError:
    return client_error("TransactionCanceledException", reasons)


BUSY: Final = [
    pytest.param(cancelled("None", "TransactionConflict"), id="conflict"),
    pytest.param(cancelled("ThrottlingError", "None"), id="throttled write"),
    pytest.param(cancelled("ProvisionedThroughputExceeded"), id="write over capacity"),
    pytest.param(client_error("ProvisionedThroughputExceededException"), id="over capacity"),
    pytest.param(client_error("ThrottlingException"), id="throttled"),
    pytest.param(client_error("RequestLimitExceeded"), id="over the account's limit"),
    pytest.param(client_error("TransactionInProgressException"), id="in progress"),
    pytest.param(client_error("InternalServerError"), id="server error"),
]
UNREACHABLE: Final = [
    pytest.param(botocore.exceptions.ConnectTimeoutError(endpoint_url="https://d"), id="connect timeout"),
    pytest.param(botocore.exceptions.ReadTimeoutError(endpoint_url="https://d"), id="read timeout"),
    pytest.param(botocore.exceptions.ConnectionClosedError(endpoint_url="https://d"), id="closed"),
    pytest.param(
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://d", error="no route"), id="no route"
    ),
    pytest.param(botocore.parsers.ResponseParserError("<html>"), id="a page of its own"),
]


def test_every_item_has_a_time_to_live_from_its_first_write(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    action = records.open(an_action().noted(at(0), "notified", "by sqs"), a_raw())
    records.keep_signal(a_signal(at=at(0)))
    records.keep_signal(a_signal(at=at(0), instance_id=None, token=TOKEN))
    records.keep_move_end(an_activity_end())
    records.keep_test(a_test("request-1", at(0)))
    records.keep_instance_end(INSTANCE, at(0))
    records.keep_heard("workers-1", at(0))
    records.resume("*")
    for number in range(MOST_RECENT):
        action = action.noted(at(number), "wait", f"{number}")
    records.save(closed(after(action)), raw=a_raw("copy"))

    kinds = Counter(item["sk"]["S"].split("#")[0] for item in items(client, table))
    assert kinds == {
        "STATE": 1,
        "LINE": 1,
        "RAW": 2,
        "ACTION": 2,
        "HEARD": 3,
        "SIGNAL": 2,
        "TEST": 1,
        "HOOK": 1,
    }
    expiries = [int(item[dynamodb.TTL_ATTRIBUTE]["N"]) for item in items(client, table)]
    assert min(expiries) > at(3600).timestamp()


def test_a_pause_never_lapses_by_itself(client: DynamoDBClient, table: str, records: RecordTable) -> None:
    records.pause("usher-drain", "me")

    (item,) = items(client, table)
    assert dynamodb.TTL_ATTRIBUTE not in item


def test_that_a_group_was_heard_of_is_written_once_a_day_and_kept_for_400(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    written = []
    for second in (0, 3600, 86_399, 86_400, 90_000):
        records.keep_heard("workers-1", at(second))
        (item,) = items(client, table)
        written.append(int(item[dynamodb.TTL_ATTRIBUTE]["N"]) - int(at(0).timestamp()))
    days = 400 * 86_400
    assert written == [days, days, days, days + 86_400, days + 86_400]


def test_the_evidence_of_an_action_takes_one_read_a_partition(
    client: DynamoDBClient, records: RecordTable
) -> None:
    records.keep_instance_end(INSTANCE, at(0))
    records.pause("usher-drain", "me")
    reads = [refuse(client, operation, []) for operation in ("Query", "GetItem", "BatchGetItem")]

    records.evidence(an_action())
    records.evidence(an_action(token=None))

    assert [read.total() for read in reads] == [3 + 2, 0, 0]


@pytest.mark.parametrize(
    ("first_seen_at", "kept_until"),
    [
        pytest.param(at(0), at(48 * 3600) + timedelta(days=30), id="from the latest end"),
        pytest.param(at(72 * 3600), at(72 * 3600) + timedelta(days=30), id="from the first sight, if later"),
    ],
)
def test_an_action_is_kept_for_the_retention_after_it_can_end(
    client: DynamoDBClient, table: str, records: RecordTable, first_seen_at: datetime, kept_until: datetime
) -> None:
    opened(records, first_seen_at=first_seen_at)

    assert state_item(client, table)["keep_until"] == {"N": str(int(kept_until.timestamp()))}


def test_an_action_stands_in_the_index_only_while_it_is_open(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    index = {"due_shard", "look_at", "expires_at"}  # the index has no row without them
    action = opened(records)
    assert state_item(client, table).keys() >= index

    records.save(closed(after(action)))

    assert state_item(client, table).keys().isdisjoint(index)


def test_a_lost_answer_to_an_open_is_no_second_action(client: DynamoDBClient, records: RecordTable) -> None:
    lose_answers(client, "TransactWriteItems", [True])
    with pytest.raises(Unavailable):
        opened(records)

    assert opened(records) == an_action()
    assert opened(records, id="action-2") == an_action()
    assert due_ids(records, LATER) == ["action-1"]


SAVES: Final = [
    pytest.param("PutItem", None, id="alone"),
    pytest.param("TransactWriteItems", Raw(received_at=at(1), body="copy"), id="with a notification"),
]


@pytest.mark.parametrize(("operation", "raw"), SAVES)
def test_a_lost_answer_to_a_save_is_recognised_as_its_own_success(
    client: DynamoDBClient, records: RecordTable, operation: str, raw: Raw | None
) -> None:
    action = opened(records)
    saved = closed(after(action).noted(at(1), "closed", "completed"))
    lose_answers(client, operation, [True])
    with pytest.raises(Unavailable):
        records.save(saved, raw=raw)

    records.save(saved, raw=raw)

    assert loaded(records) == saved
    assert told(records) == [(1, "completed", 1)]


def test_a_server_error_after_the_store_was_applied_is_a_success(
    client: DynamoDBClient, records: RecordTable
) -> None:
    action = opened(records)
    server_errors = iter([client_error("InternalServerError")])

    def fail(**_: object) -> None:
        for error in server_errors:
            raise error

    for operation in ("PutItem", "TransactWriteItems"):
        client.meta.events.register(f"after-call.dynamodb.{operation}", fail)
    records.save(closed(after(action)))

    assert loaded(records) == closed(after(action))


@pytest.mark.parametrize("error", BUSY)
def test_a_write_that_stays_busy_is_unavailable_after_a_few_tries(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    action = opened(records)
    calls = refuse(client, "TransactWriteItems", itertools.repeat(error))

    with pytest.raises(Unavailable, match="busy"):
        records.save(after(action), raw=a_raw())

    assert calls["TransactWriteItems"] == TRIES
    assert loaded(records) == action


@pytest.mark.parametrize("error", BUSY)
def test_a_write_that_is_busy_for_a_moment_is_tried_again(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    action = opened(records)
    refuse(client, "TransactWriteItems", [error, error])

    records.save(after(action), raw=a_raw())

    assert loaded(records) == after(action)


def test_a_refused_condition_is_not_tried_again_though_another_write_was_busy(
    client: DynamoDBClient, records: RecordTable
) -> None:
    action = opened(records)
    calls = refuse(client, "TransactWriteItems", [cancelled("TransactionConflict", "ConditionalCheckFailed")])

    with pytest.raises(Moved):
        records.save(after(action), raw=a_raw())

    assert calls["TransactWriteItems"] == 1


@pytest.mark.parametrize(("operation", "raw"), SAVES)
def test_a_save_that_moved_is_known_from_one_answer(
    client: DynamoDBClient, records: RecordTable, operation: str, raw: Raw | None
) -> None:
    action = opened(records)
    records.save(after(action))
    calls = refuse(client, operation, [])

    with pytest.raises(Moved):
        records.save(after(action, "look-3"), raw=raw)

    assert calls == {operation: 1}


DOINGS: Final = [
    pytest.param("TransactWriteItems", lambda store: opened(store, id="x", token="x" * 36), id="open"),
    pytest.param("PutItem", lambda store: store.save(after(an_action())), id="save"),
    pytest.param("TransactWriteItems", lambda store: store.save(after(an_action()), raw=a_raw()), id="copy"),
    pytest.param("GetItem", lambda store: store.load("action-1"), id="load"),
    pytest.param("GetItem", lambda store: store.of_token(TOKEN), id="of_token"),
    pytest.param("BatchGetItem", lambda store: store.of_instance(INSTANCE), id="of_instance"),
    pytest.param("Query", lambda store: store.due(LATER), id="due"),
    pytest.param("GetItem", lambda store: store.keep_signal(a_signal()), id="keep_signal"),
    pytest.param("PutItem", lambda store: store.keep_move_end(an_activity_end()), id="keep_move_end"),
    pytest.param(
        "PutItem",
        lambda store: store.keep_instance_state("i-1", at(0), is_stopped=True),
        id="keep_instance_state",
    ),
    pytest.param("PutItem", lambda store: store.keep_instance_end("i-1", at(0)), id="keep_instance_end"),
    pytest.param("PutItem", lambda store: store.pause("usher-drain", "me"), id="pause"),
    pytest.param("PutItem", lambda store: store.resume("usher-drain"), id="resume"),
    pytest.param("Query", lambda store: store.pauses(), id="pauses"),
    pytest.param("PutItem", lambda store: store.keep_test(a_test("r", at(0))), id="keep_test"),
    pytest.param("Query", lambda store: store.evidence(an_action()), id="evidence"),
    pytest.param("Query", lambda store: store.timeline("action-1"), id="timeline"),
    pytest.param("Query", lambda store: store.tests("workers-1"), id="tests"),
    pytest.param("Query", lambda store: store.raws("action-1"), id="raws"),
]


@pytest.mark.parametrize("error", UNREACHABLE)
@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_does_not_answer_is_unavailable(
    client: DynamoDBClient,
    records: RecordTable,
    operation: str,
    do: Callable[[Store], object],
    error: Exception,
) -> None:
    opened(records)
    refuse(client, operation, itertools.repeat(error))

    with pytest.raises(Unavailable, match="did not answer"):
        do(records)


@pytest.mark.parametrize("code", ["InternalFailure", "503"])
def test_what_aws_has_broken_is_no_answer(client: DynamoDBClient, records: RecordTable, code: str) -> None:
    """Found by reading: under a code that nobody had listed it was raised, and nothing was held."""
    opened(records)
    error = client_error(code)
    error.response["ResponseMetadata"] = {"HTTPStatusCode": 503}
    refuse(client, "GetItem", itertools.repeat(error))
    with pytest.raises(NoAnswer, match=code):
        records.load("action-1")


@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_is_misconfigured_is_denied_at_once_and_says_how(
    client: DynamoDBClient, records: RecordTable, operation: str, do: Callable[[Store], object]
) -> None:
    """Found by an outage: it was raised as it was, and nothing was held without the table."""
    opened(records)
    calls = refuse(client, operation, itertools.repeat(client_error("AccessDeniedException")))

    with pytest.raises(Denied, match="AccessDeniedException"):
        do(records)

    assert calls[operation] == 1


@pytest.mark.parametrize(
    "error",
    [
        *map(
            client_error,
            (
                "ExpiredTokenException",
                "InvalidSignatureException",
                "KMSAccessDeniedException",
                "KMSDisabledException",
                "ResourceNotFoundException",
                "UnrecognizedClientException",
                "WhatNobodyHasListed",
            ),
        ),
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.CredentialRetrievalError(provider="role", error_msg="STS does not answer"),
    ],
    ids=lambda error: str(error)[:60],
)
def test_whatever_denies_the_table_is_denied_and_keeps_its_cause(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    refuse(client, "GetItem", itertools.repeat(error))
    with pytest.raises(Denied) as denied:
        records.load("action-1")
    assert (denied.value.__cause__, is_denied(denied.value)) == (error, True)


def test_what_is_wrong_with_one_request_is_raised_as_it_is(
    client: DynamoDBClient, records: RecordTable
) -> None:
    """It would be so with any table: nothing of that one is away."""
    calls = refuse(client, "GetItem", itertools.repeat(client_error("ValidationException")))
    with pytest.raises(botocore.exceptions.ClientError, match="ValidationException"):
        records.load("action-1")
    assert calls["GetItem"] == 1


def test_keys_that_a_batch_left_unread_are_asked_for_again(
    client: DynamoDBClient, records: RecordTable
) -> None:
    for number in range(5):
        opened(records, id=f"action-{number}", token=f"{number:036}", started_at=at(number))

    def leave_some(parsed: dict[str, Any], **_: object) -> None:
        for table, found in parsed["Responses"].items():
            keys = [{"pk": item["pk"], "sk": item["sk"]} for item in found[2:]]
            parsed["Responses"][table] = found[:2]
            parsed["UnprocessedKeys"] = {table: {"Keys": keys}} if keys else {}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_some)

    assert [action.id for action in records.of_instance(INSTANCE)] == [f"action-{n}" for n in range(5)]


def test_keys_that_stay_unread_are_unavailable(client: DynamoDBClient, records: RecordTable) -> None:
    opened(records)

    def leave_all(parsed: dict[str, Any], **_: object) -> None:
        table = next(iter(parsed["Responses"]))
        keys = [{"pk": {"S": "ACTION#action-1"}, "sk": {"S": "STATE"}}]
        parsed |= {"Responses": {}, "UnprocessedKeys": {table: {"Keys": keys}}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_all)

    with pytest.raises(Unavailable, match="unread"):
        records.of_instance(INSTANCE)


def test_all_pages_of_a_query_are_read(client: DynamoDBClient, records: RecordTable) -> None:
    def page_by_page(params: dict[str, Any], **_: object) -> None:
        params["Limit"] = 1

    client.meta.events.register("before-parameter-build.dynamodb.Query", page_by_page)
    for number in range(20):
        opened(records, id=f"action-{number}", token=f"{number:036}", started_at=at(number))
    for number in range(3):
        records.keep_signal(a_signal(event_id=f"event-{number}", name=f"name-{number}"))

    assert len(due_ids(records, LATER)) == 20
    assert len(list(records.of_instance(INSTANCE))) == 20
    assert heard_ids(records, an_action()) == ["event-0", "event-1", "event-2"]


def test_pointers_may_be_more_than_a_batch_reads_and_outlive_their_actions(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    for number in range(120):
        pointer = {"pk": f"INSTANCE#{INSTANCE}", "sk": f"ACTION#{number:03}", "action_id": f"gone-{number}"}
        client.put_item(TableName=table, Item={key: {"S": value} for key, value in pointer.items()})
    action = opened(records)

    assert list(records.of_instance(INSTANCE)) == [action]


@pytest.mark.parametrize("body", ["x" * 2_000_000, "é" * 1_000_000], ids=["ASCII", "of two bytes each"])
def test_a_notification_that_no_item_could_hold_is_cut_and_says_so(records: RecordTable, body: str) -> None:
    records.open(an_action(), a_raw(body))

    kept = records.raws("action-1")[0].body
    assert len(kept.encode()) < 300_100
    assert kept.endswith(" [cut from 2000000 bytes]")


def test_a_notification_that_is_no_unicode_is_kept_with_escapes(records: RecordTable) -> None:
    records.open(an_action(), a_raw('{"Origin":"\ud800"}'))

    assert records.raws("action-1")[0].body == '{"Origin":"\\ud800"}'


def test_lines_that_earlier_releases_stored_one_by_one_are_read_in_the_order_of_their_numbers(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    opened(records)
    for number in range(1, 13):
        line = {"number": number, "at": "2026-03-01T12:00:00+00:00", "event": "wait", "detail": f"{number}"}
        doc = json.dumps([line | {"last_at": line["at"]}])
        key = {"pk": {"S": "ACTION#action-1"}, "sk": {"S": f"LINE#{number:010}"}}
        client.put_item(TableName=table, Item={**key, "doc": {"S": doc}})

    assert [line.number for line in records.timeline("action-1")] == list(range(1, 13))


# What was found of the conditions


def a_found(**changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "condition": "ecs drained",
        "status": ConditionStatus.PENDING,
        "detail": "3 tasks",
        "asked_at": at(20),
        "ask_again_at": at(40),
        "memory": {"command_id": "command-1"},
    }
    return Finding(**{**fields, **changes})


def test_findings_are_kept_apart_and_move_no_version(store: Store) -> None:
    action = store.open(an_action(), None)
    kept = Findings(turn=1, found=(a_found(),), ask_at=at(40), sweep_at=at(340)).noted(at(20), "found", "3")

    store.keep_findings(action, kept)

    assert store.findings(action.id) == kept
    assert store.load(action.id) == action
    assert [(line.event, line.at) for line in store.timeline(action.id)][-1] == ("found", at(20))
    assert [due.action_id for due in store.due(LATER)] == [action.id]


def test_of_two_who_store_the_same_turn_one_moves(store: Store) -> None:
    action = store.open(an_action(), None)
    first = Findings(turn=1, found=(a_found(),), ask_at=at(40))
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
        records.keep_findings(action, Findings(turn=1, found=(a_found(),), ask_at=at(40), sweep_at=at(340)))
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
    store.keep_findings(action, Findings(turn=1, found=(a_found(),), ask_at=at(40), sweep_at=at(340)))

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
    small = a_found(condition="command")

    records.keep_findings(action, Findings(turn=1, found=(a_found(memory={"left": names}), small)))

    kept = records.findings(action.id)
    assert kept is not None
    assert [found.memory for found in kept.found] == [{}, small.memory]
