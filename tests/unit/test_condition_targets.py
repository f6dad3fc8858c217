from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, checked, values_of
from tests.factories import an_action, at, hook_terms
from tests.questions import free_turns, with_finding
from usher.aws.calls import AwsCalls
from usher.core import conditions
from usher.core.action import Action, Transition
from usher.core.conditions.probe import Call, Found, Later, Permission, Reply, ReplyKind, as_finding
from usher.core.conditions.targets import SHOWS_INSTANCES, STATUSES, Targets, TargetState
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus, Finding
from usher.ports.conditions import SharedAnswer
from usher.questions.probing import Prober
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from usher.core.conditions.verdict import Condition
    from usher.core.finding import Memory

INSTANCE = an_action().instance_id
OTHER = "i-00000000000000001"
HEALTH = "DescribeTargetHealth"
DESCRIBE = "DescribeTargetGroups"
OWN = "DescribeLoadBalancerTargetGroups"


def arn(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/0123456789abcdef"


LONG_ARN = arn("web").replace("arn:aws:", "arn:aws-us-gov:").replace("us-east-1", "us-gov-west-1")


def parsed(value: object) -> tuple[Condition | None, list[Problem]]:
    problems: list[Problem] = []
    try:
        return conditions.parse(Field(path=("until", 0), value=value, problems=problems)), problems
    except Refused:
        return None, problems


def waits_for(state: TargetState = TargetState.HEALTHY, *groups: str) -> Targets:
    return Targets(groups=groups or ("web",), state=state)


def described(name: str, kind: str = "instance") -> dict[str, Any]:
    """What DescribeTargetGroups says of one group."""
    group = {
        "TargetGroupArn": arn(name),
        "TargetGroupName": name,
        "Protocol": "HTTP",
        "Port": 80,
        "TargetType": kind,
    }
    return {"TargetGroups": [group]}


def health(*targets: tuple[str, int, str, str | None]) -> dict[str, Any]:
    """What DescribeTargetHealth says: instance, port, state and reason of each target."""
    told = [
        {
            "Target": {"Id": instance_id, "Port": port},
            "HealthCheckPort": str(port),
            "TargetHealth": {"State": state} | ({"Reason": reason} if reason else {}),
        }
        for instance_id, port, state, reason in targets
    ]
    return {"TargetHealthDescriptions": told}


def heard(condition: Targets, data: Any, *, action: Action | None = None, now: float = 0) -> Found:
    """What the condition, which knows its ARNs, makes of the health in its first group."""
    action = action or an_action()
    memory = {"arns": {group: arn(group) for group in condition.groups}, "own": []}
    call = condition.ask(action, memory, at(now))
    assert call.operation == HEALTH
    assert call.shared is not None
    kept = call.shared.reduced(data).get(call.shared.member)
    return condition.hear(action, memory, call, Reply(kind=ReplyKind.ANSWERED, data=kept), at(now))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"groups": ["web"], "state": "healthy"}, waits_for(), id="a name"),
        pytest.param(
            {"groups": ["web", arn("api")], "state": "drained"},
            waits_for(TargetState.DRAINED, "web", arn("api")),
            id="a name and an ARN",
        ),
        pytest.param(
            {"groups": ["a", "b", "c", "d", "x" * 32], "state": "healthy"},
            waits_for(TargetState.HEALTHY, "a", "b", "c", "d", "x" * 32),
            id="the most groups, the longest name",
        ),
        pytest.param(
            {"groups": [LONG_ARN], "state": "healthy"},
            waits_for(TargetState.HEALTHY, LONG_ARN),
            id="another partition",
        ),
    ],
)
def test_targets_are_understood(value: object, expected: Targets) -> None:
    assert parsed({"targets": value}) == (expected, [])


