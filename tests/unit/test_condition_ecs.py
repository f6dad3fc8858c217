"""The condition `ecs`: what it asks of ECS, and what it makes of each answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.ec2.utils import generate_instance_identity_document

from tests.aws_shapes import ShapedCalls, service_model, values_of
from tests.factories import a_policy, an_action, at
from tests.questions import free_turns, with_finding
from usher.aws.calls import AwsCalls
from usher.core import conditions
from usher.core.conditions.ecs import Absence, Ecs, TaskState
from usher.core.conditions.probe import (
    Call,
    Found,
    Later,
    Permission,
    Reply,
    ReplyKind,
    as_finding,
    finding_of,
)
from usher.core.field import Field, Problem, Refused
from usher.core.finding import ConditionStatus, Finding
from usher.questions.probing import Prober
from usher_simulator.fakes.memory_budget import MemoryAnswers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.conditions.verdict import Condition
    from usher.ports.conditions import Calls

INSTANCE: Final = "i-0f0e0d0c0b0a09080"  # of an_action
ARN: Final = "arn:aws:ecs:us-east-1:123456789012"
WEB: Final = f"{ARN}:cluster/web"
MEMBER: Final = f"{ARN}:container-instance/web/0123abcd"
GHOST: Final = f"{ARN}:container-instance/web/99990000"  # another one of the same EC2 instance
ACTIVE: Final = Ecs(state=TaskState.ACTIVE, cluster="web")
DRAINED: Final = Ecs(state=TaskState.DRAINED, cluster="web")
ANYWHERE: Final = Ecs(state=TaskState.DRAINED)
FOUND: Final = {"cluster": "web", "instance": MEMBER, "others": []}
GONE: Final = Reply(
    kind=ReplyKind.REFUSED,
    code="ClusterNotFoundException",
    text="ClusterNotFoundException: Cluster not found.",
)
BUSY: Final = Reply(
    kind=ReplyKind.UNKNOWN, code="ThrottlingException", text="ThrottlingException: Rate exceeded"
)
LATER: Final = "not asked yet"
LATE: Final = 120  # the default grace, in seconds
NEVER_OVER: Final = {
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
}


# Reading the configuration


def parsed(value: object) -> tuple[Condition | None, list[Problem]]:
    problems: list[Problem] = []
    try:
        return conditions.parse(Field(path=("until", 0), value={"ecs": value}, problems=problems)), problems
    except Refused:
        return None, problems


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("active", Ecs(state=TaskState.ACTIVE), id="active"),
        pytest.param("drained", Ecs(state=TaskState.DRAINED), id="drained"),
        pytest.param({"state": "drained"}, Ecs(state=TaskState.DRAINED), id="the long form of the same"),
        pytest.param({"state": "drained", "cluster": "web"}, DRAINED, id="a cluster by name"),
        pytest.param(
            {"state": "active", "cluster": WEB}, Ecs(state=TaskState.ACTIVE, cluster=WEB), id="by ARN"
        ),
        pytest.param(
            {"state": "drained", "absent": "failed", "grace": "0s"},
            Ecs(state=TaskState.DRAINED, absent=Absence.FAILED, grace=timedelta(0)),
            id="absence, and the shortest grace",
        ),
        pytest.param(
            {"state": "active", "grace": "48h"},
            Ecs(state=TaskState.ACTIVE, grace=timedelta(hours=48)),
            id="the longest grace",
        ),
        pytest.param(
            {"state": "active", "cluster": "x" * 255},
            Ecs(state=TaskState.ACTIVE, cluster="x" * 255),
            id="the longest name",
        ),
    ],
)
def test_it_is_understood(value: object, expected: Ecs) -> None:
    assert parsed(value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "place", "rule"),
    [
        pytest.param("stopped", "until[0].ecs", "must be one of active, drained", id="no such state"),
        pytest.param(7, "until[0].ecs", "must be active, drained, or a mapping", id="a number"),
        pytest.param({"cluster": "web"}, "until[0].ecs", "must have state", id="no state"),
        pytest.param({"state": None}, "until[0].ecs.state", "must be one of", id="an empty state"),
        pytest.param(
            {"state": "active", "in": "web"}, "until[0].ecs.in", "not a known key", id="unknown key"
        ),
        pytest.param(
            {"state": "active", "cluster": "my web"},
            "until[0].ecs.cluster",
            "must be a cluster",
            id="a blank",
        ),
        pytest.param(
            {"state": "active", "cluster": "x" * 256},
            "until[0].ecs.cluster",
            "must be a cluster",
            id="too long",
        ),
        pytest.param(
            {"state": "active", "cluster": MEMBER},
            "until[0].ecs.cluster",
            "must be a cluster",
            id="another ARN",
        ),
        pytest.param(
            {"state": "drained", "absent": "gone"}, "until[0].ecs.absent", "must be one of", id="absence"
        ),
        pytest.param(
            {"state": "active", "absent": "failed"},
            "until[0].ecs.absent",
            "with drained only",
            id="of active",
        ),
        pytest.param(
            {"state": "active", "grace": "49h"}, "until[0].ecs.grace", "from 0s to 48h", id="a long grace"
        ),
        pytest.param(
            {"state": "active", "grace": 120}, "until[0].ecs.grace", "a duration", id="a bare number"
        ),
    ],
)
def test_what_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    condition, problems = parsed(value)

    assert condition is None
    assert [(problem.field, rule in problem.rule) for problem in problems] == [(place, True)]


CONFIGURATIONS = st.builds(
    Ecs,
    state=st.sampled_from(TaskState),
    cluster=st.none() | st.sampled_from(["web", "jobs", WEB]),
    absent=st.sampled_from(Absence),
    grace=st.sampled_from([timedelta(0), timedelta(minutes=2), timedelta(hours=1)]),
)


@given(st.lists(CONFIGURATIONS, min_size=2, max_size=8))
def test_other_configurations_have_other_names_and_all_begin_with_the_kind(several: list[Ecs]) -> None:
    assert all((one.name == other.name) == (one == other) for one, other in combinations(several, 2))
    assert {condition.name.split()[0] for condition in several} == {"ecs"}


def test_only_drained_starts_something() -> None:
    assert (DRAINED.starts, ACTIVE.starts) == (True, False)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param(
            ACTIVE,
            (
                ("ecs:ListContainerInstances", "arn:{partition}:ecs:{region}:{account}:cluster/web"),
                (
                    "ecs:DescribeContainerInstances",
                    "arn:{partition}:ecs:{region}:{account}:container-instance/web/*",
                ),
            ),
            id="active in a cluster reads only there",
        ),
        pytest.param(
            Ecs(state=TaskState.DRAINED, cluster=WEB),
            (
                ("ecs:ListContainerInstances", WEB),
                (
                    "ecs:DescribeContainerInstances ecs:ListTasks ecs:UpdateContainerInstancesState",
                    f"{ARN}:container-instance/web/*",
                ),
                ("ecs:DescribeTasks", f"{ARN}:task/web/*"),
            ),
            id="drained in a cluster changes only there",
        ),
        pytest.param(
            Ecs(state=TaskState.ACTIVE),
            (
                ("ecs:ListClusters", "*"),
                ("ecs:ListContainerInstances", "*"),
                ("ecs:DescribeContainerInstances", "*"),
            ),
            id="active anywhere",
        ),
    ],
)
def test_it_asks_iam_for_no_more_than_it_needs(condition: Ecs, expected: tuple[tuple[str, str], ...]) -> None:
    assert condition.permissions == tuple(
        Permission(actions=tuple(actions.split()), resources=(resource,)) for actions, resource in expected
    )


# A cluster to play with


@dataclass(kw_only=True)
class Cluster:
    """ECS with one cluster, or several: an answer to every call that the condition may make."""

    clusters: list[str] = field(default_factory=lambda: [WEB])
    members: list[str] = field(default_factory=lambda: [MEMBER])  # of the cluster web
    status: dict[str, str] = field(default_factory=dict)  # else ACTIVE
    connected: dict[str, bool] = field(default_factory=dict)  # else True
    tasks: dict[str, tuple[str, str]] = field(default_factory=dict)  # desired and last status, by ARN
    counts: tuple[int, int] = (0, 0)
    instead: dict[str, Any] = field(default_factory=dict)  # other answers, by operation

    def __call__(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        if operation in self.instead:
            answer: Mapping[str, Any] | Reply = self.instead[operation]
            return answer
        answers = {
            "ListClusters": self._list_clusters,
            "ListContainerInstances": self._list,
            "DescribeContainerInstances": self._describe,
            "UpdateContainerInstancesState": self._update,
            "ListTasks": self._list_tasks,
            "DescribeTasks": self._describe_tasks,
        }
        return answers[operation](parameters)

    def _list_clusters(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"clusterArns": self.clusters}

    def _list(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert parameters["filter"] == f"ec2InstanceId == {INSTANCE}"
        here = [] if parameters["cluster"] not in ("web", WEB) else self.members
        return {"containerInstanceArns": [arn for arn in here if self._status(arn) != "INACTIVE"]}

    def _describe(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = parameters["containerInstances"]
        return {
            "containerInstances": [self._shown(arn) for arn in asked if arn in self.members],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in self.members],
        }

    def _update(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.status |= dict.fromkeys(parameters["containerInstances"], parameters["status"])
        return self._describe(parameters)

    def _list_tasks(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = parameters["desiredStatus"]
        return {"taskArns": [arn for arn, (desired, _) in self.tasks.items() if desired == wanted]}

    def _describe_tasks(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert len(parameters["tasks"]) <= 100
        known = {arn: self.tasks[arn] for arn in parameters["tasks"] if arn in self.tasks}
        return {
            "tasks": [
                {"taskArn": arn, "desiredStatus": desired, "lastStatus": last, "group": "service:shop"}
                for arn, (desired, last) in known.items()
            ],
            "failures": [],
        }

    def _status(self, arn: str) -> str:
        return self.status.get(arn, "ACTIVE")

    def _shown(self, arn: str) -> Mapping[str, Any]:
        return {
            "containerInstanceArn": arn,
            "ec2InstanceId": INSTANCE,
            "status": self._status(arn),
            "agentConnected": self.connected.get(arn, True),
            "runningTasksCount": self.counts[0],
            "pendingTasksCount": self.counts[1],
            "registeredAt": at(-3600),
        }


class Looks:
    """An action under a policy with one condition, looked at again and again.

    `look` gives the one answer, as the condition reads it; `stands` what the record makes of it.
    """

    def __init__(
        self,
        condition: Ecs,
        calls: Calls,
        action: Action | None = None,
        answers: MemoryAnswers | None = None,
    ) -> None:
        self.condition, self.action = condition, action or an_action()
        self.memory: Mapping[str, Any] = {}
        self.intents: list[Mapping[str, Any]] = []
        self.finding: Finding | None = None
        self._now = at(0)
        self.answers = answers or MemoryAnswers()
        self._prober = Prober(
            calls=calls, answers=self.answers, call_budget=free_turns(), clock=lambda: self._now
        )

    def look(self, seconds: float) -> Found:
        """What is found so many seconds after the start."""
        self._now = at(seconds)
        until = self._now + timedelta(seconds=20)
        found = self._prober.probe(self.condition, self.action, self.memory, until, self.intents.append)
        if isinstance(found, Later):
            return Found(status=ConditionStatus.UNKNOWN, detail=LATER, memory=self.memory)
        self.memory = found.memory
        self.finding = as_finding(self.condition, found, finding_of(self.condition, self.action), self._now)
        self.action = with_finding(self.action, self.finding)
        return found

    def stands(self, seconds: float) -> ConditionStatus:
        """How the condition stands for the record after a look so many seconds after the start."""
        self.look(seconds)
        assert self.finding is not None
        return self.finding.status


def found_at(condition: Ecs, cluster: Cluster, seconds: float = 0) -> Found:
    return Looks(condition, ShapedCalls(cluster)).look(seconds)


def task(number: int) -> str:
    return f"{ARN}:task/web/task-{number:03}"


# Finding the container instance


def test_in_a_named_cluster_it_lists_and_describes() -> None:
    calls = ShapedCalls(Cluster())

    Looks(ACTIVE, calls).look(0)

    assert calls.made == [
        ("ListContainerInstances", {"cluster": "web", "filter": f"ec2InstanceId == {INSTANCE}"}),
        ("DescribeContainerInstances", {"cluster": "web", "containerInstances": [MEMBER]}),
    ]


def test_once_found_it_is_described_only() -> None:
    calls = ShapedCalls(Cluster(connected={MEMBER: False}))
    looks = Looks(ACTIVE, calls)
    looks.look(0)
    calls.made.clear()

    looks.look(20)

    assert [operation for operation, _ in calls.made] == ["DescribeContainerInstances"]


def test_without_a_cluster_it_searches_one_after_the_other_few_in_a_look_and_remembers_how_far() -> None:
    clusters = [f"{ARN}:cluster/c{number}" for number in range(7)]
    calls = ShapedCalls(Cluster(clusters=[*clusters, WEB]))
    looks = Looks(ANYWHERE, calls)

    found = [looks.look(0), looks.look(1), looks.look(2)]

    searched = [made["cluster"] for operation, made in calls.made if operation == "ListContainerInstances"]
    assert searched == [*clusters, WEB]
    assert [each.detail for each in found[:2]] == [
        f"{INSTANCE} is in none of the 3 clusters searched so far",
        f"{INSTANCE} is in none of the 6 clusters searched so far",
    ]
    assert {each.status for each in found[:2]} == {ConditionStatus.UNKNOWN}
    assert found[2].memory["instance"] == MEMBER


def test_of_very_many_clusters_few_are_remembered_and_all_are_searched() -> None:
    clusters = [f"{ARN}:cluster/c{number:04}" for number in range(130)]
    calls = ShapedCalls(Cluster(clusters=[*clusters, WEB]))
    looks = Looks(ANYWHERE, calls)

    found = [looks.look(number) for number in range(44)]

    searched = [made["cluster"] for operation, made in calls.made if operation == "ListContainerInstances"]
    assert searched == [*clusters, WEB]
    assert found[-1].memory["instance"] == MEMBER
    assert max(len(json.dumps(dict(each.memory))) for each in found) < 5000


def test_the_list_of_clusters_is_shared_between_actions() -> None:
    answers, calls = MemoryAnswers(), ShapedCalls(Cluster())
    prober = Prober(calls=calls, answers=answers, call_budget=free_turns(), clock=lambda: at(30))

    for action in (an_action(), an_action(id="action-2", first_seen_at=at(29))):
        prober.probe(ANYWHERE, action, {}, at(50), lambda _: None)

    assert [operation for operation, _ in calls.made].count("ListClusters") == 1


def test_a_cluster_that_goes_while_it_is_searched_has_no_instances() -> None:
    found = found_at(ANYWHERE, Cluster(instead={"ListContainerInstances": GONE}), LATE)

    assert (found.status, found.detail) == (
        ConditionStatus.HOLDS,
        f"{INSTANCE} is in no cluster (1 searched): nothing to drain",
    )


@pytest.mark.parametrize("condition", [ACTIVE, DRAINED], ids=["active", "drained"])
def test_a_named_cluster_that_does_not_exist_is_a_failure(condition: Ecs) -> None:
    found = found_at(condition, Cluster(instead={"ListContainerInstances": GONE}))

    assert found.status is ConditionStatus.FAILED
    assert "cluster web does not exist" in found.detail


# In no cluster


@pytest.mark.parametrize(
    ("condition", "seconds", "status"),
    [
        pytest.param(DRAINED, LATE - 1, ConditionStatus.PENDING, id="drained, within the grace"),
        pytest.param(DRAINED, LATE, ConditionStatus.HOLDS, id="drained"),
        pytest.param(ANYWHERE, LATE - 1, ConditionStatus.PENDING, id="drained anywhere, within the grace"),
        pytest.param(ANYWHERE, LATE, ConditionStatus.HOLDS, id="drained anywhere"),
        pytest.param(ACTIVE, LATE - 1, ConditionStatus.PENDING, id="active, within the grace"),
        pytest.param(ACTIVE, LATE, ConditionStatus.FAILED, id="active"),
        pytest.param(
            Ecs(state=TaskState.DRAINED, absent=Absence.FAILED),
            LATE - 1,
            ConditionStatus.PENDING,
            id="strict, in grace",
        ),
        pytest.param(
            Ecs(state=TaskState.DRAINED, absent=Absence.FAILED),
            LATE,
            ConditionStatus.FAILED,
            id="strictly drained",
        ),
        pytest.param(
            Ecs(state=TaskState.ACTIVE, grace=timedelta(0)), 0, ConditionStatus.FAILED, id="no grace"
        ),
    ],
)
def test_an_instance_in_no_cluster_is_an_answer_after_the_grace(
    condition: Ecs, seconds: float, status: ConditionStatus
) -> None:
    found = found_at(condition, Cluster(members=[]), seconds)

    assert (found.status, INSTANCE in found.detail) == (status, True)


def test_a_list_of_clusters_from_before_the_action_does_not_say_that_it_is_in_none() -> None:
    action = an_action(started_at=at(-600), first_seen_at=at(0))
    call = ANYWHERE.ask(action, {}, at(0))
    younger = ANYWHERE.ask(an_action(), {}, at(0))

    assert call.not_before == at(0)
    assert younger.not_before == at(-60)


def test_within_the_grace_it_is_searched_again_from_the_start() -> None:
    cluster = Cluster(members=[])
    looks = Looks(ACTIVE, ShapedCalls(cluster))
    looks.look(0)
    cluster.members.append(MEMBER)

    assert looks.look(20).status is ConditionStatus.HOLDS


# How the container instance stands

STATUSES: Final = {  # what each means for active, and for drained
    "ACTIVE": (ConditionStatus.HOLDS, ConditionStatus.PENDING),
    "DRAINING": (ConditionStatus.PENDING, ConditionStatus.HOLDS),
    "REGISTERING": (ConditionStatus.PENDING, ConditionStatus.PENDING),
    "DEREGISTERING": (ConditionStatus.PENDING, ConditionStatus.PENDING),
    "REGISTRATION_FAILED": (ConditionStatus.FAILED, ConditionStatus.PENDING),
    "INACTIVE": (ConditionStatus.UNKNOWN, ConditionStatus.UNKNOWN),  # searched again, and then in no cluster
}


def described(condition: Ecs, status: str) -> Found:
    """What is found where the container instance was found before, and has `status` now."""
    looks = Looks(condition, ShapedCalls(Cluster(status={MEMBER: status})))
    looks.memory = FOUND
    return looks.look(0)


def test_every_status_that_botocore_lists_or_tells_of_is_known() -> None:
    told = service_model("ecs").shape_for("ContainerInstance").members["status"].documentation

    assert values_of("ecs", "ContainerInstanceStatus") <= set(STATUSES)
    assert set(re.findall("<code>([A-Z_]+)</code>", told)) == set(STATUSES)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_meaning(status: str) -> None:
    assert (described(ACTIVE, status).status, described(DRAINED, status).status) == STATUSES[status]


@pytest.mark.parametrize("condition", [ACTIVE, DRAINED], ids=["active", "drained"])
def test_one_that_is_inactive_is_searched_for_again(condition: Ecs) -> None:
    found = described(condition, "INACTIVE")

    assert (found.memory, "searching again" in found.detail) == ({}, True)


@pytest.mark.parametrize("condition", [ACTIVE, DRAINED], ids=["active", "drained"])
def test_a_status_that_nobody_knows_is_unknown(condition: Ecs) -> None:
    found = described(condition, "IMPAIRED")

    assert found.status is ConditionStatus.UNKNOWN
    assert "is IMPAIRED" in found.detail


def test_active_without_its_agent_is_pending_and_says_so() -> None:
    found = found_at(ACTIVE, Cluster(connected={MEMBER: False}))

    assert (found.status, found.detail) == (
        ConditionStatus.PENDING,
        "container instance 0123abcd is ACTIVE, its agent not connected",
    )


def test_active_is_looked_at_again_while_other_conditions_keep_the_action_open() -> None:
    assert found_at(ACTIVE, Cluster()).ask_again_after is not None


def test_a_registration_that_failed_says_why() -> None:
    shown = {
        "containerInstanceArn": MEMBER,
        "status": "REGISTRATION_FAILED",
        "statusReason": "no trunk interface",
        "agentConnected": False,
    }
    found = found_at(
        ACTIVE,
        Cluster(instead={"DescribeContainerInstances": {"containerInstances": [shown], "failures": []}}),
    )

    assert found.status is ConditionStatus.FAILED
    assert "is REGISTRATION_FAILED (no trunk interface)" in found.detail


def test_one_that_is_deregistered_may_have_registered_anew() -> None:
    cluster = Cluster()
    looks = Looks(ACTIVE, ShapedCalls(cluster))
    looks.memory = {**FOUND, "instance": GHOST}

    missing = looks.look(0)

    assert (missing.status, missing.detail) == (
        ConditionStatus.UNKNOWN,
        "container instance 99990000 is not registered any more, searching again",
    )
    assert looks.look(5).status is ConditionStatus.UNKNOWN  # its answer is not there yet
    assert looks.look(20).status is ConditionStatus.HOLDS


@pytest.mark.parametrize(
    "arn", [MEMBER, f"{ARN}:container-instance/0123abcd"], ids=["as asked for", "without the cluster"]
)
def test_a_missing_one_is_known_by_either_spelling_of_its_arn(arn: str) -> None:
    missing = {"containerInstances": [], "failures": [{"arn": arn, "reason": "MISSING"}]}

    found = found_at(ACTIVE, Cluster(instead={"DescribeContainerInstances": missing}))

    assert "is not registered any more" in found.detail


def test_another_failure_than_missing_is_unknown() -> None:
    failed = {"containerInstances": [], "failures": [{"arn": MEMBER, "reason": "TRY_LATER"}]}

    found = found_at(DRAINED, Cluster(instead={"DescribeContainerInstances": failed}), LATE)

    assert (found.status, "failure TRY_LATER" in found.detail) == (ConditionStatus.UNKNOWN, True)


def test_one_of_several_container_instances_of_an_instance_is_enough_for_active() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], connected={GHOST: False})
    looks = Looks(ACTIVE, ShapedCalls(cluster))

    assert looks.look(0).status is ConditionStatus.PENDING
    statuses = {looks.look(seconds).status for seconds in (20, 40)}

    assert ConditionStatus.HOLDS in statuses


def test_one_that_failed_to_register_hides_no_other_of_the_instance() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})
    looks = Looks(DRAINED, ShapedCalls(cluster))

    found = [looks.look(LATE + seconds) for seconds in (0, 20)]

    assert [each.status for each in found] == [ConditionStatus.UNKNOWN, ConditionStatus.PENDING]
    assert cluster.status[MEMBER] == "DRAINING"


def test_a_cluster_that_was_found_and_is_gone_is_searched_for_anew() -> None:
    looks = Looks(ANYWHERE, ShapedCalls(Cluster(instead={"DescribeContainerInstances": GONE})))

    found = looks.look(0)

    assert (found.status, found.detail) == (ConditionStatus.UNKNOWN, "cluster web is gone, searching again")
    assert found.memory == {}


def test_active_does_not_fail_for_one_of_several_that_failed_to_register() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})

    assert found_at(ACTIVE, cluster).status is ConditionStatus.PENDING


# Draining


def test_drained_sets_draining_once_with_the_intent_stored_first() -> None:
    calls = ShapedCalls(Cluster(counts=(1, 0), tasks={task(1): ("RUNNING", "RUNNING")}))
    looks = Looks(DRAINED, calls)

    first = looks.look(0)
    for seconds in range(20, 200, 20):
        looks.look(seconds)

    assert (first.status, first.detail) == (
        ConditionStatus.PENDING,
        "container instance 0123abcd was set to DRAINING",
    )
    assert looks.intents == [{**FOUND, "sent_at": at(0).isoformat()}]
    assert [made for made in calls.made if made[0] == "UpdateContainerInstancesState"] == [
        (
            "UpdateContainerInstancesState",
            {"cluster": "web", "containerInstances": [MEMBER], "status": "DRAINING"},
        )
    ]


@pytest.mark.parametrize("kind", [ReplyKind.UNKNOWN, ReplyKind.TIMED_OUT])
@pytest.mark.parametrize(("applied", "updates"), [(True, 1), (False, 2)], ids=["applied", "not applied"])
def test_an_unknown_answer_to_draining_is_settled_by_what_is_described(
    kind: ReplyKind, applied: bool, updates: int
) -> None:
    cluster = Cluster(instead={"UpdateContainerInstancesState": Reply(kind=kind, text="no answer")})
    calls = ShapedCalls(cluster)
    looks = Looks(DRAINED, calls)

    assert looks.look(0).status is ConditionStatus.UNKNOWN
    cluster.instead.clear()
    if applied:
        cluster.status[MEMBER] = "DRAINING"
    for seconds in (20, 40, 60):
        found = looks.look(seconds)

    made = [operation for operation, _ in calls.made]
    assert (made.count("UpdateContainerInstancesState"), found.status) == (updates, ConditionStatus.HOLDS)


def test_after_an_unknown_answer_only_a_later_description_counts() -> None:
    memory = {**FOUND, "sent_at": at(50).isoformat()}

    assert DRAINED.ask(an_action(), memory, at(55)).not_before == at(50)


def test_what_is_set_back_by_someone_is_not_set_again() -> None:
    cluster = Cluster()
    calls = ShapedCalls(cluster)
    looks = Looks(DRAINED, calls)
    looks.look(0)
    cluster.status[MEMBER] = "ACTIVE"

    found = looks.look(20)

    assert (found.status, "someone else has set it back" in found.detail) == (ConditionStatus.PENDING, True)
    assert [operation for operation, _ in calls.made].count("UpdateContainerInstancesState") == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            {"containerInstances": [], "failures": [{"arn": MEMBER, "reason": "MISSING"}]},
            "MISSING",
            id="missing",
        ),
        pytest.param(
            Reply(kind=ReplyKind.REFUSED, code="ClientException", text="not ACTIVE"),
            "not ACTIVE",
            id="refused",
        ),
    ],
)
def test_draining_that_was_refused_is_asked_for_again(answer: Any, said: str) -> None:
    cluster = Cluster(instead={"UpdateContainerInstancesState": answer})
    looks = Looks(DRAINED, ShapedCalls(cluster))

    refused = looks.look(0)
    cluster.instead.clear()

    assert (refused.status, said in refused.detail) == (ConditionStatus.UNKNOWN, True)
    assert looks.look(20).detail == "container instance 0123abcd was set to DRAINING"


def test_a_decision_to_drain_is_not_older_than_a_minute() -> None:
    memory = {**FOUND, "active_at": at(0).isoformat()}

    asked = [DRAINED.ask(an_action(), memory, at(seconds)).operation for seconds in (60, 61)]

    assert asked == ["UpdateContainerInstancesState", "DescribeContainerInstances"]


def test_in_observe_mode_nothing_is_drained() -> None:
    calls = ShapedCalls(Cluster())
    action = an_action(policy=a_policy([{"ecs": "drained"}], mode="observe"))

    found = Looks(DRAINED, calls, action).look(0)

    assert found.detail == "observe mode: would call UpdateContainerInstancesState"
    assert "UpdateContainerInstancesState" not in [operation for operation, _ in calls.made]


# Tasks


def draining(tasks: Mapping[str, tuple[str, str]], **parts: Any) -> Cluster:
    return Cluster(status={MEMBER: "DRAINING"}, tasks=dict(tasks), **parts)


def test_the_states_that_a_task_may_be_wanted_in_are_known() -> None:
    assert values_of("ecs", "DesiredStatus") <= NEVER_OVER | {"STOPPED", "DELETED"}


@pytest.mark.parametrize("status", sorted(NEVER_OVER))
@pytest.mark.parametrize("desired", ["RUNNING", "STOPPED"])
def test_a_task_in_a_state_before_stopped_is_waited_for(status: str, desired: str) -> None:
    found = found_at(DRAINED, draining({task(1): (desired, status), task(2): ("STOPPED", "STOPPED")}))

    assert (found.status, found.detail) == (
        ConditionStatus.PENDING,
        f"draining, tasks: 1 {status}, e.g. task task-001 of service:shop",
    )


@pytest.mark.parametrize("status", ["STOPPED", "DELETED"])
def test_a_task_that_is_over_is_not_waited_for(status: str) -> None:
    found = found_at(DRAINED, draining({task(1): ("STOPPED", status)}))

    assert (found.status, found.detail) == (
        ConditionStatus.HOLDS,
        "container instance 0123abcd is DRAINING and has no task left",
    )


def test_a_task_in_a_state_that_nobody_knows_is_not_stopped() -> None:
    found = found_at(DRAINED, draining({task(1): ("STOPPED", "HIBERNATED")}))

    assert (found.status, "1 HIBERNATED" in found.detail) == (ConditionStatus.UNKNOWN, True)


def test_a_task_that_the_answer_leaves_out_is_not_stopped_and_one_that_is_missing_is() -> None:
    cluster = draining({task(1): ("STOPPED", "STOPPED")})
    cluster.instead["DescribeTasks"] = {"tasks": [], "failures": []}
    left_out = found_at(DRAINED, cluster)
    cluster.instead["DescribeTasks"] = {"tasks": [], "failures": [{"arn": task(1), "reason": "MISSING"}]}

    missing = found_at(DRAINED, cluster)
    cluster.instead["DescribeTasks"] = {"tasks": [], "failures": [{"arn": task(1), "reason": "BUSY"}]}

    assert missing.status is ConditionStatus.HOLDS
    assert left_out.status is ConditionStatus.UNKNOWN
    assert found_at(DRAINED, cluster).status is ConditionStatus.UNKNOWN


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["RUNNING", "STOPPED"]),
            st.sampled_from([*sorted(NEVER_OVER), "STOPPED", "DELETED", "NEW"]),
        ),
        max_size=12,
    ),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_it_holds_only_without_counts_and_without_a_task_that_is_not_over(
    states: list[tuple[str, str]], counts: tuple[int, int]
) -> None:
    tasks = {task(number): state for number, state in enumerate(states)}
    looks = Looks(DRAINED, ShapedCalls(draining(tasks, counts=counts)))

    statuses = {looks.look(seconds).status for seconds in (0, 20)}

    over = not any(counts) and all(last in ("STOPPED", "DELETED") for _, last in states)
    assert (ConditionStatus.HOLDS in statuses) == over


def test_more_tasks_than_one_call_takes_are_described_in_several() -> None:
    tasks = {task(number): ("STOPPED", "STOPPED") for number in range(250)}
    tasks[task(249)] = ("STOPPED", "DEPROVISIONING")

    looks = Looks(DRAINED, ShapedCalls(draining(tasks)))
    looks.memory = FOUND

    found = looks.look(0)

    assert found.detail == "draining, tasks: 1 DEPROVISIONING, e.g. task task-249 of service:shop"


def test_more_tasks_than_one_look_has_calls_for_are_gone_through_in_the_next() -> None:
    calls = ShapedCalls(draining({task(number): ("STOPPED", "STOPPED") for number in range(550)}))
    looks = Looks(DRAINED, calls)

    statuses = [looks.look(0).status, looks.look(5).status]

    described = [made["tasks"] for operation, made in calls.made if operation == "DescribeTasks"]
    assert statuses == [ConditionStatus.UNKNOWN, ConditionStatus.HOLDS]
    assert sorted(arn for part in described for arn in part) == [task(number) for number in range(550)]


def test_while_as_many_tasks_run_they_are_not_listed_again() -> None:
    cluster = draining({task(1): ("RUNNING", "RUNNING")}, counts=(1, 0))
    calls = ShapedCalls(cluster)
    looks = Looks(DRAINED, calls)
    first = looks.look(0)
    calls.made.clear()

    again = looks.look(20)
    cluster.counts, cluster.tasks = (0, 0), {}

    assert [operation for operation, _ in calls.made] == ["DescribeContainerInstances"]
    assert (again.status, again.detail) == (ConditionStatus.PENDING, first.detail)
    assert looks.look(40).status is ConditionStatus.HOLDS


def test_tasks_that_no_count_has_any_more_are_listed_at_every_look() -> None:
    cluster = draining({task(1): ("STOPPED", "DEACTIVATING")})
    looks = Looks(DRAINED, ShapedCalls(cluster))
    looks.look(0)
    cluster.tasks[task(1)] = ("STOPPED", "STOPPED")

    assert looks.look(20).status is ConditionStatus.HOLDS


def test_a_count_that_no_task_explains_is_believed() -> None:
    found = found_at(DRAINED, draining({}, counts=(0, 1)))

    assert (found.status, found.detail) == (ConditionStatus.PENDING, "draining, tasks: 0 running, 1 pending")


def test_tasks_under_an_agent_that_is_not_connected_are_told_as_such() -> None:
    cluster = draining({task(1): ("STOPPED", "RUNNING")}, connected={MEMBER: False})

    assert "the agent is not connected" in found_at(DRAINED, cluster).detail


def test_every_container_instance_of_an_instance_is_drained() -> None:
    cluster = Cluster(members=[GHOST, MEMBER])
    looks = Looks(DRAINED, ShapedCalls(cluster))

    statuses = [looks.look(seconds).status for seconds in (0, 20)]
    one_drained = dict(cluster.status)
    statuses += [looks.look(seconds).status for seconds in (40, 60)]

    assert one_drained == {GHOST: "DRAINING"}
    assert cluster.status == {GHOST: "DRAINING", MEMBER: "DRAINING"}
    assert statuses == [
        ConditionStatus.PENDING,
        ConditionStatus.UNKNOWN,
        ConditionStatus.PENDING,
        ConditionStatus.HOLDS,
    ]


# One answer is not enough


def test_active_takes_two_answers_and_one_that_it_is_active_is_no_more_than_a_lie() -> None:
    cluster = Cluster()
    looks = Looks(ACTIVE, ShapedCalls(cluster))

    lied = looks.stands(0)
    cluster.status[MEMBER] = "REGISTERING"
    told = looks.stands(20)
    cluster.status[MEMBER] = "ACTIVE"

    assert (lied, told) == (ConditionStatus.PENDING, ConditionStatus.PENDING)
    assert [looks.stands(seconds) for seconds in (40, 60)] == [ConditionStatus.PENDING, ConditionStatus.HOLDS]


def test_that_it_is_active_is_asked_again_soon_although_it_counts_for_a_minute() -> None:
    looks = Looks(ACTIVE, ShapedCalls(Cluster()))

    waits = []
    for seconds in (0, 20):
        looks.look(seconds)
        assert looks.finding is not None
        assert looks.finding.ask_again_at is not None
        waits.append(looks.finding.ask_again_at - at(seconds))

    assert waits == [timedelta(seconds=20), timedelta(seconds=60)]


EMPTY: Final[Mapping[str, Any]] = {  # each says that nothing is left, where a task still runs
    "DescribeContainerInstances": {
        "containerInstances": [
            {
                "containerInstanceArn": MEMBER,
                "status": "DRAINING",
                "agentConnected": True,
                "runningTasksCount": 0,
                "pendingTasksCount": 0,
            }
        ],
        "failures": [],
    },
    "ListTasks": {"taskArns": []},
}


@pytest.mark.parametrize(
    "lies", [["ListTasks"], [*EMPTY]], ids=["the lists of tasks", "the lists and the counts"]
)
def test_one_round_in_which_no_task_is_shown_does_not_make_it_drained(lies: list[str]) -> None:
    counts = (1, 0) if "DescribeContainerInstances" in lies else (0, 0)
    cluster = draining({task(1): ("RUNNING", "RUNNING")}, counts=counts)
    looks = Looks(DRAINED, ShapedCalls(cluster))
    cluster.instead = {operation: EMPTY[operation] for operation in lies}

    lied = looks.look(0)
    cluster.instead = {}
    told = [looks.stands(seconds) for seconds in (20, 40)]
    cluster.tasks, cluster.counts = {}, (0, 0)

    assert lied.status is ConditionStatus.HOLDS
    assert told == [ConditionStatus.PENDING, ConditionStatus.PENDING]
    assert [looks.stands(seconds) for seconds in (60, 80)] == [ConditionStatus.PENDING, ConditionStatus.HOLDS]


def test_the_second_round_goes_through_all_calls_again_and_drains_nothing_again() -> None:
    cluster = Cluster()
    calls = ShapedCalls(cluster)
    looks = Looks(DRAINED, calls)
    first = [looks.stands(seconds) for seconds in (0, 20)]
    calls.made.clear()

    assert first == [ConditionStatus.PENDING, ConditionStatus.PENDING]
    assert looks.stands(40) is ConditionStatus.HOLDS
    assert [operation for operation, _ in calls.made] == [
        "DescribeContainerInstances",
        "ListTasks",
        "ListTasks",
    ]


def test_what_is_shared_from_before_the_first_answer_was_heard_is_no_second_one() -> None:
    """The time from which DRAINING counts is no leave to hear one answer twice."""
    calls = ShapedCalls(Cluster())
    looks = Looks(DRAINED, calls)
    looks.look(0)
    Looks(DRAINED, calls, an_action(id="action-2"), looks.answers).look(17)
    first = looks.stands(20)  # by the answer of 17

    assert (first, looks.look(25).detail) == (ConditionStatus.PENDING, LATER)
    assert looks.stands(33) is ConditionStatus.HOLDS


def test_the_second_answer_is_asked_of_each_container_instance_of_an_instance() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "DRAINING", MEMBER: "DRAINING"})
    calls = ShapedCalls(cluster)
    looks = Looks(DRAINED, calls)
    for seconds in range(0, 60, 16):
        looks.look(seconds)
        if looks.finding is not None and looks.finding.confirmed_once:
            break
    calls.made.clear()
    cluster.tasks[task(1)] = ("RUNNING", "RUNNING")

    statuses = {looks.stands(seconds) for seconds in range(80, 200, 16)}

    assert statuses == {ConditionStatus.PENDING}
    listed = [made["containerInstance"] for operation, made in calls.made if operation == "ListTasks"]
    assert listed[0] == GHOST


@pytest.mark.parametrize("condition", [DRAINED, ANYWHERE], ids=["in a cluster", "anywhere"])
def test_one_search_that_finds_the_instance_nowhere_does_not_make_it_drained(condition: Ecs) -> None:
    cluster = Cluster(members=[])
    looks = Looks(condition, ShapedCalls(cluster))

    lied = looks.look(LATE)
    cluster.members.append(MEMBER)
    told = [looks.stands(LATE + seconds) for seconds in (5, 65)]

    assert lied.status is ConditionStatus.HOLDS
    assert told == [ConditionStatus.PENDING, ConditionStatus.PENDING]
    assert cluster.status == {MEMBER: "DRAINING"}


def test_the_second_search_reads_a_list_of_clusters_of_its_own() -> None:
    cluster = Cluster(clusters=[])
    calls = ShapedCalls(cluster)
    other = Looks(ANYWHERE, calls, an_action(id="action-2"))
    other.look(LATE - 2)
    looks = Looks(ANYWHERE, calls, answers=other.answers)

    lied = looks.look(LATE)  # by the answer of 118
    cluster.clusters.append(WEB)

    assert (lied.status, looks.look(LATE + 5).detail) == (ConditionStatus.HOLDS, LATER)
    assert looks.stands(LATE + 60) is ConditionStatus.PENDING
    assert cluster.status == {MEMBER: "DRAINING"}


def test_an_unknown_answer_between_two_neither_counts_nor_resets() -> None:
    cluster = draining({})
    looks = Looks(DRAINED, ShapedCalls(cluster))
    first = looks.stands(0)
    cluster.instead["ListTasks"] = BUSY
    between = looks.stands(20)
    cluster.instead.clear()

    assert (first, between) == (ConditionStatus.PENDING, ConditionStatus.UNKNOWN)
    assert looks.stands(40) is ConditionStatus.HOLDS


def test_what_held_and_became_old_needs_one_more_answer_only() -> None:
    looks = Looks(ACTIVE, ShapedCalls(Cluster()))

    assert [looks.stands(seconds) for seconds in (0, 20, 300)] == [
        ConditionStatus.PENDING,
        ConditionStatus.HOLDS,
        ConditionStatus.HOLDS,
    ]


# Answers that are none

STEPS: Final[Mapping[str, tuple[Ecs, Mapping[str, Any]]]] = {  # the memory with which each operation is asked
    "ListClusters": (ANYWHERE, {}),
    "ListContainerInstances": (DRAINED, {}),
    "DescribeContainerInstances": (DRAINED, FOUND),
    "UpdateContainerInstancesState": (DRAINED, {**FOUND, "active_at": at(0).isoformat()}),
    "ListTasks": (
        DRAINED,
        {
            **FOUND,
            "listing": {
                "at": at(0).isoformat(),
                "counts": [0, 0],
                "connected": True,
                "desired": "STOPPED",
                "tasks": [],
                "states": {},
                "example": "",
            },
        },
    ),
}


@pytest.mark.parametrize("operation", STEPS)
def test_an_answer_that_does_not_come_is_unknown(operation: str) -> None:
    condition, memory = STEPS[operation]
    looks = Looks(condition, ShapedCalls(Cluster(instead={operation: BUSY})))
    looks.memory = memory

    found = looks.look(0)

    assert (found.status, "Rate exceeded" in found.detail) == (ConditionStatus.UNKNOWN, True)


@pytest.mark.parametrize("operation", STEPS)
def test_an_empty_answer_is_unknown(operation: str) -> None:
    condition, memory = STEPS[operation]
    looks = Looks(condition, ShapedCalls(Cluster(instead={operation: {}})))
    looks.memory = memory

    found = looks.look(0 if "instance" in memory else LATE)

    assert found.status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize("operation", ["ListClusters", "ListContainerInstances", "ListTasks"])
def test_a_part_of_a_list_is_unknown(operation: str) -> None:
    key = {"ListClusters": "clusterArns", "ListTasks": "taskArns"}.get(operation, "containerInstanceArns")
    condition, memory = STEPS[operation]
    call = Call(service="ecs", operation=operation)
    reply = Reply(kind=ReplyKind.ANSWERED, data={key: [], "nextToken": "more"})

    found = condition.hear(an_action(), memory, call, reply, at(LATE))

    assert (found.status, found.go_on) == (ConditionStatus.UNKNOWN, False)


SHOWN: Final = {
    "containerInstanceArn": MEMBER,
    "status": "DRAINING",
    "agentConnected": True,
    "runningTasksCount": 0,
    "pendingTasksCount": 0,
}


@pytest.mark.parametrize("key", sorted(SHOWN))
def test_a_description_that_lacks_something_is_unknown(key: str) -> None:
    shown = {other: value for other, value in SHOWN.items() if other != key}
    answer = {"containerInstances": [shown], "failures": []}

    found = found_at(DRAINED, Cluster(instead={"DescribeContainerInstances": answer}), LATE)

    assert found.status is ConditionStatus.UNKNOWN
    assert "the answer to DescribeContainerInstances has no" in found.detail


KEYS: Final = (
    *("clusterArns", "containerInstanceArns", "containerInstances", "containerInstanceArn"),
    *("failures", "arn", "reason", "status", "agentConnected", "runningTasksCount", "pendingTasksCount"),
    *("taskArns", "tasks", "taskArn", "lastStatus", "nextToken"),
)
ODD: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([MEMBER, task(1), "DRAINING", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
)


@given(st.sampled_from(sorted(STEPS)), ODD)
def test_no_answer_however_odd_breaks_it(operation: str, data: Any) -> None:
    condition, memory = STEPS[operation]
    call = condition.ask(an_action(), memory, at(0))
    assert call.operation == operation
    said = data if call.shared is None else dict(call.shared.reduced(data)).get(call.shared.member)

    found = condition.hear(
        an_action(), call.intent or memory, call, Reply(kind=ReplyKind.ANSWERED, data=said), at(0)
    )

    assert found.status is not ConditionStatus.FAILED
    assert found.status is not ConditionStatus.HOLDS or data == {"taskArns": []}


# As a whole, with the ECS of moto behind real clients


def finding(condition: Ecs, found: Found) -> Finding:
    return Finding(
        condition=condition.name,
        status=found.status,
        detail=found.detail,
        asked_at=at(0),
        ask_again_at=None,
    )


def test_what_is_found_is_found_again_under_its_name() -> None:
    condition, problems = parsed({"state": "drained", "cluster": "web"})
    held = finding(DRAINED, found_at(DRAINED, draining({})))
    action = an_action(findings=(held,))

    assert (condition, problems) == (DRAINED, [])
    assert finding_of(DRAINED, action) == held
    assert DRAINED.verdict(action, at(0)).status is ConditionStatus.HOLDS


@dataclass(frozen=True, kw_only=True)
class MotoCluster:
    ecs: Any
    instance_id: str
    container_instance: str

    def start_task(self) -> str:
        started = self.ecs.start_task(
            cluster="web", taskDefinition="shop", containerInstances=[self.container_instance]
        )
        arn: str = started["tasks"][0]["taskArn"]
        return arn


def a_client(service: str, **parts: Any) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        **parts,
    )


def a_moto_cluster() -> MotoCluster:
    ecs = a_client("ecs")
    ecs.create_cluster(clusterName="jobs")
    ecs.create_cluster(clusterName="web")
    ecs.register_task_definition(
        family="shop", containerDefinitions=[{"name": "shop", "image": "shop", "memory": 64}]
    )
    instance = boto3.resource(
        "ec2", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    ).create_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)[0]
    identity = json.dumps(generate_instance_identity_document(instance))
    registered = ecs.register_container_instance(cluster="web", instanceIdentityDocument=identity)
    arn = registered["containerInstance"]["containerInstanceArn"]
    return MotoCluster(ecs=ecs, instance_id=instance.id, container_instance=arn)


def test_against_real_clients_it_drains_and_waits_for_the_last_task() -> None:
    with mock_aws():
        cluster = a_moto_cluster()
        started = cluster.start_task()
        action = an_action(instance_id=cluster.instance_id)
        looks = Looks(ANYWHERE, AwsCalls(a_client), action)

        before = [looks.look(seconds) for seconds in (0, 20, 40)]
        cluster.ecs.stop_task(cluster="web", task=started)
        after = looks.look(60)

        assert [found.status for found in before] == [ConditionStatus.PENDING] * 3
        assert f"task {started.rsplit('/', 1)[-1]} of family:shop" in before[1].detail
        assert (after.status, "no task left" in after.detail) == (ConditionStatus.HOLDS, True)


def test_against_real_clients_an_active_instance_is_found_and_a_strange_cluster_is_not() -> None:
    with mock_aws():
        action = an_action(instance_id=a_moto_cluster().instance_id)
        strange = Ecs(state=TaskState.ACTIVE, cluster="strange", grace=timedelta(0))

        assert Looks(ACTIVE, AwsCalls(a_client), action).look(0).status is ConditionStatus.HOLDS
        assert Looks(strange, AwsCalls(a_client), action).look(0).status is ConditionStatus.FAILED
