"""`targets: {groups: [...], state: ...}` waits until target groups serve an instance, or no longer do.

It is for target groups in which someone other than Auto Scaling registers the instance: of a group's
own target groups Auto Scaling takes care itself, after the launch hook and before the termination hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from usher.core import iso_time
from usher.core.action import Transition
from usher.core.conditions.answer import member, members, text
from usher.core.conditions.probe import Call, Found, Permission, Probe, ReplyKind, Shared, not_answered, worst
from usher.core.field import Field, Refused, attempt
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import Choice, Keys, ListOf, Text

if TYPE_CHECKING:
    from usher.core.action import Action
    from usher.core.conditions.probe import Reply
    from usher.core.finding import Memory

MOST_GROUPS: Final = 5  # all are asked in one turn, which makes six calls

_EVERY: Final = timedelta(seconds=20)
_ARN_EVERY: Final = timedelta(minutes=1)  # an ARN stays as it is, so it may be known from before the action
_OWN_EVERY: Final = timedelta(minutes=10)  # this call is Auto Scaling's, which has few to spare
_OWN_AFTER: Final = timedelta(minutes=1)  # most waits are over by then
_OWN_WITHIN: Final = timedelta(seconds=10)  # a warning is worth no longer delay
_SOON: Final = timedelta(seconds=1)
_PASSED_FOR: Final = timedelta(seconds=30)  # what was seen of one group, while the others are asked

_ALL: Final = "all"  # an answer that is not understood is kept as None: never as one without the instance


class TargetState(StrEnum):
    """What the instance is to be in each of the target groups."""

    HEALTHY = "healthy"
    DRAINED = "drained"


_NAME: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
_ARN: Final = rf"arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{{12}}:targetgroup/{_NAME}/[0-9a-f]{{16}}"
_GROUP: Final = Text(f"{_NAME}|{_ARN}", "must be the name or the ARN of a target group")
_GROUPS: Final = ListOf(
    _GROUP, least=1, most=MOST_GROUPS, rule=f"must be a list of 1 to {MOST_GROUPS} target groups"
)
_STATE: Final = Choice(TargetState)
_GROUPS_AND_STATE: Final = Keys({"groups": _GROUPS, "state": _STATE}, required=("groups", "state"))

# What each health state says of either wish. One that is not here is unknown.
STATUSES: Final[Mapping[TargetState, Mapping[str, ConditionStatus]]] = {
    TargetState.HEALTHY: {
        "healthy": ConditionStatus.HOLDS,
        "initial": ConditionStatus.PENDING,
        "unhealthy": ConditionStatus.PENDING,  # it may recover
        "unhealthy.draining": ConditionStatus.PENDING,
        "draining": ConditionStatus.PENDING,
        "unused": ConditionStatus.PENDING,  # no load balancer uses the group, or not in this zone, yet
        "unavailable": ConditionStatus.UNKNOWN,  # health checks are off, or the load balancer cannot say
    },
    TargetState.DRAINED: {
        "unused": ConditionStatus.HOLDS,  # nothing sends it requests
        "healthy": ConditionStatus.PENDING,
        "initial": ConditionStatus.PENDING,
        "unhealthy": ConditionStatus.PENDING,  # where all are unhealthy, they get requests all the same
        "unhealthy.draining": ConditionStatus.PENDING,
        "draining": ConditionStatus.PENDING,
        "unavailable": ConditionStatus.UNKNOWN,
    },
}
_NOT_REGISTERED: Final = {
    TargetState.HEALTHY: ConditionStatus.PENDING,
    TargetState.DRAINED: ConditionStatus.HOLDS,
}

# Whether target groups of a type show instances.
SHOWS_INSTANCES: Final[Mapping[str, bool]] = {"instance": True, "ip": False, "lambda": False, "alb": False}

_OWN: Final = {
    Transition.LAUNCHING: "to which Auto Scaling adds the instance only after this hook",
    Transition.TERMINATING: "from which Auto Scaling took the instance before this hook",
}


@frozen
class Targets(Probe):
    """Holds once the instance is in `state` in each of `groups`, on every port that it has there.

    Its memory: `arns` of the groups; those `passed` in this round, and when; `own`, the groups that are
    the Auto Scaling group's own, asked for at most once, until `own_until`.
    """

    groups: tuple[str, ...]
    state: TargetState

    shape = _GROUPS_AND_STATE

    @classmethod
    def parse(cls, field: Field) -> Targets:
        """From `groups`, a list of names and ARNs, and `state`."""
        parts = _GROUPS_AND_STATE.members(field)
        groups = attempt(_groups, parts.get("groups"), ())
        state = attempt(_STATE.read, parts.get("state"), None)
        if state is None or not field.is_sound:
            raise Refused
        return cls(groups=groups, state=state)

    @property
    def name(self) -> str:
        """See Probe."""
        return f"targets {', '.join(self.groups)} {self.state}"

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"targets {self.state} in {' and '.join(self.groups)}"

    @property
    def transition(self) -> Transition:
        """See Plain. What comes into service has nothing to be drained of."""
        return Transition.LAUNCHING if self.state is TargetState.HEALTHY else Transition.TERMINATING

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """Describing target groups and their health; and which of them are the group's own."""
        return (
            Permission(
                actions=(
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                    "autoscaling:DescribeLoadBalancerTargetGroups",
                )
            ),
        )

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        """The ARNs first, then the health in one group after the other; each answer serves many."""
        if "own" not in memory and "own_until" in memory and now < iso_time.parse(memory["own_until"]):
            return _own_call(action)
        arns = memory.get("arns", {})
        unresolved = [group for group in self.groups if group not in arns]
        if unresolved:
            return _group_call(unresolved[0], action)
        passed = _still_passed(memory, now)
        open_arns = [arns[group] for group in self.groups if arns[group] not in passed]
        return _health_call(next(iter(open_arns), arns[self.groups[-1]]))

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """Names become ARNs; each group passes in which the instance is as wished."""
        if call.operation == "DescribeLoadBalancerTargetGroups":
            return Found.next_call({**memory, "own": self._own_groups(memory, reply)})
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {"TargetGroupNotFound": f"target group {_about(call)}"})
        if call.operation == "DescribeTargetGroups":
            return _resolved(memory, call, reply)
        arn = call.parameters["TargetGroupArn"]
        status, states = self._read(reply.data, action.instance_id)
        detail = f"{_short(arn)}: {states}"
        if status is not ConditionStatus.HOLDS:
            return self._found(status, detail, action, memory, now)
        passed = _still_passed(memory, now) | {arn: now.isoformat()}
        if all(memory["arns"][group] in passed for group in self.groups):
            return self._found(status, states, action, memory, now)
        return Found.next_call({**memory, "passed": passed})

    def _found(
        self, status: ConditionStatus, detail: str, action: Action, memory: Memory, now: datetime
    ) -> Found:
        """The verdict of this round; before the first one that matters, whose the groups are is asked.

        That is asked in a turn of its own, so that the record keeps until when.
        """
        if self._asks_for_own(status, action, memory, now):
            memory = {**memory, "own_until": (now + _OWN_WITHIN).isoformat()}
            asks = "it is asked next whether the group is the Auto Scaling group's own"
            return Found.unknown(f"{detail}; {asks}", memory, _SOON)
        own = [_short(group) for group in memory.get("own", ())]
        warning = (
            f" (warning: {', '.join(own)} is the Auto Scaling group's own, {_OWN[action.hook.transition]})"
        )
        return Found(
            status=status,
            detail=detail + warning if own else detail,
            ask_again_after=_EVERY,
            memory={key: kept for key, kept in memory.items() if key != "passed"},
        )

    def _asks_for_own(self, status: ConditionStatus, action: Action, memory: Memory, now: datetime) -> bool:
        """Before it says drained, and once healthy is long in coming: an own group shows in these."""
        if "own" in memory or "own_until" in memory:
            return False
        if status is ConditionStatus.HOLDS:
            return self.state is TargetState.DRAINED
        return status is ConditionStatus.PENDING and now >= action.first_seen_at + _OWN_AFTER

    def _read(self, health: object, instance_id: str) -> tuple[ConditionStatus, str]:
        """How the instance stands in one group; of several ports the worst counts."""
        if not isinstance(health, Mapping):
            return ConditionStatus.UNKNOWN, "the answer cannot be read"
        entries = [str(entry).partition("|") for entry in health.get(instance_id, ())]
        if not entries:
            return _NOT_REGISTERED[self.state], "not registered"
        read = [
            (STATUSES[self.state].get(state, ConditionStatus.UNKNOWN), _written(state, reason))
            for state, _, reason in entries
        ]
        of_all = worst(status for status, _ in read)
        return next(each for each in read if each[0] is of_all)

    def _own_groups(self, memory: Memory, reply: Reply) -> list[str]:
        own = reply.data if isinstance(reply.data, list) else []
        return [group for group in self.groups if memory["arns"][group] in own]


