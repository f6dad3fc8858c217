from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_shapes import ShapedCalls, checked, values_of
from tests.conditions import ANOTHER, HOLDS, INSTANCE, UNKNOWN, Sample, Watch, assert_refused, parsed
from tests.factories import an_action, at
from usher.core.conditions.instance_status import CHECKS, STATES, InstanceStatus
from usher.core.conditions.probe import Found, Reply, ReplyKind
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping

CONDITION = InstanceStatus()
DESCRIBE = "DescribeInstanceStatus"


def status(
    system: str = "ok", instance: str = "ok", state: str = "running", instance_id: str = INSTANCE
) -> dict[str, Any]:
    """What DescribeInstanceStatus says of one instance."""
    return {
        "InstanceId": instance_id,
        "InstanceState": {"Code": 16, "Name": state},
        "SystemStatus": {"Status": system},
        "InstanceStatus": {"Status": instance},
    }


def described(*told: dict[str, Any]) -> dict[str, Any]:
    return {DESCRIBE: {"InstanceStatuses": list(told)}}


SAMPLES = [
    Sample(
        written={"instance_status": "ok"},
        holds=lambda instance: described(status(instance_id=instance)),
        pending=lambda instance: described(status("impaired", instance_id=instance)),
        fails=described(status(state="terminated")),
        of_another=(described(status(instance_id=ANOTHER)), UNKNOWN),
    )
]


def heard(answer: Mapping[str, Any]) -> Found:
    """What the condition makes of a whole answer of DescribeInstanceStatus."""
    call = CONDITION.ask(an_action(), {}, at(0))
    assert call.shared is not None
    kept = call.shared.reduced(answer).get(call.shared.member)
    return CONDITION.hear(an_action(), {}, call, Reply(kind=ReplyKind.ANSWERED, data=kept), at(0))


def test_ok_is_the_status_that_can_be_waited_for() -> None:
    assert parsed({"instance_status": "ok"}) == (CONDITION, [])


@pytest.mark.parametrize("value", ["OK", "impaired", "", None, True, ["ok"], {"status": "ok"}])
def test_another_status_is_refused(value: object) -> None:
    assert_refused({"instance_status": value}, "", "must be ok")


def test_every_status_and_state_of_the_api_has_its_meaning() -> None:
    assert set(CHECKS) == values_of("ec2", "SummaryStatus")
    assert set(STATES) == values_of("ec2", "InstanceStateName")


NONE = "not-applicable"


@pytest.mark.parametrize(
    ("system", "instance", "state", "expected"),
    [
        pytest.param("ok", "ok", "running", "holds", id="both ok"),
        pytest.param("ok", "initializing", "running", "pending", id="the instance check begins"),
        pytest.param("initializing", "ok", "running", "pending", id="the system check begins"),
        pytest.param("impaired", "ok", "running", "pending", id="impaired may recover"),
        pytest.param("insufficient-data", "impaired", "running", "pending", id="one is known to be bad"),
        pytest.param("ok", "insufficient-data", "running", "unknown", id="insufficient data"),
        pytest.param(NONE, NONE, "running", "unknown", id="running, and no checks"),
        pytest.param("ok", "brand-new", "running", "unknown", id="a status that nobody knows yet"),
        pytest.param(NONE, NONE, "pending", "pending", id="not running yet"),
        pytest.param("ok", "ok", "stopping", "pending", id="into a warm pool"),
        pytest.param(NONE, NONE, "stopped", "pending", id="in a warm pool"),
        pytest.param("ok", "ok", "shutting-down", "failed", id="ending"),
        pytest.param(NONE, NONE, "terminated", "failed", id="ended"),
        pytest.param("ok", "ok", "brand-new", "unknown", id="a state that nobody knows yet"),
    ],
)
def test_the_state_and_then_the_checks_decide(system: str, instance: str, state: str, expected: str) -> None:
    found = heard(checked("ec2", DESCRIBE, {"InstanceStatuses": [status(system, instance, state)]}))

    checks = f"system check {system}, instance check {instance}"
    assert (found.status, found.detail) == (
        expected,
        checks if state == "running" else f"the instance is {state}",
    )
    assert found.ask_again_after == timedelta(seconds=30)


@given(st.sampled_from(sorted(CHECKS)), st.sampled_from(sorted(CHECKS)), st.sampled_from(sorted(STATES)))
def test_it_holds_only_for_a_running_instance_with_both_checks_ok(
    system: str, instance: str, state: str
) -> None:
    found = heard({"InstanceStatuses": [status(system, instance, state)]})

    assert (found.status is HOLDS) == ((system, instance, state) == ("ok", "ok", "running"))


def test_an_instance_that_is_not_shown_is_unknown() -> None:
    found = heard({"InstanceStatuses": []})

    assert (found.status, found.detail) == (UNKNOWN, "EC2 does not show the instance")


def test_a_thousand_instances_are_asked_for_a_hundred_at_once() -> None:
    def answer(_: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert parameters["IncludeAllInstances"] is True
        return {"InstanceStatuses": [status(instance_id=each) for each in parameters["InstanceIds"]]}

    calls, answers, clock = ShapedCalls(answer), MemoryAnswers(), VirtualClock(at(0))
    watches = [
        Watch(CONDITION, calls, an_action(instance_id=f"i-{number:017x}"), clock=clock, answers=answers)
        for number in range(1000)
    ]
    for each in watches:
        each.ask()
    calls.made.clear()

    statuses = [{each.stands(seconds) for each in watches} for seconds in (31, 62)]

    assert statuses[1] == {HOLDS}
    assert [len(parameters["InstanceIds"]) for _, parameters in calls.made] == [100] * 20
