"""What a checker of the trials may claim, where a seed that showed it is of another world by now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.factories import an_action
from usher.core.action import Outcome, Phase
from usher_simulator.autoscaling.lifecycle_actions import EndedBy, Wait
from usher_simulator.trials.effects import Call
from usher_simulator.trials.judge.never_early import NeverEarly
from usher_simulator.trials.judge.true_ends import TrueEnds
from usher_simulator.trials.trial import START, Trial

if TYPE_CHECKING:
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
    ("left_s", "claims"),
    [
        pytest.param(0, 0, id="another hook's time ended both, and its own was up"),
        pytest.param(60, 1, id="it had a minute left"),
    ],
)
def test_what_others_ended_is_no_default_unless_its_own_time_was_up(left_s: float, claims: int) -> None:
    scene = Trial(1).scene
    checker, opened = TrueEnds(scene), an_action(started_at=START)
    wait = a_wait(opened, left_s)
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
