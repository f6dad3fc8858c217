from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_finding, a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from usher.core import evidence
from usher.core.action import Action, ActivityEnd, OperatorNote, Phase, Result, Signal, Status, Transition
from usher.core.conditions.probe import Probe
from usher.core.evidence import (
    Kept,
    ends,
    fits,
    needs_evaluation,
    received,
    signals_since,
    with_earlier_wait,
    with_move_ends,
    with_release,
    with_signals,
)

if TYPE_CHECKING:
    from usher.core.policy import Policy


TOKEN = "c613620e-07e2-4ed2-a9e2-ef8258911ade"
STALLING = a_policy(stalled_after="10m")
TWO_SIGNALS = a_policy([{"signal": "jobs-finished"}, {"signal": "drained"}], stalled_after="10m")


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        pytest.param({}, True, id="of its instance"),
        pytest.param({"instance_id": "i-0other"}, False, id="of another instance"),
        pytest.param({"instance_id": None, "token": TOKEN}, True, id="of its token"),
        pytest.param({"instance_id": None, "token": "another"}, False, id="of another token"),
        pytest.param({"instance_id": None, "token": TOKEN.upper()}, False, id="of its token in capitals"),
        pytest.param({"token": "another"}, False, id="of its instance, but another token"),
        pytest.param({"instance_id": "i-0other", "token": TOKEN}, True, id="its token is the key"),
        pytest.param({"at": at(0)}, True, id="as it began"),
        pytest.param({"at": at(-60)}, True, id="60 s before it began"),
        pytest.param({"at": at(-61)}, False, id="61 s before it began"),
        pytest.param({"at": at(-61), "token": TOKEN}, True, id="61 s before, with its token"),
        pytest.param({"status": Status.FAILED}, True, id="failed"),
        pytest.param({"status": Status.PROGRESS}, True, id="progress of what it waits for"),
        pytest.param({"name": "lunch"}, False, id="of a name that no action waits for"),
        pytest.param({"name": "Jobs-Finished"}, False, id="of a name in another case"),
        pytest.param({"name": "lunch", "status": Status.PROGRESS}, False, id="progress that nobody counts"),
    ],
)
def test_a_signal_counts_for_an_action(signal: dict[str, Any], *, expected: bool) -> None:
    assert fits(a_signal(**signal), an_action()) is expected


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        pytest.param({"name": "lunch", "status": Status.PROGRESS}, True, id="progress of any name"),
        pytest.param({"name": "lunch"}, False, id="done, of a name that no action waits for"),
        pytest.param({"name": "lunch", "status": Status.FAILED}, False, id="failed, likewise"),
        pytest.param({}, True, id="done, of what it waits for"),
    ],
)
def test_where_progress_is_awaited_a_signal_counts(signal: dict[str, Any], *, expected: bool) -> None:
    assert fits(a_signal(**signal), an_action(policy=STALLING)) is expected


def test_for_an_adopted_action_a_signal_by_token_counts_by_its_instance() -> None:
    adopted = an_action(token=None)

    assert fits(a_signal(), adopted)
    assert fits(a_signal(token=TOKEN), adopted)
    assert not fits(a_signal(token=TOKEN, at=at(-61)), adopted)
    assert not fits(a_signal(token=TOKEN, instance_id="i-0other"), adopted)
    assert not fits(a_signal(token=TOKEN, instance_id=None), adopted)


def test_a_signal_is_kept_in_the_action_and_told_in_its_timeline() -> None:
    """And it is progress: of two that an action waits for, the first one done shows that it does not hang."""
    heard = with_signals(an_action(), [a_signal(message="12 jobs")], at(61))

    assert heard.signals == (a_signal(message="12 jobs"),)
    assert heard.progress_at == at(60)
    assert [(line.at, line.event, line.detail) for line in heard.recent] == [
        (at(61), "signal", "jobs-finished done: 12 jobs")
    ]


def test_silence_changes_nothing() -> None:
    action = an_action()

    assert with_signals(action, [], at(60)) is action
    assert with_move_ends(action, [], at(60)) is action


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param(("a", 60), ("b", 61), "b", id="the later one"),
        pytest.param(("a", 61), ("b", 60), "a", id="the later one, although it comes first"),
        pytest.param(("a", 60), ("b", 60), "b", id="at one time the greater id"),
        pytest.param(("b", 60), ("a", 60), "b", id="at one time the greater id, although it comes first"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["in one evaluation", "in two evaluations"])
