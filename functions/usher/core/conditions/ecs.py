"""`ecs: active | drained` waits for the container instance that the instance is in its ECS cluster.

Look by look: find it (ListContainerInstances, in the named cluster or in one after the other), see how
it stands (DescribeContainerInstances, one answer for all of a cluster), and for `drained` set it to
DRAINING, once, and go through its tasks until none is left. What was found so far is in the memory:

    search     left, more, after, searched, late                     until the container instance is found
    absent                                              it was in no cluster: the next search is a new one
    cluster, instance, others                           once it is; `others` have the same EC2 instance
    done       those of them that were gone through     they are gone through again for the second answer
    active_at                                           it was seen ACTIVE: it is drained next
    sent_at, confirmed                                  DRAINING was asked for, and answered
    listing    the tasks gone through, in this look     see _first_listing
    blocked    the counts of the last listing, and what it said
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher.core import duration
from usher.core.conditions.probe import Call, Found, Permission, Probe, ReplyKind, Shared, not_answered
from usher.core.field import Refused, attempt
from usher.core.finding import ConditionStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from usher.core.action import Action
    from usher.core.conditions.probe import Reply
    from usher.core.field import Field
    from usher.core.finding import Memory


class TaskState(StrEnum):
    """What is waited for."""

    ACTIVE = "active"
    DRAINED = "drained"


class Absence(StrEnum):
    """What it means for `drained` that the instance is in no cluster."""

    DRAINED = "drained"
    FAILED = "failed"


_GRACE: Final = timedelta(minutes=2)
_LONGEST_GRACE: Final = timedelta(hours=48)
_POLL: Final = timedelta(seconds=20)
_ANSWER_SERVES: Final = timedelta(seconds=15)  # less than until the next look, which must see anew
_HOLDS_FOR: Final = timedelta(minutes=1)  # an agent may lose its connection again
_SOON: Final = timedelta(seconds=1)
_STEP_LASTS: Final = timedelta(minutes=1)  # what a look began goes on in the next one, if that is soon
_CLUSTERS_EVERY: Final = timedelta(minutes=1)
_CLUSTERS_AT_ONCE: Final = 3  # of the few calls of one look
_MOST_LEFT: Final = 50  # clusters that are remembered at once
_MOST_DESCRIBED: Final = 100  # tasks in one call

_CLUSTER: Final = (
    r"[A-Za-z0-9_-]{1,255}"
    r"|arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}"
)
_CLUSTER_RULE: Final = "must be a cluster's name of 1 to 255 of A-Z a-z 0-9 - _, or its ARN"

_NO_CLUSTER: Final = "ClusterNotFoundException"
_COMING_OR_GOING: Final = frozenset({"REGISTERING", "DEREGISTERING"})
_UNLIKE_ACTIVE: Final[Mapping[str, ConditionStatus]] = {
    **dict.fromkeys(_COMING_OR_GOING, ConditionStatus.PENDING),
    "DRAINING": ConditionStatus.PENDING,
    "REGISTRATION_FAILED": ConditionStatus.FAILED,
}
_TASK_IS_OVER: Final = frozenset({"STOPPED", "DELETED"})
_TASK_IS_NOT_OVER: Final = frozenset(
    {"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"}
)


class _Odd(Exception):  # noqa: N818 - it reads as what happened
    """An answer does not have what it should have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Heard:
    """An answer, and what it answers."""

    action: Action
    memory: Memory
    call: Call
    data: Any
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Ecs(Probe):
    """Holds once the instance's container instance is in `state`."""

    state: TaskState
    cluster: str | None = None  # None: whichever it is in
    absent: Absence = Absence.DRAINED
    grace: timedelta = _GRACE

    @classmethod
    def parse(cls, field: Field) -> Ecs:
        """From `drained`, or the long form `{state: drained, cluster: web, absent: failed, grace: 5m}`."""
        if isinstance(field.value, str):
            return cls(state=_state(field))
        if not isinstance(field.value, Mapping):
            raise field.refuse("must be active, drained, or a mapping with state")
        parts = field.mapping(("state", "cluster", "absent", "grace"), required=("state",))
        state = attempt(_state, parts.get("state"), None)
        if state is TaskState.ACTIVE and "absent" in parts:
            parts["absent"].refuse("must stand with drained only: an absent instance is never active")
        absent = attempt(_absence, parts.get("absent"), Absence.DRAINED)
        cluster = attempt(_cluster, parts.get("cluster"), None)
        grace = attempt(_grace, parts.get("grace"), _GRACE)
        if state is None or not field.is_sound:
            raise Refused
        return cls(state=state, cluster=cluster, absent=absent, grace=grace)

    @property
    def name(self) -> str:
        """See Probe. Only what is unlike the defaults is named."""
        where = "" if self.cluster is None else f" in {self.cluster}"
        absent = "" if self.absent is Absence.DRAINED else f", absent: {self.absent}"
        grace = "" if self.grace == _GRACE else f", grace: {duration.written(self.grace)}"
        return f"ecs {self.state}{where}{absent}{grace}"

    @property
    def starts(self) -> bool:
        """Whether it changes something: `drained` does."""
        return self.state is TaskState.DRAINED

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """See Probe. The ARNs of container instances and tasks hold the cluster's name."""
        cluster = instances = tasks = "*"
        if self.cluster is not None:
            arn = f"arn:{{partition}}:ecs:{{region}}:{{account}}:cluster/{self.cluster}"
            cluster = self.cluster if self.cluster.startswith("arn:") else arn
            instances = cluster.replace(":cluster/", ":container-instance/") + "/*"
            tasks = cluster.replace(":cluster/", ":task/") + "/*"
        search = () if self.cluster is not None else (Permission(actions=("ecs:ListClusters",)),)
        of_instances = ["ecs:DescribeContainerInstances"]
        drain: tuple[Permission, ...] = ()
        if self.state is TaskState.DRAINED:
            of_instances += ["ecs:ListTasks", "ecs:UpdateContainerInstancesState"]
            drain = (Permission(actions=("ecs:DescribeTasks",), resources=(tasks,)),)
        return (
            *search,
            Permission(actions=("ecs:ListContainerInstances",), resources=(cluster,)),
            Permission(actions=tuple(of_instances), resources=(instances,)),
            *drain,
        )

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        """See Probe."""
        if "instance" not in memory:
            return self._search(action, memory.get("search"), now)
        listing = memory.get("listing")
        if listing is not None and _is_recent(listing["at"], now):
            return _list_tasks(memory, listing)
        if "active_at" in memory and _is_recent(memory["active_at"], now):
            return _drain(memory, now)
        return _describe(memory)

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """See Probe."""
        heard = _Heard(action=action, memory=memory, call=call, data=reply.data, now=now)
        if reply.kind is not ReplyKind.ANSWERED:
            return self._no_answer(heard, reply)
        readers: Mapping[str, Callable[[_Heard], Found]] = {
            "ListClusters": self._hear_clusters,
            "ListContainerInstances": self._hear_instances,
            "DescribeContainerInstances": self._hear_instance,
            "UpdateContainerInstancesState": _hear_drained,
            "ListTasks": _hear_tasks_listed,
            "DescribeTasks": _hear_tasks,
        }
        try:
            return readers[call.operation](heard)
        except _Odd as odd:
            return _unknown(f"the answer to {call.operation} has no {odd}", _settled(memory))

    def _no_answer(self, heard: _Heard, reply: Reply) -> Found:
        """A cluster of the configuration must exist; one that was found by searching may go."""
        if reply.code == _NO_CLUSTER and self.cluster is None:
            if "instance" not in heard.memory:
                return self._not_in_cluster(heard)
            return _unknown(f"cluster {_id(heard.memory['cluster'])} is gone, searching again", {})
        return not_answered(reply, heard.memory, {_NO_CLUSTER: f"cluster {self.cluster}"})

    def _search(self, action: Action, search: Mapping[str, Any] | None, now: datetime) -> Call:
        if self.cluster is not None:
            return _list_instances(action, self.cluster)
        if search is not None and search["left"]:
            return _list_instances(action, search["left"][0])
        late = self._is_late(action, now) if search is None else search["late"]
        return _list_clusters(action, late=late)

    def _is_late(self, action: Action, now: datetime) -> bool:
        """Whether it counts by now that the instance is in no cluster."""
        return now >= action.started_at + self.grace

    def _hear_clusters(self, heard: _Heard) -> Found:
        """Some clusters are remembered, and where the search goes on: the list is read again then."""
        before = heard.memory.get("search", {})
        arns = sorted(_texts(heard.data, "clusterArns"))
        left = [arn for arn in arns if arn > before.get("after", "")]
        search = {
            "left": left[:_MOST_LEFT],
            "more": len(left) > _MOST_LEFT,
            "searched": before.get("searched", 0),
            "late": before.get("late", heard.call.not_before == heard.action.first_seen_at),
        }
        return self._search_on(heard.action, search)

    def _hear_instances(self, heard: _Heard) -> Found:
        instances = _texts(heard.data, "containerInstanceArns")
        if instances:
            return _go_on(_found(heard.call.parameters["cluster"], instances))
        return self._not_in_cluster(heard)

    def _not_in_cluster(self, heard: _Heard) -> Found:
        if self.cluster is not None:
            said = f"{heard.action.instance_id} is not in cluster {_id(self.cluster)}"
            return self._absence(said, late=self._is_late(heard.action, heard.now))
        search = heard.memory["search"]
        searched = search["searched"] + 1
        on = {**search, "left": search["left"][1:], "after": search["left"][0], "searched": searched}
        if (on["left"] or on["more"]) and searched % _CLUSTERS_AT_ONCE == 0:
            detail = f"{heard.action.instance_id} is in none of the {searched} clusters searched so far"
            return _unknown(detail, {"search": on}, _SOON)
        return self._search_on(heard.action, on)

    def _search_on(self, action: Action, search: Mapping[str, Any]) -> Found:
        if search["left"] or search["more"]:
            return _go_on({"search": search})
        said = f"{action.instance_id} is in no cluster ({search['searched']} searched)"
        return self._absence(said, late=search["late"])

    def _absence(self, said: str, *, late: bool) -> Found:
        """What it means that the instance is in no cluster. `late`: that was asked after the grace."""
        if not late:
            detail = f"{said}; that counts from {duration.written(self.grace)} after the start of the action"
            return _pending(detail, {})
        if self.state is TaskState.ACTIVE or self.absent is Absence.FAILED:
            return Found(
                status=ConditionStatus.FAILED,
                detail=f"{said}, {duration.written(self.grace)} after the start",
            )
        memory = {"absent": True}
        return Found(status=ConditionStatus.HOLDS, detail=f"{said}: nothing to drain", memory=memory)

    def _hear_instance(self, heard: _Heard) -> Found:
        said, memory = heard.data, heard.memory
        if said is None:
            raise _Odd(f"word of container instance {_id(memory['instance'])}")
        if said.get("failure") == "MISSING" or said.get("status") == "INACTIVE":
            return _deregistered(memory)
        if "failure" in said:
            detail = f"container instance {_id(memory['instance'])}: failure {said['failure']}"
            return _unknown(detail, _settled(memory))
        if not isinstance(said.get("status"), str):
            raise _Odd(f"status of container instance {_id(memory['instance'])}")
        return self._hear_active(heard) if self.state is TaskState.ACTIVE else self._hear_draining(heard)

    def _hear_active(self, heard: _Heard) -> Found:
        detail = _described(heard)
        status, connected = heard.data["status"], _connected(heard.data)
        if status == "ACTIVE" and connected:
            memory = _settled(heard.memory)
            return Found(
                status=ConditionStatus.HOLDS, detail=detail, ask_again_after=_HOLDS_FOR, memory=memory
            )
        memory = _with_the_next(heard.memory)
        if status != "ACTIVE" and status not in _UNLIKE_ACTIVE:
            return _unknown(f"{detail}, a status that Usher does not know", memory)
        if _UNLIKE_ACTIVE.get(status) is ConditionStatus.FAILED and not heard.memory["others"]:
            return Found(status=ConditionStatus.FAILED, detail=detail)
        return _pending(detail, memory)

    def _hear_draining(self, heard: _Heard) -> Found:
        status, memory = heard.data["status"], _settled(heard.memory)
        match status:
            case "DRAINING":
                return _count_tasks(heard)
            case "ACTIVE" if not memory.get("confirmed"):
                return _go_on({**memory, "active_at": heard.now.isoformat()})
            case "ACTIVE":
                back = "it was set to DRAINING before, so someone else has set it back"
                return _pending(f"{_described(heard)}; {back}", memory)
            case "REGISTRATION_FAILED":
                return self._hear_never_registered(heard)
            case _ if status in _COMING_OR_GOING:
                return _pending(_described(heard), memory)
            case _:
                return _unknown(f"{_described(heard)}, a status that Usher does not know", memory)

    def _hear_never_registered(self, heard: _Heard) -> Found:
        """It never had a task."""
        if heard.memory["others"]:
            return _go_on(_next_of(heard.memory, done=heard.memory["instance"]))
        return self._absence(_described(heard), late=self._is_late(heard.action, heard.now))


