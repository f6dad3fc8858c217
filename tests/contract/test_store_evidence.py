"""What every Store promises of signals, ends of activities, pauses and test messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from tests.contract.stores import INSTANCE, TOKEN, a_test, after, closed, heard_ids, opened
from tests.factories import a_signal, an_action, an_activity_end, at
from usher.core import evidence
from usher.core.action import OperatorNote, Status
from usher.core.evidence import Kept

if TYPE_CHECKING:
    from tests.contract.dynamodb import Clock
    from usher.aws.records import RecordTable
    from usher.ports.records import Store
    from usher_simulator.fakes.memory_store import MemoryStore

    PausingStore: TypeAlias = MemoryStore | RecordTable


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


def test_a_signal_is_heard_by_every_action_of_its_instance_and_again_by_each_evaluation(store: Store) -> None:
    one = opened(store)
    other = opened(store, id="action-2", token="o" * 36)
    store.keep_signal(a_signal(at=at(0)))

    store.save(closed(after(one)))

    assert heard_ids(store, one) == ["event-1"]
    assert heard_ids(store, other) == ["event-1"]


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
    assert heard_ids(store, an_action(token="o" * 36)) == [
        "both",
        "instance",
    ]  # for the evaluation to tell apart


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


def test_the_newest_order_to_release_an_instance_is_heard_by_its_actions(store: Store, clock: Clock) -> None:
    first = OperatorNote(who="arn:ann", at=at(1), reason="looked into")
    second = OperatorNote(who="arn:bob", at=at(60), reason="again")
    store.keep_release(INSTANCE, first)
    action = opened(store)
    assert store.evidence(action).release == first
    store.keep_release(INSTANCE, second)
    assert store.evidence(action).release == second
    assert store.evidence(replace(action, instance_id="i-1")).release is None
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