def _groups(field: Field) -> tuple[str, ...]:
    found = [attempt(_GROUP.read, element, "") for element in _GROUPS.elements(field)]
    if field.is_sound and len(set(found)) < len(found):
        raise field.refuse("must not name a target group twice")
    return tuple(found)


def _group_call(group: str, action: Action) -> Call:
    named = {"TargetGroupArns": [group]} if group.startswith("arn:") else {"Names": [group]}
    return Call(
        service="elbv2",
        operation="DescribeTargetGroups",
        all_pages=True,
        parameters=named,
        shared=Shared(member=group, reduced=_by_group, every=_ARN_EVERY),
        not_before=action.first_seen_at - _ARN_EVERY,
    )


def _health_call(arn: str) -> Call:
    return Call(
        service="elbv2",
        operation="DescribeTargetHealth",
        parameters={"TargetGroupArn": arn},
        shared=Shared(member=_ALL, reduced=_by_instance, every=_EVERY),
    )


def _own_call(action: Action) -> Call:
    return Call(
        service="autoscaling",
        operation="DescribeLoadBalancerTargetGroups",
        all_pages=True,
        parameters={"AutoScalingGroupName": action.hook.group},
        shared=Shared(member=_ALL, reduced=_own_arns, every=_OWN_EVERY),
        not_before=action.first_seen_at - _OWN_EVERY,
    )


