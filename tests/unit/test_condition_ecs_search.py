"""The condition `ecs` looks for the container instance of an EC2 instance."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.conditions import FAILED, HOLDS, INSTANCE, PENDING, UNKNOWN, Watch, operations
from tests.ecs import (
    ACTIVE,
    ANYWHERE,
    ARN,
    DESCRIBE,
    DRAINED,
    GONE,
    LATE,
    LIST,
    MEMBER,
    STRICT,
    WEB,
    Cluster,
    asked_of,
    found_at,
    searched,
)
from tests.factories import an_action, at
from usher.core.conditions.ecs import Ecs, TaskState

if TYPE_CHECKING:
    from usher.core.finding import ConditionStatus


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
