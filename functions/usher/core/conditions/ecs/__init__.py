"""`ecs: active | drained` waits for the container instance that the instance is in its ECS cluster.

Turn by turn: find it (ListContainerInstances, in the named cluster or in one after the other), see how
it stands (DescribeContainerInstances, one answer for all of a cluster), and for `drained` set it to
DRAINING, once, and go through its tasks until none is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from usher.core import duration
from usher.core.action import Transition
from usher.core.conditions.ecs import drain
from usher.core.conditions.ecs.answers import Incomplete, describe, read, short
from usher.core.conditions.ecs.drain import POLL
from usher.core.conditions.ecs.memory import IN_NO_CLUSTER, Registration, Search, from_json, to_json
from usher.core.conditions.ecs.search import AT_ONCE, found_in, list_clusters, list_instances, with_clusters
from usher.core.conditions.probe import Found, Permission, Probe, ReplyKind, not_answered
from usher.core.field import Refused, attempt
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Choice, Duration, Either, Keys, Text

if TYPE_CHECKING:
    from datetime import datetime

    from usher.core.action import Action
    from usher.core.conditions.ecs.answers import Description
    from usher.core.conditions.probe import Call, Reply
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


_USUAL_GRACE: Final = timedelta(minutes=2)
_HOLDS_FOR: Final = timedelta(minutes=1)  # an agent may lose its connection again
_SOON: Final = timedelta(seconds=1)
_STEP_LASTS: Final = timedelta(minutes=1)  # what a turn began goes on in the next one, if that is soon

_STATE: Final = Choice(TaskState)
_CLUSTER: Final = Text(
    r"[A-Za-z0-9_-]{1,255}"
    r"|arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}",
    "must be a cluster's name of 1 to 255 of A-Z a-z 0-9 - _, or its ARN",
)
_ABSENT: Final = Choice(Absence)
_GRACE: Final = Duration(least=timedelta(0), most=timedelta(hours=48))
_LONG_FORM: Final = Keys(
    {"state": _STATE, "cluster": _CLUSTER, "absent": _ABSENT, "grace": _GRACE}, required=("state",)
)

_NO_CLUSTER: Final = "ClusterNotFoundException"
_COMING_OR_GOING: Final = frozenset({"REGISTERING", "DEREGISTERING"})
_UNLIKE_ACTIVE: Final[Mapping[str, ConditionStatus]] = {
    **dict.fromkeys(_COMING_OR_GOING, ConditionStatus.PENDING),
    "ACTIVE": ConditionStatus.PENDING,  # without its agent
    "DRAINING": ConditionStatus.PENDING,
    "REGISTRATION_FAILED": ConditionStatus.FAILED,
}


@frozen
class Ecs(Probe):
    """Holds once the instance's container instance is in `state`."""

    state: TaskState
    cluster: str | None = None  # None: whichever it is in
    absent: Absence = Absence.DRAINED
    grace: timedelta = _USUAL_GRACE

    shape = Either(_STATE, _LONG_FORM)

    @classmethod
    def parse(cls, field: Field) -> Ecs:
        """From `drained`, or the long form `{state: drained, cluster: web, absent: failed, grace: 5m}`."""
        if isinstance(field.value, str):
            return cls(state=_STATE.read(field))
        if not isinstance(field.value, Mapping):
            raise field.refuse("must be active, drained, or a mapping with state")
        parts = _LONG_FORM.members(field)
        state = attempt(_STATE.read, parts.get("state"), None)
        if state is TaskState.ACTIVE and "absent" in parts:
            parts["absent"].refuse("must stand with drained only: an absent instance is never active")
        absent = attempt(_ABSENT.read, parts.get("absent"), Absence.DRAINED)
        cluster = attempt(_CLUSTER.read, parts.get("cluster"), None)
        grace = attempt(_GRACE.read, parts.get("grace"), _USUAL_GRACE)
        if state is None or not field.is_sound:
            raise Refused
        return cls(state=state, cluster=cluster, absent=absent, grace=grace)

    @property
    def name(self) -> str:
        """See Probe. Only what is unlike the defaults is named."""
        where = "" if self.cluster is None else f" in {self.cluster}"
        absent = "" if self.absent is Absence.DRAINED else f", absent: {self.absent}"
        grace = "" if self.grace == _USUAL_GRACE else f", grace: {duration.written(self.grace)}"
        return f"ecs {self.state}{where}{absent}{grace}"

    @property
    def in_words(self) -> str:
        """See Condition."""
        where = "" if self.cluster is None else f" in {self.cluster}"
        absent = "failed" if self.state is TaskState.ACTIVE else str(self.absent)
        return f"ecs {self.state}{where} (in no cluster after {duration.written(self.grace)}: {absent})"

    @property
    def starts(self) -> bool:
        """See Plain."""
        return self.state is TaskState.DRAINED

    @property
    def transition(self) -> Transition:
        """See Plain. What comes into service has nothing to be drained of."""
        return Transition.LAUNCHING if self.state is TaskState.ACTIVE else Transition.TERMINATING

    def doubts(self, transition: Transition, patience: timedelta) -> tuple[str, ...]:  # noqa: ARG002 - a Probe
        """See Probe."""
        waited = f"an instance in no ECS cluster is waited for until {duration.written(self.grace)} are over"
        slow = f"{waited}, and it gives up after {duration.written(patience)}"
        return (slow,) if self.grace >= patience else ()

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
        of_tasks: tuple[Permission, ...] = ()
        if self.state is TaskState.DRAINED:
            of_instances += ["ecs:ListTasks", "ecs:UpdateContainerInstancesState"]
            of_tasks = (Permission(actions=("ecs:DescribeTasks",), resources=(tasks,)),)
        return (
            *search,
            Permission(actions=("ecs:ListContainerInstances",), resources=(cluster,)),
            Permission(actions=tuple(of_instances), resources=(instances,)),
            *of_tasks,
        )

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        """Search, and once it is found describe it, drain it, and go through its tasks."""
        kept = from_json(memory)
        if not isinstance(kept, Registration):
            return self._ask_where(action, kept, now)
        if self.starts and kept.listing is not None and _is_recent(kept.listing.at, now):
            return drain.next_tasks(kept, kept.listing)
        if self.starts and kept.active_at is not None and _is_recent(kept.active_at, now):
            return drain.set_draining(kept, now)
        return describe(kept)

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """See Probe."""
        kept = from_json(memory)
        if reply.kind is not ReplyKind.ANSWERED:
            return self._no_answer(action, memory, reply, now)
        try:
            if not isinstance(kept, Registration):
                return self._hear_where(action, kept, call, reply.data, now)
            if kept.listing is not None and call.operation in ("ListTasks", "DescribeTasks"):
                return drain.hear_tasks(kept, kept.listing, call, reply.data, drain.again_after(action, now))
            if call.operation == "UpdateContainerInstancesState":
                return drain.was_set(kept, reply.data, now)
            return self._hear_of(action, kept.settled(), reply.data, now)
        except Incomplete as lacking:
            settled = to_json(kept.settled()) if isinstance(kept, Registration) else {}
            return Found.unknown(f"the answer to {call.operation} has no {lacking}", settled)

    def _no_answer(self, action: Action, memory: Memory, reply: Reply, now: datetime) -> Found:
        """A cluster of the configuration must exist; one that was found by searching may go."""
        kept = from_json(memory)
        if reply.code != _NO_CLUSTER or self.cluster is not None or kept is None:
            missing = {} if self.cluster is None else {_NO_CLUSTER: f"cluster {self.cluster}"}
            return not_answered(reply, memory, missing)
        if isinstance(kept, Search):
            return self._not_here(action, kept, now)
        return Found.unknown(f"cluster {short(kept.cluster)} is gone, searching again", {})

    # Where it is

    def _ask_where(self, action: Action, search: Search | None, now: datetime) -> Call:
        if self.cluster is not None:
            return list_instances(action, self.cluster)
        if search is not None and search.left:
            return list_instances(action, search.left[0])
        return list_clusters(action, late=self._is_late(action, now) if search is None else search.late)

    def _is_late(self, action: Action, now: datetime) -> bool:
        """Whether it counts by now that the instance is in no cluster."""
        return now >= action.started_at + self.grace

    def _hear_where(
        self, action: Action, search: Search | None, call: Call, data: object, now: datetime
    ) -> Found:
        if call.operation == "ListClusters":
            return self._search_on(action, with_clusters(search, action, call, data))
        found = found_in(call, data)
        return self._not_here(action, search, now) if found is None else Found.next_call(to_json(found))

    def _not_here(self, action: Action, search: Search | None, now: datetime) -> Found:
        if search is None or self.cluster is not None:
            absence = f"{action.instance_id} is not in cluster {short(self.cluster or '')}"
            return self._absence(absence, late=self._is_late(action, now))
        search = search.without_first()
        if (search.left or search.more) and search.searched % AT_ONCE == 0:
            detail = f"{action.instance_id} is in none of the {search.searched} clusters searched so far"
            return Found.unknown(detail, to_json(search), _SOON)
        return self._search_on(action, search)

    def _search_on(self, action: Action, search: Search) -> Found:
        if search.left or search.more:
            return Found.next_call(to_json(search))
        absence = f"{action.instance_id} is in no cluster ({search.searched} searched)"
        return self._absence(absence, late=search.late)

    def _absence(self, absence: str, *, late: bool) -> Found:
        """What it means that the instance is in no cluster. `late`: that was asked after the grace."""
        grace = duration.written(self.grace)
        if not late:
            return Found.pending(f"{absence}; that counts from {grace} after the start of the action", POLL)
        if self.state is TaskState.ACTIVE or self.absent is Absence.FAILED:
            return Found.failed(f"{absence}, {grace} after the start")
        return Found.holds(f"{absence}: nothing to drain", memory=IN_NO_CLUSTER)

    # How it stands

    def _hear_of(self, action: Action, kept: Registration, data: object, now: datetime) -> Found:
        described = read(kept.instance, data)
        instance = f"container instance {short(kept.instance)}"
        if described == "MISSING" or (not isinstance(described, str) and described.status == "INACTIVE"):
            detail = f"{instance} is not registered any more, searching again"
            return Found.unknown(detail, to_json(kept.next()) if kept.others else {})
        if isinstance(described, str):
            return Found.unknown(f"{instance}: failure {described}", to_json(kept))
        if self.state is TaskState.ACTIVE:
            return _active(kept, described)
        if described.status == "REGISTRATION_FAILED" and not kept.others:  # it never had a task
            return self._absence(str(described), late=self._is_late(action, now))
        return _drained(action, kept, described, now)


