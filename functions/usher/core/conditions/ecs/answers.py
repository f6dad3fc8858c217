"""What ECS is asked of a container instance, and how its answers are read.

One answer serves all of a cluster that are asked about. A part of a list says nothing of what is not in it.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher.core.conditions.answer import member, members, text
from usher.core.conditions.probe import Call, Shared
from usher.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.conditions.ecs.memory import Registration

_ANSWER_SERVES: Final = timedelta(seconds=15)  # less than until the next turn, which must see anew


class Incomplete(Exception):  # noqa: N818 - it reads as what happened
    """An answer does not have what it should have."""


def texts(data: object, key: str) -> tuple[str, ...]:
    """A whole list of texts. Raises Incomplete."""
    found = member(data, key)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Incomplete(f"list {key}")
    if member(data, "nextToken"):
        raise Incomplete("last page")
    return tuple(found)


def by_arn(data: object, key: str, arn: str) -> Mapping[str, object]:
    """The members of a list that have an ARN; what is not so is left out."""
    return {text(each, arn): each for each in members(data, key) if text(each, arn)}


def short(arn: str) -> str:
    """The end of an ARN, as people call what it names."""
    return arn.rsplit("/", 1)[-1]


def describe(kept: Registration) -> Call:
    """After DRAINING was asked for only what is of later counts."""
    return Call(
        service="ecs",
        operation="DescribeContainerInstances",
        parameters={"cluster": kept.cluster},
        shared=Shared(
            member=kept.instance,
            members_in="containerInstances",
            reduced=partial(_reduced, kept.instance.removesuffix(short(kept.instance))),
            every=_ANSWER_SERVES,
        ),
        not_before=kept.sent_at,
    )


def _reduced(family: str, data: object) -> Mapping[str, Any]:
    """By ARN. That of a failure may lack the cluster's name, so it stands under both spellings."""
    failures = {arn: text(failure, "reason") for arn, failure in by_arn(data, "failures", "arn").items()}
    instances = by_arn(data, "containerInstances", "containerInstanceArn")
    return {
        **{spelt: {"failure": why} for arn, why in failures.items() for spelt in (arn, family + short(arn))},
        **{
            arn: {
                "status": member(instance, "status"),
                "reason": member(instance, "statusReason"),
                "connected": member(instance, "agentConnected"),
                "running": member(instance, "runningTasksCount"),
                "pending": member(instance, "pendingTasksCount"),
            }
            for arn, instance in instances.items()
        },
    }


@frozen
class Description:
    """One container instance, as ECS describes it."""

    id: str
    status: str
    reason: str
    connected: bool  # its agent: without it ECS learns nothing of its tasks
    counts: tuple[int, int] | None  # of tasks that run, and that are about to

    def __str__(self) -> str:
        agent = "connected" if self.connected else "not connected"
        why = f" ({self.reason})" if self.reason else ""
        return f"container instance {self.id} is {self.status}{why}, its agent {agent}"


def read(arn: str, described: object) -> Description | str:
    """What stands in an answer to `describe`; or why ECS does not describe it. Raises Incomplete."""
    if isinstance(failure := member(described, "failure"), str):
        return failure
    status, connected = text(described, "status"), member(described, "connected")
    if not status:
        raise Incomplete(f"status of container instance {short(arn)}")
    if not isinstance(connected, bool):
        raise Incomplete("word whether the agent is connected")
    running, pending = member(described, "running"), member(described, "pending")
    counts = (running, pending) if isinstance(running, int) and isinstance(pending, int) else None
    return Description(
        id=short(arn), status=status, reason=text(described, "reason"), connected=connected, counts=counts
    )


def read_own(arn: str, data: object) -> Description | str:
    """The same of a whole answer, as ECS gives it. Raises Incomplete."""
    return read(arn, _reduced(arn.removesuffix(short(arn)), data).get(arn))
