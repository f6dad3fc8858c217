"""What a hostile reading found: each test states a promise that was broken once."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.factories import a_signal, an_action, at
from tests.simulation.evaluation_scene import (
    ACCEPTED,
    AT_ONCE,
    BUSY,
    GONE,
    UNANSWERED,
    Scene,
    nudge,
    short,
)
from tests.simulation.test_replay import START, TOKEN, entry, hooks, message, replayed, signalled
from tests.unit.test_handlers import Stage, sqs
from usher.core import configuration, duration, evidence
from usher.core.action import Outcome, Phase, Result
from usher.core.configuration import source_of
from usher.core.hook_items import Enrolled, Target
from usher.core.wanted_hooks import settings_of
from usher.handlers import intake_handler, wake_handler
from usher.ports.errors import Unavailable
from usher.ports.records import Raw
from usher_cli import traffic
from usher_cli.main import main
from usher_cli.traffic import Unreadable
from usher_simulator.autoscaling import moves
from usher_simulator.autoscaling.groups import Hook, Instance
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Wait, action_of
from usher_simulator.fakes.file_items import FileItems
from usher_simulator.fakes.one_by_one import OneByOne
from usher_simulator.fakes.parts import intake_of, sweep_of
from usher_simulator.replay.replay import Entry, replay
from usher_simulator.replay.world import VISIBILITY_TIMEOUT, World
from usher_simulator.trials.invocations import Cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from usher.core.action import Action
    from usher.core.policy import Configuration
    from usher.intake.intake import Intake
    from usher_simulator.fakes.memory_store import MemoryStore

MOST_CUTS = 70  # from then on a 30-second hook only repeats itself
OTHER_TOKEN = "22222222-2222-4333-8444-555555555555"


class QueueDown(OneByOne):
    """Takes no wake-up."""

    def send(self, action_id: str, version: int, delay: timedelta, wait: object = None) -> None:
        raise Unavailable(f"no {action_id} {version} {delay} {wait}")


# Records are closed as it was


def cut_after_the_call(scene: Scene, *, at_s: float) -> Callable[[], None]:
    """During a call of one evaluation, another makes its own and is cut off before its answer."""

    def cut() -> None:
        raise Cut

    def another_evaluation() -> None:
        scene.now = at(at_s)
        scene.during_call = cut
        with pytest.raises(Cut):
            scene.evaluator.evaluate("action-1")
        scene.during_call = lambda: None

    return another_evaluation


def test_a_heartbeat_that_a_completion_of_ours_overtook_does_not_close_it_as_ended_elsewhere() -> None:
    """Promise 1 and 7: Sender._settle put the answer to a heartbeat on a record that completes."""
    scene = Scene(short(), GONE, GONE, now_s=20)
    overtaken = cut_after_the_call(scene, at_s=20.2)

    def a_signal_comes() -> None:
        scene.store.keep_signal(a_signal(at=at(20)))
        nudge(scene, at(20))
        overtaken()

    scene.during_call = a_signal_comes
    scene.evaluate()
    scene.now = at(36)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.COMPLETED, Result.CONTINUE)


def test_a_completion_that_its_own_retry_overtook_is_completed() -> None:
    """Promise 7: Sender.complete counted its own earlier call, and not a later one."""
    scene = Scene(short(policy=AT_ONCE), GONE, GONE, now_s=1)
    scene.during_call = cut_after_the_call(scene, at_s=9)
    scene.evaluate()
    scene.now = at(36)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.COMPLETED, Result.CONTINUE)


def test_what_a_denied_completion_answers_does_not_undo_a_later_one_that_may_have_been_applied() -> None:
    """Promise 7: Sender.complete took a call back under the feet of another evaluation."""
    scene = Scene(short(policy=AT_ONCE), BUSY, GONE, now_s=1)
    scene.during_call = cut_after_the_call(scene, at_s=9)
    scene.evaluate()
    scene.now = at(36)
    closed = scene.evaluate()
    assert (closed.outcome, closed.result) == (Outcome.COMPLETED, Result.CONTINUE)


def test_of_two_evaluations_at_once_neither_takes_the_others_denied_result_for_the_end() -> None:
    """Seeds 6759, 6924, 7497: the second was denied while the first one's answer was on its way."""
    scene = Scene(an_action(policy=AT_ONCE), *[GONE] * 4, now_s=20)

    def another_evaluation() -> None:
        scene.during_call = lambda: None
        nudge(scene, at(20))
        scene.now = at(21)
        scene.evaluate()

    scene.during_call = another_evaluation
    scene.evaluate()
    while scene.action.evaluate_at is not None:
        scene.now = scene.action.evaluate_at
        scene.evaluate()
    assert (scene.action.outcome, scene.action.result) == (Outcome.ENDED_ELSEWHERE, None)


