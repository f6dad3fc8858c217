"""Turns of questions that are lost, doubled or cut off: each costs a while, none begins a second chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import START, a_policy, an_action, at
from tests.questions import QuestionList, asking_by, free_turns
from tests.simulation.evaluation_scene import ACCEPTED, Scene
from tests.simulation.test_evaluation_steps import Drained, Told, waiting
from usher.core.action import Outcome, Result
from usher.core.conditions.combined import Then
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.probe import Call, Found, Later, Reply, ReplyKind, Shared
from usher.core.finding import ConditionStatus
from usher.ports.errors import Unavailable
from usher.questions.probing import Prober
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, sweep_of
from usher_simulator.fakes.recorder import Recorder
from usher_simulator.trials.invocations import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher.core.action import Action
    from usher.core.conditions.probe import Probe
    from usher.core.finding import Memory
    from usher.ports.autoscaling import Answer

MOST_CUTS = 60


class Emptied(Drained):
    """Holds for good from a minute on, as a user's function says it."""

    __slots__ = ()

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: Any) -> Found:  # noqa: ARG002 - a Probe
        if call.operation == "Start":
            return Found(status=ConditionStatus.PENDING, memory=memory, go_on=True)
        done = now >= at(60)
        return Found(
            status=ConditionStatus.HOLDS if done else ConditionStatus.PENDING,
            detail="empty" if done else "not yet",
            ask_again_after=None if done else timedelta(seconds=20),
            memory=memory,
        )


class World(OneByOne):
    """Wake, questions and sweep on a virtual clock. Before step `cut_at` a function is cut off."""

    def __init__(self, action: Action, cut_at: int = 0) -> None:
        self.clock = VirtualClock(START)
        self.store = MemoryStore(self.clock)
        self.cut_at, self.steps, self.started = cut_at, 0, 0
        self.loses: Callable[[str], bool] = lambda _: False
        self.recorder = Recorder()
        self.store.open(action, None)
        self.evaluator = evaluator_of(
            store=self.store,
            auto_scaling=self,
            questions=Line(self),
            wake_ups=self,
            telemetry=self.recorder,
            clock=self.clock,
        )
        self.asking = asking_by(self.evaluator, self)
        for name in ("evidence", "save", "load", "findings", "keep_findings"):
            setattr(self.store, name, self._cuttable(getattr(self.store, name)))
        self.clock.at(START, lambda: self.run(partial(self.evaluator.evaluate, action.id)))
        for minute in range(1, 40):
            self.clock.at(at(60 * minute), lambda: self.run(partial(sweep_of(self.evaluator).handle, {})))

    def _cuttable(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*given: Any, **named: Any) -> Any:
            self.step()
            done = do(*given, **named)
            self.step()
            return done

        return doing

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.cut_at:
            raise Cut

    def run(self, function: Callable[[], object]) -> None:
        try:
            function()
        except Cut:
            return

    def later(self, delay: timedelta, function: Callable[[], object], body: str) -> None:
        self.step()
        if not self.loses(body):
            self.clock.at(self.clock() + delay, lambda: self.run(function))

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:  # noqa: ARG002
        self.later(delay, partial(self.evaluator.evaluate, action_id, version), f"wake {version}")

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        assert not members
        self.step()
        self.started += call.operation == "Start"
        return Reply(kind=ReplyKind.ANSWERED)

    def heartbeat(self, action: Action) -> Answer:
        assert action.is_open
        self.step()
        return ACCEPTED

    def complete(self, action: Action, result: Result) -> Answer:
        assert (action.is_open, result) == (True, Result.CONTINUE)
        self.step()
        return ACCEPTED

    def ongoing(self, action: Action) -> None:
        raise AssertionError(f"{action.id} has a token")

    @property
    def action(self) -> Action:
        (action,) = self.store.actions()
        return action


