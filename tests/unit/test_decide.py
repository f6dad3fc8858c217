from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from tests.factories import a_policy, a_signal, an_action, an_activity_end, at, hook_terms
from tests.properties import examples
from usher.core import duration
from usher.core.action import Action, Phase, Result, Signal, Status
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.signalled import Signalled
from usher.core.decide import Complete, Decision, Heartbeat, Wait, decide

# No test may fail because a machine is busy.

MICROSECOND = timedelta(microseconds=1)
LONGEST_WAIT = timedelta(hours=48)
JOBS = {"signal": "jobs-finished"}
DRAINED = {"signal": "drained"}
NINETY_SECONDS = {"elapsed": "90s"}
HALF_A_MINUTE = hook_terms(heartbeat_timeout=timedelta(seconds=30))
FAILED = a_signal(status=Status.FAILED, message="disk full")
PATIENT = a_policy(give_up_after="45m")
LETS_GO = a_policy(give_up_after="45m", on_give_up="CONTINUE")
STALLS = a_policy(stalled_after="10m")
BOTH = a_policy(give_up_after="45m", on_give_up="CONTINUE", stalled_after="10m")
NOTHING = "nothing to wait for"
SAYS_DONE = "done: signal jobs-finished says done"
SAYS_FAILED = "failed: signal jobs-finished says failed: disk full"
GAVE_UP = "gave up after 45m"
STALLED = "stalled: no progress for 10m"


def completes(result: Result, reason: str, evaluate_at: datetime) -> Complete:
    return Complete(result=result, reason=reason, evaluate_at=evaluate_at)


def case(case_id: str, now: float, result: str, reason: str, **changes: Any) -> Any:
    """An action with such changes, which is completed at that second."""
    return pytest.param(an_action(**changes), at(now), Result(result), reason, id=case_id)