@pytest.mark.parametrize(
    ("value", "place", "rule"),
    [
        pytest.param({"groups": ["web"]}, "", "must have state", id="no state"),
        pytest.param({"state": "healthy"}, "", "must have groups", id="no groups"),
        pytest.param({"groups": [], "state": "healthy"}, ".groups", "1 to 5 target groups", id="none"),
        pytest.param(
            {"groups": list("abcdef"), "state": "healthy"}, ".groups", "1 to 5 target groups", id="too many"
        ),
        pytest.param(
            {"groups": ["web", "web"], "state": "healthy"}, ".groups", "must not name a target", id="twice"
        ),
        pytest.param({"groups": "web", "state": "healthy"}, ".groups", "must be a list", id="no list"),
        pytest.param({"groups": ["web"], "state": "gone"}, ".state", "must be one of", id="another state"),
        pytest.param({"groups": ["web"], "state": True}, ".state", "must be one of", id="no text as state"),
        pytest.param({"groups": [5], "state": "healthy"}, ".groups[0]", "must be the name", id="a number"),
        pytest.param({"groups": ["-web"], "state": "healthy"}, ".groups[0]", "must be the name", id="hyphen"),
        pytest.param({"groups": ["web-"], "state": "healthy"}, ".groups[0]", "must be the name", id="at end"),
        pytest.param(
            {"groups": ["x" * 33], "state": "healthy"}, ".groups[0]", "must be the name", id="a long name"
        ),
        pytest.param(
            {"groups": ["web\n"], "state": "healthy"}, ".groups[0]", "must be the name", id="a line break"
        ),
        pytest.param(
            {"groups": ["arn:aws:sqs:us-east-1:123456789012:web"], "state": "healthy"},
            ".groups[0]",
            "must be the name or the ARN of a target group",
            id="the ARN of something else",
        ),
        pytest.param(
            {"groups": ["web"], "state": "healthy", "port": 80}, ".port", "not a known key", id="a port"
        ),
        pytest.param(["web"], "", "must be a mapping", id="no mapping"),
    ],
)
def test_targets_that_are_not_sound_are_refused(value: object, place: str, rule: str) -> None:
    condition, problems = parsed({"targets": value})

    assert condition is None
    assert problems[0].field == f"until[0].targets{place}"
    assert rule in problems[0].rule


group_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
wishes = st.builds(
    Targets,
    groups=st.lists(group_names | group_names.map(arn), min_size=1, max_size=5, unique=True).map(tuple),
    state=st.sampled_from(TargetState),
)


@settings(deadline=None)
@given(wishes, wishes)
def test_two_conditions_have_one_name_only_where_they_are_equal(one: Targets, other: Targets) -> None:
    assert (one.name == other.name) == (one == other)
    assert one.name.split()[0] == "targets"


def test_it_may_describe_target_groups_their_health_and_whose_they_are() -> None:
    assert waits_for().permissions == (
        Permission(
            actions=(
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
                "autoscaling:DescribeLoadBalancerTargetGroups",
            )
        ),
    )


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
def test_each_health_state_stands_as_it_should(
    told: str, reason: str | None, healthy: str, drained: str
) -> None:
    answer = checked("elbv2", HEALTH, health((INSTANCE, 80, told, reason), (OTHER, 80, "healthy", None)))

    found = {state: heard(waits_for(state), answer) for state in TargetState}

    assert {state: each.status for state, each in found.items()} == {
        TargetState.HEALTHY: ConditionStatus(healthy),
        TargetState.DRAINED: ConditionStatus(drained),
    }
    assert all(f"{told} ({reason})" if reason else told in each.detail for each in found.values())
    assert all(each.ask_again_after == timedelta(seconds=20) for each in found.values())


def test_the_detail_says_which_group_and_why() -> None:
    answer = health((INSTANCE, 80, "draining", "Target.DeregistrationInProgress"))

    assert (
        heard(waits_for(TargetState.DRAINED), answer).detail
        == "web: draining (Target.DeregistrationInProgress)"
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(health(), id="an empty group"),
        pytest.param(health((OTHER, 80, "healthy", None)), id="a group of others"),
    ],
)
def test_an_instance_that_is_not_registered_is_drained_and_not_yet_healthy(answer: dict[str, Any]) -> None:
    assert heard(waits_for(TargetState.DRAINED), answer).status is ConditionStatus.HOLDS
    pending = heard(waits_for(TargetState.HEALTHY), answer)
    assert (pending.status, pending.detail) == (ConditionStatus.PENDING, "web: not registered")


STATES = sorted(STATUSES[TargetState.HEALTHY])