def test_of_two_signals_with_one_name_wins(
    first: tuple[str, int], second: tuple[str, int], winner: str, *, together: bool
) -> None:
    one, two = (a_signal(event_id=event_id, at=at(seconds)) for event_id, seconds in (first, second))

    evaluations = [[one, two]] if together else [[one], [two]]
    action = an_action()
    for heard in evaluations:
        action = with_signals(action, heard, at(70))

    assert [signal.event_id for signal in action.signals] == [winner]


def test_signals_of_several_names_stand_side_by_side() -> None:
    drained = a_signal(event_id="event-2", name="drained", status=Status.FAILED)

    heard = with_signals(an_action(policy=TWO_SIGNALS), [drained, a_signal()], at(60))

    assert set(heard.signals) == {drained, a_signal()}


@pytest.mark.parametrize(
    ("known", "heard", "expected"),
    [
        pytest.param(None, 60, 60, id="the first"),
        pytest.param(60, 90, 90, id="a later one"),
        pytest.param(90, 60, 90, id="an earlier one that comes late"),
    ],
)
def test_progress_counts_from_the_latest_signal(known: float | None, heard: float, expected: float) -> None:
    progress_at = None if known is None else at(known)
    signal = a_signal(name="lunch", status=Status.PROGRESS, at=at(heard))

    action = with_signals(an_action(policy=STALLING, progress_at=progress_at), [signal], at(100))

    assert action.progress_at == at(expected)
    assert action.signals == ()


def test_progress_of_what_it_waits_for_is_both_progress_and_the_last_word() -> None:
    signal = a_signal(status=Status.PROGRESS)

    action = with_signals(an_action(policy=STALLING), [signal], at(60))

    assert (action.progress_at, action.signals) == (signal.at, (signal,))


signals = st.builds(
    a_signal,
    event_id=st.text("abc", min_size=1, max_size=3),
    at=st.integers(-60, 60).map(at),
    name=st.sampled_from(["jobs-finished", "drained", "lunch"]),
    status=st.sampled_from(Status),
)
batches = st.lists(signals, max_size=6, unique_by=lambda signal: signal.event_id)


orders = batches.flatmap(lambda heard: st.tuples(st.just(heard), st.permutations(heard)))


@given(orders)
def test_the_order_in_which_signals_arrive_does_not_matter(orders: tuple[list[Signal], list[Signal]]) -> None:
    action = an_action(policy=TWO_SIGNALS)

    one, other = (with_signals(action, heard, at(60)) for heard in orders)
    assert one == other
    assert with_signals(one, orders[1], at(99)) is one  # and heard again they change nothing


@given(orders, st.integers(0, 6))
def test_nor_does_it_matter_in_how_many_evaluations(
    orders: tuple[list[Signal], list[Signal]], cut: int
) -> None:
    heard, shuffled = orders
    action = an_action(policy=TWO_SIGNALS)

    at_once = with_signals(action, heard, at(60))
    in_two = with_signals(with_signals(action, shuffled[:cut], at(60)), shuffled[cut:], at(60))

    assert set(in_two.signals) == set(at_once.signals)
    assert in_two.progress_at == at_once.progress_at


@given(batches)
def test_the_last_by_event_time_is_what_counts(heard: list[Signal]) -> None:
    action = with_signals(an_action(policy=TWO_SIGNALS), heard, at(60))

    for name in ("jobs-finished", "drained"):
        of_name = [signal for signal in heard if signal.name == name]
        ranks = ("progress", "done", "failed")
        last = sorted(of_name, key=lambda one: (one.at, ranks.index(one.status), one.event_id))[-1:]
        assert [signal for signal in action.signals if signal.name == name] == last
    assert action.progress_at == max((signal.at for signal in heard), default=None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="of its own move"),
        pytest.param({"group": "workers-2"}, False, id="of another group"),
        pytest.param({"instance_id": "i-0other"}, False, id="of another instance"),
        pytest.param({"transition": Transition.LAUNCHING}, False, id="of the other transition"),
        pytest.param({"origin": "WarmPool"}, False, id="from another place"),
        pytest.param({"destination": "WarmPool"}, False, id="to another place"),
        pytest.param({"origin": None}, True, id="which does not tell its origin"),
        pytest.param({"destination": None}, True, id="which does not tell its destination"),
        pytest.param({"origin": None, "destination": "WarmPool"}, False, id="one place unknown, one other"),
        pytest.param({"started_at": None}, True, id="which does not tell its start"),
        pytest.param({"started_at": at(0)}, True, id="which began with the wait"),
        pytest.param({"started_at": at(2)}, True, id="which began 2 s after the wait, by its clock"),
        pytest.param({"started_at": at(3)}, False, id="which began 3 s after the wait"),
        pytest.param({"started_at": at(-7200)}, True, id="which began long before the wait"),
        pytest.param({"ended_at": at(0)}, True, id="which ended as the wait began"),
        pytest.param({"ended_at": at(-2)}, True, id="which ended 2 s before, by its clock"),
        pytest.param({"ended_at": at(-3)}, False, id="which ended 3 s before: an earlier move"),
        pytest.param({"started_at": None, "ended_at": at(-3)}, False, id="an earlier move without a start"),
    ],
)
def test_an_outcome_event_ends_an_action(changes: dict[str, Any], *, expected: bool) -> None:
    assert ends(an_activity_end(**changes), an_action()) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"origin": None, "destination": None}, True, id="without places, as adopted"),
        pytest.param({"origin": "EC2"}, False, id="with another origin"),
    ],
)
def test_an_action_is_ended_by_an_outcome_event(changes: dict[str, Any], *, expected: bool) -> None:
    assert ends(an_activity_end(), an_action(**changes)) is expected