def _state(field: Field) -> TaskState:
    return field.choice(TaskState)


def _absence(field: Field) -> Absence:
    return field.choice(Absence)


def _cluster(field: Field) -> str:
    return field.text(_CLUSTER, _CLUSTER_RULE)


def _grace(field: Field) -> timedelta:
    return field.duration(timedelta(0), _LONGEST_GRACE)


def _list_clusters(action: Action, *, late: bool) -> Call:
    """A list from before the action serves to find the instance, but not to say that it is nowhere."""
    return Call(
        service="ecs",
        operation="ListClusters",
        all_pages=True,
        shared=Shared(member="all", reduced=_clusters_reduced, every=_CLUSTERS_EVERY),
        not_before=action.first_seen_at if late else action.first_seen_at - _CLUSTERS_EVERY,
    )


def _clusters_reduced(data: Any) -> Mapping[str, Any]:  # noqa: ANN401 - an answer of AWS
    return {"all": data}


def _list_instances(action: Action, cluster: str) -> Call:
    """Without a status it lists all but INACTIVE ones."""
    parameters = {"cluster": cluster, "filter": f"ec2InstanceId == {action.instance_id}"}
    return Call(service="ecs", operation="ListContainerInstances", parameters=parameters, all_pages=True)


def _describe(memory: Memory) -> Call:
    instance, sent_at = memory["instance"], memory.get("sent_at")
    return Call(
        service="ecs",
        operation="DescribeContainerInstances",
        parameters={"cluster": memory["cluster"]},
        shared=Shared(
            member=instance,
            members_in="containerInstances",
            reduced=partial(_instances_reduced, instance.removesuffix(_id(instance))),
            every=_ANSWER_SERVES,
        ),
        not_before=None if sent_at is None else datetime.fromisoformat(sent_at),
    )


