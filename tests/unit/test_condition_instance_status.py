from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, checked, values_of
from tests.factories import an_action, at
from tests.questions import free_turns, with_finding
from usher.aws.calls import AwsCalls
from usher.core import conditions
from usher.core.conditions.instance_status import CHECKS, STATES, InstanceStatus
from usher.core.conditions.probe import Found, Later, Permission, Reply, ReplyKind, as_finding, finding_of
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus, Finding
from usher.questions.probing import Prober
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition
    from usher.ports.conditions import Calls

INSTANCE = an_action().instance_id
CONDITION = InstanceStatus()
DESCRIBE = "DescribeInstanceStatus"


def parsed(value: object) -> tuple[Condition | None, list[Problem]]:
    problems: list[Problem] = []
    try:
        return conditions.parse(Field(path=("until", 0), value=value, problems=problems)), problems
    except Refused:
        return None, problems


def status(
    system: str = "ok", instance: str = "ok", state: str = "running", instance_id: str = INSTANCE
) -> dict[str, Any]:
    """What DescribeInstanceStatus says of one instance."""
    return {
        "AvailabilityZone": "us-east-1a",
        "InstanceId": instance_id,
        "InstanceState": {"Code": 16, "Name": state},
        "SystemStatus": {"Status": system, "Details": [{"Name": "reachability", "Status": "passed"}]},
        "InstanceStatus": {"Status": instance, "Details": [{"Name": "reachability", "Status": "passed"}]},
    }


def heard(answer: Any) -> Found:
    """What the condition makes of a whole answer of DescribeInstanceStatus."""
    call = CONDITION.ask(an_action(), {}, at(0))
    assert call.shared is not None
    kept = call.shared.reduced(answer).get(call.shared.member)
    return CONDITION.hear(an_action(), {}, call, Reply(kind=ReplyKind.ANSWERED, data=kept), at(0))


def test_ok_is_the_status_that_can_be_waited_for() -> None:
    assert parsed({"instance_status": "ok"}) == (CONDITION, [])


@pytest.mark.parametrize("value", ["OK", "impaired", "", None, True, ["ok"], {"status": "ok"}])
def test_another_status_is_refused(value: object) -> None:
    condition, problems = parsed({"instance_status": value})

    assert condition is None
    assert [(problem.field, problem.rule) for problem in problems] == [
        ("until[0].instance_status", "must be ok")
    ]


def test_it_is_called_by_its_kind_and_may_describe_the_status_of_instances() -> None:
    assert CONDITION.name == "instance_status ok"
    assert CONDITION.permissions == (Permission(actions=("ec2:DescribeInstanceStatus",)),)


def test_every_status_and_state_of_the_api_has_its_meaning() -> None:
    assert set(CHECKS) == values_of("ec2", "SummaryStatus")
    assert set(STATES) == values_of("ec2", "InstanceStateName")


@pytest.mark.parametrize(
    ("told", "status", "detail"),
    [
        pytest.param(status(), "holds", "system check ok, instance check ok", id="both ok"),
        pytest.param(
            status("ok", "initializing"),
            "pending",
            "system check ok, instance check initializing",
            id="the instance check begins",
        ),
        pytest.param(
            status("initializing", "ok"),
            "pending",
            "system check initializing, instance check ok",
            id="the system check begins",
        ),
        pytest.param(
            status("impaired", "ok"),
            "pending",
            "system check impaired, instance check ok",
            id="impaired may recover",
        ),
        pytest.param(
            status("insufficient-data", "impaired"),
            "pending",
            "system check insufficient-data, instance check impaired",
            id="one bad check is known to be bad",
        ),
        pytest.param(
            status("ok", "insufficient-data"),
            "unknown",
            "system check ok, instance check insufficient-data",
            id="insufficient data",
        ),
        pytest.param(
            status("not-applicable", "not-applicable"),
            "unknown",
            "system check not-applicable, instance check not-applicable",
            id="running, and no checks",
        ),
        pytest.param(
            status("ok", "brand-new"),
            "unknown",
            "system check ok, instance check brand-new",
            id="a status that nobody knows yet",
        ),
        pytest.param(
            status("not-applicable", "not-applicable", "pending"),
            "pending",
            "the instance is pending",
            id="not running yet",
        ),
        pytest.param(
            status("ok", "ok", "stopping"), "pending", "the instance is stopping", id="into a warm pool"
        ),
        pytest.param(
            status("not-applicable", "not-applicable", "stopped"),
            "pending",
            "the instance is stopped",
            id="in a warm pool",
        ),
        pytest.param(
            status("ok", "ok", "shutting-down"), "failed", "the instance is shutting-down", id="ending"
        ),
        pytest.param(
            status("not-applicable", "not-applicable", "terminated"),
            "failed",
            "the instance is terminated",
            id="ended",
        ),
        pytest.param(
            status("ok", "ok", "brand-new"),
            "unknown",
            "the instance is brand-new",
            id="a state that nobody knows yet",
        ),
    ],
)
def test_the_state_and_then_the_checks_decide(told: dict[str, Any], status: str, detail: str) -> None:
    found = heard(checked("ec2", DESCRIBE, {"InstanceStatuses": [told]}))

    assert (found.status, found.detail) == (ConditionStatus(status), detail)
    assert found.ask_again_after == timedelta(seconds=30)