def test_an_outcome_event_is_kept_in_the_action_and_told_in_its_timeline() -> None:
    heard = with_move_ends(an_action(), [an_activity_end()], at(125))

    assert heard.activity_end == an_activity_end()
    assert [(line.at, line.event, line.detail) for line in heard.recent] == [
        (at(125), "outcome", "EC2 Instance Terminate Successful")
    ]


END = an_activity_end()
EARLIER = an_activity_end(
    activity_id="earlier", ended_at=at(60), detail="EC2 Instance Terminate Unsuccessful"
)


@pytest.mark.parametrize(
    ("action", "heard", "expected"),
    [
        pytest.param(an_action(), [EARLIER, END], END, id="the newest of several"),
        pytest.param(an_action(), [END, EARLIER], END, id="the newest, in any order"),
        pytest.param(an_action(activity_end=EARLIER), [END], END, id="a newer one than is known"),
        pytest.param(an_action(activity_end=END), [EARLIER], END, id="the known one where it is newer"),
        pytest.param(an_action(), [an_activity_end(group="workers-2")], None, id="none of another group"),
        pytest.param(
            an_action(heartbeats=1, beaten_at=at(120)), [END], None, id="none that a beat disproves"
        ),
        pytest.param(an_action(heartbeats=1, beaten_at=at(119)), [END], END, id="one after the beat"),
        pytest.param(
            an_action(heartbeats=1, beaten_at=at(90)), [EARLIER, END], END, id="only what is after the beat"
        ),
        pytest.param(an_action(beaten_at=at(180)), [END], END, id="one before a beat that was only observed"),
    ],
)
def test_an_action_keeps_of_the_outcome_events(
    action: Action, heard: list[ActivityEnd], expected: ActivityEnd | None
) -> None:
    assert with_move_ends(action, heard, at(200)).activity_end == expected


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(an_action(activity_end=an_activity_end()), id="known"),
        pytest.param(an_action(heartbeats=1, beaten_at=at(120)), id="disproved"),
        pytest.param(an_action(instance_id="i-0other"), id="of another instance"),
    ],
)
def test_an_outcome_event_that_tells_nothing_new_leaves_the_action_as_it_is(action: Action) -> None:
    assert with_move_ends(action, [an_activity_end()], at(200)) is action


@given(st.permutations(range(0, 160, 20)), st.integers(0, 8))
def test_the_order_in_which_outcome_events_arrive_does_not_matter(ended: list[int], count: int) -> None:
    heard = [an_activity_end(ended_at=at(seconds), detail=f"ended at {seconds}") for seconds in ended[:count]]
    action = an_action(heartbeats=1, beaten_at=at(60))

    kept = with_move_ends(action, heard, at(200))

    after_the_beat = [end for end in heard if end.ended_at > at(60)]
    assert kept == with_move_ends(action, heard[::-1], at(200))
    assert kept.activity_end == max(after_the_beat, key=lambda end: end.ended_at, default=None)


@pytest.mark.parametrize(
    ("sent", "counts"),
    [
        pytest.param(-3600, -3600, id="late"),
        pytest.param(60, 60, id="by a clock that is a minute ahead"),
        pytest.param(61, 0, id="further ahead: as of its receipt"),
    ],
)
def test_a_signal_counts_as_of_its_time(sent: float, counts: float) -> None:
    assert received(a_signal(at=at(sent)), at(0)).at == at(counts)