def _instances_reduced(family: str, data: Any) -> Mapping[str, Any]:  # noqa: ANN401 - an answer of AWS
    """By ARN. That of a failure may lack the cluster's name, so it stands under both spellings."""
    failures = {arn: failure.get("reason") for arn, failure in _by_arn(data, "failures", "arn").items()}
    instances = _by_arn(data, "containerInstances", "containerInstanceArn")
    return {
        **{spelt: {"failure": why} for arn, why in failures.items() for spelt in (arn, family + _id(arn))},
        **{
            arn: {
                "status": instance.get("status"),
                "reason": instance.get("statusReason"),
                "connected": instance.get("agentConnected"),
                "running": instance.get("runningTasksCount"),
                "pending": instance.get("pendingTasksCount"),
            }
            for arn, instance in instances.items()
        },
    }


def _drain(memory: Memory, now: datetime) -> Call:
    parameters = {
        "cluster": memory["cluster"],
        "containerInstances": [memory["instance"]],
        "status": "DRAINING",
    }
    intent = {**_settled(memory), "sent_at": now.isoformat()}
    operation = "UpdateContainerInstancesState"
    return Call(service="ecs", operation=operation, parameters=parameters, intent=intent)


def _list_tasks(memory: Memory, listing: Mapping[str, Any]) -> Call:
    if listing["tasks"]:
        parameters = {"cluster": memory["cluster"], "tasks": listing["tasks"][:_MOST_DESCRIBED]}
        return Call(service="ecs", operation="DescribeTasks", parameters=parameters)
    parameters = {
        "cluster": memory["cluster"],
        "containerInstance": memory["instance"],
        "desiredStatus": listing["desired"],
    }
    return Call(service="ecs", operation="ListTasks", parameters=parameters, all_pages=True)


