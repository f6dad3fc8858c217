"""What stands on a group counts for an action, as soon as it is known; until then only beats go by less."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_policy, an_action, at, fill, hook_terms
from tests.unit.test_reconcile import a_hook
from usher.core import hook_timeouts
from usher.core.action import Outcome, Phase, Result, Transition
from usher.core.decide import Heartbeat, Wait, decide
from usher.core.hook_items import Enrolled, Former, HookSettings
from usher.core.hook_timeouts import COUNTS_FOR, Described
from usher.core.ownership import Terms
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.wake_ups import wake_up_times
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action

HOUR = timedelta(hours=1)
HALF_A_MINUTE = timedelta(seconds=30)


def assumed(**changes: object) -> Action:
    """An action of a one-hour hook that nobody has seen standing yet."""
    return an_action(timeout_assumed=True, **changes)


def seen(seconds: float, timeout: timedelta | None) -> Described:
    timeouts = {} if timeout is None else {"usher-drain": timeout}
    return Described(at=at(seconds), timeouts=timeouts)


DAY_S = COUNTS_FOR.total_seconds()


@pytest.mark.parametrize(
    ("described", "now_s", "timeout"),
    [
        pytest.param(None, 1, None, id="nothing is described"),
        pytest.param(seen(0, HOUR), 1, HOUR, id="after the start, as configured"),
        pytest.param(seen(0, HALF_A_MINUTE), 1, HALF_A_MINUTE, id="after the start, less"),
        pytest.param(seen(0, 2 * HOUR), 1, HOUR, id="after the start, more: a raise lengthens nothing"),
        pytest.param(seen(0, None), 1, HOUR, id="after the start, the hook is gone"),
        pytest.param(seen(-1, HOUR), 1, HOUR, id="before the start, as configured"),
        pytest.param(seen(-1, HALF_A_MINUTE), 1, None, id="before the start, less: it may have been raised"),
        pytest.param(seen(-1, None), 1, None, id="before the start, the hook was not there"),
        pytest.param(seen(-1, HOUR), DAY_S - 1, HOUR, id="a day old"),
        pytest.param(seen(-1, HOUR), DAY_S - 0.999, None, id="more than a day old"),
    ],
)
def test_a_timeout_is_known_by_a_describe_after_the_start_or_one_that_agrees(
    described: Described | None, now_s: float, timeout: timedelta | None
) -> None:
    known = hook_timeouts.known(assumed(), described, at(now_s))
    assert (known and known.hook.heartbeat_timeout) == timeout
    assert known is None or not known.timeout_assumed


def test_what_is_assumed_makes_beats_early_and_nothing_else() -> None:
    action, configured = assumed(), an_action()
    assert action.heartbeat_by == at(30)
    for moment in ("expires_at", "give_up_at", "decide_by", "ends_at"):
        assert getattr(action, moment) == getattr(configured, moment), moment
    assert isinstance(decide(action, at(19)), Wait)
    assert isinstance(decide(action, at(20)), Heartbeat)


def test_a_hook_of_half_a_minute_loses_nothing_by_what_is_assumed() -> None:
    terms = hook_terms(heartbeat_timeout=HALF_A_MINUTE)
    assert assumed(hook=terms).heartbeat_by == an_action(hook=terms).expires_at


def test_an_accepted_beat_lets_the_assumed_expiry_begin_anew() -> None:
    assert assumed(beaten_at=at(20), heartbeats=1).heartbeat_by == at(50)


def test_while_a_timeout_is_assumed_its_group_is_asked_for_again_within_seconds() -> None:
    assert decide(assumed(), at(1)).evaluate_at == at(9)
    assert decide(an_action(policy=a_policy()), at(1)).evaluate_at > at(60)


def test_an_assumed_expiry_has_wake_ups_of_its_own() -> None:
    action = assumed(evaluate_at=at(20))
    assert wake_up_times(action, at(1)) == [at(20), at(25)]


def test_where_the_shortest_timeout_has_passed_the_configured_one_has_wake_ups_of_its_own() -> None:
    """Seed 130: a message came late, its first evaluation failed, and nothing else woke the action."""
    terms = hook_terms(heartbeat_timeout=timedelta(minutes=1))
    action = assumed(hook=terms, evaluate_at=at(34))
    assert wake_up_times(action, at(34)) == [at(34), at(47)]


@pytest.mark.parametrize("timeout_s", [31, 40, 45, 60])
def test_a_heartbeat_that_found_no_room_is_tried_again_before_the_configured_expiry(timeout_s: int) -> None:
    """Seed 437: over budget, the shortest timeout had passed, and the next try lay after 45 seconds."""
    action = assumed(hook=hook_terms(heartbeat_timeout=timedelta(seconds=timeout_s)))
    for now_s in range(20, timeout_s - 1):
        assert decide(action, at(now_s)).evaluate_at < at(timeout_s), now_s


class TestTurns:
    """Known expiries go before assumed ones."""

    def turns(self) -> CallBudget:
        self.budget = MemoryBudget(1)
        return CallBudget(budget=self.budget, telemetry=Recorder())

    def test_an_assumed_expiry_books_no_second_ahead(self) -> None:
        assert self.turns().reserve_heartbeat(assumed(), at(1)).booked_at is None

    def test_an_assumed_beat_goes_where_there_is_room(self) -> None:
        assert self.turns().acquire(assumed(), at(20), completes=False)[1]

    @pytest.mark.parametrize(("now_s", "goes"), [(20, False), (29, False), (3590, True)])
    def test_without_room_it_goes_only_at_the_expiry_that_is_configured(
        self, now_s: float, goes: bool
    ) -> None:
        turns = self.turns()
        fill(self.budget, 0, 3700)
        assert turns.acquire(assumed(), at(now_s), completes=False)[1] is goes

    def test_a_result_is_no_beat(self) -> None:
        action, goes = self.turns().acquire(assumed(), at(20), completes=True)
        assert (action.booked_at, goes) == (at(20), True)


@pytest.mark.parametrize(
    ("now", "ends_at"),
    [
        pytest.param(at(60), at(3000), id="the new limit may end it"),
        pytest.param(at(3001), at(48 * 3600), id="it waits beyond the new limit"),
    ],
)
def test_of_two_heartbeat_timeouts_the_smaller_counts(now: datetime, ends_at: datetime) -> None:
    action = an_action(booked_at=at(3300))
    after = hook_timeouts.shortened(action, timedelta(seconds=30), now)
    assert after.hook.heartbeat_timeout == timedelta(seconds=30)
    assert (after.ends_at, after.booked_at, after.evaluate_at) == (ends_at, None, now)
    assert hook_timeouts.shortened(action, 2 * HOUR, now) is action


@pytest.mark.parametrize(("phase", "is_shorter"), [(Phase.COMPLETING, True), (Phase.CLOSED, False)])
def test_a_smaller_timeout_counts_for_what_is_being_completed_and_not_for_what_is_closed(
    phase: Phase, is_shorter: bool
) -> None:
    """Its result was tried again an hour apart, as by the file, while a minute stood."""
    is_closed = phase is Phase.CLOSED
    ended = {"outcome": Outcome.COMPLETED, "closed_at": at(5), "evaluate_at": None} if is_closed else {}
    action = an_action(phase=phase, result=Result.CONTINUE, **ended)
    after = hook_timeouts.shortened(action, timedelta(seconds=30), at(60))
    assert (after.hook.heartbeat_timeout == timedelta(seconds=30)) == is_shorter


def an_item(timeout: timedelta, **changes: Any) -> Enrolled:
    """The item of `usher-drain`, seen standing with that timeout just now."""
    fields: dict[str, Any] = {
        "group": "workers-1",
        "group_arn": "arn:1",
        "hook": "usher-drain",
        "settings": settings(timeout),
        "source": "",
        "put_at": at(-3600),
        "seen_at": at(0),
    }
    return Enrolled(**{**fields, **changes})


def settings(timeout: timedelta) -> HookSettings:
    return HookSettings(
        transition=Transition.TERMINATING, heartbeat_timeout=timeout, default_result=Result.ABANDON
    )


RAISED = (Former(heartbeat_timeout=HALF_A_MINUTE, until=at(-60)),)


@pytest.mark.parametrize(
    ("item", "started_s", "told"),
    [
        pytest.param(None, 0, (HOUR, False), id="someone else put it"),
        pytest.param(an_item(HOUR), 0, (HOUR, True), id="seen standing as the file has it"),
        pytest.param(an_item(HOUR, seen_at=None), 0, (HOUR, False), id="put, and not seen yet"),
        pytest.param(an_item(HOUR, seen_at=at(-DAY_S)), 0, (HOUR, True), id="seen a day ago"),
        pytest.param(an_item(HOUR, seen_at=at(-DAY_S - 1)), 0, (HOUR, False), id="seen before that"),
        pytest.param(an_item(HALF_A_MINUTE), 0, (HALF_A_MINUTE, False), id="raised in the file, not put yet"),
        pytest.param(an_item(2 * HOUR), 0, (HOUR, False), id="lowered in the file, not put yet"),
        pytest.param(
            an_item(HOUR, before=settings(HALF_A_MINUTE)), 0, (HALF_A_MINUTE, False), id="being put"
        ),
        pytest.param(an_item(HOUR, former=RAISED), 0, (HALF_A_MINUTE, False), id="raised a minute ago"),
        pytest.param(an_item(HOUR, former=RAISED), 1, (HOUR, True), id="raised more than a minute ago"),
    ],
)
def test_of_all_timeouts_that_may_have_stood_when_an_action_began_the_smallest_counts(
    item: Enrolled | None, started_s: float, told: tuple[timedelta, bool]
) -> None:
    assert Terms(hook=a_hook(), item=item).heartbeat_timeout(at(started_s), at(0)) == told