REASONS = [
    case("nothing to wait for", 0, "CONTINUE", NOTHING, policy=a_policy([])),
    case(
        "nothing to wait for, with a result of its own",
        0,
        "ABANDON",
        NOTHING,
        policy=a_policy([], on_success="ABANDON"),
    ),
    case("elapsed", 90, "CONTINUE", "done: 1m30s elapsed", policy=a_policy([NINETY_SECONDS])),
    case("signal done", 60, "CONTINUE", SAYS_DONE, signals=(a_signal(),)),
    case("done, and why", 60, "CONTINUE", f"{SAYS_DONE}: 12 jobs", signals=(a_signal(message="12 jobs"),)),
    case(
        "all of several conditions",
        90,
        "CONTINUE",
        "done: 1m30s elapsed; signal jobs-finished says done",
        policy=a_policy([NINETY_SECONDS, JOBS]),
        signals=(a_signal(),),
    ),
    case(
        "done, with a result of its own",
        60,
        "ABANDON",
        SAYS_DONE,
        policy=a_policy(on_success="ABANDON"),
        signals=(a_signal(),),
    ),
    case("signal failed", 60, "ABANDON", SAYS_FAILED, signals=(FAILED,)),
    case(
        "signal failed, with a result of its own",
        60,
        "CONTINUE",
        SAYS_FAILED,
        policy=a_policy(on_failure="CONTINUE"),
        signals=(FAILED,),
    ),
    case(
        "one of two failed", 60, "ABANDON", SAYS_FAILED, policy=a_policy([DRAINED, JOBS]), signals=(FAILED,)
    ),
    case("gave up", 2700, "CONTINUE", GAVE_UP, policy=LETS_GO),
    case(
        "gave up, by the hook's default result CONTINUE",
        2700,
        "CONTINUE",
        GAVE_UP,
        policy=PATIENT,
        hook=hook_terms(default_result=Result.CONTINUE),
    ),
    case("gave up, by the hook's default result ABANDON", 2700, "ABANDON", GAVE_UP, policy=PATIENT),
    case("gave up before 3,000 s", 2850, "ABANDON", "gave up after 47m30s", hook=HALF_A_MINUTE),
    case("stalled, with no progress at all", 600, "ABANDON", STALLED, policy=STALLS),
    case("stalled, after some progress", 900, "ABANDON", STALLED, policy=STALLS, progress_at=at(300)),
    case(
        "stalled, with a result of its own",
        600,
        "CONTINUE",
        STALLED,
        policy=a_policy(stalled_after="10m", on_failure="CONTINUE"),
    ),
    case(
        "stalled counts from the start where the progress is older",
        60,
        "ABANDON",
        "stalled: no progress for 1m",
        policy=a_policy(stalled_after="1m"),
        progress_at=at(-60),
    ),
]
FIRST_OF_SEVERAL = [
    case(
        "failed before done: one of two",
        60,
        "ABANDON",
        SAYS_FAILED,
        policy=a_policy([DRAINED, JOBS]),
        signals=(a_signal(name="drained", event_id="e-2"), FAILED),
    ),
    case("failed before gave up", 2700, "ABANDON", SAYS_FAILED, policy=LETS_GO, signals=(FAILED,)),
    case("failed before stalled", 600, "ABANDON", SAYS_FAILED, policy=STALLS, signals=(FAILED,)),
    case("done before gave up", 2700, "CONTINUE", SAYS_DONE, policy=PATIENT, signals=(a_signal(),)),
    case("done before stalled", 600, "CONTINUE", SAYS_DONE, policy=STALLS, signals=(a_signal(),)),
    case(
        "elapsed before gave up, at the same moment",
        90,
        "CONTINUE",
        "done: 1m30s elapsed",
        policy=a_policy([NINETY_SECONDS], give_up_after="90s", on_give_up="ABANDON"),
    ),
    case(
        "gave up before stalled, at the same moment",
        600,
        "CONTINUE",
        "gave up after 10m",
        policy=a_policy(give_up_after="10m", on_give_up="CONTINUE", stalled_after="10m"),
    ),
    case("stalled first, seen after both", 3000, "ABANDON", STALLED, policy=BOTH),
    case("gave up first, seen after both", 3000, "CONTINUE", GAVE_UP, policy=BOTH, progress_at=at(2400)),
    case(
        "any result before a question about an outcome event",
        120,
        "CONTINUE",
        NOTHING,
        policy=a_policy([]),
        activity_end=an_activity_end(),
    ),
]


@pytest.mark.parametrize(("action", "now", "result", "reason"), [*REASONS, *FIRST_OF_SEVERAL])
def test_an_action_is_completed_for_the_first_reason_that_holds(
    action: Action, now: datetime, result: Result, reason: str
) -> None:
    decision = decide(action, now)

    assert isinstance(decision, Complete)
    assert (decision.result, decision.reason) == (result, reason)


BY_TIME = [row for row in REASONS if any(word in str(row.id) for word in ("elapsed", "gave up", "stalled"))]


@pytest.mark.parametrize(("action", "now", "result", "reason"), BY_TIME)
def test_and_not_a_microsecond_before_its_time_for(
    action: Action, now: datetime, result: Result, reason: str
) -> None:
    decision = decide(action, now - MICROSECOND)

    assert not isinstance(decision, Complete), (result, reason)


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        pytest.param({}, 60, id="nothing holds"),
        pytest.param({"signals": (FAILED,)}, 60, id="a condition failed since"),
        pytest.param({"policy": a_policy([])}, 60, id="the other result would be decided now"),
        pytest.param({"activity_end": an_activity_end()}, 120, id="an outcome event came"),
        pytest.param({}, 3540, id="a heartbeat would be due"),
        pytest.param({}, 7200, id="the period has expired"),
        pytest.param({}, 180_000, id="the global timeout is over"),
    ],
)
def test_a_result_once_stored_is_sent_again_whatever_else_holds(changes: dict[str, Any], now: float) -> None:
    action = an_action(phase=Phase.COMPLETING, result=Result.ABANDON, reason="as decided", **changes)

    decision = decide(action, at(now))

    assert isinstance(decision, Complete)
    assert (decision.result, decision.reason) == (Result.ABANDON, "as decided")


