"""What a checker of the trials may claim, where a seed that showed it is of another world by now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.factories import an_action, hook_terms
from usher.core.action import Outcome, Phase
from usher.core.held_wait import held_wait
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Wait
from usher_simulator.trials.condition_replies import SERVICES
from usher_simulator.trials.effects import Call
from usher_simulator.trials.invocations import Invocation
from usher_simulator.trials.judge.level_not_edge import LevelNotEdge
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.terms import InForce
from usher_simulator.trials.judge.true_ends import TrueEnds
from usher_simulator.trials.trial import START, Trial

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action


def test_a_record_stays_adopted_when_its_token_is_known() -> None:
    checker = NeverEarly(Trial(1).scene)
    adopted = an_action(token=None)
    named = replace(adopted, token="token-1")
    checker.stored(None, adopted, None)
    checker.stored(adopted, named, None)

    assert checker.adopted(named)


def a_wait(action: Action, left_s: float) -> Wait:
    """That of an action, as the simulated service has it."""
    return Wait(
        token=action.token or "",
        group=action.hook.group,
        hook=action.hook.name,
        instance_id=action.instance_id,
        transition="terminating",
        origin="AutoScalingGroup",
        destination="EC2",
        heartbeat_timeout=timedelta(hours=1),
        default_result="ABANDON",
        started_at=START,
        expires_at=START + timedelta(seconds=left_s),
    )


@pytest.mark.parametrize(
    ("left_s", "is_changed", "claims"),
    [
        pytest.param(0, False, 0, id="another hook's time ended both, and its own was up"),
        pytest.param(60, False, 1, id="it had a minute left"),
        pytest.param(60, True, 0, id="others had raised its hook's timeout: seed 565"),
    ],
)
def test_what_others_ended_is_no_default_unless_its_own_time_was_up(
    left_s: float, is_changed: bool, claims: int
) -> None:
    scene = Trial(1).scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, left_s)
    if is_changed:
        scene.changed_by_others.add((wait.group, wait.hook))
    scene.waits.begin(wait)
    checker.stored(None, opened, None)
    wait.ended_at, wait.ended_by, wait.result = START, EndedBy.OTHER, "CONTINUE"
    closed = replace(opened, phase=Phase.CLOSED, outcome=Outcome.DEFAULTED, closed_at=START, look_at=None)
    checker.stored(opened, closed, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("sent_s", "named_by", "claims"),
    [
        pytest.param(-1, "LifecycleActionToken", 0, id="sent before a late message made the record"),
        pytest.param(1, "InstanceId", 0, id="sent while a message made the record: seed 364"),
        pytest.param(1, "LifecycleActionToken", 1, id="sent for the record"),
    ],
)
def test_what_a_removal_completed_unrecorded_no_later_record_can_tell(
    sent_s: float, named_by: str, claims: int
) -> None:
    scene = Trial(1).scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, 0)
    scene.waits.begin(wait)
    checker.stored(None, opened, None)
    parameters = {
        "AutoScalingGroupName": wait.group,
        "LifecycleHookName": wait.hook,
        named_by: {"LifecycleActionToken": wait.token, "InstanceId": wait.instance_id}[named_by],
    }
    sent = Call(
        at=scene.clock() + timedelta(seconds=sent_s),
        invocation=None,
        operation="CompleteLifecycleAction",
        parameters=parameters,
        refusal=None,
        is_told=True,
    )
    checker.called(sent)
    wait.ended_at, wait.ended_by, wait.result = START, EndedBy.CALL, "CONTINUE"
    outcome = Outcome.ENDED_ELSEWHERE
    closed = replace(opened, phase=Phase.CLOSED, outcome=outcome, closed_at=START, look_at=None)
    checker.stored(opened, closed, None)

    assert len(scene.violations) == claims


@pytest.mark.parametrize(
    ("since_s", "claims"),
    [
        pytest.param(12, 1, id="eighteen seconds were left of the 30 that are assumed at first"),
        pytest.param(22, 0, id="eight seconds were left of those: seed 1471"),
        pytest.param(92, 1, id="eight were left by the record, which is not believed"),
        pytest.param(192, 0, id="eight were left by the file"),
        pytest.param(3592, 0, id="eight were left by the service's own timeout"),
    ],
)
def test_a_chain_may_go_on_only_where_the_wait_was_nearly_over(since_s: float, claims: int) -> None:
    """Of two heartbeats at once the second hides no expiry."""
    world = Trial(1)
    scene = world.scene
    checker = LevelNotEdge(scene)
    opened = an_action(started_at=START, hook=hook_terms(heartbeat_timeout=timedelta(seconds=100)))
    written = {"name": opened.hook.name, "group": opened.hook.group, "transition": "terminating"}
    file = {"hooks": [{**written, "heartbeat_timeout": "200s", "policy": "drain"}], "policies": {}}
    scene.deployed[:] = [InForce(since=START, file=file)]
    wait = a_wait(opened, 3600)
    scene.waits.begin(wait)
    scene.memory.open(opened, None)
    checker.stored(None, opened, None)
    for at in (START, START + timedelta(seconds=since_s)):
        checker.called(a_heartbeat(wait, at))
    world.clock.run_until(START + timedelta(seconds=since_s))
    carried = held_wait(opened, 1)
    assert carried is not None
    by = Invocation(function="wake", timeout=timedelta(seconds=30))
    checker.woken(opened.id, opened.version, scene.clock(), replace(carried, links=1), by)

    assert len(scene.violations) == claims


def a_heartbeat(wait: Wait, at: datetime) -> Call:
    """One that was accepted."""
    parameters = {
        "AutoScalingGroupName": wait.group,
        "LifecycleHookName": wait.hook,
        "LifecycleActionToken": wait.token,
    }
    return Call(
        at=at,
        invocation=None,
        operation="RecordLifecycleActionHeartbeat",
        parameters=parameters,
        refusal=None,
        is_told=True,
    )


def test_an_instance_is_a_target_before_its_wait_begins() -> None:
    """Else an answer that came just before reads as if it was drained: seed 2011. Once drained it is none."""
    asked = Trial(1).asked
    asked.launched = lambda: ["i-1", "i-2"]
    drained = a_wait(an_action(instance_id="i-2"), 60)
    asked.begins(drained, ["targets drained"], timedelta(0))
    answer = SERVICES["DescribeTargetHealth"](asked, {}, START)

    assert answer == {
        "TargetHealthDescriptions": [
            {"Target": {"Id": "i-1", "Port": 80}, "TargetHealth": {"State": "initial"}}
        ]
    }
