"""The in-process door: a real client of botocore whose requests are answered here instead of by a network.

Botocore still checks parameters, serialises, parses and raises, as it does against AWS.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from usher_simulator.autoscaling import query_protocol
from usher_simulator.autoscaling.query_protocol import ApiError, Request
from usher_simulator.own_clients import without_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.session import Session
    from mypy_boto3_autoscaling import AutoScalingClient


@cache
def _session() -> Session:
    """One for all clients: it reads the models of the service once. Each client has its own events."""
    return without_profile()


class _Body(io.BytesIO):
    """A response body, as urllib3 would hand it over."""

    def stream(self, **_: object) -> Any:  # noqa: ANN401 - an iterator of bytes
        yield self.read()


def auto_scaling_client(
    answer: Callable[[Request], Mapping[str, Any]], new_request_id: Callable[[], str]
) -> AutoScalingClient:
    """An Auto Scaling client that makes one attempt, and is answered by `answer`."""
    client: AutoScalingClient = _session().create_client(
        "autoscaling",
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, user_agent="simulated"),
    )

    def respond(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        status, text = respond_to(_text(request.body), answer, new_request_id())
        headers = {"Content-Type": "text/xml"}
        return AWSResponse(request.url, status, headers, _Body(text.encode()))

    client.meta.events.register("before-send.auto-scaling", respond)
    return client


def respond_to(body: str, answer: Callable[[Request], Mapping[str, Any]], request_id: str) -> tuple[int, str]:
    """The status and XML that answer a form-encoded request."""
    try:
        request = query_protocol.read_request(body, request_id)
        return 200, query_protocol.write_answer(request.operation, answer(request), request_id)
    except ApiError as error:
        return error.status, query_protocol.write_error(error, request_id)


def _text(body: bytes | str | None) -> str:
    return body.decode() if isinstance(body, bytes) else body or ""
