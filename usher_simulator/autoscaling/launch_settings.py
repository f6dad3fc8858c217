"""What a group launches its instances from, and how groups and instances are described with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES: Final = ("LaunchTemplate", "LaunchConfigurationName", "MixedInstancesPolicy")
# What a new group must have, for those who do not care.
ANY_SOURCE: Final[dict[str, Any]] = {
    "LaunchTemplate": {"LaunchTemplateName": "any", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
}
_ANY_TYPE: Final = "t3.micro"  # no launch template is read: EC2 is not simulated
_INSTANCE_ID: Final = re.compile("i-[0-9a-f]+")
_ZONE_IDS: Final = {  # as one captured account has them
    "us-east-1a": "use1-az6",
    "us-east-1b": "use1-az1",
    "us-east-1c": "use1-az2",
    "us-east-1d": "use1-az4",
    "us-east-1e": "use1-az3",
    "us-east-1f": "use1-az5",
}


def zone_id(zone: str) -> str:
    """The id of an Availability Zone: which name has which id differs from account to account."""
    return _ZONE_IDS.get(zone, f"{zone}-id")


def check_template(asked: Mapping[str, Any]) -> None:
    """A template is named by its id or its name, and not by both."""
    of_policy = (asked.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    for template in (asked.get("LaunchTemplate"), of_policy.get("LaunchTemplateSpecification")):
        if template and bool(template.get("LaunchTemplateId")) == bool(template.get("LaunchTemplateName")):
            raise ApiError(
                "ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName"
            )


def check_new(asked: Mapping[str, Any]) -> None:
    """A new group must say what it launches, and where (aws-facts 11.1)."""
    check_template(asked)
    given = [name for name in (*SOURCES, "InstanceId") if asked.get(name)]
    if len(given) != 1:
        raise ApiError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    instance = asked.get("InstanceId")
    if instance and not _INSTANCE_ID.fullmatch(instance):
        raise ApiError("ValidationError", f"Instance [{instance}] is invalid.")
    if not (
        asked.get("AvailabilityZones") or asked.get("AvailabilityZoneIds") or asked.get("VPCZoneIdentifier")
    ):
        raise ApiError("ValidationError", "At least one Availability Zone or VPC Subnet is required.")


def changed(settings: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after an update: one source takes the place of another."""
    if any(asked.get(name) for name in SOURCES):
        settings = {key: value for key, value in settings.items() if key not in SOURCES}
    return {**settings, **asked}


def launch_members(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """How an instance that is launched now is described: its type, and what it was launched from."""
    if settings.get("LaunchConfigurationName"):
        return {"InstanceType": _ANY_TYPE, "LaunchConfigurationName": settings["LaunchConfigurationName"]}
    policy = settings.get("MixedInstancesPolicy") or {}
    of_policy = policy.get("LaunchTemplate") or {}
    overrides = of_policy.get("Overrides") or [{}]
    template = settings.get("LaunchTemplate") or of_policy.get("LaunchTemplateSpecification")
    members = {"InstanceType": overrides[0].get("InstanceType") or _ANY_TYPE}
    return members if template is None else {**members, "LaunchTemplate": template}
