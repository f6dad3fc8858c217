"""The tags of groups, and the operations on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.pages import Page, page_of
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lookups import Answer, Operations

_KIND: Final = "auto-scaling-group"
_MEMBERS: Final = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
_PAGE: Final = Page(default=50, most=100)


class TagOperations:
    """CreateOrUpdateTags, DeleteTags, DescribeTags."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "CreateOrUpdateTags": self._put,
            "DeleteTags": self._delete,
            "DescribeTags": self._describe,
        }

    def _put(self, asked: Mapping[str, Any], _: str) -> Answer:
        for tag in asked["Tags"]:
            group = self._group(tag)
            others = [one for one in group.settings.get("Tags") or [] if one["Key"] != tag["Key"]]
            group.settings["Tags"] = [*others, described(tag, group.name)]
        return {}

    def _delete(self, asked: Mapping[str, Any], _: str) -> Answer:
        for gone in asked["Tags"]:
            settings = self._group(gone).settings
            settings["Tags"] = [tag for tag in settings.get("Tags") or [] if tag["Key"] != gone["Key"]]
        return {}

    def _group(self, tag: Mapping[str, Any]) -> Group:
        return group_of(self._fleet, tag.get("ResourceId") or "")

    def _describe(self, asked: Mapping[str, Any], _: str) -> Answer:
        filters = asked.get("Filters") or []
        found = [
            tag
            for group in self._fleet.groups.values()
            for tag in group.settings.get("Tags") or []
            if all(_fits(tag, wanted) for wanted in filters)
        ]
        page, token = page_of(found, asked, _PAGE)
        return {"Tags": page, "NextToken": token}


def described(tag: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    """A tag with what is filled in where it was left out (aws-facts 11.2)."""
    return {
        "ResourceId": group,
        "ResourceType": _KIND,
        "Key": tag["Key"],
        "Value": tag.get("Value") or "",
        "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch")),
    }


def has_tags(group: Group, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a group passes every filter of DescribeAutoScalingGroups."""
    tags = {tag["Key"]: tag["Value"] for tag in group.settings.get("Tags") or []}
    for wanted in filters:
        name, values = wanted["Name"], wanted.get("Values") or []
        if name.startswith("tag:"):
            fits = tags.get(name.removeprefix("tag:")) in values
        elif name in ("tag-key", "tag-value"):
            fits = bool(set(values) & set(tags if name == "tag-key" else tags.values()))
        else:
            raise ApiError("ValidationError", f"Filter type {name} is not correct.")
        if not fits:
            return False
    return True


def _fits(tag: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    name, values = wanted["Name"], wanted.get("Values") or []
    if name == "propagate-at-launch":
        return str(tag["PropagateAtLaunch"]).lower() in [value.lower() for value in values]
    if name not in _MEMBERS:
        raise ApiError("ValidationError", f"Filter type {name} is not correct.")
    return tag[_MEMBERS[name]] in values