def _hear_drained(heard: _Heard) -> Found:
    """Where the answer does not say so for sure, the next description does."""
    memory, instance = heard.memory, heard.memory["instance"]
    said = _instances_reduced(instance.removesuffix(_id(instance)), heard.data).get(instance, {})
    if said.get("status") == "DRAINING":
        memory = {**memory, "sent_at": heard.now.isoformat(), "confirmed": True}
        return _pending(f"container instance {_id(instance)} was set to DRAINING", memory)
    if "failure" in said:
        detail = f"container instance {_id(instance)} was not set to DRAINING: {said['failure']}"
        return _unknown(detail, memory)
    raise _Odd(f"status DRAINING of container instance {_id(instance)}")


def _count_tasks(heard: _Heard) -> Found:
    """Goes through the tasks. While they stay as many as they were, what was said of them still holds."""
    memory, connected = _settled(heard.memory), _connected(heard.data)
    counts = [_count(heard.data, "running"), _count(heard.data, "pending")]
    blocked = memory.get("blocked")
    if any(counts) and blocked is not None and blocked["by"] == [*counts, connected]:
        return _pending(blocked["said"], memory)
    return _go_on({**memory, "listing": _first_listing(heard.now, counts, connected=connected)})


def _first_listing(now: datetime, counts: list[int], *, connected: bool) -> Mapping[str, Any]:
    return {
        "at": now.isoformat(),
        "counts": counts,
        "connected": connected,
        "desired": "RUNNING",  # then STOPPED
        "tasks": [],  # listed, and not described yet
        "states": {},  # how many are in which, of those that are not over
        "example": "",
    }


