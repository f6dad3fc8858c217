"""The steps of an evaluation beside its decision: questions, limits, pauses, words of operators, turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_policy, an_action, at, hook_terms
from tests.questions import ask_due, asking_by, found_of
from tests.simulation.evaluation_scene import ACCEPTED, BUSY, GONE, REFUSED, Scene, short
from usher.core.action import OperatorNote, Outcome, Phase, Result
from usher.core.conditions.probe import Call, Found, Probe, Reply, ReplyKind
from usher.core.finding import ConditionStatus, Findings
from usher.core.limits import Limits
from usher.core.policy import Mode
from usher.evaluation.stale_waits import StaleWaitGuard
from usher.ports.errors import Unavailable
from usher.ports.queues import WHATEVER
from usher_simulator.fakes.memory_budget import MemoryLimits
from usher_simulator.trials.invocations import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.field import Field
    from usher.core.finding import Finding, Memory
    from usher.core.held_wait import HeldWait
    from usher.core.live_waits import Activity
    from usher.ports.autoscaling import Answer
    from usher.ports.conditions import Calls

POLL = timedelta(seconds=10)
WORD = OperatorNote(who="arn:aws:iam::123456789012:user/ada", at=at(0), reason="the disk is full")


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained(Probe):
    """Asks whether `queue` is empty; starts the emptying first where it `starts`."""

    queue: str
    starts: bool = False
    unsure: bool = False

    @classmethod
    def parse(cls, field: Field) -> Drained:
        return cls(queue=str(field.value))

    @property
    def name(self) -> str:
        return f"drained {self.queue}"

    @property
    def takes_two_answers(self) -> bool:
        return self.unsure

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        assert (action.is_open, now.tzinfo is not None) == (True, True)
        if self.starts and "started" not in memory:
            return Call(service="test", operation="Start", intent={"started": True})
        return Call(service="test", operation="Ask", parameters={"queue": self.queue})

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        assert (action.is_open, now.tzinfo is not None) == (True, True)
        if call.operation == "Start":
            return Found(status=ConditionStatus.PENDING, memory=memory, go_on=True)
        if reply.kind is not ReplyKind.ANSWERED:
            return Found(status=ConditionStatus.UNKNOWN, detail=reply.text, memory=memory)
        if reply.data == "missing":
            return Found(status=ConditionStatus.FAILED, detail="no such queue")
        status = ConditionStatus.HOLDS if reply.data == 0 else ConditionStatus.PENDING
        return Found(status=status, detail=f"{reply.data} left", ask_again_after=POLL, memory=memory)


@dataclass
class Told:
    """Implements Calls: answers as told, and notes what was asked."""

    replies: list[Any]
    before_call: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        assert not members
        self.before_call()
        self.asked.append(call.operation)
        reply = self.replies.pop(0)
        return reply if isinstance(reply, Reply) else Reply(kind=ReplyKind.ANSWERED, data=reply)


def waiting(*conditions: Probe, **changes: Any) -> Action:
    """An action of a 5-minute hook that waits for `conditions`, with CONTINUE on success."""
    policy = replace(a_policy([{"signal": "never"}], on_failure="ABANDON"), until=conditions)
    terms = {"heartbeat_timeout": timedelta(minutes=5)} | changes.pop("hook", {})
    return an_action(hook=hook_terms(**terms), policy=policy, **changes)


def waiting_for_ever() -> Action:
    """An action of a 5-minute hook whose signal never comes."""
    return an_action(hook=hook_terms(heartbeat_timeout=timedelta(minutes=5)))


class AskingScene(Scene):
    """A scene with the function `questions` beside the evaluation."""

    def __init__(self, action: Action, calls: Calls, *answers: Answer, now_s: float) -> None:
        super().__init__(action, *answers, now_s=now_s)
        self.asking = asking_by(self.evaluator, calls)

    def evaluate(self, version: int | None = None, wait: HeldWait | None = None) -> Action:
        """An evaluation, the questions that are due then, and the evaluation that their answers ask for."""
        super().evaluate(version, wait)
        woken = self.effects.count(ANSWERED)
        ask_due(self.store, self.asking, self.now)
        if self.effects.count(ANSWERED) > woken:
            super().evaluate(WHATEVER)
        return self.action

    @property
    def found(self) -> Sequence[Finding]:
        return found_of(self.store)


def scene_of(
    action: Action, replies: Sequence[Any], *answers: Any, now_s: float = 0
) -> tuple[AskingScene, Told]:
    told = Told(list(replies))
    scene = AskingScene(action, told, *answers, now_s=now_s)
    told.before_call = lambda: scene.effects.append("asks")
    return scene, told


def turn_of(scene: Scene) -> int:
    findings = scene.store.findings("action-1")
    assert findings is not None
    return findings.turn


ANSWERED = "wake v0 in 0s"
EMPTY, FILLED = Drained(queue="a"), Drained(queue="b")
EMPTYING = Drained(queue="a", starts=True)


def test_the_turn_of_a_stopped_instance_asks_nothing_wakes_an_evaluation_and_comes_a_minute_later() -> None:
    """Should it not be let go, as while Auto Scaling is busy, its questions go round once a minute."""
    scene, told = scene_of(waiting(EMPTY), [3, 2], ACCEPTED)
    scene.evaluate()
    scene.now = at(10)
    scene.store.keep_instance_state(scene.action.instance_id, at(9), is_stopped=True)
    turn = turn_of(scene)

    scene.asking.ask("action-1", turn)

    assert (len(told.asked), scene.effects[-1]) == (1, ANSWERED)
    assert scene.questions.sent[-1] == ("action-1", turn + 1, timedelta(minutes=1))


def test_a_condition_is_asked_at_its_own_interval_and_its_action_ends_when_it_holds() -> None:
    scene, told = scene_of(waiting(EMPTY), [3, 0], ACCEPTED)

    first = scene.evaluate()
    assert (first.phase, first.reason) == (Phase.OPEN, "")
    scene.now = at(10)
    closed = scene.evaluate()

    assert (closed.outcome, closed.result, closed.reason) == (
        Outcome.COMPLETED, Result.CONTINUE, "done: drained a: 0 left",
    )  # fmt: skip
    assert told.asked == ["Ask", "Ask"]


def test_a_question_moves_no_version_of_the_record_and_no_evaluation() -> None:
    scene, _ = scene_of(waiting(EMPTY), [3, 2])
    first = scene.evaluate()
    scene.now = at(10)

    assert scene.evaluate() == first
    assert (first.version, first.evaluate_at) == (2, at(275))


def test_what_is_unknown_is_never_done_and_is_asked_again_with_backoff() -> None:
    unknown = Reply(kind=ReplyKind.UNKNOWN, text="ThrottlingException")
    scene, told = scene_of(waiting(EMPTY), [unknown] * 4)

    waits = []
    for _ in range(4):
        scene.evaluate()
        ask_at = scene.found[0].ask_again_at
        assert ask_at is not None
        waits.append((ask_at - scene.now).total_seconds())
        scene.now = ask_at

    assert waits == [5, 10, 20, 40]
    assert (len(told.asked), scene.action.is_open) == (4, True)


def test_where_one_answer_is_not_enough_it_is_asked_once_more() -> None:
    scene, told = scene_of(waiting(Drained(queue="a", unsure=True)), [0, 4, 0, 0], ACCEPTED)

    for now, status in ((0, "pending"), (10, "pending"), (20, "pending")):
        scene.now = at(now)
        scene.evaluate()
        assert scene.found[0].status == status
    scene.now = at(30)

    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert len(told.asked) == 4


def test_a_failure_for_good_ends_the_action_as_its_policy_says() -> None:
    scene, _ = scene_of(waiting(EMPTY), ["missing"], ACCEPTED)

    closed = scene.evaluate()

    assert (closed.result, closed.reason) == (Result.ABANDON, "failed: drained a: no such queue")
    assert scene.recorder.counts["ConditionFailed"] == 1


def test_what_held_is_asked_again_with_the_rest_and_the_newest_answer_counts() -> None:
    scene, told = scene_of(waiting(EMPTY, FILLED), [0, 5, 2, 0], ACCEPTED)

    assert scene.evaluate().is_open  # a holds, b does not
    scene.now = at(10)
    again = scene.evaluate()

    assert again.is_open  # b holds by now, and a no longer does
    assert [found.detail for found in scene.found] == ["2 left", "0 left"]
    assert told.asked == ["Ask"] * 4


def test_a_heartbeat_that_is_due_goes_before_any_question() -> None:
    scene, _ = scene_of(waiting(EMPTY), [0], ACCEPTED, ACCEPTED, now_s=280)

    scene.evaluate()

    assert scene.effects.index("heartbeat") < scene.effects.index("asks")
    assert scene.action.outcome is Outcome.COMPLETED


def test_no_question_begins_that_could_outlast_its_function() -> None:
    scene, told = scene_of(waiting(*[Drained(queue=name) for name in "abcde"]), [1] * 20)

    def slow() -> None:
        scene.now += timedelta(seconds=9)

    told.before_call = slow
    scene.evaluator.evaluate("action-1")
    for turn in (1, 2):
        scene.asking.ask("action-1", turn_of(scene))
        assert len(told.asked) == 4 * turn, "36 s are over, and a call may take 6"

    assert "not asked yet" not in {found.detail for found in scene.found}, (
        "what could not be asked comes first"
    )


def test_what_a_call_starts_is_stored_before_the_call_is_made() -> None:
    scene, told = scene_of(waiting(EMPTYING), ["ok", 3])
    stored: list[Any] = []
    told.before_call = lambda: stored.append(scene.found[0].memory)

    scene.evaluate()

    assert told.asked == ["Start", "Ask"]
    assert stored == [{"started": True}, {"started": True}]


def test_a_turn_that_is_cut_off_after_it_started_something_does_not_start_it_again() -> None:
    scene, told = scene_of(waiting(EMPTYING), [RuntimeError, 0], ACCEPTED)

    def cut() -> None:
        raise Cut

    told.before_call = cut
    with pytest.raises(Cut):
        scene.evaluate()
    told.before_call = lambda: None
    told.replies = [0]
    scene.now = at(60)

    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert told.asked == ["Ask"]


@pytest.mark.parametrize(
    "error", [KeyError("Tasks"), Unavailable("no answer is kept")], ids=["a bug", "the table"]
)
def test_a_question_that_always_fails_is_unknown_by_itself_and_the_others_are_asked_at_their_pace(
    error: Exception,
) -> None:
    """It cost the turn, and with it six minutes, again and again."""

    class Failing(Told):
        def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
            if call.parameters["queue"] == "a":
                raise error
            return super().make(call, members)

    scene = AskingScene(waiting(EMPTY, FILLED), Failing([3]), now_s=0)
    scene.evaluate()
    scene.now = at(5)
    scene.evaluate()

    unknown, other = sorted(scene.found, key=lambda found: found.condition)
    assert (unknown.status, unknown.unknowns) == (ConditionStatus.UNKNOWN, 2)
    assert unknown.detail == f"it could not be asked: {type(error).__name__}: {error}"
    assert (other.detail, other.ask_again_at) == ("3 left", at(10))
    assert scene.questions.sent[-1][2] == timedelta(seconds=5), "when the other is due"
    assert {what for what, _ in scene.recorder.troubles} == {"drained a was not asked for action action-1"}


def test_a_question_that_fails_after_it_has_started_something_does_not_start_it_again() -> None:
    scene, told = scene_of(waiting(EMPTYING), ["ok", 0], ACCEPTED)

    def fails() -> None:
        if told.asked == ["Start"]:
            told.asked.append("failed")
            raise ValueError("an answer that nobody can read")

    told.before_call = fails
    scene.evaluate()
    scene.now = at(5)

    assert scene.evaluate().outcome is Outcome.COMPLETED
    assert told.asked == ["Start", "failed", "Ask"]


def test_what_could_not_be_stored_before_its_start_is_not_started_and_begins_anew() -> None:
    scene, told = scene_of(waiting(EMPTYING, FILLED), [2, "ok", 0])
    keep, kept = scene.store.keep_findings, count(1)

    def busy(action: Action, findings: Findings) -> None:
        if next(kept) == 2:  # after the chain was begun
            raise Unavailable("the table")
        keep(action, findings)

    scene.store.keep_findings = busy  # type: ignore[method-assign]
    scene.evaluate()
    assert told.asked == ["Ask"]
    scene.now = at(5)
    scene.evaluate()

    assert told.asked == ["Ask", "Start", "Ask"]
    assert [found.status for found in scene.found] == [ConditionStatus.PENDING, ConditionStatus.HOLDS]


def test_findings_that_cannot_be_read_stop_no_heartbeat_and_nobody_asks_in_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are a newer release's, before a rollback: asked anew, a condition would start things twice."""
    scene, told = scene_of(waiting(EMPTYING), [], ACCEPTED)
    unreadable = Findings(turn=3, ask_at=at(40), sweep_at=at(340), is_readable=False)
    monkeypatch.setattr(scene.store, "findings", lambda _: unreadable)

    scene.now = at(280)
    scene.evaluator.evaluate("action-1")
    scene.asking.ask("action-1", 3)

    assert (scene.action.heartbeats, scene.action.is_open) == (1, True)
    assert (told.asked, scene.questions.sent) == ([], [])
    assert {what for what, _ in scene.recorder.troubles} == {"the findings of action action-1 cannot be read"}


