"""Finds the container instance of an EC2 instance, in the cluster that is named or in one after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.core.conditions.ecs.answers import texts
from usher.core.conditions.ecs.memory import Registration, Search
from usher.core.conditions.probe import Call, Shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action

AT_ONCE: Final = 3  # clusters, of the few calls of one turn
_LIST_SERVES: Final = timedelta(minutes=1)
_MOST_LEFT: Final = 50  # clusters that are remembered at once


def list_clusters(action: Action, *, late: bool) -> Call:
    """A list from before the action serves to find the instance, but not to say that it is nowhere."""
    return Call(
        service="ecs",
        operation="ListClusters",
        all_pages=True,
        shared=Shared(member="all", reduced=_for_all, every=_LIST_SERVES),
        not_before=action.first_seen_at if late else action.first_seen_at - _LIST_SERVES,
    )


def _for_all(data: object) -> Mapping[str, object]:
    return {"all": data}


def list_instances(action: Action, cluster: str) -> Call:
    """Without a status it lists all but INACTIVE ones."""
    parameters = {"cluster": cluster, "filter": f"ec2InstanceId == {action.instance_id}"}
    return Call(service="ecs", operation="ListContainerInstances", parameters=parameters, all_pages=True)


def with_clusters(before: Search | None, action: Action, call: Call, data: object) -> Search:
    """Some clusters are remembered, and where the search goes on: the list is read again then."""
    after = before.after if before else ""
    left = [arn for arn in sorted(texts(data, "clusterArns")) if arn > after]
    return Search(
        left=tuple(left[:_MOST_LEFT]),
        more=len(left) > _MOST_LEFT,
        late=before.late if before else call.not_before == action.first_seen_at,
        after=after,
        searched=before.searched if before else 0,
    )


def found_in(call: Call, data: object) -> Registration | None:
    """The container instance that the cluster has of the instance."""
    instances = texts(data, "containerInstanceArns")
    return Registration.of(call.parameters["cluster"], instances) if instances else None