def _hear_tasks_listed(heard: _Heard) -> Found:
    return _list_on(heard, {**heard.memory["listing"], "tasks": _texts(heard.data, "taskArns")})


def _hear_tasks(heard: _Heard) -> Found:
    """One that is MISSING is gone. One that the answer does not speak of is not."""
    listing, asked = heard.memory["listing"], heard.call.parameters["tasks"]
    tasks = {_id(arn): task for arn, task in _by_arn(heard.data, "tasks", "taskArn").items()}
    failures = _by_arn(heard.data, "failures", "arn").items()
    missing = {_id(arn) for arn, failure in failures if failure.get("reason") == "MISSING"}
    states = Counter(listing["states"])
    example = listing["example"]
    for task in [_id(arn) for arn in asked if _id(arn) not in missing]:
        status = str(tasks.get(task, {}).get("lastStatus"))
        if status not in _TASK_IS_OVER:
            states[status] += 1
            example = example or f"task {task} of {tasks.get(task, {}).get('group')}"
    left = listing["tasks"][len(asked) :]
    return _list_on(heard, {**listing, "tasks": left, "states": dict(states), "example": example})


def _list_on(heard: _Heard, listing: Mapping[str, Any]) -> Found:
    memory = _settled(heard.memory)
    if listing["tasks"]:
        return _go_on({**memory, "listing": listing})
    if listing["desired"] == "RUNNING":
        return _go_on({**memory, "listing": {**listing, "desired": "STOPPED"}})
    if listing["states"] or any(listing["counts"]):
        return _tasks_left(memory, listing)
    if memory["others"]:
        return _go_on(_next_of(memory, done=memory["instance"]))
    detail = f"container instance {_id(memory['instance'])} is DRAINING and has no task left"
    done = [*memory.get("done", []), memory["instance"]]
    again = memory if len(done) == 1 else _found(memory["cluster"], done)
    return Found(status=ConditionStatus.HOLDS, detail=detail, memory=again)


