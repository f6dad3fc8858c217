"""The condition `ecs: drained`: it drains once, waits for every task, and believes only a second round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_shapes import values_of
from tests.conditions import BUSY, HOLDS, PENDING, SILENT, UNKNOWN, Watch, operations, refused
from tests.ecs import (
    ANYWHERE,
    DESCRIBE,
    DRAINED,
    FOUND,
    GHOST,
    LATE,
    MEMBER,
    NEVER_OVER,
    UPDATE,
    WEB,
    Cluster,
    asked_of,
    draining,
    failing,
    found_at,
    shown,
    task,
)
from tests.factories import an_action, at
from usher.core.conditions.probe import Later, Reply

if TYPE_CHECKING:
    from usher.core.conditions.ecs import Ecs
    from usher.core.finding import ConditionStatus


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
    while not watch.recorded_when_due().confirmed_once:
        pass
    calls.made.clear()
    cluster.tasks[task(1)] = ("RUNNING", "RUNNING")

    assert {watch.recorded_when_due().status for _ in range(8)} == {PENDING}
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