def _resolved(memory: Memory, call: Call, reply: Reply) -> Found:
    """What DescribeTargetGroups says of one group: its ARN, and whether it shows instances at all."""
    group = call.shared.member if call.shared else ""
    arn, kind = text(reply.data, "arn"), text(reply.data, "type")
    if not arn or kind not in SHOWS_INSTANCES:
        detail = f"target group {_short(group)}: the answer cannot be read (type {kind or 'missing'})"
        return Found.unknown(detail, memory)
    if not SHOWS_INSTANCES[kind]:
        return Found.failed(
            f"target group {_short(group)} has targets of type {kind}: an instance never shows in it"
        )
    return Found.next_call({**memory, "arns": {**memory.get("arns", {}), group: arn}})


def _by_group(answer: object) -> dict[str, Any]:
    """The ARN and type of each group, under its name and under its ARN."""
    return {
        key: {"arn": text(group, "TargetGroupArn"), "type": text(group, "TargetType")}
        for group in members(answer, "TargetGroups")
        for key in (text(group, "TargetGroupName"), text(group, "TargetGroupArn"))
        if key
    }


def _by_instance(answer: object) -> dict[str, Any]:
    """Each instance's distinct `State|Reason`s; None for the whole where any of it is not understood."""
    health: dict[str, set[str]] = {}
    described = member(answer, "TargetHealthDescriptions")
    for target in described if isinstance(described, list) else [None]:
        instance_id = text(target, "Target", "Id")
        if not instance_id:
            return {_ALL: None}
        state, reason = (text(target, "TargetHealth", key) for key in ("State", "Reason"))
        health.setdefault(instance_id, set()).add(f"{state}|{reason}")
    return {_ALL: {instance_id: sorted(entries) for instance_id, entries in health.items()}}


def _own_arns(answer: object) -> dict[str, Any]:
    attached = members(answer, "LoadBalancerTargetGroups")
    return {_ALL: [text(group, "LoadBalancerTargetGroupARN") for group in attached]}


def _still_passed(memory: Memory, now: datetime) -> dict[str, str]:
    passed: Mapping[str, str] = memory.get("passed", {})
    return {arn: at for arn, at in passed.items() if now - iso_time.parse(at) < _PASSED_FOR}


def _written(state: str, reason: str) -> str:
    return f"{state or 'in no state'} ({reason})" if reason else state or "in no state"


def _about(call: Call) -> str:
    """The group that a call is about, as people call it."""
    arn = call.parameters.get("TargetGroupArn")
    asked = call.shared.member if call.shared and arn is None else arn
    return _short(str(asked))


def _short(group: str) -> str:
    """Its name, also of an ARN."""
    return group.split("/")[1] if group.startswith("arn:") else group