@settings(deadline=None)
@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=6), st.sampled_from(TargetState))
def test_an_instance_on_several_ports_holds_only_where_each_port_does(
    states: list[str], wish: TargetState
) -> None:
    ports = [(INSTANCE, 8000 + number, state, None) for number, state in enumerate(states)]

    found = heard(waits_for(wish), health(*ports))

    alone = [heard(waits_for(wish), health((INSTANCE, 80, state, None))).status for state in states]
    assert (found.status is ConditionStatus.HOLDS) == (set(alone) == {ConditionStatus.HOLDS})
    assert (found.status is ConditionStatus.PENDING) == (ConditionStatus.PENDING in alone)


@pytest.mark.parametrize("state", TargetState)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="nothing"),
        pytest.param(None, id="no mapping"),
        pytest.param({"TargetHealthDescriptions": None}, id="no list"),
        pytest.param({"TargetHealthDescriptions": ["web"]}, id="targets that are texts"),
        pytest.param({"TargetHealthDescriptions": [{"Target": {}}]}, id="a target without an id"),
        pytest.param(
            {"TargetHealthDescriptions": [{"Target": {"Id": INSTANCE}}]}, id="a target without a health"
        ),
    ],
)
def test_an_answer_of_another_shape_is_unknown_and_never_drained(answer: object, state: TargetState) -> None:
    assert heard(waits_for(state), answer).status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(kind=ReplyKind.TIMED_OUT, text="late"), id="no answer in time"),
        pytest.param(Reply(kind=ReplyKind.UNKNOWN, code="Throttling", text="Throttling"), id="busy"),
        pytest.param(Reply(kind=ReplyKind.REFUSED, code="ValidationError", text="bad"), id="not understood"),
    ],
)
@pytest.mark.parametrize("memory", [{}, {"arns": {"web": arn("web")}}], ids=["by name", "by ARN"])
def test_no_answer_is_unknown_and_forgets_nothing(reply: Reply, memory: Memory) -> None:
    call = waits_for().ask(an_action(), memory, at(0))

    found = waits_for().hear(an_action(), memory, call, reply, at(0))

    assert (found.status, found.go_on, found.memory) == (ConditionStatus.UNKNOWN, False, memory)
    assert reply.text in found.detail


@pytest.mark.parametrize("memory", [{}, {"arns": {"web": arn("web")}}], ids=["by name", "by ARN"])
def test_a_target_group_that_does_not_exist_is_a_failure(memory: Memory) -> None:
    call = waits_for().ask(an_action(), memory, at(0))
    reply = Reply(kind=ReplyKind.REFUSED, code="TargetGroupNotFound", text="TargetGroupNotFound: none")

    found = waits_for().hear(an_action(), memory, call, reply, at(0))

    assert found.status is ConditionStatus.FAILED
    assert found.detail == "target group web does not exist: TargetGroupNotFound: none"


@dataclass
class World:
    """Target groups, and the instances in them; a fake of the two services."""

    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    own: Sequence[str] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        if operation in self.failing:
            return Reply(kind=ReplyKind.UNKNOWN, text="Throttling: Rate exceeded")
        match operation:
            case "DescribeTargetGroups":
                asked = [*parameters.get("Names", ()), *parameters.get("TargetGroupArns", ())]
                name = asked[0].split("/")[1] if asked[0].startswith("arn:") else asked[0]
                if name not in self.groups:
                    return Reply(kind=ReplyKind.REFUSED, code="TargetGroupNotFound", text="not found")
                return described(name, self.kinds.get(name, "instance"))
            case "DescribeTargetHealth":
                return self.groups[parameters["TargetGroupArn"].split("/")[1]]
            case _:
                attached = [
                    {"LoadBalancerTargetGroupARN": arn(name), "State": "InService"} for name in self.own
                ]
                return {"LoadBalancerTargetGroups": attached}


@dataclass
class Watch:
    """One action that waits for one condition: asks again when it should, as looks do."""

    condition: Targets
    prober: Prober
    clock: VirtualClock
    action: Action = field(default_factory=an_action)
    finding: Finding | None = None

    def look(self) -> Finding:
        now = self.clock()
        memory = self.finding.memory if self.finding else {}
        found = self.prober.probe(
            self.condition, self.action, memory, now + timedelta(seconds=60), lambda _: None
        )
        self.finding = self._after(found, now)
        self.action = with_finding(self.action, self.finding)
        return self.finding

    def _after(self, found: Found | Later, now: datetime) -> Finding:
        if isinstance(found, Found):
            return as_finding(self.condition, found, self.finding, now)
        if self.finding is not None:
            return replace(self.finding, ask_again_at=found.at)
        return Finding(
            condition=self.condition.name,
            status=ConditionStatus.UNKNOWN,
            detail="not asked yet",
            asked_at=now,
            ask_again_at=found.at,
        )

    def keep_looking(self) -> None:
        """Look now, and again each time that it is due, until it holds or fails."""
        finding = self.look()
        if finding.status in (ConditionStatus.PENDING, ConditionStatus.UNKNOWN):
            assert finding.ask_again_at is not None
            self.clock.at(finding.ask_again_at, self.keep_looking)


