"""The operations on hooks and lifecycle actions: constraints, defaults, answers and error texts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from usher_simulator.autoscaling.describe import hook as describe_hook
from usher_simulator.autoscaling.groups import Hook
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.lookups import group_of
from usher_simulator.autoscaling.moves import TRANSITION_NAMES
from usher_simulator.autoscaling.notifications import test_message
from usher_simulator.autoscaling.outside import Undeliverable
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from usher_simulator.autoscaling.engine import Fleet
    from usher_simulator.autoscaling.groups import Group
    from usher_simulator.autoscaling.lifecycle_actions import Wait
    from usher_simulator.autoscaling.lookups import Answer, Operations

_TRANSITIONS: Final = {name: transition for transition, name in TRANSITION_NAMES.items()}
MOST_HOOKS: Final = 50
_SHORTEST_S, _LONGEST_S = 30, 7200
_RESULTS: Final = ("CONTINUE", "ABANDON")


class HookOperations:
    """The six hook operations, and what the creation of a group shares with them."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.operations: Operations = {
            "PutLifecycleHook": self._put,
            "DescribeLifecycleHooks": self._describe,
            "DescribeLifecycleHookTypes": self._describe_types,
            "DeleteLifecycleHook": self._delete,
            "RecordLifecycleActionHeartbeat": self._heartbeat,
            "CompleteLifecycleAction": self._complete,
        }

    def _put(self, asked: Mapping[str, Any], request_id: str) -> Answer:
        """PutLifecycleHook: creates, or changes what is given."""
        group, hook = self._asked(asked)
        if asked.get("NotificationTargetARN") and (
            hook.name not in group.hooks or self._fleet.assumptions.update_sends_test
        ):
            self.send_test(group, hook, request_id)
            group, hook = self._asked(asked)
        group.hooks[hook.name] = hook
        return {}

    def _asked(self, asked: Mapping[str, Any]) -> tuple[Group, Hook]:
        """The group as it is now, and the hook as it shall be there."""
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        known = group.hooks.get(asked["LifecycleHookName"])
        if known is None:
            _check_count(len(group.hooks) + 1)
        return group, hook_of(asked, known)

    def send_test(self, group: Group, hook: Hook, request_id: str) -> None:
        """The test message goes out within the call; where it cannot, nothing is put (aws-facts 1.2).

        Until it is taken others may change whatever is there.
        """
        body = test_message(group, request_id, self._fleet.clock())
        try:
            self._fleet.outside.notify(
                hook, body, f'Auto Scaling: test notification for group "{group.name}"'
            )
        except Undeliverable:
            raise ApiError(
                "ValidationError",
                f"Unable to publish test message to notification target {hook.target_arn} using IAM role "
                f"{hook.role_arn}. Please check your target and role configuration and try to put lifecycle "
                "hook again.",
            ) from None

    def _describe(self, asked: Mapping[str, Any], _: str) -> Answer:
        """DescribeLifecycleHooks, with the global timeout."""
        group = group_of(self._fleet, asked["AutoScalingGroupName"])
        wanted = asked.get("LifecycleHookNames")
        hooks = [hook for hook in group.hooks.values() if not wanted or hook.name in wanted]
        return {"LifecycleHooks": [describe_hook(hook, group) for hook in hooks]}

    def _describe_types(self, _: Mapping[str, Any], __: str) -> Answer:
        """DescribeLifecycleHookTypes."""
        return {"LifecycleHookTypes": list(_TRANSITIONS)}

    def _delete(self, asked: Mapping[str, Any], _: str) -> Answer:
        """DeleteLifecycleHook."""
        group, name = group_of(self._fleet, asked["AutoScalingGroupName"]), asked["LifecycleHookName"]
        if name not in group.hooks:
            raise ApiError(
                "ValidationError", f"No Lifecycle Hook found with name '{name}' for group '{group.name}'"
            )
        self._fleet.end_hook(group, name)
        return {}

    def _heartbeat(self, asked: Mapping[str, Any], _: str) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        self._fleet.waits.heartbeat(self._active(asked))
        return {}

    def _complete(self, asked: Mapping[str, Any], _: str) -> Answer:
        """CompleteLifecycleAction."""
        result = asked["LifecycleActionResult"]
        if result not in _RESULTS:
            raise ApiError(
                "ValidationError", f"Lifecycle Action Result {result} is invalid: use CONTINUE or ABANDON."
            )
        self._fleet.waits.end(self._active(asked), result, EndedBy.CALL)
        return {}

    def _active(self, asked: Mapping[str, Any]) -> Wait:
        token, instance_id = asked.get("LifecycleActionToken"), asked.get("InstanceId")
        if token is None and instance_id is None:
            raise ApiError("ValidationError", "Either LifecycleActionToken or InstanceId must be specified.")
        if instance_id is not None and not self._fleet.assumptions.token_wins:
            token = None
        group, hook = asked["AutoScalingGroupName"], asked["LifecycleHookName"]
        return self._fleet.waits.active(group, hook, token, instance_id)


