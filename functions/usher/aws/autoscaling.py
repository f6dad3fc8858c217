"""The Auto Scaling calls on lifecycle actions, and the one place that reads Auto Scaling's errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.parsers import ResponseParserError

from usher.ports.autoscaling import Answer, AnswerKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_autoscaling import AutoScalingClient

    from usher.core.action import Action, Result
    from usher.core.held_wait import HeldWait

# None is modelled in botocore, so texts and codes are matched here (aws-facts 1.2, 11.1).
_NO_ACTIVE_ACTION: Final = "No active Lifecycle Action found"
_NO_GROUP: Final = "AutoScalingGroup name not found"  # with its group an action is gone
_BUSY: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "RateExceeded", "ResourceContention"}
)
_SERVER_ERROR: Final = 500


class AutoScalingApi:
    """Implements usher.ports.autoscaling.ActionCalls and Holds.

    `client` must make one attempt at each call: the SDK's own retries would hide what happened,
    and could outlast a 30-second hook.
    """

    def __init__(self, client: AutoScalingClient) -> None:
        self._client = client

    def heartbeat(self, action: Action) -> Answer:
        """RecordLifecycleActionHeartbeat."""
        return _answer(self._client.record_lifecycle_action_heartbeat, **_named(action))

    def hold(self, wait: HeldWait) -> Answer:
        """RecordLifecycleActionHeartbeat. Implements usher.ports.autoscaling.Holds."""
        named = {"AutoScalingGroupName": wait.group, "LifecycleHookName": wait.hook}
        named |= _addressed(wait.token, wait.instance_id)
        return _answer(self._client.record_lifecycle_action_heartbeat, **named)

    def complete(self, action: Action, result: Result) -> Answer:
        """CompleteLifecycleAction."""
        call = self._client.complete_lifecycle_action
        return _answer(call, LifecycleActionResult=str(result), **_named(action))


def _named(action: Action) -> dict[str, str]:
    """The parameters that name the action: its token, or only where there is none its instance.

    Never both: which of them wins is not documented (aws-facts 8), and an instance may wait in
    the same hook again, under another token.
    """
    named = {"AutoScalingGroupName": action.hook.group, "LifecycleHookName": action.hook.name}
    return named | _addressed(action.token, action.instance_id)


def _addressed(token: str | None, instance_id: str) -> dict[str, str]:
    return {"InstanceId": instance_id} if token is None else {"LifecycleActionToken": token}


def _answer(call: Callable[..., Any], **parameters: str) -> Answer:
    try:
        call(**parameters)
    except ClientError as error:
        answer = error_answer(error)
        return replace(answer, kind=AnswerKind.NO_ACTIVE_ACTION) if _NO_GROUP in answer.text else answer
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