def test_of_two_who_ask_at_once_one_starts_what_is_to_be_started() -> None:
    scene, told = scene_of(waiting(EMPTYING), ["ok", 3])
    scene.evaluator.evaluate("action-1")
    ((action_id, turn, _),) = scene.questions.sent

    def another() -> None:
        told.before_call = lambda: None
        scene.asking.ask(action_id, turn)

    told.before_call = another
    scene.asking.ask(action_id, turn)

    assert told.asked == ["Start", "Ask"]


def test_observe_mode_asks_and_starts_nothing() -> None:
    action = waiting(EMPTYING)
    observed = replace(action, policy=replace(action.policy, mode=Mode.OBSERVE))
    scene, told = scene_of(observed, [])

    scene.evaluate()

    assert scene.found[0].detail == "observe mode: would call Start"
    assert told.asked == []


LIMITED = {"limits": Limits(abandon_per_hour=1), "limited_with": "web-*"}


def test_a_hook_at_its_limit_holds_on_and_sends_the_result_when_the_limit_frees() -> None:
    scene, _ = scene_of(waiting(EMPTY, hook=LIMITED), ["missing"], ACCEPTED)
    limit = "usher-drain of web-*: ABANDON per hour"
    scene.evaluator.limits.grant(limit, "another", 1, timedelta(hours=1), at(-3400))

    held = scene.evaluate()
    assert (held.phase, held.evaluate_at) == (Phase.OPEN, at(200))
    assert scene.recorder.counts["HeldByLimit"] == 1
    scene.now = at(200)

    assert scene.evaluate().result is Result.ABANDON


