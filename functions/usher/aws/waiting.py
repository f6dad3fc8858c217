"""The describe calls of a reconcile pass: what waits in the groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from usher.aws.groups import GroupsApi, asked_of
from usher.core.live_waits import Activity, LiveGroup, Member
from usher.ports.errors import CallRefused, GroupGone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import (
        ActivityTypeDef,
        AutoScalingGroupTypeDef,
        InstanceTypeDef,
    )

    from usher.core.hook_items import HookSeen

_PAGE: Final = 100  # groups, names of groups and activities; of instances a warm pool shows 50
_MOST_ACTIVITY_PAGES: Final = 5  # newest first: what goes on stands in front
_INSTANCE: Final = re.compile(r"\bi-[0-9a-f]{8,17}\b")
_GONE: Final = "not found"


class WaitingApi:
    """Implements usher.ports.autoscaling.LiveWaits.

    `client` must make one attempt at each call, as for AutoScalingApi.
    """

    def __init__(self, client: AutoScalingClient) -> None:
        self._client = client
        self._hooks = GroupsApi(client)

    def live_groups(
        self, names: Collection[str] | None, next_slot: Callable[[], datetime]
    ) -> Iterator[LiveGroup]:
        """DescribeAutoScalingGroups: a hundred groups a call. Names that are no group's are passed over."""
        if names is None:
            yield from self._groups_of({}, next_slot)
            return
        wanted = sorted(names)
        for first in range(0, len(wanted), _PAGE):
            yield from self._groups_of({"AutoScalingGroupNames": wanted[first : first + _PAGE]}, next_slot)

    def _groups_of(self, asked: dict[str, Any], next_slot: Callable[[], datetime]) -> Iterator[LiveGroup]:
        call = self._client.describe_auto_scaling_groups
        for page, seen_at in _pages(call, {**asked, "MaxRecords": _PAGE}, next_slot):
            for group in page["AutoScalingGroups"]:
                yield _group(group, seen_at)

    def pool(self, group: str, next_slot: Callable[[], datetime]) -> Sequence[Member]:
        """DescribeWarmPool, all pages."""
        pages = _pages(self._client.describe_warm_pool, {"AutoScalingGroupName": group}, next_slot)
        return [_member(instance) for page, _ in pages for instance in page["Instances"]]

    def ongoing(
        self, group: str, instances: Collection[str], next_slot: Callable[[], datetime]
    ) -> Mapping[str, Activity]:
        """DescribeScalingActivities, page by page, until all of the instances are found."""
        asked = {"AutoScalingGroupName": group, "MaxRecords": _PAGE}
        found: dict[str, Activity] = {}
        pages = _pages(self._client.describe_scaling_activities, asked, next_slot)
        for _, (page, _) in zip(range(_MOST_ACTIVITY_PAGES), pages, strict=False):
            for activity in map(_activity, page["Activities"]):
                if activity is not None and activity.instance_id in instances:
                    found.setdefault(activity.instance_id, activity)
            if len(found) == len(instances):
                break
        return found

    def has_ended(self, activity_id: str) -> bool:
        """DescribeScalingActivities. Those of deleted groups are not shown: they are over."""
        page = asked_of(self._client.describe_scaling_activities, ActivityIds=[activity_id])
        return all("EndTime" in activity for activity in page["Activities"])

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        """See usher.ports.autoscaling.LiveGroups."""
        return self._hooks.hooks_of(group)


def _pages(
    call: Callable[..., Any], asked: Mapping[str, Any], next_slot: Callable[[], datetime]
) -> Iterator[tuple[Any, datetime]]:
    """Each page with the moment before it was asked for."""
    token: dict[str, str] = {}
    while True:
        seen_at = next_slot()
        try:
            page = asked_of(call, **asked, **token)
        except CallRefused as refusal:
            if _GONE in str(refusal):
                raise GroupGone(str(refusal)) from refusal
            raise
        yield page, seen_at
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _group(group: AutoScalingGroupTypeDef, seen_at: datetime) -> LiveGroup:
    members = [_member(instance) for instance in group.get("Instances", [])]
    has_pool = "WarmPoolConfiguration" in group
    return LiveGroup(
        name=group["AutoScalingGroupName"],
        tags=tuple((tag["Key"], tag.get("Value", "")) for tag in group.get("Tags", [])),
        members={member.instance_id: member for member in members},
        has_pool=has_pool,
        seen_at=seen_at,
        is_whole=not has_pool,
        arn=group.get("AutoScalingGroupARN", ""),
    )


def _member(instance: InstanceTypeDef) -> Member:
    return Member(
        instance_id=instance["InstanceId"],
        state=instance["LifecycleState"],
        is_healthy=instance["HealthStatus"].lower() != "unhealthy",
    )


def _activity(activity: ActivityTypeDef) -> Activity | None:
    """An activity that goes on, of the instance that its description names."""
    description = activity.get("Description", "")
    named = _INSTANCE.search(description)
    if named is None or "EndTime" in activity:
        return None
    return Activity(
        id=activity["ActivityId"],
        instance_id=named.group(),
        started_at=activity["StartTime"],
        description=description,
        cause=activity.get("Cause", ""),
    )