class Line:
    """Implements usher.ports.queues.Questions."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, action_id: str, turn: int, delay: timedelta) -> None:
        self._world.later(delay, partial(self._world.asking.ask, action_id, turn), f"question {turn}")


def asked(timeout: timedelta = timedelta(minutes=5), **changes: Any) -> Action:
    action = waiting(Emptied(queue="a", starts=True), hook={"heartbeat_timeout": timeout}, **changes)
    return replace(action, policy=replace(action.policy, give_up_after=timedelta(minutes=45)))


def test_a_cut_between_any_two_steps_costs_ten_minutes_at_most_and_starts_nothing_twice() -> None:
    """Eight are what the sweep needs for a turn that is cut off; the rest is asking."""
    uncut = World(asked())
    uncut.clock.run_until(at(180))
    assert uncut.action.outcome is Outcome.COMPLETED
    late = {}
    for cut_at in range(1, min(uncut.steps, MOST_CUTS) + 1):
        world = World(asked(), cut_at)
        world.clock.run_until(at(660))
        if world.action.outcome is not Outcome.COMPLETED or world.started > 1:
            late[cut_at] = (world.action.outcome, world.started)
    assert late == {}


@pytest.mark.parametrize("lost", [1, 3, 4, 5])
def test_a_question_that_is_lost_is_sent_anew_by_the_sweep(lost: int) -> None:
    world = World(asked())
    dropped: list[str] = []

    def loses(body: str) -> bool:
        is_lost = body == f"question {lost}" and not dropped
        dropped.extend([body] if is_lost else [])
        return is_lost

    world.loses = loses
    world.clock.run_until(at(600))

    assert (dropped, world.action.outcome) == ([f"question {lost}"], Outcome.COMPLETED)


def test_a_wake_up_that_is_lost_at_the_end_is_sent_again_a_minute_later() -> None:
    world = World(asked(timedelta(hours=1)))
    world.loses = lambda body: body == "wake 0" and world.clock() < at(90)
    world.clock.run_until(at(180))

    assert world.action.outcome is Outcome.COMPLETED


def test_a_doubled_question_founds_no_second_chain() -> None:
    world = World(asked())
    sent: list[int] = []
    ask = world.asking.ask

    def twice(action_id: str, turn: int) -> None:
        sent.append(turn)
        ask(action_id, turn)
        ask(action_id, turn)

    object.__setattr__(world, "asking", type("Twice", (), {"ask": staticmethod(twice)}))
    world.clock.run_until(at(180))

    assert world.action.outcome is Outcome.COMPLETED
    assert len(sent) == len(set(sent))
    assert world.started == 1


def test_while_paused_held_or_decided_nothing_is_asked_and_afterwards_it_goes_on() -> None:
    world = World(asked())
    world.store.pause("*", "ada: change freeze")
    world.clock.run_until(at(130))
    assert (world.started, world.store.findings("action-1")) == (0, None)

    world.store.resume("*")
    world.clock.run_until(at(330))

    assert (world.started, world.action.outcome) == (1, Outcome.COMPLETED)


def test_a_chain_that_a_pause_ended_begins_again_after_it() -> None:
    """A turn of a paused action stores that nothing is to be asked: a later evaluation asks anew."""
    world = World(asked())
    world.clock.at(at(10), lambda: world.store.pause("*", "ada: change freeze"))
    world.clock.run_until(at(130))
    findings = world.store.findings("action-1")
    assert (world.started, findings is not None and findings.ask_at) == (1, None)

    world.store.resume("*")
    world.clock.run_until(at(330))

    assert (world.started, world.action.outcome) == (1, Outcome.COMPLETED)


def test_a_signal_and_an_answer_that_come_together_are_both_seen() -> None:
    """The answer is for good, so no later turn asks again: the evaluation that is due by itself sees it."""
    action = asked(timedelta(hours=1))
    never = a_policy([{"elapsed": "80s"}]).until
    world = World(replace(action, policy=replace(action.policy, until=(*action.policy.until, *never))))
    world.clock.run_until(at(100))

    assert world.action.outcome is Outcome.COMPLETED


# Auto Scaling's own calls


class Own(Drained):
    """Asks Auto Scaling."""

    __slots__ = ()

    def ask(self, action: Action, memory: Memory, now: Any) -> Call:  # noqa: ARG002 - a Probe
        shared = Shared(member="all", reduced=lambda _: {"all": 0}) if self.unsure else None
        return Call(service="autoscaling", operation="DescribeLoadBalancerTargetGroups", shared=shared)


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "its own"])
def test_a_conditions_call_on_auto_scaling_takes_a_slot_of_the_budget_or_waits(is_shared: bool) -> None:
    """Heartbeats live on the same budget."""
    turns, told = free_turns(1), Told([0, 0])
    asking = asking_by(World(asked()).evaluator, told)
    prober = Prober(calls=told, answers=asking.probing.answers, call_budget=turns, clock=lambda: at(0))  # type: ignore[attr-defined]
    while turns.try_acquire(at(0)):
        pass

    def probed(probe: Probe) -> Found | Later:
        return prober.probe(probe, an_action(), {}, at(40), lambda _: None)

    later = probed(Own(queue="a", unsure=is_shared))
    assert isinstance(later, Later)
    assert (later.at > at(0), told.asked) == (True, [])

    turns.release_replaced(at(0), at(0))
    assert isinstance(probed(Own(queue="a", unsure=is_shared)), Found)
    assert told.asked == ["DescribeLoadBalancerTargetGroups"]


@pytest.mark.parametrize(("behind_s", "is_asked"), [(0, True), (4, True), (5, True), (5.1, False)])
def test_a_turn_that_was_due_by_the_clock_of_its_sender_is_due(behind_s: float, is_asked: bool) -> None:
    """Else the chain ended there, and nobody asked until the next heartbeat: seed 7956."""
    stages = (Elapsed(after=timedelta(seconds=60)), Drained(queue="a"))
    action = waiting()
    action = replace(action, policy=replace(action.policy, until=(Then(stages=stages),)))
    scene, told = Scene(action, now_s=60), Told([5])
    scene.evaluate()
    ((_, turn, delay),) = scene.questions.sent
    assert delay == timedelta(0)
    replace(asking_by(scene.evaluator, told), clock=lambda: at(60 - behind_s)).ask("action-1", turn)
    assert bool(told.asked) is is_asked


def test_where_no_question_could_be_sent_an_evaluation_comes_again_within_a_minute() -> None:
    """Found by a trial: after a hold nobody asked for 17 minutes, until the policy gave up."""
    world = World(asked())
    keep = world.store.keep_findings

    def busy(*given: object) -> None:
        world.store.keep_findings = keep  # type: ignore[method-assign]
        raise Unavailable(f"busy: {len(given)}")

    world.store.keep_findings = busy  # type: ignore[method-assign, assignment]
    world.evaluator.evaluate("action-1")
    assert world.action.evaluate_at is not None
    assert world.action.evaluate_at <= world.clock() + timedelta(minutes=1)


def test_a_queue_that_takes_no_question_stops_no_evaluation() -> None:
    world = World(asked())

    class Down(QuestionList):
        def send(self, action_id: str, turn: int, delay: timedelta) -> None:
            raise Unavailable(f"no {action_id} {turn} {delay}")

    evaluator = replace(world.evaluator, questions=Down())
    evaluator.evaluate("action-1")

    assert world.action.version == 2
    assert [what for what, _ in world.recorder.troubles] == ["no question of action action-1 was requested"]
    world.clock.run_until(at(600))
    assert world.action.outcome is Outcome.COMPLETED