def hooks_of(specified: Sequence[Mapping[str, Any]]) -> list[Hook]:
    """The hooks that come with a new group: one target and role for all (aws-facts 1.3)."""
    hooks = [hook_of(hook, None) for hook in specified]
    _check_count(len(hooks))
    if len({hook.name for hook in hooks}) < len(hooks):
        raise ApiError("ValidationError", "Lifecycle hook names must be unique within a group.")
    if len({(hook.target_arn, hook.role_arn) for hook in hooks}) > 1:
        raise ApiError(
            "ValidationError", "All lifecycle hooks must have the same notification target and role."
        )
    return hooks


def _check_count(hooks: int) -> None:
    if hooks > MOST_HOOKS:
        raise ApiError(
            "LimitExceeded", f"You have reached the limit of {MOST_HOOKS} lifecycle hooks for this group."
        )


def hook_of(asked: Mapping[str, Any], known: Hook | None) -> Hook:
    """The hook that a request describes; what it leaves out stays as it was (aws-facts 1.1)."""
    if known is None and not asked.get("LifecycleTransition"):
        raise ApiError("ValidationError", "LifecycleTransition is required for a new lifecycle hook.")
    transition = asked.get("LifecycleTransition")
    if transition is not None and transition not in _TRANSITIONS:
        raise ApiError(
            "ValidationError",
            f"{transition} is not a valid lifecycle transition: use {' or '.join(_TRANSITIONS)}.",
        )
    timeout = asked.get("HeartbeatTimeout")
    if timeout is not None and not _SHORTEST_S <= timeout <= _LONGEST_S:
        raise ApiError(
            "ValidationError", f"HeartbeatTimeout must be between {_SHORTEST_S} and {_LONGEST_S} seconds."
        )
    result = asked.get("DefaultResult")
    if result is not None and result not in _RESULTS:
        raise ApiError("ValidationError", f"DefaultResult {result} is invalid: use CONTINUE or ABANDON.")
    fresh = Hook(name=asked["LifecycleHookName"], transition="launching")
    before = known or fresh
    target = asked.get("NotificationTargetARN", before.target_arn)
    hook = Hook(
        name=before.name,
        transition=_TRANSITIONS.get(transition or "", before.transition),
        heartbeat_timeout=before.heartbeat_timeout if timeout is None else timedelta(seconds=timeout),
        default_result=result or before.default_result,
        target_arn=target or None,
        role_arn=asked.get("RoleARN", before.role_arn),
        metadata=asked.get("NotificationMetadata", before.metadata),
    )
    _check_target(hook)
    return hook


def _check_target(hook: Hook) -> None:
    """What AWS takes as a target (aws-facts 1.1, 3.6). Whether it is an ARN at all its test message shows."""
    arn = hook.target_arn or ""
    if arn.split(":")[2:3] in (["sqs"], ["sns"]) and not hook.role_arn:
        raise ApiError("ValidationError", "A notification target on SQS or SNS needs a RoleARN.")
    if arn.endswith(".fifo"):
        raise ApiError("ValidationError", "A FIFO queue or topic cannot be a notification target.")