def test_a_result_that_the_minute_has_no_room_for_takes_no_room_of_the_hour() -> None:
    """Promise 6: it may never be sent, and would keep others waiting for an hour."""
    limits = Limits(abandon_per_hour=1, complete_per_minute=1)
    scene, _ = scene_of(waiting(EMPTY, hook=LIMITED | {"limits": limits}), ["missing"], ACCEPTED)
    scene.evaluator.limits.grant(
        "usher-drain of web-*: results per minute", "another", 1, timedelta(minutes=1), at(0)
    )

    assert scene.evaluate().phase is Phase.OPEN
    hour = ("usher-drain of web-*: ABANDON per hour", "a third", 1, timedelta(hours=1), at(1))
    assert scene.evaluator.limits.grant(*hour) is None


def test_a_result_that_another_keeps_out_of_the_minute_takes_no_room_of_the_hour() -> None:
    """Seed 3023: the minute had room when it was asked, and another result came first."""
    limits = Limits(abandon_per_hour=1, complete_per_minute=1)
    scene, _ = scene_of(waiting(EMPTY, hook=LIMITED | {"limits": limits}), ["missing"], ACCEPTED)
    minute = "usher-drain of web-*: results per minute"
    kept, ask = scene.evaluator.limits, scene.evaluator.limits.next_at

    def another_comes_first(*asked: Any) -> Any:
        free_at = ask(*asked)
        kept.grant(minute, "another", 1, timedelta(minutes=1), at(0))
        return free_at

    kept.next_at = another_comes_first  # type: ignore[method-assign, assignment]
    assert scene.evaluate().phase is Phase.OPEN
    hour = ("usher-drain of web-*: ABANDON per hour", "a third", 1, timedelta(hours=1), at(1))
    assert kept.grant(*hour) is None


