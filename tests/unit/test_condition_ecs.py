"""The condition `ecs`: its configuration and rights, and what it makes of each answer."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from tests.aws_shapes import service_model, values_of
from tests.conditions import (
    ANOTHER,
    FAILED,
    HOLDS,
    PENDING,
    UNKNOWN,
    Sample,
    Watch,
    assert_refused,
    operations,
    parsed,
)
from tests.ecs import (
    ACTIVE,
    ALL,
    ANYWHERE,
    ARN,
    DESCRIBE,
    DRAINED,
    FOUND,
    GHOST,
    LATE,
    LIST,
    MEMBER,
    NOWHERE,
    UPDATE,
    WEB,
    Cluster,
    asked_of,
    draining,
    failing,
    found_at,
    saying,
    shown,
    task,
    without_tasks,
)
from tests.factories import an_action, at
from usher.aws.calls import AwsCalls
from usher.core.conditions.ecs import Absence, Ecs, TaskState
from usher.core.conditions.ecs.memory import from_json, to_json
from usher.core.conditions.probe import Later, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.finding import Memory


OF_ANOTHER: Final = saying(shown("DRAINING", f"{ARN}:container-instance/web/{ANOTHER}"))
MISSING: Final = ((LIST, "ClusterNotFoundException"),)
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

    due = [watch.recorded(seconds).ask_again_at for seconds in (0, 20)]

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
    assert HOLDS in {watch.recorded_when_due().status for _ in range(6)}


def test_active_does_not_fail_for_one_of_several_that_failed_to_register() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})

    assert found_at(ACTIVE, cluster).status is PENDING


def test_one_that_failed_to_register_hides_no_other_of_the_instance() -> None:
    cluster = Cluster(members=[GHOST, MEMBER], status={GHOST: "REGISTRATION_FAILED"})
    watch, _ = asked_of(DRAINED, cluster)

    for seconds in (LATE, LATE + 20):
        assert watch.stands(seconds) is not HOLDS
    assert cluster.status[MEMBER] == "DRAINING"


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
        assert any(watch.recorded_when_due().status is HOLDS for _ in range(40))
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