BEFORE: Final = an_action(id="before", started_at=at(-500), evaluate_at=at(-490))


def closed(action: Action, when: float) -> Action:
    return replace(action, phase=Phase.CLOSED, evaluate_at=None, closed_at=at(when))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([], None, id="nobody waited before: a minute before its start"),
        pytest.param([closed(BEFORE, -60.000001)], -60.000001, id="the one before ended long ago"),
        pytest.param([closed(BEFORE, -20)], -20, id="the one before ended less than a minute ago"),
        pytest.param([closed(BEFORE, 20)], 0, id="it is told to have ended after this start"),
        pytest.param([BEFORE], 0, id="nobody knows whether it has ended"),
        pytest.param([closed(BEFORE, -20), replace(BEFORE, started_at=at(-900))], -20, id="the last of two"),
        pytest.param([replace(BEFORE, hook=hook_terms(name="other"))], None, id="in another hook"),
        pytest.param([replace(BEFORE, hook=hook_terms(group="other"))], None, id="in another group"),
        pytest.param([replace(BEFORE, started_at=at(5))], None, id="one that began later"),
    ],
)
def test_what_ended_one_life_of_an_instance_does_not_end_the_next(
    others: list[Action], expected: float | None
) -> None:
    action = an_action()

    since = signals_since(action, others)

    assert since == (None if expected is None else at(expected) + timedelta.resolution)
    action = replace(action, signals_since=since)
    first = at(-60) if since is None else since
    assert fits(a_signal(at=first), action)
    assert not fits(a_signal(at=first - timedelta.resolution), action)


def test_what_an_earlier_wait_was_told_counts_no_more_once_that_wait_is_known() -> None:
    by_token = a_signal(event_id="2", at=at(-10), token=an_action().token)
    action = an_action(signals=(a_signal(event_id="1", at=at(-20)), by_token))
    earlier = an_action(id="earlier", token="e" * 36, started_at=at(-30))
    after = with_earlier_wait(action, earlier)

    assert after.signals == (by_token,)
    assert after.signals_since == action.started_at + timedelta.resolution
    assert with_earlier_wait(after, earlier) is after
    decided = replace(action, phase=Phase.COMPLETING, result=Result.CONTINUE)
    assert with_earlier_wait(decided, earlier) is decided


def test_an_adopted_action_keeps_the_earlier_start_that_its_activity_tells() -> None:
    adopted = an_action(signals_since=at(-900))

    assert signals_since(adopted, []) == at(-900)
    assert signals_since(adopted, [closed(BEFORE, -400)]) == at(-400) + timedelta.resolution


DUE, LATER = {"evaluate_at": at(60)}, {"evaluate_at": at(600)}
SAID = an_action().noted(at(30), "wait", "no signal")
PROGRESS = {"status": Status.PROGRESS}


@pytest.mark.parametrize(
    ("action", "signal", "change", "expected"),
    [
        pytest.param(LATER, {}, Kept.NEWS, True, id="done"),
        pytest.param(LATER, {}, Kept.REPEATED, True, id="done again, which no evaluation has read yet"),
        pytest.param(DUE, {}, Kept.NEWS, True, id="done: an evaluation that is under way may have missed it"),
        pytest.param(DUE, {}, Kept.REPEATED, False, id="done again, and an evaluation is due"),
        pytest.param(LATER | {"signals": (a_signal(),)}, {}, Kept.NEWS, False, id="done, as it is known"),
        pytest.param(
            LATER | {"signals": (a_signal(status=Status.FAILED),)}, {}, Kept.NEWS, True, id="a change"
        ),
        pytest.param(LATER, PROGRESS, Kept.NEWS, False, id="progress within a minute"),
        pytest.param(
            LATER | {"signals": (a_signal(at=at(40)),)}, PROGRESS | {"event_id": "event-2"}, Kept.NEWS, True,
            id="progress takes back what was done: seed 6142",
        ),
        pytest.param(
            LATER | {"signals": (a_signal(),)}, PROGRESS | {"event_id": "event-2", "at": at(40)}, Kept.NEWS,
            False, id="progress of before it was done",
        ),
        pytest.param(
            LATER | {"last_entry": replace(SAID.recent[0], last_at=at(-1))}, PROGRESS, Kept.NEWS, True,
            id="progress after a minute",
        ),
        pytest.param(
            DUE | {"last_entry": replace(SAID.recent[0], last_at=at(-1))}, PROGRESS, Kept.NEWS, False,
            id="progress, and an evaluation is due",
        ),
        pytest.param(LATER | {"last_entry": None}, PROGRESS, Kept.NEWS, True, id="first progress"),
    ],
)  # fmt: skip
def test_a_signal_needs_an_evaluation(
    action: dict[str, Any], signal: dict[str, Any], change: Kept, *, expected: bool
) -> None:
    told = replace(SAID, **action)

    assert needs_evaluation(told, a_signal(**signal), change, at(60)) is expected
    assert not needs_evaluation(closed(told, 50), a_signal(**signal), change, at(60))


