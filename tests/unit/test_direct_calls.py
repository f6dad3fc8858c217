"""A call without botocore between is answered as one through its client is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from usher_simulator.autoscaling.direct_calls import DirectCalls
from usher_simulator.autoscaling.fast_client import ShortWire
from usher_simulator.autoscaling.query_protocol import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_simulator.autoscaling.query_protocol import Request

NAMED = {"AutoScalingGroupName": "g", "LifecycleHookName": "h", "LifecycleActionToken": "t" * 36}


def answered(client: Any, operation: str, **more: str) -> object:
    """What a call comes to: its answer, or its error's code, message and status."""
    try:
        told: dict[str, object] = dict(getattr(client, operation)(**NAMED, **more))
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return (error.response["Error"]["Code"], error.response["Error"]["Message"], status)
    return {name: value for name, value in told.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize("code", ["", "ValidationError", "Throttling", "InternalFailure"])
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("record_lifecycle_action_heartbeat", {}),
        ("complete_lifecycle_action", {"LifecycleActionResult": "CONTINUE"}),
    ],
)
def test_it_answers_as_the_client_does(operation: str, more: dict[str, str], code: str) -> None:
    heard: list[tuple[str, Mapping[str, Any]]] = []

    def answer(request: Request) -> Mapping[str, Any]:
        heard.append((request.operation, request.parameters))
        if code:
            raise ApiError(code, "what was wrong", 500 if code == "InternalFailure" else 400)
        return {}

    wire = ShortWire()
    wire.answer = answer

    assert answered(DirectCalls(answer), operation, **more) == answered(wire.client, operation, **more)
    assert heard[0] == heard[1]