def test_another_hook_and_another_result_have_a_limit_of_their_own() -> None:
    scene, _ = scene_of(waiting(EMPTY, hook=LIMITED), ["missing"], ACCEPTED)
    scene.evaluator.limits.grant("other of web-*: ABANDON per hour", "another", 1, timedelta(hours=1), at(0))

    assert scene.evaluate().result is Result.ABANDON


def test_at_the_last_moment_the_limit_gives_way_to_what_the_policy_says_for_giving_up() -> None:
    action = waiting(EMPTY, hook=LIMITED)
    action = replace(action, policy=replace(action.policy, on_give_up=Result.CONTINUE))
    last = (action.decide_by - at(0)).total_seconds()
    scene, _ = scene_of(replace(action, beaten_at=at(last - 60)), ["missing"], ACCEPTED, now_s=last)
    limit = "usher-drain of web-*: ABANDON per hour"
    scene.evaluator.limits.grant(limit, "another", 1, timedelta(hours=1), at(last - 60))

    assert scene.evaluate().result is Result.CONTINUE


def test_an_operators_order_goes_out_whatever_the_limit_and_the_conditions() -> None:
    action = waiting(EMPTY, hook=LIMITED, operator_result_by=WORD, operator_result=Result.ABANDON)
    scene, told = scene_of(action, [], ACCEPTED)
    limit = "usher-drain of web-*: ABANDON per hour"
    scene.evaluator.limits.grant(limit, "another", 1, timedelta(hours=1), at(0))

    closed = scene.evaluate()

    assert closed.result is Result.ABANDON
    assert closed.reason == f"requested by {WORD.who}: the disk is full"
    assert told.asked == []


