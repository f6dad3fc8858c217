"""The handlers as Lambda calls them: batches, partial failures, and an edge that reports everything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import a_policy, an_action, at, hook_terms
from tests.questions import QuestionList
from usher.core import configuration
from usher.core.action import Action, Result
from usher.handlers import intake_handler, wake_handler
from usher.outage.slow_table import Away
from usher.passes.silent_groups import SilentGroups
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import Unavailable
from usher.ports.queues import WHEN_DUE
from usher.ports.records import Due, Raw
from usher.sweep import SweepFailed
from usher_simulator.fakes.dead_letter_list import DeadLetterList
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of, sweep_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

CONFIGURATION = configuration.parse(
    {
        "version": 1,
        "policies": {"p": {"until": []}},
        "hooks": [{"name": "drain", "group": "web", "transition": "terminating", "policy": "p"}],
    }
)


class FlakyStore(MemoryStore):
    """Fails for one instance, as a throttled table does."""

    def open(self, action: Action, raw: Raw | None) -> Action:
        if action.instance_id == "i-bad":
            raise Unavailable("throttled")
        return super().open(action, raw)

    def evidence(self, action: Action) -> Any:
        if action.id == "action-bug":
            raise KeyError("a bug")
        return super().evidence(action)


class Stage(OneByOne):
    """Both halves of Usher on one store."""

    def __init__(self) -> None:
        self.store = FlakyStore(lambda: at(0))
        self.recorder = Recorder()
        self.dead_letters = DeadLetterList()
        self.woken: list[tuple[str, int, timedelta]] = []
        self.questions = QuestionList()
        self.evaluator = evaluator_of(
            store=self.store,
            auto_scaling=self,
            questions=self.questions,
            wake_ups=self,
            telemetry=self.recorder,
            clock=lambda: at(0),
        )
        self.intake = intake_of(self.evaluator, CONFIGURATION, dead_letters=self.dead_letters)

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        self.woken.append((action_id, version % 2**32, delay))  # above that it names the evaluation

    def heartbeat(self, action: Action) -> Answer:
        return Answer(kind=AnswerKind.ACCEPTED, text=action.id[:0])

    def complete(self, action: Action, result: Result) -> Answer:
        assert result in Result
        return self.heartbeat(action)

    def ongoing(self, action: Action) -> None:
        raise AssertionError(f"{action.id} has a token")


def message(instance_id: str = "i-1", token: str = "1" * 36) -> dict[str, Any]:
    return {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": "web",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "EC2InstanceId": instance_id,
        "LifecycleActionToken": token,
        "Time": "2026-03-01T12:00:00Z",
    }


def sqs(*bodies: object) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
    }


def failures(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_only_the_message_that_could_not_be_stored_is_delivered_again() -> None:
    stage = Stage()
    batch = sqs(message("i-1", "1" * 36), message("i-bad", "2" * 36), message("i-3", "3" * 36))
    assert failures(intake_handler(stage.intake)(batch, None)) == ["m1"]
    assert [action.instance_id for action in stage.store.actions()] == ["i-1", "i-3"]
    assert stage.recorder.counts["FailedMessages"] == 1


@pytest.mark.parametrize("attributes", [None, [], "x", 3, {"ApproximateReceiveCount": ["1"]}])
def test_a_record_is_taken_whatever_stands_in_place_of_its_attributes(attributes: object) -> None:
    """Found by fuzzing: it was delivered again for ever."""
    stage, event = Stage(), sqs({"Event": "autoscaling:TEST_NOTIFICATION"})
    event["Records"][0]["attributes"] = attributes
    assert intake_handler(stage.intake)(event, None) == {"batchItemFailures": []}


def test_a_batch_that_fails_whole_is_delivered_again_whole() -> None:
    stage = Stage()
    batch = sqs(message("i-bad", "1" * 36), message("i-bad", "2" * 36))
    assert failures(intake_handler(stage.intake)(batch, None)) == ["m0", "m1"]


def test_a_poison_message_goes_to_the_dead_letters_and_is_acknowledged() -> None:
    stage = Stage()
    answer = intake_handler(stage.intake)(sqs("{truncated", message()), None)
    assert failures(answer) == []
    assert [body for body, _ in stage.dead_letters.letters] == ["{truncated"]
    assert len(stage.store.actions()) == 1


@pytest.mark.parametrize(
    ("event", "channel"),
    [
        (message(), "lambda"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(message())}}]}, "sns"),
        (
            {
                "detail-type": "EC2 Instance-terminate Lifecycle Action",
                "source": "aws.autoscaling",
                "time": "2026-03-01T12:00:00Z",
                "detail": message(),
            },
            "eventbridge",
        ),
    ],
    ids=["hook target", "SNS", "EventBridge"],
)
def test_intake_takes_direct_invocations_too(event: dict[str, Any], channel: str) -> None:
    stage = Stage()
    assert intake_handler(stage.intake)(event, None) == {}
    (action,) = stage.store.actions()
    assert action.received_by == (channel,)


def test_a_direct_invocation_that_cannot_be_stored_fails_so_that_lambda_repeats_it() -> None:
    with pytest.raises(Unavailable):
        intake_handler(Stage().intake)(message("i-bad"), None)


def test_a_wake_up_leads_to_an_evaluation() -> None:
    stage = Stage()
    intake_handler(stage.intake)(sqs(message()), None)
    ((action_id, version, _), _) = stage.woken  # and one more before the shortest timeout there is
    body = {"action_id": action_id, "version": version}
    assert failures(wake_handler(stage.evaluator, stage.dead_letters)(sqs(body), None)) == []
    assert not stage.store.actions()[0].is_open


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"action_id": "a", "version": "x"}', "[" * 100_000])
def test_what_is_no_wake_up_goes_to_the_dead_letters(body: str) -> None:
    stage = Stage()
    assert failures(wake_handler(stage.evaluator, stage.dead_letters)(sqs(body), None)) == []
    assert len(stage.dead_letters.letters) == 1


def sweep_over(*actions: Action) -> Stage:
    stage = Stage()
    for action in actions:
        stage.store.open(action, Raw(received_at=at(0), body="{}"))
    return stage


def test_a_sweep_evaluates_what_is_overdue_and_wakes_what_is_near() -> None:
    at_once = a_policy([])
    stage = sweep_over(
        an_action(id="overdue", token="1" * 36, policy=at_once),
        an_action(id="near", token="2" * 36, evaluate_at=at(240)),
        an_action(id="far", token="3" * 36, evaluate_at=at(240.1)),
    )
    assert sweep_of(stage.evaluator).handle({}, None) == {"near": 1, "overdue": 1, "evaluated": 1}
    open_ids = {action.id for action in stage.store.actions() if action.is_open}
    assert open_ids == {"near", "far"}
    assert ("near", WHEN_DUE % 2**32, timedelta(seconds=241)) in stage.woken, "a second later: clocks differ"


def test_a_group_whose_message_came_is_not_silent() -> None:
    stage = Stage()
    intake_handler(stage.intake)(sqs(message()), None)
    SilentGroups(hooks=CONFIGURATION.hooks, store=stage.store, telemetry=stage.recorder).run(lambda: True)
    assert stage.recorder.counts["SilentGroups"] == 0


def test_an_event_is_no_evidence_of_a_hook_s_own_target() -> None:
    """The bus tells of every action, whatever target the hook has."""
    stage = Stage()
    event = {
        "source": "aws.autoscaling", "detail-type": "EC2 Instance-terminate Lifecycle Action",
        "time": "2026-03-01T12:00:00Z", "detail": message(),
    }  # fmt: skip
    intake_handler(stage.intake)(sqs(event), None)
    assert not stage.store.reaches_us("web")


class ForgetfulStore(MemoryStore):
    """Takes no evidence of groups."""

    def keep_heard(self, group: str, now: datetime) -> None:
        raise Unavailable(f"{group} at {now}")


def test_evidence_that_cannot_be_kept_fails_no_message() -> None:
    stage = Stage()
    intake = replace(stage.intake, store=ForgetfulStore(lambda: at(0)))
    assert failures(intake_handler(intake)(sqs(message()), None)) == []
    assert len(stage.recorder.troubles) == 1


@pytest.mark.parametrize(
    ("due_s", "late"),
    [pytest.param(-0.1, 0, id="due"), pytest.param(-60, 0, id="a minute"), pytest.param(-60.1, 1, id="late")],
)
def test_an_evaluation_that_is_due_is_not_late_for_a_minute(due_s: float, late: int) -> None:
    stage = sweep_over(an_action(evaluate_at=at(due_s)))
    sweep_of(stage.evaluator).handle({}, None)
    assert stage.recorder.counts["OverdueLooks"] == late


def test_a_sweep_wakes_nothing_that_got_its_wake_ups_when_it_was_stored() -> None:
    """A beat with a margin under 75 s is of a timeout under 15 minutes, which SQS can delay for."""
    short = hook_terms(heartbeat_timeout=timedelta(minutes=5))
    stage = sweep_over(an_action(hook=short, evaluate_at=at(230)))
    assert sweep_of(stage.evaluator).handle({}, None)["near"] == 1
    assert stage.woken == []


def test_an_evaluation_that_fails_keeps_no_other_from_its_turn_and_is_reported() -> None:
    at_once = a_policy([])
    stage = sweep_over(
        an_action(id="action-bug", token="1" * 36, policy=at_once),
        an_action(id="later", token="2" * 36, policy=at_once, started_at=at(-1)),
        an_action(id="last", token="3" * 36, policy=at_once, started_at=at(0.001)),
    )
    with pytest.raises(SweepFailed, match="1 of 3 evaluations failed"):
        sweep_of(stage.evaluator).handle({}, None)
    assert stage.recorder.counts["FailedLooks"] == 1
    assert [action.id for action in stage.store.actions() if action.is_open] == ["action-bug"]


class Holds:
    """As much of usher.outage.live_holds.LiveHolds as a sweep uses."""

    def __init__(self) -> None:
        self.wake_ups_fail = Away(lasts=timedelta(hours=2))
        self.coming: dict[str, datetime] = {}
        self.runs = 0
        self.booked: list[datetime] = []

    def run(
        self,
        has_time: object,  # noqa: ARG002 - as LiveHolds
        paused: object = None,  # noqa: ARG002 - as above
        booked: Callable[[], datetime] | None = None,
    ) -> None:
        self.runs += 1
        if booked is not None:
            self.booked.append(booked())

    def wait(self, span_s: float) -> None:
        raise AssertionError(f"{span_s} s for nothing")

    def catch_up(self, _: object) -> None:
        """There is nothing to tell."""


@pytest.mark.parametrize(
    ("evaluate_s", "runs"),
    [
        pytest.param(-4, 0, id="in time"),
        pytest.param(-10, 1, id="nobody has woken it"),
        pytest.param(-660, 0, id="a record that no evaluation can read stays due"),
    ],
)
def test_a_sweep_holds_without_wake_ups_only_where_they_do_not_come(evaluate_s: float, runs: int) -> None:
    """The last one found by reading: each sweep beat all long hooks, beside the budget."""
    stage, holds = sweep_over(an_action(id="action-bug", evaluate_at=at(evaluate_s))), Holds()
    holds.coming = {"action-bug": at(evaluate_s)}
    with pytest.raises(SweepFailed):
        sweep_of(stage.evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.runs == runs


def test_whatever_keeps_a_sweep_from_reading_what_is_due_what_waits_is_held() -> None:
    """Not only a table that does not answer: an index that is gone is an error of the request."""
    stage, holds = sweep_over(an_action(evaluate_at=at(-10))), Holds()

    class NoIndex:
        def due(self, until: datetime) -> list[Due]:
            raise ValueError(f"no index, {until}")

    sweep = sweep_of(stage.evaluator, live_holds=holds)  # type: ignore[arg-type] # as much as is used
    with pytest.raises(ValueError, match="no index"):
        replace(sweep, store=NoIndex()).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.runs == 1


def test_where_the_table_answers_a_sweep_beats_what_waits_in_turns_of_the_shared_budget() -> None:
    stage, holds = sweep_over(an_action(id="action-bug", evaluate_at=at(-10))), Holds()
    holds.coming = {"action-bug": at(-10)}
    budget = MemoryBudget(1)
    with pytest.raises(SweepFailed):
        sweep_of(replace(stage.evaluator, budget=budget), live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.booked == [at(0)]
    assert budget.book(at(0), at(0), at(0), at(0)) is None


def test_while_wake_ups_come_an_evaluation_may_be_late() -> None:
    """A busy fleet has some that are: to beat all long hooks for that would cost more than it saves."""
    stage, holds = sweep_over(an_action(evaluate_at=at(-10))), Holds()
    holds.coming = {"woken": at(-5)}
    sweep_of(stage.evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.runs == 0


def test_the_first_sweep_of_a_container_knows_of_no_wake_up_that_did_not_come() -> None:
    """Found by reading: after a deploy each sweep beat all long hooks as one evaluation was seconds late."""
    stage, holds = sweep_over(an_action(evaluate_at=at(-10))), Holds()
    sweep_of(stage.evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.runs == 0


def test_an_evaluation_that_a_notice_made_due_is_none_that_a_wake_up_made() -> None:
    """Found by reading: it lifted the doubt while wake-ups failed."""
    stage, holds = sweep_over(an_action(evaluate_at=at(-10))), Holds()
    holds.coming = {"action-1": at(-40)}
    sweep_of(stage.evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert holds.runs == 1


def test_what_the_budget_puts_off_by_seconds_the_same_sweep_beats_where_wake_ups_fail() -> None:
    """Found by `make outages`: of three that were due at once two were put off, and fell before the next."""
    stage, holds, slept = Stage(), Holds(), [0.0]
    hook = hook_terms(heartbeat_timeout=timedelta(minutes=5))
    holds.coming = dict.fromkeys("abc", at(-10))
    for name in "abc":
        action = an_action(
            id=name,
            token=name * 36,
            hook=hook,
            started_at=at(-285),
            first_seen_at=at(-285),
            evaluate_at=at(-10),
        )
        stage.store.open(action, Raw(received_at=at(0), body="{}"))

    def wait(span_s: float) -> None:
        slept[0] += span_s

    holds.wait = wait  # type: ignore[method-assign]
    evaluator = replace(stage.evaluator, budget=MemoryBudget(1), clock=lambda: at(slept[0]))
    sweep_of(evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert [action.heartbeats for action in stage.store.actions()] == [1, 1, 1]
    assert 0 < slept[0] < 15


@pytest.mark.parametrize(
    ("evaluate_s", "runs"),
    [
        pytest.param(-5, 1, id="an evaluation that is due is no evidence"),
        pytest.param(40, 0, id="a wake-up has made the evaluation that was due"),
    ],
)
def test_once_they_failed_wake_ups_are_in_doubt_until_one_comes(evaluate_s: float, runs: int) -> None:
    """Found by `make outages`: the doubt ended too soon, and a 16-minute hook fell between two sweeps."""
    stage, holds = sweep_over(an_action(evaluate_at=at(evaluate_s))), Holds()
    holds.wake_ups_fail.noted(at(-3600))
    holds.coming = {"action-1": at(-5)}
    sweep_of(stage.evaluator, live_holds=holds).handle({}, None)  # type: ignore[arg-type] # as much as is used
    assert (holds.runs, holds.coming) == (runs, {"action-1": at(40)} if evaluate_s > 0 else {})


class LittleTime:
    """A Lambda context near its end."""

    def get_remaining_time_in_millis(self) -> int:
        return 14_999


def test_a_sweep_stops_in_time_before_its_own_end() -> None:
    stage = sweep_over(an_action(policy=a_policy([])))
    assert sweep_of(stage.evaluator).handle({}, LittleTime())["evaluated"] == 0


def test_nearest_expiry_comes_first() -> None:
    order: list[str] = []

    class Watched(Stage):
        def complete(self, action: Action, result: Result) -> Answer:
            order.append(action.id)
            return super().complete(action, result)

    stage = Watched()
    for name, started_at in (("late", 0), ("early", -20), ("middle", -10)):
        action = an_action(id=name, token=f"{name:0<36}", policy=a_policy([]), started_at=at(started_at))
        stage.store.open(action, Raw(received_at=at(0), body="{}"))
    sweep_of(stage.evaluator).handle({}, None)
    assert order == ["early", "middle", "late"]


def test_a_signal_wakes_the_action_that_waits_for_it() -> None:
    stage = sweep_over(an_action(evaluate_at=at(600)))
    signal = {
        "id": "e1",
        "detail-type": "Usher Signal",
        "source": "usher.signal",
        "time": "2026-03-01T12:00:00Z",
        "detail": {"InstanceId": "i-0f0e0d0c0b0a09080", "Signal": "jobs-finished", "Status": "done"},
    }
    intake_handler(stage.intake)(sqs(signal), None)
    assert stage.woken == [("action-1", 2, timedelta(0))]
    assert stage.store.actions()[0].evaluate_at == at(0)


def test_a_change_that_never_gets_through_asks_for_redelivery() -> None:
    class Contended(FlakyStore):
        def save(self, action: Action, *, raw: Raw | None = None) -> None:
            newest = self._actions[action.id]
            self._actions[action.id] = an_action(version=newest.version + 1)
            super().save(action, raw=raw)

    stage = Stage()
    store = Contended(lambda: at(0))
    contended = intake_of(stage.evaluator, CONFIGURATION, store=store)
    store.open(an_action(token="1" * 36), Raw(received_at=at(0), body="{}"))
    assert failures(intake_handler(contended)(sqs(message()), None)) == ["m0"]


class Pass:
    """An enrolment that only counts its runs, and fails where it is told to."""

    name = "enrolment"

    def __init__(self, error: Exception | None = None) -> None:
        self.runs = 0
        self.on_run: Callable[[], object] = lambda: None
        self._error = error

    def run(self, has_time: Callable[[], bool]) -> None:
        assert has_time()
        self.runs += 1
        self.on_run()
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(("seconds", "runs"), [(0, 1), (59, 1), (60, 0), (119, 0), (120, 1)])
def test_the_enrolment_runs_in_every_even_minute(seconds: int, runs: int) -> None:
    stage = Stage()
    enrolment = Pass()
    evaluator = replace(stage.evaluator, clock=lambda: at(seconds))
    sweep_of(evaluator, enrolment).handle({}, None)
    assert enrolment.runs == runs


@pytest.mark.parametrize(
    ("event", "runs"),
    [({"passes": True}, 1), ({"passes": False}, 0), ({"passes": "true"}, 0), ({}, 0), (None, 0), ([], 0)],
    ids=str,
)
def test_in_an_odd_minute_the_passes_run_where_they_are_asked_for(event: Any, runs: int) -> None:
    stage = Stage()
    enrolment = Pass()
    sweep_of(replace(stage.evaluator, clock=lambda: at(60)), enrolment).handle(event, None)
    assert enrolment.runs == runs


def test_another_pass_comes_first_in_each_turn_so_that_none_starves() -> None:
    stage = Stage()
    passes = [Pass(), Pass(), Pass()]
    ran: list[int] = []
    for number, each in enumerate(passes):
        each.on_run = partial(ran.append, number)
    for minute in (0, 2, 4, 60):
        evaluator = replace(stage.evaluator, clock=partial(at, 60 * minute))
        sweep_of(evaluator, *passes).handle({}, None)
    assert ran == [0, 1, 2, 1, 2, 0, 2, 0, 1, 1, 2, 0]


def test_an_enrolment_that_fails_spoils_no_evaluation_and_is_reported() -> None:
    stage = sweep_over(an_action(policy=a_policy([])))
    with pytest.raises(SweepFailed, match=r"^the enrolment pass failed; the log says why$"):
        sweep_of(stage.evaluator, Pass(KeyError("a bug"))).handle({}, None)
    assert not stage.store.actions()[0].is_open
    assert [what for what, _ in stage.recorder.troubles] == ["the enrolment pass failed"]


def test_an_evaluation_that_fails_keeps_the_enrolment_from_nothing() -> None:
    stage = sweep_over(an_action(id="action-bug", policy=a_policy([])))
    enrolment = Pass()
    with pytest.raises(SweepFailed, match="1 of 1 evaluations failed"):
        sweep_of(stage.evaluator, enrolment).handle({}, None)
    assert enrolment.runs == 1


def test_a_sweep_near_its_end_enrols_nothing() -> None:
    stage = Stage()
    enrolment = Pass()
    sweep_of(stage.evaluator, enrolment).handle({}, LittleTime())
    assert enrolment.runs == 0
    assert stage.recorder.counts["PassesPutOff"] == 1