@pytest.mark.parametrize(
    ("now", "evaluate_at"),
    [
        pytest.param(0, 60, id="with an hour to the expiry, after a minute"),
        pytest.param(3500, 3525, id="with 100 s to the expiry, after a quarter of them"),
        pytest.param(3600, 3660, id="expired, after a minute"),
    ],
)
def test_a_result_without_an_answer_is_tried_again(now: float, evaluate_at: float) -> None:
    expected = completes(Result.CONTINUE, "nothing to wait for", at(evaluate_at))

    assert decide(an_action(policy=a_policy([])), at(now)) == expected


@pytest.mark.parametrize(
    ("action", "due"),
    [
        pytest.param(an_action(), 3300, id="one hour, first beat"),
        pytest.param(an_action(beaten_at=at(3300)), 6600, id="one hour, from the last beat"),
        pytest.param(an_action(hook=HALF_A_MINUTE), 20, id="30 seconds"),
        pytest.param(
            an_action(hook=hook_terms(heartbeat_timeout=timedelta(hours=2))), 6600, id="two hours, first beat"
        ),
    ],
)
def test_a_heartbeat_is_sent_when_it_is_due_and_not_a_microsecond_before(action: Action, due: float) -> None:
    reason = "waits: no signal jobs-finished"
    soon = min(timedelta(seconds=60), (action.expires_at - at(due)) / 4)

    before = decide(action, at(due) - MICROSECOND)
    then = decide(action, at(due))

    assert before == Wait(reason=reason, evaluate_at=at(due))
    assert then == Heartbeat(reason=reason, evaluate_at=at(due) + soon)


def test_a_heartbeat_is_sent_even_after_the_expiry_because_aws_may_be_late() -> None:
    decision = decide(an_action(), at(3700))

    assert decision == Heartbeat(reason="waits: no signal jobs-finished", evaluate_at=at(3760))


@pytest.mark.parametrize(
    ("action", "now", "evaluate_at"),
    [
        pytest.param(an_action(), 0, 3300, id="the heartbeat"),
        pytest.param(an_action(policy=a_policy(give_up_after="45m")), 0, 2700, id="giving up"),
        pytest.param(an_action(policy=a_policy(stalled_after="10m")), 0, 600, id="stalling"),
        pytest.param(
            an_action(policy=a_policy(stalled_after="10m"), progress_at=at(90)), 100, 690, id="later progress"
        ),
        pytest.param(
            an_action(policy=a_policy([NINETY_SECONDS])), 0, 90, id="a condition that holds by time"
        ),
        pytest.param(
            an_action(policy=a_policy([{"elapsed": "5m"}, NINETY_SECONDS, JOBS])),
            0,
            90,
            id="the first of two",
        ),
        pytest.param(
            an_action(policy=a_policy([{"elapsed": "5m"}, NINETY_SECONDS, JOBS])),
            90,
            300,
            id="then the other",
        ),
        pytest.param(
            an_action(policy=a_policy([{"elapsed": "20m"}], give_up_after="10m", stalled_after="15m")),
            0,
            600,
            id="giving up, where all else comes later",
        ),
        pytest.param(
            an_action(beaten_at=at(172_000)), 172_050, 172_200, id="giving up, where no beat extends the wait"
        ),
    ],
)
def test_a_wait_lasts_until_the_first_of(action: Action, now: float, evaluate_at: float) -> None:
    decision = decide(action, at(now))

    assert isinstance(decision, Wait)
    assert decision.evaluate_at == at(evaluate_at)


def test_a_wait_says_what_is_still_missing() -> None:
    action = an_action(
        policy=a_policy([NINETY_SECONDS, JOBS, DRAINED]),
        signals=(a_signal(name="drained", status=Status.PROGRESS, message="3 of 7"),),
    )

    decision = decide(action, at(90))

    assert decision.reason == "waits: no signal jobs-finished; signal drained says progress: 3 of 7"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="long before the next beat"),
        pytest.param({"beaten_at": at(172_000)}, id="although no beat can extend the wait"),
    ],
)
def test_an_outcome_event_makes_it_ask_by_heartbeat(changes: dict[str, Any]) -> None:
    decision = decide(an_action(activity_end=an_activity_end(), **changes), at(120))

    reason = "asks whether the wait goes on: EC2 Instance Terminate Successful"
    assert decision == Heartbeat(reason=reason, evaluate_at=at(180))


