"""What is attached to a group and described again: load balancers, metrics, notification configurations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.describe import traffic_sources
from usher_simulator.autoscaling.lists import GRANULARITY, METRICS, NOTIFICATION_TYPES
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.pages import Page, page_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lookups import Answer, Operations


@dataclass(frozen=True, kw_only=True, slots=True)
class _Balancers:
    """Load balancers of one kind: the member that lists them, and how each is described."""

    member: str
    described: str
    name: str


_TARGET_GROUPS: Final = _Balancers(
    member="TargetGroupARNs", described="LoadBalancerTargetGroups", name="LoadBalancerTargetGroupARN"
)
_CLASSIC: Final = _Balancers(member="LoadBalancerNames", described="LoadBalancers", name="LoadBalancerName")
_BALANCERS_PAGE: Final = Page(default=100, most=100)
_SOURCES_PAGE: Final = Page(default=50, most=50)
_NOTIFICATIONS_PAGE: Final = Page(default=50, most=100)
_MEMBERS_OF_TYPES: Final = {"elbv2": "TargetGroupARNs", "elb": "LoadBalancerNames"}
_MOST_TOPICS: Final = 10


class AttachmentOperations:
    """Attach, Detach and Describe of load balancers and traffic sources; metrics; notification topics."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "AttachLoadBalancerTargetGroups": partial(self._attach, _TARGET_GROUPS),
            "DetachLoadBalancerTargetGroups": partial(self._detach, _TARGET_GROUPS),
            "DescribeLoadBalancerTargetGroups": partial(self._describe, _TARGET_GROUPS),
            "AttachLoadBalancers": partial(self._attach, _CLASSIC),
            "DetachLoadBalancers": partial(self._detach, _CLASSIC),
            "DescribeLoadBalancers": partial(self._describe, _CLASSIC),
            "AttachTrafficSources": self._attach_sources,
            "DetachTrafficSources": self._detach_sources,
            "DescribeTrafficSources": self._describe_sources,
            "EnableMetricsCollection": self._enable_metrics,
            "DisableMetricsCollection": self._disable_metrics,
            "PutNotificationConfiguration": self._put_notifications,
            "DeleteNotificationConfiguration": self._delete_notifications,
            "DescribeNotificationConfigurations": self._describe_notifications,
        }

    def _group(self, asked: Mapping[str, Any]) -> Group:
        return group_of(self._fleet, asked["AutoScalingGroupName"])

    def _attach(self, kind: _Balancers, asked: Mapping[str, Any], _: str) -> Answer:
        self._add(self._group(asked), kind.member, asked[kind.member])
        return {}

    def _detach(self, kind: _Balancers, asked: Mapping[str, Any], _: str) -> Answer:
        self._take(self._group(asked), kind.member, asked[kind.member])
        return {}

    def _describe(self, kind: _Balancers, asked: Mapping[str, Any], _: str) -> Answer:
        names = self._group(asked).settings.get(kind.member) or []
        page, token = page_of(names, asked, _BALANCERS_PAGE)
        return {kind.described: [{kind.name: name, "State": "Added"} for name in page], "NextToken": token}

    def _attach_sources(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked)
        for member, names in _by_member(asked["TrafficSources"]).items():
            self._add(group, member, names)
        return {}

    def _detach_sources(self, asked: Mapping[str, Any], _: str) -> Answer:
        group = self._group(asked)
        for member, names in _by_member(asked["TrafficSources"]).items():
            self._take(group, member, names)
        return {}

    def _describe_sources(self, asked: Mapping[str, Any], _: str) -> Answer:
        found = [
            {**source, "TrafficSource": source["Identifier"], "State": "Added"}
            for source in traffic_sources(self._group(asked).settings)
            if asked.get("TrafficSourceType") in (None, source["Type"])
        ]
        page, token = page_of(found, asked, _SOURCES_PAGE)
        return {"TrafficSources": page, "NextToken": token}

    def _add(self, group: Group, member: str, names: Sequence[Any]) -> None:
        before = group.settings.get(member) or []
        new = [name for name in names if name not in before]
        self._tell(group, {member: new}, self._fleet.outside.register)
        group.settings[member] = [*before, *new]

    def _take(self, group: Group, member: str, names: Sequence[Any]) -> None:
        before = group.settings.get(member) or []
        unknown = [name for name in names if name not in before]
        if unknown:
            raise ApiError("ValidationError", f"{unknown[0]} is not attached to the group {group.name}.")
        self._tell(group, {member: names}, self._fleet.outside.deregister)
        group.settings[member] = [name for name in before if name not in names]

    def _tell(self, group: Group, of_these: Mapping[str, Any], do: Callable[[Group, str], None]) -> None:
        """Register or deregister what is in service, with these load balancers alone."""
        only = replace(group, settings=dict(of_these))
        for instance in group.instances.values():
            if instance.state == "InService":
                do(only, instance.id)

    def _enable_metrics(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, wanted = self._group(asked), asked.get("Metrics") or METRICS
        if asked["Granularity"] != GRANULARITY:
            raise ApiError("ValidationError", f"Granularity must be {GRANULARITY}.")
        _check_known(wanted, METRICS, "metric")
        enabled = {one["Metric"] for one in group.settings.get("EnabledMetrics") or []} | set(wanted)
        group.settings["EnabledMetrics"] = [
            {"Metric": metric, "Granularity": GRANULARITY} for metric in METRICS if metric in enabled
        ]
        return {}

    def _disable_metrics(self, asked: Mapping[str, Any], _: str) -> Answer:
        group, gone = self._group(asked), asked.get("Metrics") or METRICS
        before = group.settings.get("EnabledMetrics") or []
        group.settings["EnabledMetrics"] = [one for one in before if one["Metric"] not in gone]
        return {}

    def _put_notifications(self, asked: Mapping[str, Any], _: str) -> Answer:
        """Kept and described; nothing is sent to the topic (simplified)."""
        group, topic = self._group(asked), asked["TopicARN"]
        _check_known(asked["NotificationTypes"], NOTIFICATION_TYPES, "notification type")
        if topic not in group.notifications and len(group.notifications) == _MOST_TOPICS:
            raise ApiError("LimitExceeded", f"A group has at most {_MOST_TOPICS} notification topics.")
        group.notifications[topic] = list(asked["NotificationTypes"])
        return {}

    def _delete_notifications(self, asked: Mapping[str, Any], _: str) -> Answer:
        self._group(asked).notifications.pop(asked["TopicARN"], None)
        return {}

    def _describe_notifications(self, asked: Mapping[str, Any], _: str) -> Answer:
        names, with_managed = asked.get("AutoScalingGroupNames"), asked.get("IncludeManagedResources", True)
        found = [
            {"AutoScalingGroupName": group.name, "TopicARN": topic, "NotificationType": kind}
            for group in self._fleet.groups.values()
            if (not names or group.name in names) and (with_managed or group.operator is None)
            for topic, kinds in group.notifications.items()
            for kind in kinds
        ]
        page, token = page_of(found, asked, _NOTIFICATIONS_PAGE)
        return {"NotificationConfigurations": page, "NextToken": token}


def _by_member(sources: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Traffic sources by the member of the group that lists them: some have one of their own."""
    found: dict[str, list[Any]] = {}
    for source in sources:
        member = _MEMBERS_OF_TYPES.get(source.get("Type", ""), "TrafficSources")
        entry = dict(source) if member == "TrafficSources" else source["Identifier"]
        found.setdefault(member, []).append(entry)
    return found


def _check_known(wanted: Sequence[str], known: Sequence[str], noun: str) -> None:
    for one in wanted:
        if one not in known:
            raise ApiError("ValidationError", f"{one} is not a valid {noun}.")