def _drained(action: Action, kept: Registration, described: Description, now: datetime) -> Found:
    match described.status:
        case "DRAINING":
            return drain.begin_listing(kept, described, now, drain.again_after(action, now))
        case "ACTIVE" if not kept.confirmed:
            return Found.next_call(to_json(replace(kept, active_at=now)))
        case "ACTIVE":
            back = "it was set to DRAINING before, so someone else has set it back"
            return Found.pending(f"{described}; {back}", POLL, to_json(kept))
        case "REGISTRATION_FAILED":
            return Found.next_call(to_json(kept.next(is_done=True)))
        case _ if described.status in _COMING_OR_GOING:
            return Found.pending(str(described), POLL, to_json(kept))
        case _:
            return Found.unknown(f"{described}, a status that Usher does not know", to_json(kept))


def _active(kept: Registration, described: Description) -> Found:
    """One of several that an instance may have is enough, so they take turns."""
    if described.status == "ACTIVE" and described.connected:
        return Found.holds(str(described), _HOLDS_FOR, to_json(kept))
    status = _UNLIKE_ACTIVE.get(described.status)
    if status is None:
        detail = f"{described}, a status that Usher does not know"
        return Found.unknown(detail, to_json(kept.next_in_turn()))
    if status is ConditionStatus.FAILED and not kept.others:
        return Found.failed(str(described))
    return Found.pending(str(described), POLL, to_json(kept.next_in_turn()))


def _is_recent(moment: datetime, now: datetime) -> bool:
    return now - moment <= _STEP_LASTS
