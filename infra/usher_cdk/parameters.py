"""The parameters of the template of `usher install`, and the conditions on them."""

from __future__ import annotations

from typing import Any, Final

TAG_KEY: Final = "usher"  # that a group must carry, with the value of TagValue
_DAYS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)


def _text(description: str, pattern: str, default: str | None = "") -> dict[str, Any]:
    default_value = {} if default is None else {"Default": default}
    return {"Type": "String", "Description": description, "AllowedPattern": pattern, **default_value}


def _arns(description: str) -> dict[str, Any]:
    return {"Type": "CommaDelimitedList", "Description": description, "Default": ""}


PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "CodeBucket": _text("The bucket with the functions' zip, in this Region.", r"[a-z0-9.-]{3,63}", None),
    "CodeKey": _text("The key of the functions' zip in it.", r".{1,1024}", None),
    "TagValue": _text(
        f"Usher may put and delete hooks only on groups with the tag {TAG_KEY} of this value.",
        r"[A-Za-z0-9_.:/=+@ -]{1,256}",
        "managed",
    ),
    "AlarmEmail": _text("Where alarms go, if anywhere.", r"([^\s@/]+@[^\s@/]+)?"),
    "ForwardTo": _text(
        "The event bus that hears of events out and alarms, if any, such as one of the operators' account.",
        r"(arn:[a-z0-9-]+:events:[a-z0-9-]+:\d{12}:event-bus/[A-Za-z0-9_./-]{1,256})?",
    ),
    "KeyArn": _text(
        "The KMS key for data at rest, if any: docs/install.md. Do not change it while instances wait.",
        r"(arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key/\S+)?",
    ),
    "LogRetentionDays": {
        "Type": "Number",
        "Description": "How long logs are kept.",
        "AllowedValues": list(_DAYS),
        "Default": 30,
    },
    "Dashboard": {
        "Type": "String",
        "Description": "Whether to make a dashboard.",
        "AllowedValues": ["yes", "no"],
        "Default": "yes",
    },
    "PermissionsBoundary": _text(
        "The policy that bounds every role made here, if any.",
        r"(arn:[a-z0-9-]+:iam::(\d{12}|aws):policy/\S+)?",
    ),
    "RolePath": _text(
        "The path of every role made here. It cannot be changed later: hooks point at a role.",
        r"/([!-~]{1,510}/)?",
        "/",
    ),
    "CallsPerSecond": {
        "Type": "Number",
        "Description": "The Auto Scaling calls per second that Usher may make.",
        "MinValue": 0.1,
        "MaxValue": 1000,
        "Default": 10,
    },
    "FunctionArns": _arns("The Lambda functions that conditions may invoke."),
    "DocumentArns": _arns("The SSM documents that conditions may run on the account's instances."),
    "ClusterArns": _arns("The ECS clusters that conditions may read, and drain instances in."),
}


def _has(parameter: str) -> dict[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


def _has_any(parameter: str) -> dict[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": parameter}]}, ""]}]}


CONDITIONS: Final[dict[str, dict[str, Any]]] = {
    "HasAlarmEmail": _has("AlarmEmail"),
    "HasForwardTo": _has("ForwardTo"),
    "HasKey": _has("KeyArn"),
    "HasDashboard": {"Fn::Equals": [{"Ref": "Dashboard"}, "yes"]},
    "HasPermissionsBoundary": _has("PermissionsBoundary"),
    "HasFunctions": _has_any("FunctionArns"),
    "HasDocuments": _has_any("DocumentArns"),
    "HasClusters": _has_any("ClusterArns"),
}
