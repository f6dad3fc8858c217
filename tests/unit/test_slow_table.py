"""A table that is slow: what waits is held in time, by the sum of what each step may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import an_action, at, hook_terms
from tests.unit.test_handlers import CONFIGURATION, failures, message, sqs
from tests.unit.test_without_table import container
from usher import handlers
from usher.core.held_wait import held_wait
from usher.core.queue_messages import wake_up_body
from usher.evaluation.call_budget import CallBudget
from usher.evaluation.hook_timeouts import HookTimeouts
from usher.outage import slow_table
from usher.ports.autoscaling import Answer, AnswerKind
from usher.ports.errors import TryLater, Unavailable
from usher.ports.records import Raw
from usher.wiring import machine
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.memory_budget import MemoryBudget
from usher_simulator.fakes.memory_store import MemoryStore
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import evaluator_of, intake_of
from usher_simulator.fakes.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from usher.core.action import Action, Result
    from usher.core.held_wait import HeldWait
    from usher.core.hook_items import HookSeen
    from usher.evaluation.evaluator import Evaluator
    from usher.intake.intake import Intake

EXPIRY = 30
SHORT = hook_terms(heartbeat_timeout=timedelta(seconds=EXPIRY))


class Slow:
    """A port whose calls take their time."""

    def __init__(self, port: object, takes: Callable[[], None]) -> None:
        self._port = port
        self._takes = takes

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)

        def call(*given: Any, **named: Any) -> Any:
            self._takes()
            return method(*given, **named)

        return call


@dataclass
class World(OneByOne):
    """Auto Scaling, which takes heartbeats and answers questions late, a queue, and a slow table."""

    now: float
    request_s: float
    beaten_at: list[float] = field(default_factory=list)
    held: list[str | None] = field(default_factory=list)  # the tokens of the wake-ups that carry a wait

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        ids = count(1)
        self.new_id = lambda: f"id-{next(ids)}"

    def clock(self) -> datetime:
        return at(self.now)

    def takes(self, span_s: float) -> Callable[[], None]:
        def take() -> None:
            self.now += span_s

        return take

    def slow(self, port: object) -> Any:
        return Slow(port, self.takes(self.request_s))

    def heartbeat(self, action: Action) -> Answer:
        return self._beaten(action.instance_id)

    def hold(self, wait: HeldWait) -> Answer:
        return self._beaten(wait.instance_id)

    def _beaten(self, instance_id: str) -> Answer:
        self.beaten_at.append(self.now)
        return Answer(kind=AnswerKind.ACCEPTED, text=instance_id[:0])

    def complete(self, action: Action, result: Result) -> Answer:
        raise AssertionError(f"{result} for {action.id}")

    def ongoing(self, action: Action) -> None:
        raise AssertionError(f"{action.id} has a token")

    def send(self, action_id: str, version: int, delay: timedelta, wait: HeldWait | None = None) -> None:  # noqa: ARG002
        self.held += [wait.token] if wait is not None else []
        self.now += 0.02

    def hooks_of(self, group: str) -> Any:
        self.takes(slow_table.QUESTION.total_seconds())()
        raise TryLater(f"{group} was not described")


def evaluator_with(world: World) -> Evaluator:
    store, recorder, budget = world.slow(world.store), Recorder(), world.slow(MemoryBudget(10))
    return evaluator_of(
        store=store,
        auto_scaling=world,
        budget=budget,
        wake_ups=world,
        telemetry=recorder,
        clock=world.clock,
        new_id=world.new_id,
        hook_timeouts=HookTimeouts(
            live=world,
            store=store,
            call_budget=CallBudget(budget=budget, telemetry=recorder),
            telemetry=recorder,
            clock=world.clock,
        ),
    )


class NoLetters:
    def put(self, body: str, reason: str) -> None:
        raise AssertionError(f"{reason}: {body}")


def woken(world: World, action: Action) -> None:
    """A wake-up of the action, in a container of its own."""
    handler = handlers.wake_handler(evaluator_with(world), NoLetters(), container(world))
    body = wake_up_body(action.id, action.stamp, held_wait(action, 1))
    assert failures(handler(sqs(body), None)) == []


@pytest.mark.parametrize("request_s", [0.001, 0.1, 0.3, 0.5, 0.8, 1.0, 1.3, 1.9, 2.0])
@pytest.mark.parametrize("begins_s", [-10, -8.5, -6, -5, -4])
@pytest.mark.parametrize("is_assumed", [False, True], ids=["known", "its group is described first"])
def test_an_evaluation_that_begins_four_seconds_before_the_expiry_beats_a_second_before_it(
    begins_s: float, request_s: float, is_assumed: bool
) -> None:
    """However slow the table is: a request takes two seconds at most, and a question six."""
    world = World(now=EXPIRY + begins_s, request_s=request_s)
    began = at(EXPIRY + begins_s)
    action = an_action(hook=SHORT, timeout_assumed=is_assumed, evaluate_at=began, booked_at=began)
    world.store.open(action, Raw(received_at=at(0), body="{}"))
    woken(world, action)
    assert world.beaten_at
    assert world.beaten_at[0] <= EXPIRY - 1 + 0.1, "and two sends of 20 ms"


def test_a_hook_is_described_though_the_expiry_that_is_assumed_of_it_has_passed() -> None:
    """There was never time for it "before the heartbeat", so no result went out: seed 8430."""
    world = World(now=400, request_s=0.01)
    described: list[str] = []

    def hooks_of(group: str) -> list[HookSeen]:
        described.append(group)
        return []

    world.hooks_of = hooks_of  # type: ignore[method-assign]
    terms = hook_terms(heartbeat_timeout=timedelta(hours=1))
    action = an_action(hook=terms, timeout_assumed=True, evaluate_at=at(400), booked_at=at(400))
    world.store.open(action, Raw(received_at=at(0), body="{}"))
    wait = held_wait(action, 1)
    assert wait is not None
    assert wait.expires_at == at(EXPIRY)
    woken(world, action)
    (after,) = world.store.actions()
    assert (described, after.timeout_assumed) == ([action.hook.group], False)


def test_the_sum_is_of_what_the_clients_are_told() -> None:
    table, call = machine.IN_TIME, machine.ONE_ATTEMPT
    for config, longest in ((table, slow_table.ATTEMPT), (call, slow_table.QUESTION)):
        assert config.connect_timeout + config.read_timeout == longest.total_seconds()
        assert config.retries["total_max_attempts"] == 1


def test_each_request_of_a_client_keeps_the_limit() -> None:
    """A method of a store may make many."""
    world = World(now=0, request_s=1)
    limit = slow_table.RequestDeadline(until=at(2))
    client = slow_table.hurried(world.slow(world.store), limit, world.clock)
    client.load("action-1")
    client.load("action-1")
    with pytest.raises(Unavailable, match="too slow for load"):
        client.load("action-1")


# Intake, which Lambda ends after ten seconds


@dataclass
class TenSeconds:
    """A Lambda context."""

    world: World

    def get_remaining_time_in_millis(self) -> int:
        return round((10 - self.world.now) * 1000)


def an_intake(world: World) -> Intake:
    """Each of its requests to the table takes as long as the world says."""
    items = world.slow(FileItems(CONFIGURATION))
    return intake_of(evaluator_with(world), CONFIGURATION, items=items, dead_letters=NoLetters())


@pytest.mark.parametrize("request_s", [0.01, 0.15, 0.3, 1.0, 2.0])
def test_a_batch_on_a_slow_table_is_not_cut_off_and_all_that_it_leaves_is_held(request_s: float) -> None:
    """Found by reading: the first notices used up the time, and of the last ones nobody heard."""
    world = World(now=0, request_s=request_s)
    intake = an_intake(world)
    tokens = [f"{number:036}" for number in range(10)]
    event = sqs(*(message(f"i-{number}", token) for number, token in enumerate(tokens)))
    for record in event["Records"]:
        record["attributes"] = {"ApproximateReceiveCount": "1"}
    failed = failures(handlers.intake_handler(intake)(event, TenSeconds(world)))
    assert world.now < 10
    recorded = {action.token for action in world.store.actions()}
    assert {tokens[int(name[1:])] for name in failed} >= set(tokens) - recorded
    assert set(world.held) >= set(tokens) - recorded
    assert bool(failed) == (request_s >= 0.15)


def test_what_cannot_even_be_held_in_time_is_returned() -> None:
    """The queue is as slow as it may be, too."""
    world = World(now=0, request_s=2)
    world.send = lambda *_: world.takes(2)()  # type: ignore[method-assign]
    intake = an_intake(world)
    event = sqs(*(message(f"i-{number}", f"{number:036}") for number in range(10)))
    for record in event["Records"]:
        record["attributes"] = {"ApproximateReceiveCount": "1"}
    failed = failures(handlers.intake_handler(intake)(event, TenSeconds(world)))
    assert (world.now <= 10, len(failed)) == (True, 10)
