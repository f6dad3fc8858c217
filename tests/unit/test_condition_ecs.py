"""The condition `ecs`: what it asks of ECS, and what it makes of each answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import ShapedCalls, service_model, values_of
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
from tests.factories import an_action, at
from usher.aws.calls import AwsCalls
from usher.core.conditions.ecs import Absence, Ecs, TaskState
from usher.core.conditions.ecs.memory import from_json, to_json
from usher.core.conditions.probe import Found, Later, Permission, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from usher.core.finding import ConditionStatus, Memory

ARN: Final = "arn:aws:ecs:us-east-1:123456789012"
WEB: Final = f"{ARN}:cluster/web"
MEMBER: Final = f"{ARN}:container-instance/web/0123abcd"
GHOST: Final = f"{ARN}:container-instance/web/99990000"  # another one of the same EC2 instance
ACTIVE: Final = Ecs(state=TaskState.ACTIVE, cluster="web")
DRAINED: Final = Ecs(state=TaskState.DRAINED, cluster="web")
ANYWHERE: Final = Ecs(state=TaskState.DRAINED)
STRICT: Final = Ecs(state=TaskState.DRAINED, absent=Absence.FAILED)
FOUND: Final = {"cluster": "web", "instance": MEMBER, "others": []}
GONE: Final = refused("ClusterNotFoundException", "Cluster not found.")
NOTHING: Final[Memory] = {}
LATE: Final = 120  # the default grace, in seconds
NEVER_OVER: Final = frozenset(
    {"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"}
)
LIST, DESCRIBE, UPDATE = (
    "ListContainerInstances",
    "DescribeContainerInstances",
    "UpdateContainerInstancesState",
)


def shown(status: str = "ACTIVE", arn: str = MEMBER, **parts: Any) -> dict[str, Any]:
    """What ECS says of a container instance."""
    return {
        "containerInstanceArn": arn,
        "status": status,
        "agentConnected": True,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        **parts,
    }


def saying(told: dict[str, Any], *tasks: str, **more: Any) -> Answers:
    """A cluster with one container instance and its tasks, which run."""
    running = [{"taskArn": arn, "lastStatus": "RUNNING", "group": "service:shop"} for arn in tasks]
    described = {"containerInstances": [told], "failures": []}
    listed = {LIST: {"containerInstanceArns": [MEMBER]}, DESCRIBE: described}
    return {**listed, "ListTasks": {"taskArns": [*tasks]}, "DescribeTasks": {"tasks": running}, **more}


def without_tasks(answers: Answers) -> Answers:
    return {operation: answer for operation, answer in answers.items() if "Tasks" not in operation}


OF_ANOTHER: Final = saying(shown("DRAINING", f"{ARN}:container-instance/web/{ANOTHER}"))
MISSING: Final = ((LIST, "ClusterNotFoundException"),)
NOWHERE: Final[Answers] = {LIST: {"containerInstanceArns": []}}
ALL: Final = {"ListClusters": {"clusterArns": [WEB]}}
STARTS: Final = saying(shown(), **{UPDATE: {"containerInstances": [shown("DRAINING")], "failures": []}})
LEFT: Final = saying(shown("DRAINING", runningTasksCount=1), f"{ARN}:task/web/task-001")
SAMPLES = [
    Sample(
        written={"ecs": {"state": "active", "cluster": "web"}},
        holds=lambda _: without_tasks(saying(shown())),
        pending=lambda _: without_tasks(saying(shown("REGISTERING"))),
        fails=NOWHERE,
        missing=MISSING,
        of_another=(OF_ANOTHER, UNKNOWN),
    ),
    Sample(
        written={"ecs": "active"},
        holds=lambda _: without_tasks(saying(shown(), **ALL)),
        pending=lambda _: without_tasks(saying(shown("REGISTERING"), **ALL)),
        fails={**NOWHERE, **ALL},
    ),
    Sample(
        written={"ecs": {"state": "drained", "cluster": WEB, "absent": "failed"}},
        holds=lambda _: saying(shown("DRAINING")),
        pending=lambda _: LEFT,
        fails=NOWHERE,
        more=(STARTS,),
        missing=MISSING,
        of_another=(OF_ANOTHER, UNKNOWN),
    ),
    Sample(
        written={"ecs": "drained"},
        holds=lambda _: saying(shown("DRAINING"), **ALL),
        pending=lambda _: {**LEFT, **ALL},
        more=({**STARTS, **ALL}, {**NOWHERE, **ALL}),
    ),
]


# Reading the configuration

SOUND: Final = {
    "active": ("active", Ecs(state=TaskState.ACTIVE)),
    "drained": ("drained", ANYWHERE),
    "the long form of the same": ({"state": "drained"}, ANYWHERE),
    "a cluster by name": ({"state": "drained", "cluster": "web"}, DRAINED),
    "by ARN": ({"state": "active", "cluster": WEB}, Ecs(state=TaskState.ACTIVE, cluster=WEB)),
    "absence, and the shortest grace": (
        {"state": "drained", "absent": "failed", "grace": "0s"},
        Ecs(state=TaskState.DRAINED, absent=Absence.FAILED, grace=timedelta(0)),
    ),
    "the longest grace": (
        {"state": "active", "grace": "48h"},
        Ecs(state=TaskState.ACTIVE, grace=timedelta(hours=48)),
    ),
    "the longest name": (
        {"state": "active", "cluster": "x" * 255},
        Ecs(state=TaskState.ACTIVE, cluster="x" * 255),
    ),
}
NOT_SOUND: Final = {
    "no such state": ("stopped", "", "must be one of active, drained"),
    "a number": (7, "", "must be active, drained, or a mapping"),
    "no state": ({"cluster": "web"}, "", "must have state"),
    "an empty state": ({"state": None}, ".state", "must be one of"),
    "unknown key": ({"state": "active", "in": "web"}, ".in", "not a known key"),
    "a blank": ({"state": "active", "cluster": "my web"}, ".cluster", "must be a cluster"),
    "too long": ({"state": "active", "cluster": "x" * 256}, ".cluster", "must be a cluster"),
    "another ARN": ({"state": "active", "cluster": MEMBER}, ".cluster", "must be a cluster"),
    "absence": ({"state": "drained", "absent": "gone"}, ".absent", "must be one of"),
    "of active": ({"state": "active", "absent": "failed"}, ".absent", "with drained only"),
    "a long grace": ({"state": "active", "grace": "49h"}, ".grace", "from 0s to 48h"),
    "a bare number": ({"state": "active", "grace": 120}, ".grace", "a duration"),
}


@pytest.mark.parametrize(("value", "expected"), SOUND.values(), ids=SOUND)
def test_it_is_understood(value: object, expected: Ecs) -> None:
    assert parsed({"ecs": value}) == (expected, [])


@pytest.mark.parametrize(("value", "place", "rule"), NOT_SOUND.values(), ids=NOT_SOUND)
def test_what_is_not_sound_is_refused(value: object, place: str, rule: str) -> None:
    assert_refused({"ecs": value}, place, rule)


PLACE: Final = "arn:{partition}:ecs:{region}:{account}"
RIGHTS: Final = {
    "active in a cluster reads only there": (
        ACTIVE,
        (f"ecs:{LIST}", f"{PLACE}:cluster/web"),
        (f"ecs:{DESCRIBE}", f"{PLACE}:container-instance/web/*"),
    ),
    "drained in a cluster changes only there": (
        Ecs(state=TaskState.DRAINED, cluster=WEB),
        (f"ecs:{LIST}", WEB),
        (f"ecs:{DESCRIBE} ecs:ListTasks ecs:{UPDATE}", f"{ARN}:container-instance/web/*"),
        ("ecs:DescribeTasks", f"{ARN}:task/web/*"),
    ),
    "active anywhere": (
        Ecs(state=TaskState.ACTIVE),
        *((f"ecs:{operation}", "*") for operation in ("ListClusters", LIST, DESCRIBE)),
    ),
}


@pytest.mark.parametrize("rights", RIGHTS.values(), ids=RIGHTS)
def test_it_asks_iam_for_no_more_than_it_needs(rights: tuple[Ecs, *tuple[tuple[str, str], ...]]) -> None:
    condition, *expected = rights
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
    instead: dict[str, Mapping[str, Any] | Reply] = field(default_factory=dict)  # other answers, by operation

    def __call__(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | Reply:
        answers: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "ListClusters": lambda _: {"clusterArns": self.clusters},
            LIST: self._list,
            DESCRIBE: lambda asked: self._described(asked["containerInstances"]),
            UPDATE: self._update,
            "ListTasks": self._list_tasks,
            "DescribeTasks": lambda asked: self._described_tasks(asked["tasks"]),
        }
        return self.instead.get(operation) or answers[operation](parameters)

    def _list(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert parameters["filter"] == f"ec2InstanceId == {INSTANCE}"
        here = self.members if parameters["cluster"] in ("web", WEB) else []
        return {"containerInstanceArns": [arn for arn in here if self.status.get(arn) != "INACTIVE"]}

    def _described(self, asked: list[str]) -> Mapping[str, Any]:
        running, pending = self.counts
        counts = {"runningTasksCount": running, "pendingTasksCount": pending}
        return {
            "containerInstances": [
                shown(
                    self.status.get(arn, "ACTIVE"),
                    arn,
                    agentConnected=self.connected.get(arn, True),
                    **counts,
                )
                for arn in asked
                if arn in self.members
            ],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in self.members],
        }

    def _update(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.status |= dict.fromkeys(parameters["containerInstances"], parameters["status"])
        return self._described(parameters["containerInstances"])

    def _list_tasks(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = parameters["desiredStatus"]
        return {"taskArns": [arn for arn, (desired, _) in self.tasks.items() if desired == wanted]}

    def _described_tasks(self, asked: list[str]) -> Mapping[str, Any]:
        assert len(asked) <= 100
        known = {arn: self.tasks[arn] for arn in asked if arn in self.tasks}
        told = [
            {"taskArn": arn, "desiredStatus": desired, "lastStatus": last, "group": "service:shop"}
            for arn, (desired, last) in known.items()
        ]
        return {"tasks": told, "failures": []}


def asked_of(condition: Ecs, cluster: Cluster, memory: Memory = NOTHING) -> tuple[Watch, ShapedCalls]:
    calls = ShapedCalls(cluster)
    return Watch(condition, calls, memory=memory), calls


def found_at(condition: Ecs, cluster: Cluster, seconds: float = 0, memory: Memory = NOTHING) -> Found:
    return asked_of(condition, cluster, memory)[0].found(seconds)


def task(number: int) -> str:
    return f"{ARN}:task/web/task-{number:03}"


def searched(calls: ShapedCalls) -> list[str]:
    """The clusters in which the instance was looked for."""
    return [made["cluster"] for operation, made in calls.made if operation == LIST]


# Finding the container instance


def test_in_a_named_cluster_it_lists_and_describes_and_once_found_it_is_described_only() -> None:
    watch, calls = asked_of(ACTIVE, Cluster(connected={MEMBER: False}))

    for seconds in (0, 20):
        watch.found(seconds)

    described = (DESCRIBE, {"cluster": "web", "containerInstances": [MEMBER]})
    assert calls.made == [
        (LIST, {"cluster": "web", "filter": f"ec2InstanceId == {INSTANCE}"}),
        described,
        described,
    ]


def test_without_a_cluster_it_searches_one_after_the_other_few_in_a_look_and_remembers_how_far() -> None:
    clusters = [f"{ARN}:cluster/c{number}" for number in range(7)]
    watch, calls = asked_of(ANYWHERE, Cluster(clusters=[*clusters, WEB]))

    first, second, last = (watch.found(seconds) for seconds in (0, 1, 2))

    assert searched(calls) == [*clusters, WEB]
    assert {first.status, second.status} == {UNKNOWN}
    assert first.detail == f"{INSTANCE} is in none of the 3 clusters searched so far"
    assert second.detail == f"{INSTANCE} is in none of the 6 clusters searched so far"
    assert last.memory["instance"] == MEMBER


def test_of_very_many_clusters_few_are_remembered_and_all_are_searched() -> None:
    clusters = [f"{ARN}:cluster/c{number:04}" for number in range(130)]
    watch, calls = asked_of(ANYWHERE, Cluster(clusters=[*clusters, WEB]))

    found = [watch.found(number) for number in range(44)]

    assert searched(calls) == [*clusters, WEB]
    assert found[-1].memory["instance"] == MEMBER
    assert max(len(json.dumps(dict(each.memory))) for each in found) < 5000


def test_the_list_of_clusters_is_shared_between_actions() -> None:
    watch, calls = asked_of(ANYWHERE, Cluster())
    watch.ask(30)
    Watch(ANYWHERE, calls, an_action(id="action-2", first_seen_at=at(29)), answers=watch.answers).ask(30)

    assert operations(calls).count("ListClusters") == 1


def test_a_cluster_that_goes_while_it_is_searched_has_no_instances() -> None:
    found = found_at(ANYWHERE, Cluster(instead={LIST: GONE}), LATE)

    assert found.status is HOLDS
    assert found.detail == f"{INSTANCE} is in no cluster (1 searched): nothing to drain"


def test_a_cluster_that_was_found_and_is_gone_is_searched_for_anew() -> None:
    found = found_at(ANYWHERE, Cluster(instead={DESCRIBE: GONE}))

    assert (found.status, found.detail) == (UNKNOWN, "cluster web is gone, searching again")
    assert found.memory == {}


# In no cluster


@pytest.mark.parametrize(
    ("condition", "seconds", "status"),
    [
        pytest.param(DRAINED, LATE - 1, PENDING, id="drained, within the grace"),
        pytest.param(DRAINED, LATE, HOLDS, id="drained"),
        pytest.param(ANYWHERE, LATE - 1, PENDING, id="drained anywhere, within the grace"),
        pytest.param(ANYWHERE, LATE, HOLDS, id="drained anywhere"),
        pytest.param(ACTIVE, LATE - 1, PENDING, id="active, within the grace"),
        pytest.param(ACTIVE, LATE, FAILED, id="active"),
        pytest.param(STRICT, LATE - 1, PENDING, id="strict, in grace"),
        pytest.param(STRICT, LATE, FAILED, id="strictly drained"),
        pytest.param(Ecs(state=TaskState.ACTIVE, grace=timedelta(0)), 0, FAILED, id="no grace"),
    ],
)
def test_an_instance_in_no_cluster_is_an_answer_after_the_grace(
    condition: Ecs, seconds: float, status: ConditionStatus
) -> None:
    found = found_at(condition, Cluster(members=[]), seconds)

    assert (found.status, INSTANCE in found.detail) == (status, True)


def test_a_list_of_clusters_from_before_the_action_does_not_say_that_it_is_in_none() -> None:
    action = an_action(started_at=at(-600), first_seen_at=at(0))

    assert ANYWHERE.ask(action, {}, at(0)).not_before == at(0)
    assert ANYWHERE.ask(an_action(), {}, at(0)).not_before == at(-60)


def test_within_the_grace_it_is_searched_again_from_the_start() -> None:
    cluster = Cluster(members=[])
    watch, _ = asked_of(ACTIVE, cluster)
    watch.found(0)
    cluster.members.append(MEMBER)

    assert watch.found(20).status is HOLDS


# How the container instance stands

STATUSES: Final = {  # what each means for active, and for drained
    "ACTIVE": (HOLDS, PENDING),
    "DRAINING": (PENDING, HOLDS),
    "REGISTERING": (PENDING, PENDING),
    "DEREGISTERING": (PENDING, PENDING),
    "REGISTRATION_FAILED": (FAILED, PENDING),
    "INACTIVE": (UNKNOWN, UNKNOWN),  # searched again, and then in no cluster
    "IMPAIRED": (UNKNOWN, UNKNOWN),  # which nobody knows
}


def test_every_status_that_botocore_lists_or_tells_of_is_known() -> None:
    told = service_model("ecs").shape_for("ContainerInstance").members["status"].documentation

    assert values_of("ecs", "ContainerInstanceStatus") <= set(STATUSES)
    assert set(re.findall("<code>([A-Z_]+)</code>", told)) == set(STATUSES) - {"IMPAIRED"}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_meaning(status: str) -> None:
    cluster = Cluster(status={MEMBER: status})
    active, drained = (found_at(condition, cluster, memory=FOUND) for condition in (ACTIVE, DRAINED))

    assert (active.status, drained.status) == STATUSES[status]
    if status == "INACTIVE":
        assert (active.memory, drained.memory) == ({}, {})
        assert "searching again" in active.detail
    if status == "IMPAIRED":
        assert "is IMPAIRED" in active.detail
        assert "is IMPAIRED" in drained.detail


def test_active_without_its_agent_is_pending_and_says_so() -> None:
    found = found_at(ACTIVE, Cluster(connected={MEMBER: False}))

    assert found.status is PENDING
    assert found.detail == "container instance 0123abcd is ACTIVE, its agent not connected"


def test_that_it_is_active_is_asked_again_soon_although_it_counts_for_a_minute() -> None:
    watch, _ = asked_of(ACTIVE, Cluster())

    due = [watch.look(seconds).ask_again_at for seconds in (0, 20)]

    assert due == [at(20), at(80)]


def test_a_registration_that_failed_says_why() -> None:
    told = shown("REGISTRATION_FAILED", statusReason="no trunk interface", agentConnected=False)
    found = found_at(ACTIVE, Cluster(instead=dict(saying(told))))

    assert found.status is FAILED
    assert "is REGISTRATION_FAILED (no trunk interface)" in found.detail


def test_one_that_is_deregistered_may_have_registered_anew() -> None:
    watch, _ = asked_of(ACTIVE, Cluster(), {**FOUND, "instance": GHOST})

    missing = watch.found(0)

    assert missing.status is UNKNOWN
    assert missing.detail == "container instance 99990000 is not registered any more, searching again"
    assert isinstance(watch.ask(5), Later)  # its answer is not there yet
    assert watch.found(20).status is HOLDS


def failing(arn: str, reason: str) -> dict[str, Any]:
    return {"containerInstances": [], "failures": [{"arn": arn, "reason": reason}]}


@pytest.mark.parametrize("arn", [MEMBER, f"{ARN}:container-instance/0123abcd"], ids=["as asked for", "short"])
def test_a_missing_one_is_known_by_either_spelling_of_its_arn(arn: str) -> None:
    found = found_at(ACTIVE, Cluster(instead={DESCRIBE: failing(arn, "MISSING")}))

    assert "is not registered any more" in found.detail


def test_another_failure_than_missing_is_unknown() -> None:
    found = found_at(DRAINED, Cluster(instead={DESCRIBE: failing(MEMBER, "TRY_LATER")}), LATE)

    assert (found.status, "failure TRY_LATER" in found.detail) == (UNKNOWN, True)


def test_one_of_several_container_instances_of_an_instance_is_enough_for_active() -> None:
    watch, _ = asked_of(ACTIVE, Cluster(members=[GHOST, MEMBER], connected={GHOST: False}))

    assert watch.found(0).status is PENDING
    assert HOLDS in {watch.look_when_due().status for _ in range(6)}


def test_active_does_not_fail_for_one_of_several_that_failed_to_register() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})

    assert found_at(ACTIVE, cluster).status is PENDING


def test_one_that_failed_to_register_hides_no_other_of_the_instance() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})
    watch, _ = asked_of(DRAINED, cluster)

    for seconds in (LATE, LATE + 20):
        assert watch.stands(seconds) is not HOLDS
    assert cluster.status[MEMBER] == "DRAINING"


# Draining


def test_drained_sets_draining_once_with_the_intent_stored_first() -> None:
    watch, calls = asked_of(DRAINED, Cluster(counts=(1, 0), tasks={task(1): ("RUNNING", "RUNNING")}))

    found = [watch.found(seconds) for seconds in range(0, 200, 20)]

    assert found[0].status is PENDING
    assert found[0].detail == "container instance 0123abcd was set to DRAINING"
    assert watch.started == [{**FOUND, "sent_at": at(0).isoformat()}]
    assert [made for made in calls.made if made[0] == UPDATE] == [
        (UPDATE, {"cluster": "web", "containerInstances": [MEMBER], "status": "DRAINING"})
    ]


@pytest.mark.parametrize("reply", [BUSY, SILENT], ids=["busy", "silent"])
@pytest.mark.parametrize(("applied", "updates"), [(True, 1), (False, 2)], ids=["applied", "not applied"])
def test_an_unknown_answer_to_draining_is_settled_by_what_is_described(
    reply: Reply, applied: bool, updates: int
) -> None:
    cluster = Cluster(instead={UPDATE: reply})
    watch, calls = asked_of(DRAINED, cluster)

    assert watch.found(0).status is UNKNOWN
    cluster.instead.clear()
    if applied:
        cluster.status[MEMBER] = "DRAINING"
    found = [watch.found(seconds) for seconds in (20, 40, 60)]

    assert (operations(calls).count(UPDATE), found[-1].status) == (updates, HOLDS)


def test_after_an_unknown_answer_only_a_later_description_counts() -> None:
    memory = {**FOUND, "sent_at": at(50).isoformat()}

    assert DRAINED.ask(an_action(), memory, at(55)).not_before == at(50)


def test_what_is_set_back_by_someone_is_not_set_again() -> None:
    cluster = Cluster()
    watch, calls = asked_of(DRAINED, cluster)
    watch.found(0)
    cluster.status[MEMBER] = "ACTIVE"

    found = watch.found(20)

    assert (found.status, "someone else has set it back" in found.detail) == (PENDING, True)
    assert operations(calls).count(UPDATE) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failing(MEMBER, "MISSING"), "MISSING"),
        (refused("ClientException", "not ACTIVE"), "not ACTIVE"),
        ({"containerInstances": [shown("ACTIVE")], "failures": []}, "no status DRAINING"),
    ],
    ids=["missing", "refused", "ACTIVE as before"],
)
def test_draining_that_was_refused_is_asked_for_again(answer: Any, said: str) -> None:
    cluster = Cluster(instead={UPDATE: answer})
    watch, _ = asked_of(DRAINED, cluster)

    not_set = watch.found(0)
    cluster.instead.clear()

    assert (not_set.status, said in not_set.detail) == (UNKNOWN, True)
    assert watch.found(20).detail == "container instance 0123abcd was set to DRAINING"


def test_a_decision_to_drain_is_not_older_than_a_minute() -> None:
    memory = {**FOUND, "active_at": at(0).isoformat()}

    assert [DRAINED.ask(an_action(), memory, at(seconds)).operation for seconds in (60, 61)] == [
        UPDATE,
        DESCRIBE,
    ]


# Tasks


def draining(*states: tuple[str, str], **parts: Any) -> Cluster:
    """With a task for each desired and last status."""
    tasks = {task(number): state for number, state in enumerate(states, start=1)}
    return Cluster(status={MEMBER: "DRAINING"}, tasks=tasks, **parts)


def test_the_states_that_a_task_may_be_wanted_in_are_known() -> None:
    assert values_of("ecs", "DesiredStatus") <= NEVER_OVER | {"STOPPED", "DELETED"}


@pytest.mark.parametrize("status", sorted(NEVER_OVER))
@pytest.mark.parametrize("desired", ["RUNNING", "STOPPED"])
def test_a_task_in_a_state_before_stopped_is_waited_for(status: str, desired: str) -> None:
    found = found_at(DRAINED, draining((desired, status), ("STOPPED", "STOPPED")))

    assert found.status is PENDING
    assert found.detail == f"draining, tasks: 1 {status}, e.g. task task-001 of service:shop"


@pytest.mark.parametrize("status", ["STOPPED", "DELETED"])
def test_a_task_that_is_over_is_not_waited_for(status: str) -> None:
    found = found_at(DRAINED, draining(("STOPPED", status)))

    assert found.status is HOLDS
    assert found.detail == "container instance 0123abcd is DRAINING and has no task left"


def test_a_task_in_a_state_that_nobody_knows_is_not_stopped() -> None:
    found = found_at(DRAINED, draining(("STOPPED", "HIBERNATED")))

    assert (found.status, "1 HIBERNATED" in found.detail) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("failures", "status"),
    [([], UNKNOWN), ([("MISSING", HOLDS)], HOLDS), ([("BUSY", UNKNOWN)], UNKNOWN)],
    ids=["left out", "missing", "another failure"],
)
def test_a_task_that_the_answer_leaves_out_is_not_stopped_and_one_that_is_missing_is(
    failures: list[tuple[str, str]], status: ConditionStatus
) -> None:
    cluster = draining(("STOPPED", "STOPPED"))
    told = [{"arn": task(1), "reason": reason} for reason, _ in failures]
    cluster.instead["DescribeTasks"] = {"tasks": [], "failures": told}

    assert found_at(DRAINED, cluster).status is status


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
    over = not any(counts) and all(last in ("STOPPED", "DELETED") for _, last in states)
    assert (found_at(DRAINED, draining(*states, counts=counts)).status is HOLDS) == over


def test_more_tasks_than_one_call_takes_are_described_in_several() -> None:
    found = found_at(
        DRAINED, draining(*[("STOPPED", "STOPPED")] * 249, ("STOPPED", "DEPROVISIONING")), memory=FOUND
    )

    assert found.detail == "draining, tasks: 1 DEPROVISIONING, e.g. task task-250 of service:shop"


def test_more_tasks_than_one_look_has_calls_for_are_gone_through_in_the_next() -> None:
    cluster = draining(*[("STOPPED", "STOPPED")] * 550)
    watch, calls = asked_of(DRAINED, cluster)

    assert [watch.found(seconds).status for seconds in (0, 5)] == [UNKNOWN, HOLDS]
    described = [made["tasks"] for operation, made in calls.made if operation == "DescribeTasks"]
    assert sorted(arn for part in described for arn in part) == sorted(cluster.tasks)


def test_while_as_many_tasks_run_they_are_not_listed_again() -> None:
    cluster = draining(("RUNNING", "RUNNING"), counts=(1, 0))
    watch, calls = asked_of(DRAINED, cluster)
    first = watch.found(0)
    calls.made.clear()

    again = watch.found(20)

    assert operations(calls) == [DESCRIBE]
    assert (again.status, again.detail) == (PENDING, first.detail)
    cluster.counts, cluster.tasks = (0, 0), {}
    assert watch.found(40).status is HOLDS


def test_tasks_that_no_count_has_any_more_are_listed_at_every_look() -> None:
    cluster = draining(("STOPPED", "DEACTIVATING"))
    watch, _ = asked_of(DRAINED, cluster)
    watch.found(0)
    cluster.tasks[task(1)] = ("STOPPED", "STOPPED")

    assert watch.found(20).status is HOLDS


def test_a_count_that_no_task_explains_is_believed() -> None:
    found = found_at(DRAINED, draining(counts=(0, 1)))

    assert (found.status, found.detail) == (PENDING, "draining, tasks: 0 running, 1 pending")


def test_tasks_under_an_agent_that_is_not_connected_are_told_as_such() -> None:
    cluster = draining(("STOPPED", "RUNNING"), connected={MEMBER: False})

    assert "the agent is not connected" in found_at(DRAINED, cluster).detail


def test_every_container_instance_of_an_instance_is_drained() -> None:
    cluster = Cluster(members=[GHOST, MEMBER])
    watch, _ = asked_of(DRAINED, cluster)

    assert watch.found(0).status is PENDING
    assert isinstance(watch.ask(20), Later)  # there is no answer about the other one yet
    assert cluster.status == {GHOST: "DRAINING"}
    assert watch.found(40).status is PENDING
    assert cluster.status == {GHOST: "DRAINING", MEMBER: "DRAINING"}
    assert watch.found(60).status is HOLDS


# One answer is not enough: of `drained` the whole round


@pytest.mark.parametrize("counts", [(0, 0), (1, 0)], ids=["the lists of tasks", "the lists and the counts"])
def test_one_round_in_which_no_task_is_shown_does_not_make_it_drained(counts: tuple[int, int]) -> None:
    cluster = draining(("RUNNING", "RUNNING"), counts=counts)
    watch, _ = asked_of(DRAINED, cluster)
    cluster.instead = {"ListTasks": {"taskArns": []}}
    if any(counts):
        cluster.instead |= {DESCRIBE: {"containerInstances": [shown("DRAINING")], "failures": []}}

    assert watch.found(0).status is HOLDS
    cluster.instead = {}
    assert [watch.stands(seconds) for seconds in (20, 40)] == [PENDING, PENDING]
    cluster.tasks, cluster.counts = {}, (0, 0)
    assert [watch.stands(seconds) for seconds in (60, 80)] == [PENDING, HOLDS]


def test_the_second_round_goes_through_all_calls_again_and_drains_nothing_again() -> None:
    watch, calls = asked_of(DRAINED, Cluster())
    assert [watch.stands(seconds) for seconds in (0, 20)] == [PENDING, PENDING]
    calls.made.clear()

    assert watch.stands(40) is HOLDS
    assert operations(calls) == [DESCRIBE, "ListTasks", "ListTasks"]


def test_the_second_answer_is_asked_of_each_container_instance_of_an_instance() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "DRAINING", MEMBER: "DRAINING"})
    watch, calls = asked_of(DRAINED, cluster)
    while not watch.look_when_due().confirmed_once:
        pass
    calls.made.clear()
    cluster.tasks[task(1)] = ("RUNNING", "RUNNING")

    assert {watch.look_when_due().status for _ in range(8)} == {PENDING}
    listed = [made["containerInstance"] for operation, made in calls.made if operation == "ListTasks"]
    assert listed[0] == GHOST


@pytest.mark.parametrize("condition", [DRAINED, ANYWHERE], ids=["in a cluster", "anywhere"])
def test_one_search_that_finds_the_instance_nowhere_does_not_make_it_drained(condition: Ecs) -> None:
    cluster = Cluster(members=[])
    watch, _ = asked_of(condition, cluster)

    assert watch.found(LATE).status is HOLDS
    cluster.members.append(MEMBER)
    assert [watch.stands(LATE + seconds) for seconds in (5, 65)] == [PENDING, PENDING]
    assert cluster.status == {MEMBER: "DRAINING"}


def test_the_second_search_reads_a_list_of_clusters_of_its_own() -> None:
    cluster = Cluster(clusters=[])
    watch, calls = asked_of(ANYWHERE, cluster)
    Watch(ANYWHERE, calls, an_action(id="action-2"), answers=watch.answers).ask(LATE - 2)

    assert watch.found(LATE).status is HOLDS  # by the answer of 118
    cluster.clusters.append(WEB)
    assert isinstance(watch.ask(LATE + 5), Later)
    assert watch.stands(LATE + 60) is PENDING
    assert cluster.status == {MEMBER: "DRAINING"}


# Answers that are none, and memories


@pytest.mark.parametrize(
    ("operation", "key"),
    [("ListClusters", "clusterArns"), (LIST, "containerInstanceArns"), ("ListTasks", "taskArns")],
)
def test_a_part_of_a_list_is_unknown(operation: str, key: str) -> None:
    part = {key: [], "nextToken": "more"}
    cluster = draining(instead={operation: part})

    assert found_at(ANYWHERE, cluster, LATE).detail == f"the answer to {operation} has no last page"


@pytest.mark.parametrize("key", sorted(shown()))
def test_a_description_that_lacks_something_is_unknown(key: str) -> None:
    told = {other: value for other, value in shown("DRAINING").items() if other != key}
    found = found_at(DRAINED, Cluster(instead=dict(saying(told))), LATE)

    assert (found.status, f"the answer to {DESCRIBE} has no" in found.detail) == (UNKNOWN, True)


STORED: Final[Mapping[str, Memory]] = {  # as Usher has stored it since 0.1
    "a search": {"search": {"left": [WEB], "more": False, "searched": 2, "late": True, "after": f"{ARN}:a"}},
    "found": FOUND,
    "drained, and tasks are left": {
        **FOUND,
        "others": [GHOST],
        "done": [MEMBER],
        "active_at": at(1).isoformat(),
        "sent_at": at(2).isoformat(),
        "confirmed": True,
        "listing": {
            "at": at(3).isoformat(),
            "counts": [1, 0],
            "connected": True,
            "desired": "STOPPED",
            "tasks": [task(1)],
            "states": {"RUNNING": 1},
            "example": "task task-002 of service:shop",
        },
        "blocked": {"by": [1, 0, True], "said": "draining, tasks: 1 RUNNING"},
    },
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_all_that_is_remembered_is_read_and_stored_as_ever(stored: Memory) -> None:
    kept = from_json(stored)

    assert kept is not None
    assert json.loads(json.dumps(to_json(kept))) == stored


KEYS: Final = (
    *("search", "left", "more", "searched", "late", "after", "cluster", "instance", "others", "done"),
    *("active_at", "sent_at", "confirmed", "listing", "at", "counts", "connected", "desired", "tasks"),
    *("states", "example", "blocked", "by", "said"),
)
NAIVE: Final = at(0).replace(tzinfo=None).isoformat()
JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from([MEMBER, "RUNNING", at(0).isoformat(), NAIVE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
)


@example("drained, and tasks are left", {"active_at": NAIVE})
@given(st.sampled_from(list(STORED)), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_a_memory_that_is_broken_begins_anew_what_it_cannot_read(name: str, broken: dict[str, Any]) -> None:
    """Whatever stands in it, it is asked, comes to where it comes with none, and `active` drains nothing."""
    memory = {**STORED[name], **broken}
    gone, drains = Cluster(members=[]), Cluster(status={MEMBER: "DRAINING"})
    for condition, cluster in ((ACTIVE, Cluster()), (ANYWHERE, drains), (DRAINED, gone)):
        watch, calls = asked_of(condition, cluster, memory)
        assert any(watch.look_when_due().status is HOLDS for _ in range(40))
        assert condition.starts or UPDATE not in operations(calls)


# As a whole, with the ECS of moto behind real clients


def a_client(service: str, **parts: Any) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, region_name="us-east-1", **keys, **parts)


def test_against_real_clients_it_is_found_active_and_drains_and_waits_for_the_last_task() -> None:
    with mock_aws():
        ecs, ec2 = a_client("ecs"), a_client("ec2")
        for name in ("jobs", "web"):
            ecs.create_cluster(clusterName=name)
        container = {"name": "shop", "image": "shop", "memory": 64}
        ecs.register_task_definition(family="shop", containerDefinitions=[container])
        (started,) = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
        identity = {"instanceId": started["InstanceId"]}
        registered = ecs.register_container_instance(
            cluster="web", instanceIdentityDocument=json.dumps(identity)
        )
        member = registered["containerInstance"]["containerInstanceArn"]
        (running,) = ecs.start_task(cluster="web", taskDefinition="shop", containerInstances=[member])[
            "tasks"
        ]
        action = an_action(instance_id=started["InstanceId"])
        strange = Ecs(state=TaskState.ACTIVE, cluster="strange", grace=timedelta(0))

        assert Watch(ACTIVE, AwsCalls(a_client), action).found().status is HOLDS
        assert Watch(strange, AwsCalls(a_client), action).found().status is FAILED

        watch = Watch(ANYWHERE, AwsCalls(a_client), action)
        before = [watch.found(seconds) for seconds in (0, 20, 40)]
        ecs.stop_task(cluster="web", task=running["taskArn"])
        after = watch.found(60)

        assert [found.status for found in before] == [PENDING] * 3
        assert f"task {running['taskArn'].rsplit('/', 1)[-1]} of family:shop" in before[1].detail
        assert (after.status, "no task left" in after.detail) == (HOLDS, True)