def _tasks_left(memory: Memory, listing: Mapping[str, Any]) -> Found:
    states, (running, pending) = listing["states"], listing["counts"]
    said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    said = f"{said}, e.g. {listing['example']}" if said else f"{running} running, {pending} pending"
    detail = f"draining, tasks: {said}"
    if not listing["connected"]:
        detail += "; the agent is not connected, so ECS does not learn that a task has stopped"
    if states and _TASK_IS_NOT_OVER.isdisjoint(states):
        return _unknown(f"{detail}; states that Usher does not know", memory)
    blocked = {"by": [running, pending, listing["connected"]], "said": detail}
    return _pending(detail, {**memory, "blocked": blocked})


def _deregistered(memory: Memory) -> Found:
    """It may have registered anew, so only a new search says that it is in no cluster."""
    detail = f"container instance {_id(memory['instance'])} is not registered any more, searching again"
    return _unknown(detail, _next_of(memory) if memory["others"] else {})


def _described(heard: _Heard) -> str:
    said = heard.data
    agent = "connected" if _connected(said) else "not connected"
    why = f" ({said['reason']})" if said.get("reason") else ""
    instance = _id(heard.memory["instance"])
    return f"container instance {instance} is {said.get('status')}{why}, its agent {agent}"


def _found(cluster: str, instances: list[str]) -> Memory:
    return {"cluster": cluster, "instance": instances[0], "others": instances[1:]}


def _next_of(memory: Memory, done: str | None = None) -> Memory:
    """The memory for the next container instance of the same EC2 instance."""
    through = [*memory.get("done", []), *([] if done is None else [done])]
    found = _found(memory["cluster"], memory["others"])
    return {**found, "done": through} if through else found


def _with_the_next(memory: Memory) -> Memory:
    """One EC2 instance may have several, where its agent lost its data; they take turns."""
    return _found(memory["cluster"], [*memory["others"], memory["instance"]])


def _settled(memory: Memory) -> Memory:
    """Without what only this look is about."""
    return {key: value for key, value in memory.items() if key not in ("search", "active_at", "listing")}


def _go_on(memory: Memory) -> Found:
    return Found(status=ConditionStatus.UNKNOWN, memory=memory, go_on=True)


def _pending(detail: str, memory: Memory) -> Found:
    return Found(status=ConditionStatus.PENDING, detail=detail, ask_again_after=_POLL, memory=memory)


def _unknown(detail: str, memory: Memory, after: timedelta | None = None) -> Found:
    return Found(status=ConditionStatus.UNKNOWN, detail=detail, ask_again_after=after, memory=memory)


def _id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _is_recent(moment: str, now: datetime) -> bool:
    return now - datetime.fromisoformat(moment) <= _STEP_LASTS


def _texts(data: Any, key: str) -> list[str]:  # noqa: ANN401 - an answer of AWS
    """A whole list: a part of one says of nothing that it is not there."""
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _Odd(f"list {key}")
    if data.get("nextToken"):
        raise _Odd("last page")
    return found


def _by_arn(data: Any, key: str, arn: str) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401 - an answer of AWS
    """The members of a list that have an ARN; what is not so is left out."""
    found = data.get(key) if isinstance(data, Mapping) else None
    members = found if isinstance(found, list) else []
    return {
        member[arn]: member
        for member in members
        if isinstance(member, Mapping) and isinstance(member.get(arn), str)
    }


def _count(said: Mapping[str, Any], key: str) -> int:
    count = said.get(key)
    if type(count) is not int or count < 0:
        raise _Odd(f"count of {key} tasks")
    return count


def _connected(said: Mapping[str, Any]) -> bool:
    connected = said.get("connected")
    if not isinstance(connected, bool):
        raise _Odd("word whether the agent is connected")
    return connected