def test_a_held_action_is_beaten_and_not_completed_until_the_last_moment() -> None:
    action = waiting(operator_hold=WORD)  # with nothing to wait for
    scene, _ = scene_of(action, [], ACCEPTED, ACCEPTED)

    held = scene.evaluate()
    assert (held.is_open, held.evaluate_at) == (True, at(275))
    scene.now = at(275)
    assert scene.evaluate().heartbeats == 1

    last = (action.decide_by - at(0)).total_seconds()
    scene, _ = scene_of(replace(action, beaten_at=at(last - 60)), [], ACCEPTED, now_s=last)
    assert scene.evaluate().outcome is Outcome.COMPLETED


def test_an_extended_action_gives_up_at_the_time_that_the_operator_said() -> None:
    action = waiting(EMPTY, extended_to=at(120))
    scene, _ = scene_of(action, [3, 3], ACCEPTED, now_s=120)

    assert scene.evaluate().reason == "gave up after 2m"


def test_an_instance_that_ec2_ended_is_let_go_at_once() -> None:
    scene, told = scene_of(waiting(EMPTY), [], ACCEPTED)
    scene.store.keep_instance_end(scene.action.instance_id, at(-90))

    closed = scene.evaluate()

    assert (closed.result, closed.reason) == (Result.CONTINUE, "EC2 has already ended the instance")
    assert told.asked == []


def test_while_paused_nothing_is_called_and_afterwards_it_goes_on() -> None:
    scene, told = scene_of(waiting(EMPTY), [0], ACCEPTED)
    scene.store.pause("*", "ada: change freeze")

    paused = scene.evaluate()

    assert (paused.evaluate_at, told.asked) == (at(60), [])
    assert not [effect for effect in scene.effects if effect.startswith(("heartbeat", "complete"))]
    scene.store.resume("*")
    scene.now = at(60)
    assert scene.evaluate().outcome is Outcome.COMPLETED


def test_a_paused_evaluation_comes_again_while_there_is_time_for_a_resume() -> None:
    scene = Scene(short(), now_s=10)
    scene.store.pause("*", "ada: change freeze")

    assert scene.evaluate().evaluate_at == at(20)


def test_what_runs_out_while_paused_stays_open_and_is_asked_for_after_the_resume() -> None:
    """An operator may have kept it by heartbeats of his own."""
    scene, _ = scene_of(waiting_for_ever(), [], ACCEPTED, now_s=301)
    scene.store.pause("usher-drain", "ada: change freeze")

    paused = scene.evaluate()

    assert (paused.outcome, paused.evaluate_at) == (None, at(361))
    scene.store.resume("usher-drain")
    scene.now = at(361)
    assert (scene.evaluate().is_open, scene.action.heartbeats) == (True, 1)