def test_what_someone_else_ended_in_time_is_not_called_defaulted_because_another_hook_still_waits() -> None:
    """Promise 7: Sender._after_failure asked again beyond the expiry of a 30-second hook."""
    scene = Scene(short(), *[GONE] * 40, now_s=20)
    scene.evaluate()
    while scene.action.evaluate_at is not None:
        scene.now = scene.action.evaluate_at
        scene.evaluate()
    assert scene.action.outcome is Outcome.ENDED_ELSEWHERE


def test_no_active_action_while_young_and_waiting_is_no_proof_of_our_unanswered_completion() -> None:
    """Promise 3: the action may not be visible yet, the call lost; it must be asked again, not closed."""
    scene = Scene(short(policy=AT_ONCE), UNANSWERED, GONE, ACCEPTED, now_s=1)
    scene.evaluate()
    scene.now = at(9)
    assert scene.evaluate().phase is Phase.COMPLETING


def test_a_completion_whose_fate_is_unknown_is_not_called_defaulted_before_auto_scaling_says_so() -> None:
    """Promise 7: Sender._after_failure closed at the global timeout whatever the answer was."""
    sent = short(
        policy=AT_ONCE,
        phase=Phase.COMPLETING,
        result=Result.CONTINUE,
        completes_sent=(at(2990),),
        beaten_at=at(2980),
        heartbeats=99,
    )
    scene = Scene(sent, BUSY, now_s=3001)
    assert scene.evaluate().outcome is not Outcome.DEFAULTED


def test_an_end_that_is_stored_once_is_counted_once() -> None:
    """It was counted before the store, and again where the store was tried again."""
    scene = Scene(short(), GONE, GONE, now_s=70)
    scene.during_call = lambda: nudge(scene, at(70))
    scene.evaluate()
    scene.during_call = lambda: None
    scene.evaluate()
    assert scene.recorder.counts["Defaulted"] == 1


# A cut between any two steps costs an evaluation, never an instance


class CutWorld(World):
    """Cuts off the function that makes the step of the given number; its message comes again."""

    def __init__(self, configuration: Configuration, start: datetime, cut_at: int, sweeps: timedelta) -> None:
        self.steps = 0
        self.was_recorded = True
        self._cut_at = cut_at
        self._sweeps = sweeps
        super().__init__(configuration, start)
        for place, name in (
            (self.store, "evidence"),
            (self.store, "open"),
            (self.store, "save"),
            (self.waits, "heartbeat"),
            (self, "wake_at"),
        ):
            setattr(place, name, self._cuttable(getattr(place, name)))

    def _cuttable(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*given: Any, **named: Any) -> Any:
            self._step()
            done = do(*given, **named)
            self._step()
            return done

        return doing

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self._cut_at:
            self.was_recorded = bool(self.store.actions())
            raise Cut

    def _deliver(self, handler: Callable[[dict[str, Any], None], dict[str, Any]], body: str) -> None:
        try:
            super()._deliver(handler, body)
        except Cut:
            self.clock.at(self.clock() + VISIBILITY_TIMEOUT, lambda: self._deliver(handler, body))

    def _run_sweep(self) -> None:
        self.clock.at(self.clock() + self._sweeps, self._run_sweep)
        with contextlib.suppress(Cut):
            self._sweep({}, None)