@pytest.mark.parametrize(
    ("beaten_at", "expected"),
    [
        pytest.param(169_199, Heartbeat, id="a second short of it, one more beat"),
        pytest.param(169_200, Wait, id="exactly, no beat"),
        pytest.param(170_000, Wait, id="beyond it, no beat"),
    ],
)
def test_no_heartbeat_is_sent_once_the_expiry_reaches_the_global_limit(
    beaten_at: float, expected: type[Decision]
) -> None:
    action = an_action(beaten_at=at(beaten_at), policy=a_policy(give_up_after="48h"))

    decision = decide(action, action.give_up_at - MICROSECOND)

    assert isinstance(decision, expected)


class Step(NamedTuple):
    """One decision of a walk, and the action as it stood then."""

    now: datetime
    decision: Decision
    action: Action


def walk(action: Action, now: datetime | None = None) -> list[Step]:
    """Every decision up to the result, at the very times that were asked for, each beat accepted at once."""
    now = action.started_at if now is None else now
    steps: list[Step] = []
    while len(steps) < 2_000:
        decision = decide(action, now)
        steps.append(Step(now, decision, action))
        match decision:
            case Complete():
                return steps
            case Heartbeat():
                beats = action.heartbeats + 1
                action = replace(action, heartbeats=beats, beaten_at=now, activity_end=None)
            case Wait():
                now = decision.evaluate_at
    raise AssertionError(f"no result after {len(steps)} decisions: {steps[-3:]}")


def test_a_heartbeat_goes_out_in_the_second_that_is_booked_for_it() -> None:
    action = an_action(booked_at=at(1000))

    assert decide(action, at(0)).evaluate_at == at(1000)
    assert isinstance(decide(action, at(1000) - MICROSECOND), Wait)
    assert isinstance(decide(action, at(1000)), Heartbeat)


def test_a_two_hour_hook_is_decided_before_48_hours() -> None:
    last = walk(an_action(hook=hook_terms(heartbeat_timeout=timedelta(hours=2))))[-1]

    assert last.now == at(0) + timedelta(hours=47, minutes=50)
    assert last.decision.reason == "gave up after 47h50m"
    assert last.action.expires_at == at(0) + timedelta(hours=48)


results = st.sampled_from(Result)
names = st.sampled_from(["a", "b", "c"])
moments = st.timedeltas(timedelta(0), LONGEST_WAIT)
whole_seconds = st.integers(1, 48 * 3600).map(lambda seconds: timedelta(seconds=seconds))
durations = whole_seconds.map(duration.written) | st.sampled_from(["1s", "30s", "10m", "48h"])
conditions = st.one_of(
    st.builds(lambda name: {"signal": name}, names),
    st.builds(lambda after: {"elapsed": after}, durations),
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "give_up_after": durations,
        "stalled_after": durations,
        "on_success": results,
        "on_failure": results,
        "on_give_up": results,
    },
)
policies = st.builds(lambda until, parts: a_policy(until, **parts), st.lists(conditions, max_size=3), parts)
hooks = st.builds(
    hook_terms,
    heartbeat_timeout=st.integers(30, 7200).map(lambda seconds: timedelta(seconds=seconds)),
    default_result=results,
)
signal_sets = st.dictionaries(names, st.sampled_from(Status), max_size=3).map(
    lambda said: tuple(a_signal(event_id=name, name=name, status=status) for name, status in said.items())
)
actions = st.builds(
    an_action,
    id=st.text("0123456789abcdef", min_size=1, max_size=8),
    hook=hooks,
    policy=policies,
    signals=signal_sets,
    beaten_at=st.none() | moments.map(lambda since: at(0) + since),
    progress_at=st.none() | moments.map(lambda since: at(-60) + since),
    activity_end=st.none() | st.none() | st.just(an_activity_end()),
)