def test_what_fell_to_its_default_while_paused_says_so_after_the_resume() -> None:
    scene, _ = scene_of(waiting_for_ever(), [], GONE, now_s=290)
    scene.store.pause("usher-drain", "ada: change freeze")
    scene.evaluate()
    scene.store.resume("usher-drain")
    scene.now = at(301)

    closed = scene.evaluate()

    assert closed.outcome is Outcome.DEFAULTED
    assert closed.reason == (
        "got the default result ABANDON: its heartbeat timeout expired while Usher was paused: "
        "ada: change freeze"
    )


def test_a_pause_that_ended_in_time_is_not_blamed_for_a_default() -> None:
    scene, _ = scene_of(waiting_for_ever(), [], REFUSED, GONE, now_s=270)
    scene.store.pause("usher-drain", "ada: change freeze")
    scene.evaluate()
    scene.store.resume("usher-drain")
    for now_s in (290, 301):
        scene.now = at(now_s)
        scene.evaluate(scene.action.version)

    assert "paused" not in scene.action.reason


def test_a_pause_that_nobody_ends_costs_an_evaluation_an_hour_when_nothing_can_wait_any_more() -> None:
    scene, _ = scene_of(waiting_for_ever(), [], now_s=100 * 300 + 1)
    scene.store.pause("usher-drain", "ada: change freeze")

    assert scene.evaluate().evaluate_at == at(100 * 300 + 1 + 3600)


def book_all(scene: Scene, first: float, last: float) -> None:
    """Leave no room from `first` to `last`."""
    while scene.budget.book(at(first), at(last), at(last), at(0)) is not None:
        pass


def test_a_heartbeat_is_booked_in_the_latest_second_with_room_before_its_margin() -> None:
    scene, _ = scene_of(waiting(EMPTY), [3])
    book_all(scene, 200, 275)

    assert scene.evaluate().booked_at == at(199)


def test_a_result_goes_out_in_the_first_second_with_room_and_gives_its_heartbeats_back() -> None:
    scene, _ = scene_of(waiting(EMPTY, booked_at=at(275)), [0], ACCEPTED)
    book_all(scene, 0, 2)

    waited = scene.evaluate()

    assert (waited.phase, waited.booked_at, waited.evaluate_at) == (Phase.OPEN, at(3), at(3))


def test_a_heartbeat_near_its_expiry_goes_out_budget_or_not() -> None:
    scene, _ = scene_of(waiting(EMPTY), [3], ACCEPTED, now_s=290)
    book_all(scene, 290, 300)

    assert scene.evaluate().heartbeats == 1


def test_a_heartbeat_without_room_and_not_at_risk_comes_back() -> None:
    scene, _ = scene_of(waiting(EMPTY), [3], now_s=280)
    book_all(scene, 280, 300)

    waited = scene.evaluate()

    assert (waited.heartbeats, waited.evaluate_at) == (0, at(285))


def test_a_throttle_lowers_what_is_booked() -> None:
    scene, _ = scene_of(waiting(EMPTY), [3], BUSY, now_s=275)
    scene.evaluate()

    scene.now = at(276)
    room = 0
    while scene.budget.book(at(1000), at(1000), at(1000), scene.now) is not None:
        room += 1

    assert room == 7


def test_an_action_that_is_over_gives_its_second_back() -> None:
    scene, _ = scene_of(waiting(EMPTY, booked_at=None), [3], GONE)
    booked = scene.evaluate().booked_at
    assert booked == at(275)
    scene.store.keep_instance_end(scene.action.instance_id, at(5))
    scene.now = at(20)
    closed = scene.evaluate(scene.action.version)

    assert not closed.is_open
    taken = 0
    while scene.budget.book(booked, booked, booked, scene.now) is not None:
        taken += 1
    assert taken == 10


def test_a_wake_up_of_an_evaluation_that_lost_the_race_is_void() -> None:
    """Found by simulation: a duplicate once found followers of its own, round after round."""
    scene, _ = scene_of(waiting(EMPTY), [3])
    won = scene.evaluate()
    lost = replace(won, evaluation_id="another look at the same version")

    scene.now = at(9)
    assert scene.evaluate(version=lost.stamp) == won
    assert scene.evaluate(version=won.stamp).version == won.version + 1


