from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from usher.core.action import Action, Entry, Phase, Result

if TYPE_CHECKING:
    from collections.abc import Callable

NAIVE = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - what must be refused


@pytest.mark.parametrize(
    ("factory", "field"),
    [
        pytest.param(a_signal, "at", id="Signal.at"),
        pytest.param(an_activity_end, "started_at", id="ActivityEnd.started_at"),
        pytest.param(an_activity_end, "ended_at", id="ActivityEnd.ended_at"),
        *(
            pytest.param(an_action, field, id=f"Action.{field}")
            for field in (
                "started_at",
                "first_seen_at",
                "evaluate_at",
                "closed_at",
                "beaten_at",
                "progress_at",
            )
        ),
    ],
)
def test_a_moment_without_a_time_zone_is_refused(factory: Callable[..., object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field} must carry a time zone, got 2026-03-01T12:00:00$"):
        factory(**{field: NAIVE})


def test_a_signal_that_names_neither_instance_nor_token_is_refused() -> None:
    with pytest.raises(ValueError, match="names an instance_id or a token, got neither"):
        a_signal(instance_id=None, token=None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param(
            {"evaluate_at": None},
            "evaluate_at is absent exactly when closed, got open and None",
            id="open, no evaluation",
        ),
        pytest.param(
            {"phase": Phase.COMPLETING, "result": Result.CONTINUE, "evaluate_at": None},
            "evaluate_at is absent exactly when closed, got completing and None",
            id="completing, no evaluation",
        ),
        pytest.param(
            {"phase": Phase.CLOSED},
            "evaluate_at is absent exactly when closed, got closed and 2026-03-01",
            id="closed, with an evaluation",
        ),
        pytest.param(
            {"phase": Phase.COMPLETING},
            "result must be set while completing, got None",
            id="completing, without a result",
        ),
    ],
)
def test_an_action_that_contradicts_itself_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        an_action(**changes)


def test_nor_can_a_change_make_one() -> None:
    with pytest.raises(ValueError, match="evaluate_at is absent exactly when closed"):
        replace(an_action(), phase=Phase.CLOSED)
    with pytest.raises(FrozenInstanceError):
        an_action().evaluate_at = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("timeout", "beaten_at", "expires_at", "ends_at"),
    [
        pytest.param(30, None, 30, 3_000, id="a period after the start"),
        pytest.param(30, 20, 50, 3_000, id="a period after the last beat: it restarts, it does not add"),
        pytest.param(30, 2_970, 3_000, 3_000, id="exactly to the global timeout"),
        pytest.param(30, 2_980, 3_000, 3_000, id="not past the global timeout"),
        pytest.param(3600, None, 3600, 172_800, id="a period of an hour"),
        pytest.param(7200, 172_000, 172_800, 172_800, id="not past 48 hours"),
    ],
)
def test_an_action_expires(timeout: int, beaten_at: float | None, expires_at: float, ends_at: float) -> None:
    action = an_action(
        hook=hook_terms(heartbeat_timeout=timedelta(seconds=timeout)),
        beaten_at=None if beaten_at is None else at(beaten_at),
    )

    assert (action.expires_at, action.ends_at) == (at(expires_at), at(ends_at))


@pytest.mark.parametrize(
    ("timeout", "parts", "give_up_at"),
    [
        pytest.param(3600, {"give_up_after": "45m"}, 2700, id="as its policy says"),
        pytest.param(3600, {}, 172_200, id="10 minutes before 48 h"),
        pytest.param(30, {}, 2850, id="5 % before 3,000 s"),
        pytest.param(30, {"give_up_after": "50m"}, 2990, id="a margin before the limit"),
    ],
)
def test_the_patience_with_an_action_ends(timeout: int, parts: dict[str, Any], give_up_at: float) -> None:
    terms = hook_terms(heartbeat_timeout=timedelta(seconds=timeout))

    assert an_action(hook=terms, policy=a_policy(**parts)).give_up_at == at(give_up_at)


@given(st.integers(30, 7200), st.none() | st.integers(1, 172_800))
def test_patience_always_ends_before_the_global_timeout(timeout: int, give_up_after: int | None) -> None:
    parts: dict[str, Any] = {} if give_up_after is None else {"give_up_after": f"{give_up_after}s"}
    action = an_action(
        hook=hook_terms(heartbeat_timeout=timedelta(seconds=timeout)), policy=a_policy(**parts)
    )

    assert action.started_at < action.give_up_at <= action.ends_at - timedelta(seconds=10)


def lines(action: Action) -> list[tuple[int, str, int]]:
    return [(line.number, line.detail, line.count) for line in action.recent]


def test_the_first_line_of_a_timeline_has_number_one() -> None:
    action = an_action().noted(at(1), "wait", "waits: no signal")

    line = Entry(number=1, at=at(1), event="wait", detail="waits: no signal", last_at=at(1))
    assert (action.last_entry, action.recent) == (line, (line,))


def test_equal_consecutive_lines_are_one_with_first_last_and_count() -> None:
    action = an_action()
    for second in (1, 11, 21):
        action = action.noted(at(second), "wait", "waits: no signal")

    line = Entry(number=1, at=at(1), event="wait", detail="waits: no signal", last_at=at(21), count=3)
    assert (action.last_entry, action.recent) == (line, (line,))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("wait", "waits: 2 of 7"), id="another detail"),
        pytest.param(("heartbeat", "waits: 1 of 7"), id="another event"),
    ],
)
def test_a_different_line_stands_for_itself_and_parts_equal_ones(other: tuple[str, str]) -> None:
    action = an_action().noted(at(1), "wait", "waits: 1 of 7").noted(at(2), *other)
    action = action.noted(at(3), "wait", "waits: 1 of 7")

    assert lines(action) == [(1, "waits: 1 of 7", 1), (2, other[1], 1), (3, "waits: 1 of 7", 1)]


def test_a_line_that_is_an_item_already_is_recent_again_once_it_counts_on() -> None:
    stored = replace(an_action().noted(at(1), "notified", "by sqs").noted(at(2), "wait", "waits"), recent=())

    again = stored.noted(at(12), "wait", "waits").noted(at(22), "wait", "waits")
    other = stored.noted(at(12), "signal", "done")

    assert lines(again) == [(2, "waits", 3)]
    assert lines(other) == [(3, "done", 1)]


@given(st.lists(st.tuples(st.sampled_from(["wait", "heartbeat"]), st.sampled_from(["a", "b"])), max_size=8))
def test_the_timeline_tells_all_that_was_noted(noted: list[tuple[str, str]]) -> None:
    action = an_action()
    for second, (event, detail) in enumerate(noted):
        action = action.noted(at(second), event, detail)

    told = [(line.event, line.detail) for line in action.recent for _ in range(line.count)]
    assert told == noted
    assert [line.number for line in action.recent] == list(range(1, len(action.recent) + 1))
    assert action.last_entry == (action.recent[-1] if noted else None)