def a_wait(kind: moves.MoveKind, token: str, timeout: timedelta, begun: datetime) -> Wait:
    """A wait of the instance, group and hook that `message` names."""
    hook = Hook(name="drain", transition="terminating", heartbeat_timeout=timeout)
    instance = Instance(id="i-0123456789abcdef0", group="web-1", zone="", subnet="", states=[])
    return action_of(instance, kind, hook, token, begun)


def a_cut_run(
    timeout: str, cut_at: int, *, first_sweep_s: int, sweeps_s: int, copy_s: int
) -> tuple[CutWorld, Wait]:
    """One action and a late copy of its notification, cut off once: the world, and how the wait ended."""
    heartbeat_timeout = duration.parse(timeout)
    held = duration.written(2 * heartbeat_timeout + timedelta(seconds=200))
    first_sweep, sweeps = START + timedelta(seconds=first_sweep_s), timedelta(seconds=sweeps_s)
    world = CutWorld(hooks(timeout, [{"elapsed": held}]), first_sweep, cut_at, sweeps)
    wait = a_wait(moves.TERMINATE, TOKEN, heartbeat_timeout, START)
    world.clock.at(START, lambda: world.waits.begin(wait))
    for seconds in (1, copy_s):
        world.deliver_at(START + timedelta(seconds=seconds), json.dumps(message()))
    world.run_to_end(START + timedelta(seconds=max(copy_s, 200)))
    return world, wait


@pytest.mark.parametrize(
    ("timeout", "first_sweep_s", "sweeps_s", "copy_s"),
    [
        pytest.param("30s", -20, 60, 300, id="30 s"),
        pytest.param("2m45s", -20, 119, 600, id="2m45s: the sweep sends one wake-up, not two"),
        pytest.param("5m", 0, 60, 270, id="5 m: a late copy leaves a single wake-up"),
        pytest.param("10m", -20, 119, 900, id="10 m: one sweep in 150 s, and its wake-up is the only one"),
        pytest.param("1h", -20, 119, 600, id="1 h"),
    ],
)
def test_a_cut_between_any_two_steps_costs_no_instance(
    timeout: str, first_sweep_s: int, sweeps_s: int, copy_s: int
) -> None:
    run = partial(a_cut_run, timeout, first_sweep_s=first_sweep_s, sweeps_s=sweeps_s, copy_s=copy_s)
    world, uncut = run(0)
    assert uncut.ended_by is EndedBy.CALL
    lost = {}
    for cut_at in range(1, min(world.steps, MOST_CUTS) + 1):
        world, wait = run(cut_at)
        if world.was_recorded and wait.ended_by is not EndedBy.CALL:
            lost[cut_at] = wait.ended_by
    assert lost == {}


def test_a_copy_that_comes_while_no_wake_up_can_be_sent_voids_none_of_those_that_were() -> None:
    """Promise 3: they count for the state with the copy as for the one before it, also if they are early."""
    stage = Stage()
    terms = hooks("30s", [{"signal": "done"}])

    def intake(wake_ups: Any) -> Intake:
        return intake_of(stage.evaluator, terms, wake_ups=wake_ups, clock=lambda: at(15))

    body = json.dumps(message())
    intake(stage).take(body, "sqs")
    (action,) = stage.store.actions()
    intake(QueueDown()).take(body, "sqs")
    intake(QueueDown()).take(body, "sqs")
    noted = stage.store.load(action.id)
    assert noted is not None
    assert (noted.version, noted.evaluate_at) == (action.version + 2, action.evaluate_at)
    assert noted.stands_at(action.stamp)


def test_a_new_wait_is_recorded_though_no_wake_up_can_be_sent_for_the_one_before_it() -> None:
    """The old one's question must not keep the new one from its record."""
    stage = Stage()
    terms = hooks("30s", [{"signal": "done"}])
    for wake_ups, token, at_s in ((stage, TOKEN, 1), (QueueDown(), OTHER_TOKEN, 15)):
        intake = intake_of(stage.evaluator, terms, wake_ups=wake_ups, clock=partial(at, at_s))
        with contextlib.suppress(Unavailable):
            intake.take(json.dumps(message(LifecycleActionToken=token, Time=at(at_s).isoformat())), "sqs")
    assert [action.token for action in stage.store.actions()] == [TOKEN, OTHER_TOKEN]