def edges(action: Action) -> list[datetime]:
    """The moments around which a decision about `action` may change."""
    elapsed = [at(0) + condition.after for condition in action.policy.until if isinstance(condition, Elapsed)]
    stalled = [stalls_at(action)] if action.policy.stalled_after is not None else []
    return [action.started_at, action.expires_at, action.give_up_at, action.ends_at, *elapsed, *stalled]


def stalls_at(action: Action) -> datetime:
    since = action.started_at if action.progress_at is None else action.progress_at
    return max(since, action.started_at) + (action.policy.stalled_after or LONGEST_WAIT)


@st.composite
def edge_cases(draw: st.DrawFn) -> tuple[Action, datetime]:
    """An open action and a moment: any, or one right at an edge."""
    action = draw(actions)
    nudges = st.sampled_from([-MICROSECOND, timedelta(0), MICROSECOND])
    near_an_edge = st.builds(lambda edge, nudge: edge + nudge, st.sampled_from(edges(action)), nudges)
    anywhere = st.timedeltas(-timedelta(seconds=60), timedelta(hours=50)).map(lambda since: at(0) + since)
    return action, draw(anywhere | near_an_edge)


@st.composite
def waits(draw: st.DrawFn) -> tuple[Action, datetime]:
    """An action that is still to wait (or has stalled), and a moment of its present period."""
    until = [JOBS, *draw(st.lists(conditions, max_size=2))]
    action = an_action(hook=draw(hooks), policy=a_policy(until, **draw(parts)))
    share = draw(st.none() | st.floats(0, 1))
    since = action.started_at
    if share is not None:
        since += share * (action.give_up_at - action.started_at)
        action = replace(action, beaten_at=since)
    last = min(action.expires_at, action.give_up_at)
    share = draw(st.floats(0, 1) | st.just(1 - 2**-20))  # or so late that a beat is surely due
    return action, since + share * (last - since)


situations = waits() | edge_cases()


@given(situations)
def test_there_is_always_one_of_three_answers_with_a_reason_and_a_later_evaluation(
    situation: tuple[Action, datetime],
) -> None:
    action, now = situation

    decision = decide(action, now)

    event(type(decision).__name__)
    assert isinstance(decision, Complete | Heartbeat | Wait)
    assert decision.reason
    assert decision.evaluate_at > now


@given(situations, results)
def test_a_stored_result_stands_at_any_time(situation: tuple[Action, datetime], result: Result) -> None:
    action, now = situation
    action = replace(action, phase=Phase.COMPLETING, result=result, reason="as decided")

    decision = decide(action, now)

    assert isinstance(decision, Complete)
    assert (decision.result, decision.reason) == (result, "as decided")
    assert decision.evaluate_at > now


@given(situations)
def test_equal_questions_have_equal_answers(situation: tuple[Action, datetime]) -> None:
    action, now = situation

    assert decide(action, now) == decide(replace(action), now)


@given(situations, moments)
def test_a_booked_second_moves_heartbeats_and_never_a_result(
    situation: tuple[Action, datetime], since: timedelta
) -> None:
    action, now = situation

    one, two = decide(action, now), decide(replace(action, booked_at=at(0) + since), now)

    if isinstance(one, Complete) or isinstance(two, Complete):
        assert one == two


def holds(condition: object, signals: tuple[Signal, ...], age: timedelta) -> bool:
    match condition:
        case Elapsed(after=after):
            return age >= after
        case Signalled(name=name):
            return any(signal.name == name and signal.status is Status.DONE for signal in signals)
    raise AssertionError(f"no such condition: {condition}")


def status(action: Action, now: datetime) -> list[bool]:
    return [holds(condition, action.signals, now - action.started_at) for condition in action.policy.until]


