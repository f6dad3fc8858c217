"""The Auto Scaling calls on groups and their hooks, for the enrolment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import ClientError, HTTPClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from usher.aws.autoscaling import error_answer
from usher.core.action import Result, Transition
from usher.core.hook_items import GroupSeen, HookSeen, HookSettings
from usher.ports.autoscaling import AnswerKind
from usher.ports.errors import CallRefused, GroupGone, Throttled, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef, LifecycleHookTypeDef

    from usher.core.hook_items import Enrolled

_WIRE: Final = {
    Transition.LAUNCHING: "autoscaling:EC2_INSTANCE_LAUNCHING",
    Transition.TERMINATING: "autoscaling:EC2_INSTANCE_TERMINATING",
}
_TRANSITIONS: Final = {wire: transition for transition, wire in _WIRE.items()}
_GROUPS_OF_A_PAGE: Final = 100
_SECOND: Final = timedelta(seconds=1)

# AWS gives these no code of their own (aws-facts 1.1).
_GROUP_GONE: Final = "AutoScalingGroup name not found"
_HOOK_GONE: Final = "No Lifecycle Hook found"


class GroupsApi:
    """Implements usher.ports.autoscaling.Groups.

    `client` must make one attempt at each call, as for AutoScalingApi.
    """

    def __init__(self, client: AutoScalingClient) -> None:
        self._client = client

    def groups(self, next_slot: Callable[[], object] = lambda: None) -> Sequence[GroupSeen]:
        """DescribeAutoScalingGroups, all pages, without the instances."""
        return [group_seen(described) for described in self.descriptions(next_slot)]

    def descriptions(
        self, next_slot: Callable[[], object] = lambda: None
    ) -> Iterator[AutoScalingGroupTypeDef]:
        """Likewise, as Auto Scaling tells them."""
        asked: dict[str, Any] = {"IncludeInstances": False, "MaxRecords": _GROUPS_OF_A_PAGE}
        while True:
            next_slot()
            page = asked_of(self._client.describe_auto_scaling_groups, **asked)
            yield from page["AutoScalingGroups"]
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    def hooks_of(self, group: str) -> Sequence[HookSeen]:
        """DescribeLifecycleHooks, which has no pages."""
        answer = asked_of(self._client.describe_lifecycle_hooks, AutoScalingGroupName=group)
        return [_hook(hook) for hook in answer["LifecycleHooks"]]

    def put_hook(self, record: Enrolled) -> None:
        """PutLifecycleHook. What is left out of a change stays as it was; an empty target takes it off."""
        settings, before = record.settings, record.before
        target = settings.target_arn or ("" if before and before.target_arn else None)
        optional = {
            "LifecycleTransition": settings.transition and _WIRE[settings.transition],
            "NotificationTargetARN": target,
            "RoleARN": settings.role_arn,
            "NotificationMetadata": settings.metadata,
        }
        asked_of(
            self._client.put_lifecycle_hook,
            AutoScalingGroupName=record.group,
            LifecycleHookName=record.hook,
            HeartbeatTimeout=settings.heartbeat_timeout // _SECOND,
            DefaultResult=str(settings.default_result),
            **{name: value for name, value in optional.items() if value is not None},
        )

    def delete_hook(self, record: Enrolled) -> None:
        """DeleteLifecycleHook."""
        call = self._client.delete_lifecycle_hook
        try:
            asked_of(call, AutoScalingGroupName=record.group, LifecycleHookName=record.hook)
        except CallRefused as refusal:
            if _HOOK_GONE not in str(refusal):
                raise


def group_seen(group: AutoScalingGroupTypeDef) -> GroupSeen:
    """A group, as it is described."""
    return GroupSeen(
        name=group["AutoScalingGroupName"],
        arn=group.get("AutoScalingGroupARN", ""),
        tags=tuple((tag["Key"], tag.get("Value", "")) for tag in group.get("Tags", [])),
        is_ending="Status" in group,  # it is set only while a group is being deleted
        operator=group.get("Operator", {}).get("Principal"),
        retains=_retains(group),
    )


def _retains(group: AutoScalingGroupTypeDef) -> bool:
    """Whether its instance lifecycle policy says so; without one nothing is retained."""
    triggers = group.get("InstanceLifecyclePolicy", {}).get("RetentionTriggers", {})
    return triggers.get("TerminateHookAbandon") == "retain"


def _hook(hook: LifecycleHookTypeDef) -> HookSeen:
    settings = HookSettings(
        transition=_TRANSITIONS.get(hook["LifecycleTransition"]),
        heartbeat_timeout=hook["HeartbeatTimeout"] * _SECOND,
        default_result=Result(hook["DefaultResult"]),
        target_arn=hook.get("NotificationTargetARN"),
        role_arn=hook.get("RoleARN"),
        metadata=hook.get("NotificationMetadata"),
    )
    return HookSeen(name=hook["LifecycleHookName"], settings=settings)


def asked_of(call: Callable[..., Any], **parameters: object) -> Any:  # noqa: ANN401 - of any operation
    """What Auto Scaling answers, or the error that says what to do about it."""
    try:
        return call(**parameters)
    except ClientError as error:
        answer = error_answer(error)
        if answer.kind is AnswerKind.BUSY:
            raise Throttled(answer.text) from error
        if answer.kind is not AnswerKind.REFUSED:
            raise TryLater(answer.text) from error
        if _GROUP_GONE in answer.text:
            raise GroupGone(answer.text) from error
        raise CallRefused(answer.text) from error
    except ParamValidationError as error:
        raise CallRefused(str(error)) from error
    except (botocore_exceptions.ConnectionError, HTTPClientError, ResponseParserError) as error:
        raise TryLater(type(error).__name__) from error