class AnotherCopyFirst:
    """A store in which another copy is recorded between two reads of the intake of the first."""

    def __init__(self, store: MemoryStore, come: Callable[[], None]) -> None:
        self.store, self.come = store, [come]

    def of_instance(self, instance_id: str) -> list[Action]:
        while self.come:
            self.come.pop()()
        return list(self.store.of_instance(instance_id))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize(("first", "second"), [(1.2, 1), (1, 1.2)], ids=["sqs first", "eventbridge first"])
def test_of_two_copies_at_once_none_is_taken_for_an_earlier_wait(first: float, second: float) -> None:
    """Found in a local account: EventBridge tells whole seconds, so one copy seemed to begin first.

    Signals of before that moment, as if they had ended the earlier wait, counted no more.
    """
    stage = Stage()
    terms = hooks("2m", [{"signal": "done"}])

    def copy(at_s: float) -> str:
        return json.dumps(message(Time=at(at_s).isoformat()))

    def another_copy() -> None:
        intake_of(stage.evaluator, terms, wake_ups=stage, clock=partial(at, 2)).take(copy(first), "sqs")

    store: Any = AnotherCopyFirst(stage.store, another_copy)
    intake_of(stage.evaluator, terms, store=store, wake_ups=stage, clock=partial(at, 2)).take(
        copy(second), "sqs"
    )
    (action,) = stage.store.actions()
    assert (action.token, action.signals_since) == (TOKEN, None)
    assert evidence.fits(a_signal(name="done", at=at(0), instance_id=action.instance_id), action)


class SeenStanding(FileItems):
    """Every hook of the file stands as the file has it, and was seen a moment ago."""

    def __init__(self, file: Configuration) -> None:
        super().__init__(file)
        self.file = file

    def of(self, group: str, hook: str) -> list[Enrolled]:
        (one,) = self.file.hooks
        settings, source = settings_of(one, Target(arn=None)), source_of(one)
        return [
            Enrolled(group=group, group_arn="", hook=hook, settings=settings, source=source, seen_at=at(0))
        ]


@pytest.mark.parametrize(("timeout", "comes_again"), [("150s", True), ("151s", False)])
def test_a_notice_comes_again_where_nothing_would_wake_its_action_in_time(
    timeout: str, *, comes_again: bool
) -> None:
    """Promise 3: no wake-up was taken, and the sweep may come after the expiry (BETWEEN_SWEEPS: 150 s)."""
    stage = Stage()
    terms = hooks(timeout, [{"signal": "done"}])
    intake = intake_of(stage.evaluator, terms, items=SeenStanding(terms), wake_ups=QueueDown())
    with pytest.raises(Unavailable) if comes_again else contextlib.nullcontext():
        intake.take(json.dumps(message()), "sqs")
    assert [action.token for action in stage.store.actions()] == [TOKEN]


@pytest.mark.parametrize(("after_s", "wake_ups"), [(4, []), (5, [12, 0])])
def test_a_copy_wakes_what_should_have_been_evaluated_by_now(after_s: int, wake_ups: list[float]) -> None:
    """Promise 3: the wake-ups of the first copy were not taken, or were lost, so both are sent again."""
    stage = Stage()
    terms = hooks("30s", [{"signal": "done"}])
    with contextlib.suppress(Unavailable):
        intake_of(stage.evaluator, terms, wake_ups=QueueDown(), clock=partial(at, 1)).take(
            json.dumps(message()), "sqs"
        )
    copies = intake_of(stage.evaluator, terms, wake_ups=stage, clock=partial(at, 1 + after_s))
    copies.take(json.dumps(message()), "eventbridge")
    assert [delay.total_seconds() for _, _, delay in stage.woken] == wake_ups


# The sweep


