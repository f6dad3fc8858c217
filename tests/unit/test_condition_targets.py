from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, checked, values_of
from tests.conditions import (
    ANOTHER,
    BUSY,
    FAILED,
    HOLDS,
    INSTANCE,
    PENDING,
    SILENT,
    UNKNOWN,
    Answers,
    Sample,
    Watch,
    assert_refused,
    operations,
    parsed,
    refused,
)
from tests.factories import an_action, at, hook_terms
from usher.aws.calls import AwsCalls
from usher.core.action import Transition
from usher.core.conditions.probe import Found, Later, Reply, ReplyKind
from usher.core.conditions.targets import SHOWS_INSTANCES, STATUSES, Targets, TargetState
from usher.ports.conditions import SharedAnswer
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher.core.action import Action
    from usher.core.finding import ConditionStatus

HEALTH = "DescribeTargetHealth"
DESCRIBE = "DescribeTargetGroups"
OWN = "DescribeLoadBalancerTargetGroups"


def arn(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/0123456789abcdef"


LONG_ARN = arn("web").replace("arn:aws:", "arn:aws-us-gov:").replace("us-east-1", "us-gov-west-1")


def waits_for(state: TargetState = TargetState.HEALTHY, *groups: str) -> Targets:
    return Targets(groups=groups or ("web",), state=state)


def described(name: str, kind: str = "instance") -> dict[str, Any]:
    """What DescribeTargetGroups says of one group."""
    return {"TargetGroups": [{"TargetGroupArn": arn(name), "TargetGroupName": name, "TargetType": kind}]}


def health(*targets: tuple[str, int, str, str | None]) -> dict[str, Any]:
    """What DescribeTargetHealth says: instance, port, state and reason of each target."""
    told = [
        {
            "Target": {"Id": instance_id, "Port": port},
            "TargetHealth": {"State": state} | ({"Reason": reason} if reason else {}),
        }
        for instance_id, port, state, reason in targets
    ]
    return {"TargetHealthDescriptions": told}


def saying(instance: str, state: str) -> Answers:
    return {
        DESCRIBE: described("web"),
        HEALTH: health((instance, 80, state, None)),
        OWN: {"LoadBalancerTargetGroups": [{"LoadBalancerTargetGroupARN": arn("else")}]},
    }


MISSING = ((DESCRIBE, "TargetGroupNotFound"), (HEALTH, "TargetGroupNotFound"))
SAMPLES = [
    Sample(
        written={"targets": {"groups": ["web"], "state": "healthy"}},
        holds=partial(saying, state="healthy"),
        pending=partial(saying, state="initial"),
        fails={DESCRIBE: described("web", "ip")},
        of_another=(saying(ANOTHER, "healthy"), PENDING),
        missing=MISSING,
        told_only=frozenset({OWN}),
    ),
    Sample(
        written={"targets": {"groups": [arn("web")], "state": "drained"}},
        holds=partial(saying, state="unused"),
        pending=partial(saying, state="draining"),
        of_another=(saying(ANOTHER, "draining"), HOLDS),  # as it is not registered itself
        missing=MISSING,
        told_only=frozenset({OWN}),
    ),
]
SOUND = {
    "a name": ({"groups": ["web"], "state": "healthy"}, waits_for()),
    "a name and an ARN": (
        {"groups": ["web", arn("api")], "state": "drained"},
        waits_for(TargetState.DRAINED, "web", arn("api")),
    ),
    "the most groups, the longest name": (
        {"groups": ["a", "b", "c", "d", "x" * 32], "state": "healthy"},
        waits_for(TargetState.HEALTHY, "a", "b", "c", "d", "x" * 32),
    ),
    "another partition": (
        {"groups": [LONG_ARN], "state": "healthy"},
        waits_for(TargetState.HEALTHY, LONG_ARN),
    ),
}
NOT_SOUND = {
    "no state": ({"groups": ["web"]}, "", "must have state"),
    "no groups": ({"state": "healthy"}, "", "must have groups"),
    "none": ({"groups": [], "state": "healthy"}, ".groups", "1 to 5 target groups"),
    "too many": ({"groups": list("abcdef"), "state": "healthy"}, ".groups", "1 to 5 target groups"),
    "twice": ({"groups": ["web", "web"], "state": "healthy"}, ".groups", "must not name a target"),
    "no list": ({"groups": "web", "state": "healthy"}, ".groups", "must be a list"),
    "another state": ({"groups": ["web"], "state": "gone"}, ".state", "must be one of"),
    "no text as state": ({"groups": ["web"], "state": True}, ".state", "must be one of"),
    "a number": ({"groups": [5], "state": "healthy"}, ".groups[0]", "must be the name"),
    "a hyphen": ({"groups": ["-web"], "state": "healthy"}, ".groups[0]", "must be the name"),
    "at the end": ({"groups": ["web-"], "state": "healthy"}, ".groups[0]", "must be the name"),
    "a long name": ({"groups": ["x" * 33], "state": "healthy"}, ".groups[0]", "must be the name"),
    "a line break": ({"groups": ["web\n"], "state": "healthy"}, ".groups[0]", "must be the name"),
    "the ARN of something else": (
        {"groups": ["arn:aws:sqs:us-east-1:123456789012:web"], "state": "healthy"},
        ".groups[0]",
        "must be the name or the ARN of a target group",
    ),
    "a port": ({"groups": ["web"], "state": "healthy", "port": 80}, ".port", "not a known key"),
    "no mapping": (["web"], "", "must be a mapping"),
}


@pytest.mark.parametrize(("value", "expected"), SOUND.values(), ids=SOUND)
def test_targets_are_understood(value: object, expected: Targets) -> None:
    assert parsed({"targets": value}) == (expected, [])


@pytest.mark.parametrize(("value", "place", "rule"), NOT_SOUND.values(), ids=NOT_SOUND)
def test_targets_that_are_not_sound_are_refused(value: object, place: str, rule: str) -> None:
    assert_refused({"targets": value}, place, rule)


# What the health says


def heard(condition: Targets, data: Any) -> Found:
    """What the condition, which knows its ARNs, makes of the health in its first group."""
    memory = {"arns": {group: arn(group) for group in condition.groups}, "own": []}
    call = condition.ask(an_action(), memory, at(0))
    assert (call.operation, call.shared is not None) == (HEALTH, True)
    kept = call.shared.reduced(data).get(call.shared.member) if call.shared else None
    return condition.hear(an_action(), memory, call, Reply(kind=ReplyKind.ANSWERED, data=kept), at(0))


@pytest.mark.parametrize("state", TargetState)
def test_every_health_state_of_the_api_has_its_meaning(state: TargetState) -> None:
    assert set(STATUSES[state]) == values_of("elbv2", "TargetHealthStateEnum")


def test_every_type_of_target_group_of_the_api_has_its_meaning() -> None:
    assert set(SHOWS_INSTANCES) == values_of("elbv2", "TargetTypeEnum")


@pytest.mark.parametrize(
    ("told", "reason", "healthy", "drained"),
    [
        pytest.param("initial", "Elb.RegistrationInProgress", "pending", "pending", id="initial"),
        pytest.param("healthy", None, "holds", "pending", id="healthy"),
        pytest.param("unhealthy", "Target.Timeout", "pending", "pending", id="unhealthy"),
        pytest.param("unhealthy.draining", None, "pending", "pending", id="unhealthy and draining"),
        pytest.param("unused", "Target.NotInUse", "pending", "holds", id="unused"),
        pytest.param("draining", "Target.DeregistrationInProgress", "pending", "pending", id="draining"),
        pytest.param("unavailable", "Target.HealthCheckDisabled", "unknown", "unknown", id="unavailable"),
        pytest.param("brand-new", None, "unknown", "unknown", id="one that nobody knows yet"),
    ],
)
def test_each_health_state_stands_as_it_should_and_the_detail_says_which_and_why(
    told: str, reason: str | None, healthy: str, drained: str
) -> None:
    answer = checked("elbv2", HEALTH, health((INSTANCE, 80, told, reason), (ANOTHER, 80, "healthy", None)))

    found = [heard(waits_for(state), answer) for state in (TargetState.HEALTHY, TargetState.DRAINED)]

    assert [each.status for each in found] == [healthy, drained]
    words = f"{told} ({reason})" if reason else told
    assert all(each.detail in (words, f"web: {words}") for each in found)
    assert all(each.ask_again_after == timedelta(seconds=20) for each in found)


@pytest.mark.parametrize("others", [(), ((ANOTHER, 80, "healthy", None),)], ids=["an empty group", "others"])
def test_an_instance_that_is_not_registered_is_drained_and_not_yet_healthy(others: Any) -> None:
    assert heard(waits_for(TargetState.DRAINED), health(*others)).status is HOLDS
    pending = heard(waits_for(TargetState.HEALTHY), health(*others))
    assert (pending.status, pending.detail) == (PENDING, "web: not registered")


@given(
    st.lists(st.sampled_from(sorted(STATUSES[TargetState.HEALTHY])), min_size=1, max_size=6),
    st.sampled_from(TargetState),
)
def test_an_instance_on_several_ports_holds_only_where_each_port_does(
    states: list[str], wish: TargetState
) -> None:
    ports = [(INSTANCE, 8000 + number, state, None) for number, state in enumerate(states)]

    found = heard(waits_for(wish), health(*ports))

    alone = [heard(waits_for(wish), health((INSTANCE, 80, state, None))).status for state in states]
    assert (found.status is HOLDS) == (set(alone) == {HOLDS})
    assert (found.status is PENDING) == (PENDING in alone)


@pytest.mark.parametrize("state", TargetState)
@pytest.mark.parametrize(
    "targets",
    [None, ["web"], [{"Target": {}}], [{"Target": {"Id": INSTANCE}}]],
    ids=["no list", "targets that are texts", "a target without an id", "a target without a health"],
)
def test_an_answer_of_another_shape_is_unknown_and_never_drained(targets: object, state: TargetState) -> None:
    assert heard(waits_for(state), {"TargetHealthDescriptions": targets}).status is UNKNOWN


# As it is asked


@dataclass
class World:
    """Target groups, and the instances in them; a fake of the two services."""

    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    own: Sequence[str] = ()
    failing: dict[str, Reply] = field(default_factory=dict)

    def __call__(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        if operation in self.failing:
            return self.failing[operation]
        match operation:
            case "DescribeTargetGroups":
                asked = [*parameters.get("Names", ()), *parameters.get("TargetGroupArns", ())]
                return described(asked[0].split("/")[1] if asked[0].startswith("arn:") else asked[0])
            case "DescribeTargetHealth":
                return self.groups[parameters["TargetGroupArn"].split("/")[1]]
            case _:
                return {
                    "LoadBalancerTargetGroups": [{"LoadBalancerTargetGroupARN": arn(own)} for own in self.own]
                }


def asked_of(condition: Targets, world: World, action: Action | None = None) -> tuple[Watch, ShapedCalls]:
    calls = ShapedCalls(world)
    return Watch(condition, calls, action or an_action()), calls


def test_a_condition_asks_for_the_arn_once_and_for_the_health_until_all_groups_are_as_wished() -> None:
    world = World(groups={"web": health(), "api": health((INSTANCE, 80, "healthy", None))})
    watch, calls = asked_of(waits_for(TargetState.HEALTHY, "api", arn("web")), world)

    assert watch.recorded(0).detail == "web: not registered"
    world.groups["web"] = health((INSTANCE, 80, "healthy", None))
    assert [watch.stands(seconds) for seconds in (20.5, 41)] == [PENDING, HOLDS]
    assert calls.made == [
        (DESCRIBE, {"Names": ["api"]}),
        (DESCRIBE, {"TargetGroupArns": [arn("web")]}),
        *[(HEALTH, {"TargetGroupArn": arn(group)}) for _ in range(3) for group in ("api", "web")],
    ]


def test_as_many_groups_as_may_be_named_give_an_answer_in_two_looks_and_the_second_in_one() -> None:
    names = ("a", "b", "c", "d", "e")
    world = World(groups={name: health((INSTANCE, 80, "healthy", None)) for name in names})
    watch, _ = asked_of(waits_for(TargetState.HEALTHY, *names), world)

    assert [watch.stands(seconds) for seconds in (0, 5, 26)] == [UNKNOWN, PENDING, HOLDS]


def test_a_group_that_passed_long_ago_is_asked_again() -> None:
    """While the second group could not be asked, the first one went on living."""
    condition = waits_for(TargetState.HEALTHY, "web", "api")
    passed = {"arns": {"web": arn("web"), "api": arn("api")}, "passed": {arn("web"): at(0).isoformat()}}

    asked = [condition.ask(an_action(), passed, at(now)).parameters["TargetGroupArn"] for now in (29, 30)]

    assert asked == [arn("api"), arn("web")]


def test_an_answer_from_before_the_first_sight_of_the_action_is_not_one() -> None:
    world = World(groups={"web": health((INSTANCE, 80, "healthy", None))})
    watch, calls = asked_of(waits_for(TargetState.DRAINED), world)
    question = f'elbv2 {HEALTH} {{"TargetGroupArn": "{arn("web")}"}}'
    watch.answers.keep(question, SharedAnswer(taken_at=at(-1), members={"all": {}}))

    assert isinstance(watch.ask(0), Later)
    assert watch.stands(20) is PENDING
    assert operations(calls) == [DESCRIBE, HEALTH]


@pytest.mark.parametrize("kind", ["ip", "lambda", "alb"])
def test_a_target_group_that_never_shows_instances_is_a_failure(kind: str) -> None:
    watch, calls = asked_of(waits_for(), World(failing={DESCRIBE: answered(described("web", kind))}))

    found = watch.found()

    assert (found.status, operations(calls)) == (FAILED, [DESCRIBE])
    assert found.detail == f"target group web has targets of type {kind}: an instance never shows in it"


@pytest.mark.parametrize(
    "group",
    [
        {"TargetGroupName": "web", "TargetGroupArn": arn("web"), "TargetType": "brand-new"},
        {"TargetGroupName": "web", "TargetGroupArn": arn("web")},
        {"TargetGroupName": "web", "TargetType": "instance"},
        "web",
    ],
    ids=["a type that nobody knows yet", "no type", "no ARN", "no mapping"],
)
def test_a_description_of_another_shape_is_unknown(group: object) -> None:
    found = asked_of(waits_for(), World(failing={DESCRIBE: answered({"TargetGroups": [group]})}))[0].found()

    assert found.status is UNKNOWN
    assert found.detail.startswith("target group web: the answer cannot be read")


def answered(data: Mapping[str, Any]) -> Reply:
    return Reply(kind=ReplyKind.ANSWERED, data=data)


def test_a_wait_for_a_group_of_the_auto_scaling_groups_own_is_warned_of_after_a_minute() -> None:
    launching = an_action(hook=hook_terms(transition=Transition.LAUNCHING))
    world = World(groups={"web": health(), "api": health()}, own=["web", "else"])
    watch, calls = asked_of(waits_for(TargetState.HEALTHY, "web", "api"), world, launching)

    assert {watch.recorded(seconds).detail for seconds in (0, 21)} == {"web: not registered"}
    assert watch.recorded(60).detail.startswith("web: not registered; it is asked next whether")
    assert watch.recorded(61).detail == (
        "web: not registered (warning: web is the Auto Scaling group's own, "
        "to which Auto Scaling adds the instance only after this hook)"
    )
    assert all("warning" in watch.recorded(seconds).detail for seconds in range(80, 400, 20))
    assert operations(calls).count(OWN) == 1


def test_a_drain_from_a_group_of_the_auto_scaling_groups_own_is_warned_of_before_it_holds() -> None:
    watch, calls = asked_of(waits_for(TargetState.DRAINED), World(groups={"web": health()}, own=["web"]))

    assert [watch.stands(seconds) for seconds in (0, 0, 21)] == [UNKNOWN, PENDING, HOLDS]
    assert watch.recorded().detail == (
        "not registered (warning: web is the Auto Scaling group's own, "
        "from which Auto Scaling took the instance before this hook)"
    )
    assert operations(calls) == [DESCRIBE, HEALTH, OWN, HEALTH]


@pytest.mark.parametrize(
    "reply", [BUSY, SILENT, refused("ValidationError")], ids=["busy", "silent", "refused"]
)
def test_without_an_answer_to_whose_the_groups_are_it_holds_without_a_warning(reply: Reply) -> None:
    watch, _ = asked_of(waits_for(TargetState.DRAINED), World(groups={"web": health()}, failing={OWN: reply}))

    statuses = [watch.recorded_when_due().status for _ in range(3)]

    assert (statuses[-1], watch.recorded().detail) == (HOLDS, "not registered")


def test_while_someone_else_asks_in_vain_whose_the_groups_are_it_is_waited_for_ten_seconds_only() -> None:
    watch, _ = asked_of(waits_for(TargetState.DRAINED), World(groups={"web": health()}))
    question = f'autoscaling {OWN} {{"AutoScalingGroupName": "workers-1"}}'
    watch.answers.lease(question, at(-1), timedelta(minutes=10))

    watch.keep_asking()
    watch.clock.run_until(at(13))
    assert watch.finding is not None
    assert watch.finding.confirmed_once
    watch.clock.run_until(at(34))

    assert (watch.finding.status, watch.finding.detail) == (HOLDS, "not registered")


def test_a_thousand_instances_of_ten_groups_make_at_most_forty_calls_a_minute() -> None:
    """And each of them still hears of a change, twice, within 65 seconds."""
    world = World(groups={f"web-{number}": health() for number in range(10)})
    clock, answers = VirtualClock(at(0)), MemoryAnswers()
    made_at: list[float] = []

    def answer(operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        made_at.append((clock() - at(0)).total_seconds())
        return world(operation, parameters)

    calls = ShapedCalls(answer)
    watches = [a_thousandth(number, calls, clock, answers) for number in range(1000)]
    clock.run_until(at(300))
    for number in range(10):
        ids = [watch.action.instance_id for watch in watches[number::10]]
        world.groups[f"web-{number}"] = health(*((each, 80, "healthy", None) for each in ids))
    assert {watch.finding.status for watch in watches if watch.finding} == {PENDING}
    clock.run_until(at(365))

    assert {watch.finding.status for watch in watches if watch.finding} == {HOLDS}
    assert all(later - earlier >= 60 for earlier, later in zip(made_at, made_at[40:], strict=False))


def a_thousandth(number: int, calls: ShapedCalls, clock: VirtualClock, answers: MemoryAnswers) -> Watch:
    """One that begins to look in the first second."""
    group, begins = number % 10, at(number % 7 / 10)
    hook = hook_terms(group=f"workers-{group}")
    action = an_action(instance_id=f"i-{number:017x}", hook=hook, first_seen_at=begins)
    condition = waits_for(TargetState.HEALTHY, f"web-{group}")
    watch = Watch(condition, calls, action, clock=clock, answers=answers)
    clock.at(begins, watch.keep_asking)
    return watch


def test_a_call_about_health_is_shared_by_all_instances_of_a_group() -> None:
    memory = {"arns": {"web": arn("web")}}
    calls = [
        waits_for(state).ask(an_action(instance_id=instance_id), memory, at(0))
        for state in TargetState
        for instance_id in (INSTANCE, ANOTHER)
    ]

    assert all(one.parameters == other.parameters for one, other in pairwise(calls))


@mock_aws
def test_against_moto_an_instance_is_waited_for_by_name_and_by_arn() -> None:
    client = partial(boto3.client, region_name="us-east-1")
    instance_id, group_arn = a_moto_group(client)
    clock, answers, calls = VirtualClock(at(0)), MemoryAnswers(), AwsCalls(client)
    action = an_action(instance_id=instance_id)

    wishes = [(state, group) for state in TargetState for group in ("web", group_arn)]

    def found() -> dict[tuple[TargetState, str], tuple[ConditionStatus, str]]:
        """After enough looks for a second answer."""
        watches = {
            wish: Watch(waits_for(*wish), calls, action, clock=clock, answers=answers) for wish in wishes
        }
        for wait in (0, 2, 21):
            clock.run_until(clock() + timedelta(seconds=wait))
            findings = {wish: watch.recorded() for wish, watch in watches.items()}
        return {wish: (finding.status, finding.detail) for wish, finding in findings.items()}

    own = (
        " (warning: web is the Auto Scaling group's own, "
        "from which Auto Scaling took the instance before this hook)"
    )
    gone = f"not registered{own}"
    assert found() == {
        (TargetState.HEALTHY, "web"): (PENDING, "web: not registered"),
        (TargetState.HEALTHY, group_arn): (PENDING, "web: not registered"),
        (TargetState.DRAINED, "web"): (HOLDS, gone),
        (TargetState.DRAINED, group_arn): (HOLDS, gone),
    }
    client("elbv2").register_targets(TargetGroupArn=group_arn, Targets=[{"Id": instance_id, "Port": 80}])
    clock.run_until(at(60))
    assert found() == {
        (TargetState.HEALTHY, "web"): (HOLDS, "healthy"),
        (TargetState.HEALTHY, group_arn): (HOLDS, "healthy"),
        (TargetState.DRAINED, "web"): (PENDING, f"web: healthy{own}"),
        (TargetState.DRAINED, group_arn): (PENDING, f"web: healthy{own}"),
    }


@mock_aws
def test_against_moto_a_target_group_that_does_not_exist_is_a_failure() -> None:
    calls = AwsCalls(partial(boto3.client, region_name="us-east-1"))

    for group in ("web", arn("web")):
        found = Watch(waits_for(TargetState.DRAINED, group), calls).found()
        assert found.status is FAILED
        assert found.detail.startswith("target group web does not exist:")


def a_moto_group(client: Any) -> tuple[str, str]:
    """An instance, and the ARN of the target group `web` that a load balancer and `workers-1` use."""
    ec2, elbv2 = client("ec2"), client("elbv2")
    zones = ("us-east-1a", "us-east-1b")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate(zones)
    ]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instances = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnets[0])["Instances"]
    balancer = elbv2.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]
    group = elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc_id)["TargetGroups"][0]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )
    scaling = client("autoscaling")
    scaling.create_launch_configuration(LaunchConfigurationName="any", ImageId=image, InstanceType="t3.micro")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="workers-1",
        LaunchConfigurationName="any",
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=subnets[0],
        TargetGroupARNs=[group["TargetGroupArn"]],
    )
    return instances[0]["InstanceId"], group["TargetGroupArn"]
