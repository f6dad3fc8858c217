"""What may be slow keeps nothing waiting that must be in time: Usher as deployed, with no fault anywhere.

Found by the red team as fault 24: slow answers of one user's function made the waits in other groups'
short hooks fall to their default.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest

from usher.core.conditions.probe import Reply, ReplyKind
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials import drawn_hooks, faults, trial
from usher_simulator.trials.judge.never_by_default import NeverByDefault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.conditions.probe import Call
    from usher_simulator.trials.effects import Effects
    from usher_simulator.trials.trial import Trial

MEMBER: Final = "arn:aws:ecs:us-east-1:111122223333:container-instance/web/"
NEIGHBOURS: Final = {"30s": 20, "1m": 20, "5m": 200}
SIGNALLED: Final = {"until": [{"signal": "never"}]}
SMOKE_TEST: Final[Mapping[str, Any]] = {"ask": {"function": "smoke-test"}}
SERVICES: Final[Mapping[str, Any]] = {
    "ecs": {"ecs": {"state": "active", "cluster": "web"}},
    "command": {"command": {"document": "warm-up"}},
    "targets": {"targets": {"groups": ["web"], "state": "healthy"}},
}


class Slow:
    """Implements usher.ports.conditions.Calls: each answer takes its time, or does not come at all."""

    takes: ClassVar[Mapping[str, float]] = {}
    function_done_s: float = 1e9
    ecs_active_s: float = 1e9

    def __init__(self, effects: Effects, *_: object) -> None:
        self.effects = effects
        self.made: Counter[str] = Counter()

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        self.made[call.operation] += 1
        takes = self.takes.get(call.service)
        longest = call.longest.total_seconds()
        self.effects.invocations.pause(timedelta(seconds=longest if takes is None else takes))
        if takes is None:
            return Reply(kind=ReplyKind.TIMED_OUT, text=f"{call.operation} was not answered in time")
        seconds = (self.effects.clock() - trial.START).total_seconds()
        data = self._function(seconds) if call.service == "lambda" else self._ecs(call, members, seconds)
        return Reply(kind=ReplyKind.ANSWERED, data=data)

    def _function(self, seconds: float) -> Mapping[str, Any]:
        done = seconds >= self.function_done_s
        return {"Payload": '{"status": "done"}' if done else '{"status": "pending"}'}

    def _ecs(self, call: Call, members: Sequence[str], seconds: float) -> Mapping[str, Any]:
        if call.operation == "ListContainerInstances":
            named = call.parameters["filter"].removeprefix("ec2InstanceId == ")
            return {"containerInstanceArns": [MEMBER + named]}
        status = "ACTIVE" if seconds >= self.ecs_active_s else "REGISTERING"
        told = [
            {"containerInstanceArn": arn, "status": status, "agentConnected": True}
            for arn in [*members, *call.parameters.get("containerInstances", ())]
        ]
        return {"containerInstances": told, "failures": []}


def hook(name: str, policy: str, timeout: str) -> dict[str, str]:
    return {
        "name": name,
        "group": f"{name}-group",
        "transition": "launching",
        "heartbeat_timeout": timeout,
        "policy": policy,
        "notify": "sqs",
    }


def a_world(
    monkeypatch: pytest.MonkeyPatch, policies: Mapping[str, Any], slow: type[Slow], timeout: str = "1h"
) -> Trial:
    """Groups whose hooks ask, one for each policy, and their neighbours, which only wait. No fault."""
    hooks: dict[str, Any] = {
        "version": 1,
        "policies": {**policies, "wait": SIGNALLED},
        "hooks": [
            *(hook(name, name, timeout) for name in policies),
            *(hook(f"of-{timeout}", "wait", timeout) for timeout in NEIGHBOURS),
        ],
    }
    monkeypatch.setattr(faults, "draw", lambda *_: faults.Swarm())
    monkeypatch.setattr(drawn_hooks, "draw_hooks", lambda _: hooks)
    monkeypatch.setattr(trial, "Asked", slow)
    world = trial.Trial(5, watched=[NeverByDefault])
    monkeypatch.setattr(world.scenario, "wait_began", lambda _: None)
    monkeypatch.setattr(world.scenario, "wait_ended", lambda _: None)
    for each in hooks["hooks"]:
        group = {"AutoScalingGroupName": each["group"], "MinSize": 0, "MaxSize": 2000, **ANY_SOURCE}
        world.scenario._ask("CreateAutoScalingGroup", **group)  # noqa: SLF001 - as the scenario itself
        world.scenario._put_hook(each)  # noqa: SLF001
    return world


def launch(world: Trial, hook_name: str, many: int) -> None:
    group = f"{hook_name}-group"
    world.scenario._ask("SetDesiredCapacity", AutoScalingGroupName=group, DesiredCapacity=many)  # noqa: SLF001


def launch_neighbours(world: Trial) -> None:
    for timeout, many in NEIGHBOURS.items():
        launch(world, f"of-{timeout}", many)


def run(world: Trial, minutes: float) -> None:
    world.clock.run_until(trial.START + timedelta(minutes=minutes))


def ends(world: Trial, hook_name: str) -> Counter[EndedBy | None]:
    """How the waits in that hook ended; None: they go on."""
    group = world.fleet.groups[f"{hook_name}-group"]
    waits = [wait for each in list(group.instances) for wait in world.fleet.waits.of_instance(each)]
    return Counter(wait.ended_by for wait in waits if wait.hook == hook_name)


def assert_no_neighbour_fell(world: Trial) -> None:
    found = {timeout: ends(world, f"of-{timeout}") for timeout in NEIGHBOURS}
    assert found == {timeout: Counter({None: many}) for timeout, many in NEIGHBOURS.items()}
    assert world.scene.violations == []


@pytest.mark.parametrize(
    ("takes", "asked", "many", "minutes"),
    [
        pytest.param({"lambda": 7}, SMOKE_TEST, 300, 8, id="a function takes 7 s, at the default every"),
        pytest.param(
            {},
            SMOKE_TEST,
            500,
            6,
            id="ten times as many questions hang as are asked at once",
            marks=pytest.mark.large,
        ),
        pytest.param(
            {},
            SERVICES,
            170,
            5,
            id="three services hang, each with more than are asked at once",
            marks=pytest.mark.large,
        ),
    ],
)
def test_no_neighbour_falls_however_slow_the_answers_are(
    monkeypatch: pytest.MonkeyPatch, takes: dict[str, int], asked: Mapping[str, Any], many: int, minutes: int
) -> None:
    """The first is fault 24."""
    monkeypatch.setattr(Slow, "takes", takes)
    world = a_world(monkeypatch, {name: {"until": [condition]} for name, condition in asked.items()}, Slow)
    for name in asked:
        launch(world, name, many)
    run(world, 2)
    launch_neighbours(world)
    run(world, minutes)

    assert_no_neighbour_fell(world)


@pytest.mark.parametrize("many", [60, pytest.param(300, marks=pytest.mark.large)])
def test_a_slow_function_and_ecs_are_fresh_together_and_all_complete(
    monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    class Answers(Slow):
        takes: ClassVar = {"lambda": 7, "ecs": 1}
        function_done_s = 240
        ecs_active_s = 300

    both = {"until": [{"function": "smoke-test"}, {"ecs": {"state": "active", "cluster": "web"}}]}
    world = a_world(monkeypatch, {"ask": both}, Answers)
    launch(world, "ask", many)
    run(world, 2)
    launch_neighbours(world)
    run(world, 8)

    assert_no_neighbour_fell(world)
    assert ends(world, "ask") == Counter({EndedBy.CALL: many})


# What it costs: half an hour in a 5-minute hook, as docs/adr/0011 tells

MOST_MORE: Final = 3
PROBES: Final = (
    18  # in half an hour: a copy of a wake-up, by a sweep, tells whether the queue takes any; one for all
)


def costs_of_a_drain(monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any]) -> Counter[str]:
    """Invocations by function, without the sweep's, and messages that were sent for one action."""

    class Answers(Slow):
        takes: ClassVar = {"lambda": 0.3}
        function_done_s = 1800

    world = a_world(monkeypatch, {"drain": {"until": [condition]}}, Answers, "5m")
    costs = Counter[str]()
    invocations, queue = world.effects.invocations, type(world.usher.wake_ups)
    start, send = invocations.start, queue.send

    def counted(invocation: Any, *given: Any) -> None:
        costs[invocation.function] += invocation.function != "sweep"
        start(invocation, *given)

    def sent(to: Any, *given: Any, **named: Any) -> None:
        costs["sent"] += to is not world.usher.inbox
        send(to, *given, **named)

    monkeypatch.setattr(invocations, "start", counted)
    monkeypatch.setattr(queue, "send", sent)
    launch(world, "drain", 1)
    run(world, 29.99)
    if "signal" in condition:
        world.usher.inbox.send(json.dumps(a_done_signal(world)))
    run(world, 33)
    assert ends(world, "drain") == Counter({EndedBy.CALL: 1})
    return costs


def a_done_signal(world: Trial) -> dict[str, Any]:
    (instance,) = world.fleet.groups["drain-group"].instances
    return {
        "id": "event-1",
        "source": "usher.signal",
        "detail-type": "Usher Signal",
        "time": world.clock().isoformat(),
        "detail": {"InstanceId": instance, "Signal": "done", "Status": "done"},
    }


@pytest.mark.parametrize(
    ("condition", "before"),
    [
        pytest.param({"signal": "done"}, (40, 32), id="no question"),
        pytest.param({"function": "smoke-test"}, (161, 154), id="a question each 30 s"),
        pytest.param({"function": {"name": "f", "every": "5m"}}, (57, 50), id="a question each 5 m"),
    ],
)
def test_a_drain_costs_at_most_three_invocations_more_than_when_evaluations_asked_themselves(
    monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any], before: tuple[int, int]
) -> None:
    """`before`: invocations and messages, counted by this very function where the evaluations still asked."""
    costs = costs_of_a_drain(monkeypatch, condition)

    sent = costs.pop("sent")
    assert costs.total() <= before[0] + MOST_MORE + PROBES
    assert sent <= before[1] + MOST_MORE + PROBES
