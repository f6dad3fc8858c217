"""The Auto Scaling adapter, with a real boto3 client that is answered at the wire."""

from __future__ import annotations

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from tests.factories import an_action
from tests.unit.test_groups import URL, Service
from usher.aws.autoscaling import AutoScalingApi
from usher.core.action import Result
from usher.ports.autoscaling import AnswerKind
from usher_simulator.autoscaling.client import auto_scaling_client
from usher_simulator.autoscaling.query_protocol import ApiError, Request


def api(service: Service) -> AutoScalingApi:
    return AutoScalingApi(auto_scaling_client(service, lambda: "request-1"))


def test_an_action_is_named_by_its_token_alone_where_it_has_one() -> None:
    """Which of token and instance wins is not documented, and an instance may wait here again."""
    service = Service({})
    action = an_action()
    assert api(service).complete(action, Result.ABANDON).kind is AnswerKind.ACCEPTED
    assert service.asked[0] == Request(
        operation="CompleteLifecycleAction",
        parameters={
            "AutoScalingGroupName": "workers-1",
            "LifecycleHookName": "usher-drain",
            "LifecycleActionToken": action.token,
            "LifecycleActionResult": "ABANDON",
        },
        request_id="request-1",
    )


def test_an_adopted_action_is_named_by_its_instance() -> None:
    service = Service({})
    assert api(service).heartbeat(an_action(token=None)).kind is AnswerKind.ACCEPTED
    assert service.asked[0].parameters["InstanceId"] == "i-0f0e0d0c0b0a09080"
    assert "LifecycleActionToken" not in service.asked[0].parameters


GONE = "No active Lifecycle Action found with token c613620e-07e2-4ed2-a9e2-ef8258911ade"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ApiError("ValidationError", GONE), AnswerKind.NO_ACTIVE_ACTION),
        (ApiError("ValidationError", GONE.replace("token", "instance ID")), AnswerKind.NO_ACTIVE_ACTION),
        (ApiError("ValidationError", "AutoScalingGroup name not found - null"), AnswerKind.NO_ACTIVE_ACTION),
        (ApiError("ValidationError", "1 validation error detected"), AnswerKind.REFUSED),
        (ApiError("AccessDenied", "User is not authorized", 403), AnswerKind.REFUSED),
        (ApiError("Throttling", "Rate exceeded"), AnswerKind.BUSY),
        (ApiError("RequestLimitExceeded", "Request limit exceeded", 503), AnswerKind.BUSY),
        (ApiError("ResourceContention", "", 500), AnswerKind.BUSY),
        (ApiError("InternalFailure", "An internal error", 500), AnswerKind.UNANSWERED),
        (ApiError("ServiceUnavailable", "", 503), AnswerKind.UNANSWERED),
        (ReadTimeoutError(endpoint_url=URL), AnswerKind.UNANSWERED),
        (ConnectTimeoutError(endpoint_url=URL), AnswerKind.UNREACHED),
        (EndpointConnectionError(endpoint_url=URL), AnswerKind.UNREACHED),
    ],
    ids=str,
)
def test_every_answer_is_sorted_by_what_to_do_next(error: Exception, kind: AnswerKind) -> None:
    service = Service(error)
    assert api(service).heartbeat(an_action()).kind is kind
    assert len(service.asked) == 1, "one attempt: the SDK's retries would hide what happened"


def test_what_botocore_refuses_by_itself_is_told_and_not_raised() -> None:
    answer = api(Service({})).heartbeat(an_action(token="short"))
    assert answer.kind is AnswerKind.REFUSED
    assert "LifecycleActionToken" in answer.text
