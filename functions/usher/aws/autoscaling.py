"""The Auto Scaling calls on lifecycle actions, and the one place that reads Auto Scaling's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.parsers import ResponseParserError

from usher.ports import Answer, AnswerKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.model import Action, Result

# Neither is modelled in botocore, so text and code are matched here (aws-facts 1.2).
_NO_ACTIVE_ACTION: Final = "No active Lifecycle Action found"
# Also of the warm pool, `Warmed:Pending`.
_BEFORE_A_WAIT: Final = ("Pending", "Terminating", "ReplacingRootVolume", "RootVolumeReplaced")
_BUSY: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "RateExceeded", "ResourceContention"}
)
_SERVER_ERROR: Final = 500


class AutoScalingApi:
    """Implements usher.ports.AutoScaling.

    `client` must make one attempt at each call: the SDK's own retries would hide what happened,
    and could outlast a 30-second hook.
    """

    def __init__(self, client: AutoScalingClient) -> None:
        self._client = client

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        return _answer(self._client.record_lifecycle_action_heartbeat, **_named(action))

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        call = self._client.complete_lifecycle_action
        return _answer(call, LifecycleActionResult=str(result), **_named(action))

    def waits(self, instance_id: str) -> bool | None:
        """Whether DescribeAutoScalingInstances shows a `:Wait` state; None where it does not say.

        State reads lag (aws-facts 9.6), so a state that comes before a wait does not say either.
        """
        try:
            page = self._client.describe_auto_scaling_instances(InstanceIds=[instance_id])
        except (BotoCoreError, ClientError, ResponseParserError):
            return None
        states = [instance["LifecycleState"] for instance in page["AutoScalingInstances"]]
        if not states or states[0].endswith(_BEFORE_A_WAIT):
            return None
        return states[0].endswith(":Wait")


def _named(action: Action) -> dict[str, str]:
    """The parameters that name the action: its token, or only where there is none its instance.

    Never both: which of them wins is not documented (aws-facts 8), and an instance may wait in
    the same hook again, under another token.
    """
    named = {"AutoScalingGroupName": action.hook.group, "LifecycleHookName": action.hook.name}
    if action.token is not None:
        return named | {"LifecycleActionToken": action.token}
    return named | {"InstanceId": action.instance_id}


def _answer(call: Callable[..., Any], **parameters: str) -> Answer:
    try:
        call(**parameters)
    except ClientError as error:
        return error_answer(error)
    except (ConnectTimeoutError, EndpointConnectionError) as error:
        return Answer(kind=AnswerKind.UNREACHED, text=type(error).__name__)
    except (HTTPClientError, ResponseParserError) as error:
        return Answer(kind=AnswerKind.UNANSWERED, text=type(error).__name__)
    except BotoCoreError as error:
        return Answer(kind=AnswerKind.REFUSED, text=f"{type(error).__name__}: {error}")
    return Answer(kind=AnswerKind.ACCEPTED, text="")


def error_answer(error: ClientError) -> Answer:
    """What an error of Auto Scaling means, with its own words."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    text = f"{code}: {message}" if message else code
    if code == "ValidationError" and message.startswith(_NO_ACTIVE_ACTION):
        return Answer(kind=AnswerKind.NO_ACTIVE_ACTION, text=text)
    if code in _BUSY:
        return Answer(kind=AnswerKind.BUSY, text=text)
    if status >= _SERVER_ERROR:
        return Answer(kind=AnswerKind.UNANSWERED, text=text)
    return Answer(kind=AnswerKind.REFUSED, text=text)