@settings(deadline=None)
@given(st.sampled_from(sorted(CHECKS)), st.sampled_from(sorted(CHECKS)), st.sampled_from(sorted(STATES)))
def test_it_holds_only_for_a_running_instance_with_both_checks_ok(
    system: str, instance: str, state: str
) -> None:
    found = heard({"InstanceStatuses": [status(system, instance, state)]})

    assert (found.status is ConditionStatus.HOLDS) == ((system, instance, state) == ("ok", "ok", "running"))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"InstanceStatuses": []}, id="the instance is not shown"),
        pytest.param({"InstanceStatuses": [status(instance_id="i-1")]}, id="another one is shown"),
        pytest.param({}, id="nothing"),
        pytest.param(None, id="no mapping"),
        pytest.param({"InstanceStatuses": None}, id="no list"),
        pytest.param({"InstanceStatuses": ["ok"]}, id="a text in the list"),
        pytest.param({"InstanceStatuses": [{"InstanceId": INSTANCE}]}, id="no state"),
        pytest.param(
            {"InstanceStatuses": [{"InstanceId": INSTANCE, "InstanceState": {"Name": "running"}}]},
            id="no checks",
        ),
        pytest.param(
            {"InstanceStatuses": [status() | {"SystemStatus": "ok"}]}, id="a check of another shape"
        ),
    ],
)
def test_what_is_not_shown_or_not_understood_is_unknown(answer: object) -> None:
    assert heard(answer).status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(kind=ReplyKind.TIMED_OUT, text="late"), id="no answer in time"),
        pytest.param(Reply(kind=ReplyKind.UNKNOWN, code="Throttling", text="Throttling"), id="busy"),
        pytest.param(
            Reply(kind=ReplyKind.REFUSED, code="InvalidInstanceID.NotFound", text="i-9"),
            id="others not there",
        ),
    ],
)
def test_no_answer_is_unknown(reply: Reply) -> None:
    found = CONDITION.hear(an_action(), {}, CONDITION.ask(an_action(), {}, at(0)), reply, at(0))

    assert (found.status, found.go_on) == (ConditionStatus.UNKNOWN, False)
    assert reply.text in found.detail


class Ec2:
    """Answers for the instances that it is told of."""

    def __init__(self, told: Mapping[str, dict[str, Any]]) -> None:
        self.told = dict(told)

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert operation == DESCRIBE
        assert parameters["IncludeAllInstances"] is True
        return {
            "InstanceStatuses": [self.told[each] for each in parameters["InstanceIds"] if each in self.told]
        }


class Watch:
    """Actions that wait for it, each of its own instance, and what the record keeps of each."""

    def __init__(self, calls: Calls) -> None:
        self.clock = VirtualClock(at(0))
        self._prober = Prober(
            calls=calls, answers=MemoryAnswers(), call_budget=free_turns(), clock=self.clock
        )
        self._actions: dict[str, Action] = {}

    def look(self, seconds: float, instance_id: str = INSTANCE) -> Finding | None:
        self.clock.run_until(at(seconds))
        now = self.clock()
        action = self._actions.get(instance_id) or an_action(instance_id=instance_id)
        before = finding_of(CONDITION, action)
        found = self._prober.probe(CONDITION, action, {}, now + timedelta(seconds=60), lambda _: None)
        if isinstance(found, Later):
            return before
        finding = as_finding(CONDITION, found, before, now)
        self._actions[instance_id] = with_finding(action, finding)
        return finding

    def stands(self, seconds: float, instance_id: str = INSTANCE) -> ConditionStatus | None:
        finding = self.look(seconds, instance_id)
        return None if finding is None else finding.status