class Lambda:
    """A context in which some milliseconds are left, which sending uses up."""

    def __init__(self, left_ms: int) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


def test_a_sweep_evaluates_what_is_overdue_before_it_sends_wake_ups_for_what_is_not() -> None:
    stage = Stage()
    stage.store.open(
        an_action(id="overdue", token=None, activity_id="a", policy=AT_ONCE), Raw(received_at=at(0), body="")
    )
    for number in range(10):
        near = an_action(id=f"near-{number}", token=None, activity_id="a", evaluate_at=at(60))
        stage.store.open(near, Raw(received_at=at(0), body=""))
    context = Lambda(left_ms=20_000)
    send = stage.send

    def slow_send(action_id: str, version: int, delay: timedelta, wait: object = None) -> None:
        context.left_ms -= 1000
        assert context.left_ms > 0
        send(action_id, version, delay, wait)

    stage.send = slow_send  # type: ignore[method-assign]
    assert sweep_of(stage.evaluator).handle({}, context)["evaluated"] == 1


def test_a_sweep_saves_what_can_be_saved_before_it_closes_what_has_expired() -> None:
    """After an outage, thousands of expired records stand before the one that expires in seconds."""
    stage = Stage()
    for number in range(5):
        long_gone = an_action(
            id=f"gone-{number}", token=None, activity_id="a", started_at=at(-7200), policy=AT_ONCE
        )
        stage.store.open(long_gone, Raw(received_at=at(0), body=""))
    alive = an_action(id="alive", token=None, activity_id="a", started_at=at(-3580), policy=AT_ONCE)
    stage.store.open(alive, Raw(received_at=at(0), body=""))
    context = Lambda(left_ms=20_000)
    complete = stage.complete

    def slow_complete(action: Any, result: Result) -> Any:
        context.left_ms -= 6_000
        return complete(action, result)

    stage.complete = slow_complete  # type: ignore[method-assign]
    sweep_of(stage.evaluator).handle({}, context)
    closed = stage.store.load("alive")
    assert closed is not None
    assert closed.outcome is Outcome.COMPLETED


# Nothing raises out of a handler


@pytest.mark.parametrize("event", [[], [message()], "text", 5, None], ids=repr)
def test_an_event_that_is_no_object_is_a_dead_letter(event: Any) -> None:
    stage = Stage()
    assert intake_handler(stage.intake)(event, None) == {}
    assert len(stage.dead_letters.letters) == 1


def test_a_wake_up_with_a_version_beyond_all_numbers_is_a_dead_letter() -> None:
    stage = Stage()
    event = sqs('{"action_id": "action-1", "version": Infinity}')
    assert wake_handler(stage.evaluator, stage.dead_letters)(event, None) == {"batchItemFailures": []}
    assert len(stage.dead_letters.letters) == 1


# Instances that wait more than once, or in more than one hook


def test_a_failed_launch_is_known_as_such_though_a_second_launch_hook_was_waiting_too() -> None:
    """intake.py, _launch_failed asks the launch that began last, not the move."""
    rules = [{"when": {"after": "launch_failed"}, "use": "park"}, {"use": "work"}]
    gates = [
        {"name": name, "group": "web-1", "transition": "launching", "policy": name} for name in ("one", "two")
    ]
    drain = {"name": "drain", "group": "web-1", "transition": "terminating", "policy": rules}
    policies = {
        "one": {"until": [{"signal": "one"}]},
        "two": {"until": [{"signal": "two"}]},
        "work": {"until": [{"elapsed": "10m"}]},
        "park": {"until": []},
    }
    launches = [
        entry(
            message(
                LifecycleHookName=name,
                LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
                LifecycleActionToken=f"{name:0>36}",
                Origin="EC2",
                Destination="AutoScalingGroup",
                Time=f"2026-03-01T11:50:00.{fraction}Z",
            ),
            -599,
        )
        for name, fraction in (("one", "000"), ("two", "100"))
    ]
    told = replayed(
        configuration.parse({"version": 1, "policies": policies, "hooks": [*gates, drain]}),
        *launches,
        entry(signalled("failed", "2026-03-01T11:59:58Z", "one"), -1),
        entry(message(), 1),
    )
    assert [action["policy"] for action in told["actions"]] == ["one", "two", "park"]