def watched(
    condition: Targets, world: World, action: Action | None = None, answers: MemoryAnswers | None = None
) -> tuple[Watch, ShapedCalls, VirtualClock]:
    clock = VirtualClock(at(0))
    calls = ShapedCalls(world.answer)
    prober = Prober(calls=calls, answers=answers or MemoryAnswers(), call_budget=free_turns(), clock=clock)
    return Watch(condition, prober, clock, action or an_action()), calls, clock


def operations(calls: ShapedCalls) -> list[str]:
    return [operation for operation, _ in calls.made]


def test_a_condition_asks_for_the_arn_once_and_for_the_health_until_all_groups_are_as_wished() -> None:
    world = World(groups={"web": health(), "api": health((INSTANCE, 80, "healthy", None))})
    watch, calls, clock = watched(waits_for(TargetState.HEALTHY, "api", arn("web")), world)

    assert watch.look().detail == "web: not registered"
    clock.run_until(at(20.5))
    world.groups["web"] = health((INSTANCE, 80, "healthy", None))
    assert watch.look().status is ConditionStatus.PENDING
    clock.run_until(at(41))
    assert watch.look().status is ConditionStatus.HOLDS
    assert calls.made == [
        (DESCRIBE, {"Names": ["api"]}),
        (DESCRIBE, {"TargetGroupArns": [arn("web")]}),
        *[(HEALTH, {"TargetGroupArn": arn(group)}) for _ in range(3) for group in ("api", "web")],
    ]


def test_an_instance_that_drains_is_held_until_it_is_gone() -> None:
    world = World(groups={"web": health((INSTANCE, 80, "draining", "Target.DeregistrationInProgress"))})
    watch, _, clock = watched(waits_for(TargetState.DRAINED), world)

    watch.keep_looking()
    clock.run_until(at(300))
    assert watch.finding is not None
    assert watch.finding.detail == "web: draining (Target.DeregistrationInProgress)"
    world.groups["web"] = health()
    clock.run_until(at(365))
    assert (watch.finding.status, watch.finding.detail) == (ConditionStatus.HOLDS, "not registered")


def test_as_many_groups_as_may_be_named_give_an_answer_in_two_looks_and_the_second_in_one() -> None:
    names = ("a", "b", "c", "d", "e")
    world = World(groups={name: health((INSTANCE, 80, "healthy", None)) for name in names})
    watch, _, clock = watched(waits_for(TargetState.HEALTHY, *names), world)

    assert watch.look().status is ConditionStatus.UNKNOWN
    clock.run_until(at(5))
    assert watch.look().status is ConditionStatus.PENDING
    clock.run_until(at(26))
    assert watch.look().status is ConditionStatus.HOLDS


def test_a_group_that_passed_long_ago_is_asked_again() -> None:
    """While the second group could not be asked, the first one went on living."""
    condition = waits_for(TargetState.HEALTHY, "web", "api")
    passed = {"arns": {"web": arn("web"), "api": arn("api")}, "passed": {arn("web"): at(0).isoformat()}}

    asked = [condition.ask(an_action(), passed, at(now)).parameters["TargetGroupArn"] for now in (29, 30)]

    assert asked == [arn("api"), arn("web")]


def test_an_answer_from_before_the_first_sight_of_the_action_is_not_one() -> None:
    answers = MemoryAnswers()
    world = World(groups={"web": health((INSTANCE, 80, "healthy", None))})
    watch, calls, clock = watched(
        waits_for(TargetState.DRAINED), world, an_action(first_seen_at=at(0)), answers=answers
    )
    answers.keep(
        f'elbv2 {HEALTH} {{"TargetGroupArn": "{arn("web")}"}}',
        SharedAnswer(taken_at=at(-1), members={"all": {}}),
    )

    assert watch.look().status is ConditionStatus.UNKNOWN
    clock.run_until(at(20))
    assert watch.look().status is ConditionStatus.PENDING
    assert operations(calls) == [DESCRIBE, HEALTH]


