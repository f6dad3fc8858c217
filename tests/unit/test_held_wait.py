"""What a wake-up carries of a wait, and what a record learns of it afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, an_action, at, hook_terms
from usher.core import configuration
from usher.core.action import Phase, Result, Transition
from usher.core.held_wait import HeldWait, first_waits, held_wait, is_of, with_heartbeats
from usher.core.notifications import LifecycleNotice
from usher.core.queue_messages import wait_of, wake_up_body

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.policy import Configuration

SHORT = hook_terms(heartbeat_timeout=timedelta(seconds=30))

moments = st.integers(0, 10_000).map(at)
waits = st.builds(
    HeldWait,
    **dict.fromkeys(("group", "hook", "instance_id", "chain"), st.text()),
    token=st.none() | st.text(),
    timeout_assumed=st.booleans(),
    timeout=st.integers(30, 7200).map(lambda seconds: timedelta(seconds=seconds)),
    lead=st.floats(0, 600).map(lambda seconds: timedelta(seconds=seconds)),
    due_at=moments,
    expires_at=moments,
    ends_at=moments,
    beaten_at=st.none() | moments,
    first_at=st.none() | moments,
    missed_at=st.none() | moments,
    links=st.integers(0, 1000),
    beats=st.integers(0, 1000),
)


def a_wait(action: Action | None = None) -> HeldWait:
    wait = held_wait(action or an_action(hook=SHORT), 1)
    assert wait is not None
    return wait


@given(waits)
def test_a_wait_comes_back_from_a_wake_up_as_it_went_in(wait: HeldWait) -> None:
    assert wait_of(json.loads(wake_up_body("action-1", 7, wait))) == wait


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"action_id": "a", "version": 1}, id="of an earlier release"),
        pytest.param({"action_id": "a", "version": 1, "wait": {"group": "g"}}, id="of another release"),
        pytest.param({"action_id": "a", "version": 1, "wait": None}, id="of none"),
        pytest.param({"action_id": "a", "version": 1, "wait": {"timeout": "x"}}, id="garbled"),
    ],
)  # fmt: skip
def test_a_wake_up_without_a_wait_that_is_understood_is_one_for_an_evaluation(said: dict[str, Any]) -> None:
    assert wait_of(said) is None


def test_a_field_of_a_later_release_is_passed_over() -> None:
    said = json.loads(wake_up_body("action-1", 7, a_wait()))
    said["wait"]["shoe_size"] = 44
    assert wait_of(said) == a_wait()


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(an_action(phase=Phase.COMPLETING, result=Result.CONTINUE), id="a result is decided"),
        pytest.param(an_action(policy=a_policy(mode="observe")), id="only observed"),
        pytest.param(an_action(paused_by="someone"), id="paused"),
        pytest.param(an_action(limit_at=at(60)), id="no heartbeat reaches beyond its limit"),
    ],
)
def test_nothing_is_held_from_the_wake_up_of(action: Action) -> None:
    assert held_wait(action, 1) is None


def test_the_two_wake_ups_of_an_evaluation_beat_one_after_the_other() -> None:
    action = an_action(hook=SHORT)
    first, second = held_wait(action, 1), held_wait(action, 2)
    assert first is not None
    assert second is not None
    assert (first.due_at, second.due_at) == (at(20), at(25))
    assert first.chain != second.chain


@given(st.integers(0, 40), st.integers(1, 30))
def test_a_chain_keeps_the_distance_of_its_beats(late_s: int, beats: int) -> None:
    wait = a_wait()
    for _ in range(beats):
        before = wait.due_at
        wait = wait.beaten(before + timedelta(seconds=late_s))
        assert wait.due_at - before == timedelta(seconds=20 + late_s)
    assert wait.beats == beats


def test_no_beat_goes_beyond_the_global_limit() -> None:
    wait = a_wait()
    while wait.needs_beats(wait.due_at):
        wait = wait.beaten(wait.due_at)
    assert wait.expires_at == wait.ends_at == at(3000)


def test_what_is_assumed_is_beaten_as_the_shortest_until_it_is_known() -> None:
    wait = a_wait(an_action(timeout_assumed=True))
    assert wait.beaten(at(10)).expires_at == at(40)
    known = wait.with_timeout(timedelta(minutes=10))
    assert (known.expires_at, known.due_at) == (at(600), at(550))
    assert known.beaten(at(550)).expires_at == at(1150)


# What the record learns


def test_the_record_learns_of_each_beat_and_counts_its_expiry_from_the_last() -> None:
    action = an_action(hook=SHORT)
    wait = a_wait(action).beaten(at(20)).beaten(at(40))
    after = with_heartbeats(action, wait, at(60))
    assert (after.heartbeats, after.beaten_at, after.expires_at) == (2, at(40), at(70))
    assert after.last_entry is not None
    assert (after.last_entry.event, after.last_entry.detail) == (
        "held",
        "2 heartbeats from 12:00:20Z to 12:00:40Z, without the table",
    )


def test_a_copy_tells_nothing_twice_and_the_other_chain_its_own() -> None:
    action = an_action(hook=SHORT)
    one = a_wait(action).beaten(at(20)).beaten(at(40))
    two = replace(a_wait(action), chain="other").beaten(at(25))
    after = with_heartbeats(with_heartbeats(action, one, at(60)), two, at(61))
    assert (after.heartbeats, after.beaten_at) == (3, at(40))
    assert with_heartbeats(after, one, at(62)) is after
    assert with_heartbeats(after, two, at(62)) is after
    more = with_heartbeats(after, one.beaten(at(60)), at(63))
    assert (more.heartbeats, more.beaten_at) == (4, at(60))


def test_a_beat_whose_store_failed_is_told_once() -> None:
    action = an_action(hook=SHORT)
    settled = replace(action, version=2, evaluation_id="evaluation-2", beaten_at=at(20))
    first, second = a_wait(settled), held_wait(settled, 2)
    assert second is not None
    after = with_heartbeats(action, first, at(40))
    assert (after.beaten_at, after.expires_at) == (at(20), at(50))
    assert with_heartbeats(after, second, at(41)) is after


def test_what_a_record_knows_is_told_nothing() -> None:
    action = an_action(hook=SHORT, beaten_at=at(20))
    assert with_heartbeats(action, a_wait(action), at(30)) is action


# What cannot be recorded


def a_notice(**changes: Any) -> LifecycleNotice:
    fields: dict[str, Any] = {
        "token": "token-1",
        "group": "web",
        "hook": "drain",
        "instance_id": "i-1",
        "transition": Transition.TERMINATING,
        "origin": None,
        "destination": None,
        "at": at(0),
        "channel": "sqs",
    }
    return LifecycleNotice(**{**fields, **changes})


def a_file(mode: str = "enforce") -> Configuration:
    hook = {"name": "drain", "group": "web", "transition": "terminating", "policy": "p"}
    policies = {"p": {"until": [{"signal": "done"}], "mode": mode}}
    return configuration.parse({"version": 1, "policies": policies, "hooks": [hook]})


def test_a_notice_of_a_hook_of_the_file_is_held_by_two_chains() -> None:
    first, second = first_waits(a_file(), a_notice(), at(1))
    assert (first.chain, second.chain) == ("token-1/1", "token-1/2")
    assert first.expires_at == second.expires_at == at(30)
    assert at(1) <= first.due_at <= second.due_at < at(30)


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        pytest.param("enforce", {"hook": "another"}, id="of no hook of the file"),
        pytest.param("enforce", {"channel": "eventbridge"}, id="a copy on the bus"),
        pytest.param("observe", {}, id="only observed"),
    ],
)
def test_no_other_notice_is_held(mode: str, changes: dict[str, Any]) -> None:
    assert first_waits(a_file(mode), a_notice(**changes), at(1)) == []


@pytest.mark.parametrize(
    ("beaten_at", "closed_at", "expected"),
    [
        pytest.param(None, None, True, id="no heartbeat yet"),
        pytest.param(20, None, True, id="a heartbeat after its start"),
        pytest.param(-20, None, False, id="a heartbeat before its start: of another life"),
        pytest.param(20, 30, True, id="closed after the heartbeat"),
        pytest.param(20, 10, False, id="closed before the heartbeat: of another wait"),
        pytest.param(None, 10, True, id="closed, and no heartbeat yet"),
    ],
)
def test_the_record_of_a_wait_is_that_of_the_time_of_its_heartbeat(
    beaten_at: int | None, closed_at: int | None, expected: bool
) -> None:
    action = an_action(hook=SHORT)
    wait = replace(a_wait(action), beaten_at=None if beaten_at is None else at(beaten_at))
    closed: dict[str, Any] = (
        {} if closed_at is None else {"closed_at": at(closed_at), "phase": Phase.CLOSED, "evaluate_at": None}
    )
    assert is_of(wait, replace(action, **closed)) is expected


def test_the_record_of_another_instance_is_not_that_of_a_wait() -> None:
    assert not is_of(a_wait(), an_action(hook=SHORT, instance_id="i-2"))
