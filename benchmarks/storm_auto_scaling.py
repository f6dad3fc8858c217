"""Auto Scaling that accepts so many calls a second of the account, and takes its time for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from usher_simulator.autoscaling.lifecycle_calls import LifecycleCalls
from usher_simulator.autoscaling.query_protocol import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from benchmarks.storm_lambda import Tasks
    from usher_simulator.autoscaling.lifecycle_actions import Waits

CALL_TAKES: Final = timedelta(seconds=0.25)
BURST: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call that was accepted."""

    at: datetime
    operation: str
    token: str
    expires_at: datetime  # just before it


class LimitedCalls:
    """Answers Auto Scaling's requests; every call costs a token, whether or not it is then refused.

    What comes while the bucket is empty is throttled. Its effect falls into the middle of a call.
    """

    def __init__(self, tasks: Tasks, waits: Waits, rate: float) -> None:
        self._tasks = tasks
        self._waits = waits
        self._answer = LifecycleCalls(waits)
        self._rate = rate
        self._tokens, self._filled_at = float(BURST), tasks.clock()
        self.calls = 0
        self.throttled = 0
        self.accepted: list[Call] = []

    def __call__(self, request: Request) -> Mapping[str, Any]:
        """The answer's members. Raises ApiError for what AWS refuses."""
        self._tasks.take(CALL_TAKES / 2)
        try:
            return self._answered(request)
        finally:
            self._tasks.take(CALL_TAKES / 2)

    def _answered(self, request: Request) -> Mapping[str, Any]:
        self.calls += 1
        if not self._token():
            self.throttled += 1
            raise ApiError("Throttling", "Rate exceeded")
        token = request.parameters.get("LifecycleActionToken", "")
        wait = self._waits.of_token(token)
        before = wait.expires_at if wait is not None else None
        answer = self._answer(request)
        if before is not None:
            call = Call(at=self._tasks.clock(), operation=request.operation, token=token, expires_at=before)
            self.accepted.append(call)
        return answer

    def _token(self) -> bool:
        now = self._tasks.clock()
        grown = (now - self._filled_at).total_seconds() * self._rate
        self._tokens, self._filled_at = min(BURST, self._tokens + grown), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def beats(self) -> list[Call]:
        """The heartbeats that were accepted."""
        return [call for call in self.accepted if call.operation == "RecordLifecycleActionHeartbeat"]


class Client:
    """As much of a boto3 client as usher.aws.autoscaling uses.

    Botocore itself is left out: it would take a third of the benchmark's time, and other tests have it.
    """

    def __init__(self, calls: LimitedCalls) -> None:
        self._calls = calls

    def record_lifecycle_action_heartbeat(self, **parameters: str) -> Mapping[str, Any]:
        """See boto3."""
        return self._made("RecordLifecycleActionHeartbeat", parameters)

    def complete_lifecycle_action(self, **parameters: str) -> Mapping[str, Any]:
        """See boto3."""
        return self._made("CompleteLifecycleAction", parameters)

    def describe_auto_scaling_instances(self, **parameters: object) -> Mapping[str, Any]:
        """See boto3."""
        return self._made("DescribeAutoScalingInstances", parameters)

    def _made(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._calls(Request(operation=operation, parameters=parameters))
        except ApiError as error:
            said = {"Code": error.code, "Message": error.message}
            answer = {"Error": said, "ResponseMetadata": {"HTTPStatusCode": error.status}}
            raise ClientError(answer, operation) from None
