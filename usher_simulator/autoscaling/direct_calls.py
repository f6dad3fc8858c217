"""The two calls on a lifecycle action without botocore between, for replays of very many messages.

What botocore adds is tested where it matters: the trials and the adapters' own tests use its client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class DirectCalls:
    """In place of a client of boto3. Raises ClientError with the code and message of the answer."""

    def __init__(self, answer: Callable[[Request], Mapping[str, Any]]) -> None:
        self._answer = answer

    def record_lifecycle_action_heartbeat(self, **parameters: str) -> Mapping[str, Any]:
        """As the client's."""
        return self._call("RecordLifecycleActionHeartbeat", parameters)

    def complete_lifecycle_action(self, **parameters: str) -> Mapping[str, Any]:
        """As the client's."""
        return self._call("CompleteLifecycleAction", parameters)

    def _call(self, operation: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return self._answer(Request(operation=operation, parameters=parameters))
        except ApiError as error:
            told = {"Error": {"Code": error.code, "Message": error.message}}
            raise ClientError(
                told | {"ResponseMetadata": {"HTTPStatusCode": error.status}},
                operation,
            ) from error