def test_an_instance_is_waited_for_until_both_checks_are_ok() -> None:
    ec2 = Ec2({INSTANCE: status("ok", "initializing")})
    calls = ShapedCalls(ec2.answer)
    watch = Watch(calls)

    assert watch.stands(0) is ConditionStatus.PENDING
    ec2.told[INSTANCE] = status()
    assert [watch.stands(seconds) for seconds in (31, 62)] == [ConditionStatus.PENDING, ConditionStatus.HOLDS]
    assert len(calls.made) == 3


def test_one_lie_that_both_checks_are_ok_does_not_make_it_so() -> None:
    ec2 = Ec2({INSTANCE: status()})
    watch = Watch(ShapedCalls(ec2.answer))

    lied = watch.look(0)
    ec2.told[INSTANCE] = status("impaired")

    assert lied is not None
    assert (lied.status, lied.confirmed_once) == (ConditionStatus.PENDING, True)
    assert {watch.stands(seconds) for seconds in range(31, 400, 31)} == {ConditionStatus.PENDING}


def test_what_is_shared_from_before_the_first_answer_was_heard_is_no_second_one() -> None:
    ec2 = Ec2({INSTANCE: status()})
    watch = Watch(ShapedCalls(ec2.answer))

    heard_at = [
        finding.asked_at
        for finding in [watch.look(seconds) for seconds in (0, 20, 29, 31)]
        if finding is not None
    ]

    assert heard_at == [at(0), at(0), at(0), at(31)]


def test_an_unknown_answer_between_two_neither_counts_nor_resets() -> None:
    ec2 = Ec2({INSTANCE: status()})
    watch = Watch(ShapedCalls(ec2.answer))

    first = watch.stands(0)
    ec2.told[INSTANCE] = status("insufficient-data")
    between = watch.stands(31)
    ec2.told[INSTANCE] = status()

    assert (first, between, watch.stands(62)) == (
        ConditionStatus.PENDING,
        ConditionStatus.UNKNOWN,
        ConditionStatus.HOLDS,
    )


def test_what_held_and_became_old_needs_one_more_answer_only() -> None:
    watch = Watch(ShapedCalls(Ec2({INSTANCE: status()}).answer))

    statuses = [watch.stands(seconds) for seconds in (0, 31, 600)]

    assert statuses == [ConditionStatus.PENDING, ConditionStatus.HOLDS, ConditionStatus.HOLDS]


def test_a_thousand_instances_are_asked_for_a_hundred_at_once() -> None:
    ids = [f"i-{number:017x}" for number in range(1000)]
    calls = ShapedCalls(Ec2({each: status(instance_id=each) for each in ids}).answer)
    watch = Watch(calls)
    for each in ids:
        watch.look(0, each)
    calls.made.clear()

    statuses = [{watch.stands(seconds, each) for each in ids} for seconds in (31, 62)]

    assert statuses[1] == {ConditionStatus.HOLDS}
    assert [len(parameters["InstanceIds"]) for _, parameters in calls.made] == [100] * 20


@mock_aws
def test_against_moto_an_instance_that_is_gone_does_not_hide_the_others() -> None:
    client = partial(boto3.client, region_name="us-east-1")
    ec2 = client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    started = ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2)["Instances"]
    running, ended = (instance["InstanceId"] for instance in started)
    ec2.terminate_instances(InstanceIds=[ended])
    gone = "i-0000000000000dead"
    watch = Watch(AwsCalls(client))
    for seconds in (0, 31):
        for each in (running, ended, gone):
            watch.look(seconds, each)

    looked = {each: watch.look(62, each) for each in (running, ended, gone)}
    found = {each: finding for each, finding in looked.items() if finding is not None}

    assert {each: finding.status for each, finding in found.items()} == {
        running: ConditionStatus.HOLDS,
        ended: ConditionStatus.FAILED,
        gone: ConditionStatus.UNKNOWN,
    }
    assert found[gone].detail == "EC2 does not show the instance"
