"""`limits: {at_once: N}`: of many that are to go only so many drain at once, and none falls meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from usher.core.action import Result
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.trials import trial
from usher_simulator.trials.checkers import CHECKERS
from usher_simulator.trials.faults import Fault, Swarm
from usher_simulator.trials.trial import Trial

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher_simulator.autoscaling.lifecycle_actions import Wait

MOST, TAKES = 3, timedelta(minutes=15)
GROUP: Final = "es-data"
HOOKS: Final[dict[str, Any]] = {
    "version": 1,
    "policies": {"drain": {"until": [{"elapsed": "15m"}], "give_up_after": "20m", "on_give_up": "ABANDON"}},
    "hooks": [
        {
            "name": "es-drain",
            "group": GROUP,
            "transition": "terminating",
            "heartbeat_timeout": "30m",
            "default_result": "ABANDON",
            "notify": "sqs",
            "limits": {"at_once": MOST},
            "policy": "drain",
        }
    ],
}
RATES: Final = {
    Fault.NOTICE_DOUBLED: 0.3,
    Fault.NOTICE_LATE: 0.1,
    Fault.CONTENDED: 0.05,
    Fault.SERVER_ERROR: 0.03,
    Fault.ANSWER_LOST: 0.05,
    Fault.STORE_BUSY: 0.01,
    Fault.STORE_ANSWER_LOST: 0.01,
    Fault.QUEUE_BUSY: 0.02,
    Fault.WAKE_UP_LOST: 0.1,
    Fault.WAKE_UP_DOUBLED: 0.3,
    Fault.WAKE_UP_LATE: 0.05,
    Fault.CUT: 0.03,
    Fault.TWICE: 0.2,
    Fault.STALE_INDEX: 0.2,
    Fault.SWEEP_MISSED: 0.1,
}


def drained(seed: int, many: int, rates: dict[Fault, float], monkeypatch: pytest.MonkeyPatch) -> Trial:
    """A group of `many` instances, which all go at once, until the last is gone."""
    world = Trial(seed, hooks=HOOKS, swarm=Swarm(rates=rates), watched=CHECKERS)
    monkeypatch.setattr(world.scenario, "wait_began", lambda _: None)
    monkeypatch.setattr(world.scenario, "wait_ended", lambda _: None)
    ask = world.scenario._ask  # noqa: SLF001 - as the scenario itself
    ask("CreateAutoScalingGroup", AutoScalingGroupName=GROUP, MinSize=0, MaxSize=many, **ANY_SOURCE)
    ask("SetDesiredCapacity", AutoScalingGroupName=GROUP, DesiredCapacity=many)
    world.clock.run_until(trial.START + timedelta(minutes=10))
    world.scenario._put_hook(HOOKS["hooks"][0])  # noqa: SLF001
    ask("SetDesiredCapacity", AutoScalingGroupName=GROUP, DesiredCapacity=0)
    world.clock.run_until(trial.START + timedelta(minutes=40) + TAKES * (many / MOST + 1))
    return world


def most_at_once(held: list[tuple[Wait, Action]]) -> int:
    """How many had begun and waited still, at the worst moment.

    By Auto Scaling: where two evaluations send a result, the record is closed again by the one that was
    accepted, a little later.
    """
    spans = [(action.began_at, wait.ended_at) for wait, action in held]
    moments = [begun for begun, _ in spans if begun is not None]
    return max(sum(_is_within(moment, *span) for span in spans) for moment in moments)


def _is_within(moment: datetime, begun: datetime | None, ended: datetime | None) -> bool:
    return begun is not None and begun <= moment and (ended is None or moment < ended)


@pytest.mark.parametrize("many", [10, pytest.param(40, marks=pytest.mark.large)])
def test_of_many_instances_three_drain_at_once_and_all_end_whatever_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    world = drained(2, many, RATES, monkeypatch)

    waits = world.fleet.waits.of_hook(GROUP, "es-drain")
    told = [(wait, world.usher.memory.of_token(wait.token)) for wait in waits]
    held = [(wait, action) for wait, action in told if action is not None]
    assert len(held) == many
    assert {wait.ended_by for wait in waits} == {EndedBy.CALL}
    assert {action.result for _, action in held} == {Result.CONTINUE}  # none gave up
    assert most_at_once(held) == MOST
    # Seen by Auto Scaling alone: each took its 15 minutes, so of any four the last ends that much later.
    ends = sorted(wait.ended_at for wait in waits if wait.ended_at is not None)
    slack = timedelta(seconds=30)
    assert all(later - earlier > TAKES - slack for earlier, later in zip(ends, ends[MOST:], strict=False))
    assert [str(violation) for violation in world.scene.violations] == []