def test_a_record_that_nobody_told_of_its_end_does_not_take_the_signal_of_the_wait_after_it() -> None:
    """Same instance, same hook, new token: the earlier wait is over, though no event said so."""
    world = World(hooks("1h", [{"signal": "done"}], give_up_after="2h"), START)
    for token, after_s in ((TOKEN, 0), (OTHER_TOKEN, 600)):
        begun = START + timedelta(seconds=after_s)
        wait = a_wait(moves.RETURN_TO_POOL, token, timedelta(hours=1), begun)
        body = message(LifecycleActionToken=token, Time=begun.isoformat(), Destination="WarmPool")
        world.clock.at(begun, lambda wait=wait: world.waits.begin(wait))  # type: ignore[misc]
        world.deliver_at(begun + timedelta(seconds=1), json.dumps(body))
    first_ends = START + timedelta(seconds=300)
    first = world.waits.of_token
    world.clock.at(first_ends, lambda: world.waits.end(first(TOKEN), "CONTINUE", EndedBy.OTHER))  # type: ignore[arg-type]
    done_at = START + timedelta(seconds=900)
    world.deliver_at(done_at, json.dumps(signalled("done", done_at.isoformat())))
    world.run_to_end(done_at)
    by_token = {action.token: action for action in world.store.actions()}
    assert by_token[OTHER_TOKEN].reason == "done: signal done says done"


# Replay


def test_times_are_utc_whatever_zone_a_capture_was_received_in() -> None:
    body = json.dumps({"received_at": "2026-03-01T14:00:01+02:00", "body": message()})
    outcome = CliRunner().invoke(
        main, ["replay", "-", "--json", "--hooks", "usher_cli/sample/hooks.yaml"], input=body
    )
    assert outcome.exit_code == 0
    (found,) = traffic.read_content("-", body.encode())
    assert isinstance(found, Entry)
    told = replayed(hooks("5m", []), found)
    (action,) = told["actions"]
    assert action["first_seen_at"] == action["timeline"][0]["at"] == "2026-03-01T12:00:01.000Z"


def test_a_month_without_anything_costs_no_sweep_a_minute() -> None:
    """One message with a wrong year (2009 to 2200 are read) must not make a replay run for hours."""
    later = message(LifecycleActionToken=OTHER_TOKEN, Time="2026-04-01T12:00:00.000Z")
    world = replay([entry(message()), entry(later)], hooks("5m", [])).world
    assert next(world.clock._asked) < 1000  # noqa: SLF001 - how many things were ever due


def test_a_capture_from_the_end_of_time_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    late = json.dumps({"received_at": "9999-12-31T23:59:59Z", "body": message()})
    file.write_text(f"{late}\n{json.dumps(message())}\n")
    found = [(type(each), each.source) for each in traffic.read((str(file),))]
    assert found == [(Unreadable, f"{file}:1"), (Entry, f"{file}:2")]


def test_captures_within_captures_stop_none_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    deep = '{"received_at":"2026-03-01T12:00:00Z","body":' * 800 + "1" + "}" * 800
    file.write_text(f"{deep}\n{json.dumps(message())}\n")
    assert [found.source for found in traffic.read((str(file),))] == [f"{file}:1", f"{file}:2"]


def test_replay_needs_no_profile_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-another-machine")
    told = replayed(hooks("5m", []), entry(message(), 1))
    assert told["summary"]["actions"] == 1


def test_a_place_is_told_as_it_is(tmp_path: Path) -> None:
    """`file:100:` is no emoji."""
    file = tmp_path / "a.jsonl"
    file.write_text("\n" * 99 + "{\n")
    outcome = CliRunner().invoke(main, ["replay", str(file), "--hooks", "usher_cli/sample/hooks.yaml"])
    assert f"{file}:100: not JSON" in outcome.stdout