@pytest.mark.parametrize("kind", ["ip", "lambda", "alb"])
def test_a_target_group_that_never_shows_instances_is_a_failure(kind: str) -> None:
    watch, calls, _ = watched(waits_for(), World(groups={"web": health()}, kinds={"web": kind}))

    finding = watch.look()

    assert (finding.status, operations(calls)) == (ConditionStatus.FAILED, [DESCRIBE])
    assert finding.detail == f"target group web has targets of type {kind}: an instance never shows in it"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"arn": arn("web"), "type": "brand-new"}, id="a type that nobody knows yet"),
        pytest.param({"arn": arn("web"), "type": None}, id="no type"),
        pytest.param({"arn": None, "type": "instance"}, id="no ARN"),
        pytest.param("web", id="no mapping"),
    ],
)
def test_a_description_of_another_shape_is_unknown(data: object) -> None:
    call = waits_for().ask(an_action(), {}, at(0))

    found = waits_for().hear(an_action(), {}, call, Reply(kind=ReplyKind.ANSWERED, data=data), at(0))

    assert (found.status, found.go_on) == (ConditionStatus.UNKNOWN, False)
    assert found.detail.startswith("target group web: the answer cannot be read")


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"TargetGroups": None}, {"TargetGroups": ["web"]}, {"TargetGroups": [{"TargetGroupName": 5}]}],
)
def test_a_description_of_another_shape_shows_no_group(answer: object) -> None:
    shared = waits_for().ask(an_action(), {}, at(0)).shared

    assert shared is not None
    assert shared.reduced(answer) == {}


def test_a_wait_for_a_group_of_the_auto_scaling_groups_own_is_warned_of_after_a_minute() -> None:
    launching = an_action(hook=hook_terms(transition=Transition.LAUNCHING))
    world = World(groups={"web": health(), "api": health()}, own=["web", "else"])
    watch, calls, clock = watched(waits_for(TargetState.HEALTHY, "web", "api"), world, launching)

    for seconds in (0, 21):
        clock.run_until(at(seconds))
        assert watch.look().detail == "web: not registered"
    clock.run_until(at(60))
    assert watch.look().detail.startswith("web: not registered; it is asked next whether")
    clock.run_until(at(61))
    assert watch.look().detail == (
        "web: not registered (warning: web is the Auto Scaling group's own, "
        "to which Auto Scaling adds the instance only after this hook)"
    )
    for seconds in range(80, 400, 20):
        clock.run_until(at(seconds))
        assert "warning" in watch.look().detail
    assert operations(calls).count(OWN) == 1


def test_a_drain_from_a_group_of_the_auto_scaling_groups_own_is_warned_of_before_it_holds() -> None:
    watch, calls, clock = watched(
        waits_for(TargetState.DRAINED), World(groups={"web": health()}, own=["web"])
    )

    statuses = [watch.look().status, watch.look().status]
    clock.run_until(at(21))
    finding = watch.look()

    assert (statuses, finding.status) == (
        [ConditionStatus.UNKNOWN, ConditionStatus.PENDING],
        ConditionStatus.HOLDS,
    )
    assert finding.detail == (
        "not registered (warning: web is the Auto Scaling group's own, "
        "from which Auto Scaling took the instance before this hook)"
    )
    assert operations(calls) == [DESCRIBE, HEALTH, OWN, HEALTH]


def test_without_an_answer_to_whose_the_groups_are_it_holds_without_a_warning() -> None:
    watch, _, clock = watched(waits_for(TargetState.DRAINED), World(groups={"web": health()}, failing={OWN}))

    watch.keep_looking()
    clock.run_until(at(35))

    assert watch.finding is not None
    assert (watch.finding.status, watch.finding.detail) == (ConditionStatus.HOLDS, "not registered")