def test_a_denied_result_is_not_told_as_ours_because_somebody_noted_something_meanwhile() -> None:
    """Found by simulation, seed 36: an outcome was noted during the call that was denied."""
    scene, _ = scene_of(waiting(), [], GONE, GONE, now_s=60)

    def somebody_notes() -> None:
        noted = scene.action.noted(scene.now, "notified", "again, by eventbridge")
        scene.store.save(replace(noted, version=noted.version + 1, evaluation_id="intake"))
        scene.during_call = lambda: None

    scene.during_call = somebody_notes
    scene.evaluate()
    closed = scene.evaluate()

    assert (closed.outcome, closed.result) == (Outcome.ENDED_ELSEWHERE, None)


# The table that counts calls and results does not answer


@dataclass
class Down:
    """A budget and limits that nobody can reach."""

    def book(self, first: datetime, best: datetime, last: datetime, now: datetime) -> datetime | None:
        raise Unavailable(f"{first} {best} {last} {now}")

    def give_back(self, booked: datetime) -> None:
        raise Unavailable(str(booked))

    def throttled(self, now: datetime) -> None:
        raise Unavailable(str(now))

    def grant(
        self, limit: str, action_id: str, most: int, within: timedelta, now: datetime
    ) -> datetime | None:
        raise Unavailable(f"{limit} {action_id} {most} {within} {now}")

    next_at = grant


class GoesOn:
    """The activity of an adopted action."""

    def ongoing(
        self, group: str, instances: Collection[str], turn: Callable[[], datetime]
    ) -> Mapping[str, Activity]:
        raise AssertionError(f"nobody asks for all of {group}: {instances} at {turn()}")

    def has_ended(self, activity_id: str) -> bool:
        return activity_id != "activity-1"


def without_counts(scene: Scene) -> Scene:
    scene.evaluator = replace(scene.evaluator, budget=Down(), limits=Down())
    return scene


def test_without_a_budget_a_heartbeat_goes_out_in_the_last_seconds_and_is_stored() -> None:
    scene = without_counts(Scene(short(), ACCEPTED, now_s=24))

    beaten = scene.evaluate()

    assert (beaten.heartbeats, beaten.expires_at) == (1, at(54))
    assert [what for what, _ in scene.recorder.troubles] == ["no slot of the call budget was reserved"] * 3


def test_without_a_budget_what_has_time_is_evaluated_again() -> None:
    scene = without_counts(Scene(short(policy=a_policy([])), now_s=5))

    waiting = scene.evaluate()

    assert waiting.evaluate_at is not None
    assert at(5) < waiting.evaluate_at < at(30)
    assert (waiting.phase, scene.effects[-1]) == (Phase.OPEN, "store v2 open")


def test_a_throttle_that_cannot_be_noted_is_an_answer_all_the_same() -> None:
    scene = without_counts(Scene(short(), BUSY, now_s=24))

    told = scene.evaluate().last_entry

    assert told is not None
    assert (told.event, told.detail) == (
        "answer",
        f"RecordLifecycleActionHeartbeat: {BUSY.kind}: {BUSY.text}",
    )


def test_a_result_that_cannot_be_counted_waits_and_is_beaten_meanwhile() -> None:
    scene, _ = scene_of(waiting(EMPTY, hook=LIMITED), ["missing"], ACCEPTED)
    scene.evaluator = replace(scene.evaluator, limits=Down())

    held = scene.evaluate()

    assert (held.phase, held.evaluate_at) == (Phase.OPEN, at(2))
    scene.evaluator = replace(scene.evaluator, limits=MemoryLimits())
    scene.now = at(2)
    assert scene.evaluate().result is Result.ABANDON


def test_a_result_of_an_adopted_action_goes_out_whether_or_not_its_question_is_counted() -> None:
    scene = Scene(an_action(token=None, activity_id="activity-1", policy=a_policy([])), ACCEPTED)
    same_wait = StaleWaitGuard(calls=scene, activities=GoesOn(), budget=Down(), clock=lambda: scene.now)

    assert same_wait.complete(scene.action, Result.CONTINUE) is ACCEPTED