# A launch that failed


def after_a_launch(**changes: Any) -> Action:
    return an_action(if_launch_failed=a_policy([], name="park"), **changes)


def a_launch(*, ended_s: float = -1, succeeded: bool = False, **changes: Any) -> ActivityEnd:
    fields = {"transition": Transition.LAUNCHING, "ended_at": at(ended_s), "succeeded": succeeded}
    return an_activity_end(**fields, **changes)


def test_a_policy_is_chosen_again_once_the_launch_is_known_as_failed() -> None:
    chosen = evidence.after_launch(after_a_launch(), [a_launch()], at(30))
    assert (chosen.policy.name, chosen.if_launch_failed) == ("park", None)


def test_what_was_only_observed_was_never_beaten_once_its_policy_enforces() -> None:
    """Found by a trial: the expiry counted from a heartbeat that observe mode only recorded."""
    observed = after_a_launch(policy=a_policy([], mode="observe"), beaten_at=at(20))
    chosen = evidence.after_launch(observed, [a_launch()], at(30))
    assert (chosen.beaten_at, chosen.timeout_assumed) == (None, True)
    assert chosen.expires_at == chosen.started_at + chosen.hook.heartbeat_timeout


@pytest.mark.parametrize(
    ("action", "launches"),
    [
        pytest.param(an_action(), [a_launch()], id="no rule asks"),
        pytest.param(after_a_launch(), [], id="nothing was heard"),
        pytest.param(after_a_launch(), [a_launch(), a_launch(ended_s=0, succeeded=True)], id="one after it"),
        pytest.param(after_a_launch(), [a_launch(ended_s=6)], id="a later one"),
        pytest.param(after_a_launch(), [a_launch(group="other")], id="of another group"),
        pytest.param(after_a_launch(), [an_activity_end(succeeded=False)], id="a termination"),
        pytest.param(
            after_a_launch(phase=Phase.COMPLETING, result=Result.CONTINUE), [a_launch()], id="decided"
        ),
    ],
)
def test_else_the_policy_stays(action: Action, launches: list[ActivityEnd]) -> None:
    assert evidence.after_launch(action, launches, at(30)) is action


def test_the_policy_stays_too_where_it_has_begun_something_and_that_is_told_once() -> None:
    policy = a_policy([{"command": {"document": "upload"}}])
    stays = evidence.after_launch(asked(policy), [a_launch()], at(30))
    assert (stays.policy, stays.if_launch_failed) == (policy, None)
    assert [line.event for line in stays.recent] == ["policy"]


def test_a_condition_that_only_remembers_something_has_begun_nothing() -> None:
    chosen = evidence.after_launch(asked(a_policy([{"function": "smoke-test"}])), [a_launch()], at(30))
    assert chosen.policy.name == "park"


def asked(policy: Policy) -> Action:
    """An action whose only condition was asked, and remembers something."""
    (leaf,) = policy.leaves
    assert isinstance(leaf, Probe)
    found = a_finding(condition=leaf.name, ask_again_at=None, memory={"id": "c"})
    return after_a_launch(policy=policy, findings=(found,))


# An operator's order to let a retained instance go


@pytest.mark.parametrize(
    ("changes", "is_released"),
    [
        pytest.param({}, True, id="the termination that begins after it"),
        pytest.param({"started_at": at(-60)}, False, id="one that began before it"),
        pytest.param({"hook": hook_terms(transition=Transition.LAUNCHING)}, False, id="a launch"),
        pytest.param(
            {"phase": Phase.CLOSED, "closed_at": at(20), "evaluate_at": None}, False, id="a closed one"
        ),
    ],
)
def test_a_release_is_for_the_termination_that_begins_anew(
    changes: dict[str, Any], is_released: bool
) -> None:
    order = OperatorNote(who="ana", at=at(0), reason="looked at")
    action = an_action(**{"started_at": at(10), **changes})
    released = with_release(action, order, at(30))
    assert (released.operator_result is Result.CONTINUE) is is_released
    assert with_release(released, order, at(60)) is released