def allowed_results(action: Action, now: datetime) -> set[Result]:
    """Promise 2 in plain arithmetic: each result that something justifies at `now`."""
    policy, timeout, age = action.policy, action.hook.heartbeat_timeout, now - action.started_at
    limit = min(LONGEST_WAIT, 100 * timeout)
    early = min(limit / 20, timedelta(minutes=10))
    patience = limit - early if policy.give_up_after is None else policy.give_up_after
    patience = min(patience, limit - max(timedelta(seconds=10), timeout / 12))
    awaited = {condition.name for condition in policy.until if isinstance(condition, Signalled)}
    allowed = set()
    if all(status(action, now)):
        allowed.add(policy.on_success)
    if any(signal.status is Status.FAILED and signal.name in awaited for signal in action.signals):
        allowed.add(policy.on_failure)
    if policy.stalled_after is not None and now >= stalls_at(action):
        allowed.add(policy.on_failure)
    if age >= patience:
        allowed.add(action.hook.default_result if policy.on_give_up is None else policy.on_give_up)
    return allowed


@examples(100)
@given(situations)
def test_a_result_comes_exactly_when_something_justifies_it(
    situation: tuple[Action, datetime],
) -> None:
    action, now = situation

    decision = decide(action, now)

    allowed = allowed_results(action, now)
    assert isinstance(decision, Complete) == bool(allowed)
    if isinstance(decision, Complete):
        assert decision.result in allowed


@examples(100)
@given(edge_cases(), st.timedeltas(timedelta(0), timedelta(hours=50)))
@example((an_action(policy=BOTH), at(600)), timedelta(minutes=40))
def test_a_late_evaluation_comes_to_the_result_of_a_timely_one(
    situation: tuple[Action, datetime], later: timedelta
) -> None:
    action, now = situation
    timely = decide(action, now)
    assume(isinstance(timely, Complete))

    late = decide(action, now + later)

    assert isinstance(late, Complete)
    assert isinstance(timely, Complete)
    if status(action, now) == status(action, now + later):
        assert (late.result, late.reason) == (timely.result, timely.reason)
    else:
        assert late.result in {timely.result, action.policy.on_success}


@given(waits(), st.timedeltas(timedelta(0), timedelta(hours=50)))
def test_a_heartbeat_once_due_stays_due_until_there_is_a_result(
    situation: tuple[Action, datetime], later: timedelta
) -> None:
    action, now = situation
    sooner, later_on = decide(action, now), decide(action, now + later)

    event(f"{type(sooner).__name__}, then {type(later_on).__name__}")
    assert not (isinstance(sooner, Heartbeat) and isinstance(later_on, Wait))


@given(waits())
def test_until_the_next_evaluation_of_a_wait_nothing_is_missed(situation: tuple[Action, datetime]) -> None:
    action, now = situation
    decision = decide(action, now)
    assume(isinstance(decision, Wait))

    assert decide(action, decision.evaluate_at - MICROSECOND) == decision


fresh_actions = waits().map(lambda situation: replace(situation[0], beaten_at=None))


@given(fresh_actions, st.floats(0, 0.999))
def test_beats_that_are_accepted_carry_every_action_to_its_result(action: Action, lag: float) -> None:
    steps = walk(action, action.started_at + lag * action.hook.heartbeat_timeout)

    assert all(step.now < step.action.expires_at for step in steps)
    assert steps[-1].now < action.ends_at
    assert isinstance(steps[-1].decision, Complete)
    assert steps[-1].decision.result in allowed_results(action, steps[-1].now)


@given(fresh_actions)
def test_between_beats_lies_all_of_the_period_but_a_margin(action: Action) -> None:
    beats = [step.now for step in walk(action) if isinstance(step.decision, Heartbeat)]

    timeout = action.hook.heartbeat_timeout
    margin = max(timedelta(seconds=10), timeout / 12)
    assert all(after - before >= timeout - margin for before, after in pairwise(beats))


def test_after_an_expiry_a_short_hook_is_looked_at_again_within_half_its_period() -> None:
    """Found by simulation, seed 101: what had expired by the record lived on by a heartbeat just sent."""
    action = an_action(hook=HALF_A_MINUTE)

    assert decide(action, at(31)).evaluate_at == at(46)