def test_while_someone_else_asks_in_vain_whose_the_groups_are_it_is_waited_for_ten_seconds_only() -> None:
    answers = MemoryAnswers()
    answers.lease(f'autoscaling {OWN} {{"AutoScalingGroupName": "workers-1"}}', at(-1), timedelta(minutes=10))
    watch, _, clock = watched(
        waits_for(TargetState.DRAINED), World(groups={"web": health()}), answers=answers
    )

    watch.keep_looking()
    clock.run_until(at(13))
    assert watch.finding is not None
    assert watch.finding.confirmed_once
    clock.run_until(at(34))

    assert (watch.finding.status, watch.finding.detail) == (ConditionStatus.HOLDS, "not registered")


def test_while_nobody_tells_the_health_it_stays_unknown() -> None:
    world = World(groups={"web": health()}, failing={HEALTH})
    watch, _, clock = watched(waits_for(TargetState.DRAINED), world)

    watch.keep_looking()
    clock.run_until(at(600))

    assert watch.finding is not None
    assert (watch.finding.status, watch.finding.detail) == (
        ConditionStatus.UNKNOWN,
        "Throttling: Rate exceeded",
    )


def test_a_thousand_instances_of_ten_groups_make_at_most_forty_calls_a_minute() -> None:
    """And each of them still hears of a change, twice, within 65 seconds."""
    world = World(groups={f"web-{number}": health() for number in range(10)})
    clock = VirtualClock(at(0))
    made_at: list[float] = []

    def answer(operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        made_at.append((clock() - at(0)).total_seconds())
        return world.answer(operation, parameters)

    prober = Prober(calls=ShapedCalls(answer), answers=MemoryAnswers(), call_budget=free_turns(), clock=clock)
    watches = [a_thousandth(number, prober, clock) for number in range(1000)]
    for number, watch in enumerate(watches):
        clock.at(at(number % 7 / 10), watch.keep_looking)
    clock.run_until(at(300))
    for number in range(10):
        ids = [watch.action.instance_id for watch in watches[number::10]]
        world.groups[f"web-{number}"] = health(*((each, 80, "healthy", None) for each in ids))
    assert {watch.finding.status for watch in watches if watch.finding} == {ConditionStatus.PENDING}
    clock.run_until(at(365))

    assert {watch.finding.status for watch in watches if watch.finding} == {ConditionStatus.HOLDS}
    assert most_within(made_at, 60) <= 40


def a_thousandth(number: int, prober: Prober, clock: VirtualClock) -> Watch:
    group = number % 10
    action = an_action(
        instance_id=f"i-{number:017x}",
        hook=hook_terms(group=f"workers-{group}"),
        first_seen_at=at(number % 7 / 10),
    )
    return Watch(waits_for(TargetState.HEALTHY, f"web-{group}"), prober, clock, action)


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of the moments that lie in any one span of so many seconds."""
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


@pytest.mark.parametrize("state", TargetState)
def test_one_lie_that_it_is_as_wished_does_not_make_it_so(state: TargetState) -> None:
    wished, truth = health((INSTANCE, 80, "healthy", None)), health()
    if state is TargetState.DRAINED:
        wished, truth = truth, wished
    world = World(groups={"web": wished})
    watch, _, clock = watched(waits_for(state), world)
    watch.look()
    lied = watch.look()

    world.groups["web"] = truth
    clock.run_until(at(21))
    watch.keep_looking()
    clock.run_until(at(300))

    assert (lied.status, lied.confirmed_once) == (ConditionStatus.PENDING, True)
    assert watch.finding is not None
    assert (watch.finding.status, watch.finding.confirmed_once) == (ConditionStatus.PENDING, False)


def test_what_is_shared_from_before_the_first_answer_was_heard_is_no_second_one() -> None:
    answers = MemoryAnswers()
    world = World(groups={"web": health((INSTANCE, 80, "healthy", None))})
    other, _, clock = watched(waits_for(), world, answers=answers)
    other.look()
    clock.run_until(at(15))
    watch = Watch(waits_for(), other.prober, clock)

    first = watch.look()  # by the answer of 0
    clock.run_until(at(19))
    second = watch.look()
    clock.run_until(at(21))

    assert [each.status for each in (first, second)] == [ConditionStatus.PENDING, ConditionStatus.PENDING]
    assert second.asked_at == first.asked_at
    assert watch.look().status is ConditionStatus.HOLDS


def test_an_unknown_answer_between_two_neither_counts_nor_resets() -> None:
    world = World(groups={"web": health((INSTANCE, 80, "healthy", None))})
    watch, _, clock = watched(waits_for(), world)
    first = watch.look()
    clock.run_until(at(21))
    world.failing.add(HEALTH)
    between = watch.look()
    world.failing.clear()
    clock.run_until(at(42))

    assert (first.status, between.status) == (ConditionStatus.PENDING, ConditionStatus.UNKNOWN)
    assert watch.look().status is ConditionStatus.HOLDS


def test_what_held_and_became_old_needs_one_more_answer_only() -> None:
    world = World(groups={"web": health((INSTANCE, 80, "healthy", None))})
    watch, _, clock = watched(waits_for(), world)

    statuses = []
    for seconds in (0, 21, 600):
        clock.run_until(at(seconds))
        statuses.append(watch.look().status)

    assert statuses == [ConditionStatus.PENDING, ConditionStatus.HOLDS, ConditionStatus.HOLDS]


@mock_aws
def test_against_moto_an_instance_is_waited_for_by_name_and_by_arn() -> None:
    client = partial(boto3.client, region_name="us-east-1")
    instance_id, group_arn = a_moto_group(client)
    clock = VirtualClock(at(0))
    prober = Prober(calls=AwsCalls(client), answers=MemoryAnswers(), call_budget=free_turns(), clock=clock)
    action = an_action(instance_id=instance_id)

    wishes = [(state, group) for state in TargetState for group in ("web", group_arn)]

    def found() -> dict[tuple[TargetState, str], tuple[ConditionStatus, str]]:
        """After enough looks for a second answer."""
        watches = {wish: Watch(waits_for(*wish), prober, clock, action) for wish in wishes}
        for wait in (0, 2, 21):
            clock.run_until(clock() + timedelta(seconds=wait))
            looks = {wish: watch.look() for wish, watch in watches.items()}
        return {wish: (finding.status, finding.detail) for wish, finding in looks.items()}

    own = (
        " (warning: web is the Auto Scaling group's own, "
        "from which Auto Scaling took the instance before this hook)"
    )
    gone = f"not registered{own}"
    assert found() == {
        (TargetState.HEALTHY, "web"): (ConditionStatus.PENDING, "web: not registered"),
        (TargetState.HEALTHY, group_arn): (ConditionStatus.PENDING, "web: not registered"),
        (TargetState.DRAINED, "web"): (ConditionStatus.HOLDS, gone),
        (TargetState.DRAINED, group_arn): (ConditionStatus.HOLDS, gone),
    }
    client("elbv2").register_targets(TargetGroupArn=group_arn, Targets=[{"Id": instance_id, "Port": 80}])
    clock.run_until(at(60))
    assert found() == {
        (TargetState.HEALTHY, "web"): (ConditionStatus.HOLDS, "healthy"),
        (TargetState.HEALTHY, group_arn): (ConditionStatus.HOLDS, "healthy"),
        (TargetState.DRAINED, "web"): (ConditionStatus.PENDING, f"web: healthy{own}"),
        (TargetState.DRAINED, group_arn): (ConditionStatus.PENDING, f"web: healthy{own}"),
    }


@mock_aws
def test_against_moto_a_target_group_that_does_not_exist_is_a_failure() -> None:
    clock = VirtualClock(at(0))
    calls = AwsCalls(partial(boto3.client, region_name="us-east-1"))
    prober = Prober(calls=calls, answers=MemoryAnswers(), call_budget=free_turns(), clock=clock)

    for group in ("web", arn("web")):
        finding = Watch(waits_for(TargetState.DRAINED, group), prober, clock).look()
        assert (finding.status, finding.detail.split(":")[0]) == (
            ConditionStatus.FAILED,
            "target group web does not exist",
        )


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


def test_a_call_about_health_is_shared_by_all_instances_of_a_group() -> None:
    memory = {"arns": {"web": arn("web")}}

    calls = [
        waits_for(state).ask(an_action(instance_id=instance_id), memory, at(0))
        for state in TargetState
        for instance_id in (INSTANCE, OTHER)
    ]

    assert [same_question(calls[0], other) for other in calls] == [True] * 4


def same_question(one: Call, other: Call) -> bool:
    return (one.operation, one.parameters) == (other.operation, other.parameters)
