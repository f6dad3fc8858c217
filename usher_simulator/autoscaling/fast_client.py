"""The in-process door without its HTTP: for simulations of very many calls.

A real client of botocore still checks and serialises every call, and botocore's own parser still reads every
answer and raises. Left out is what lies between (URLs, headers, connections), which `client` has.
Equal answers are read once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.parsers import create_parser

from usher_simulator.autoscaling import query_protocol
from usher_simulator.autoscaling.client import respond_to
from usher_simulator.own_clients import without_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel
    from mypy_boto3_autoscaling import AutoScalingClient

    from usher_simulator.autoscaling.query_protocol import Request

_REQUEST_ID: Final = "simulated"
_PARSER: Final = create_parser(query_protocol.service_model().protocol)


class ShortWire:
    """One client that is answered by whoever is asked to at the time: making clients is slow."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Mapping[str, Any]] | None = None
        self.client: AutoScalingClient = without_profile().create_client(
            "autoscaling",
            region_name="us-east-1",
            config=Config(
                signature_version=UNSIGNED, retries={"total_max_attempts": 1}, user_agent="simulated"
            ),
        )
        self.client.meta.events.register("before-call.auto-scaling", self._respond)

    def _respond(
        self, model: OperationModel, params: Mapping[str, Any], **_: object
    ) -> tuple[AWSResponse, dict[str, Any]]:
        if self.answer is None:
            raise RuntimeError("nobody answers")
        status, text = respond_to(urlencode(params["body"]), self.answer, _REQUEST_ID)
        return AWSResponse("", status, {}, None), dict(_read(model.name, status, text))


@lru_cache(maxsize=1000)
def _read(operation: str, status: int, text: str) -> Mapping[str, Any]:
    """What botocore reads from an answer. Nobody changes it: it is read once for all who get it."""
    shape = query_protocol.service_model().operation_model(operation).output_shape
    parsed: Mapping[str, Any] = _PARSER.parse(
        {"headers": {}, "status_code": status, "body": text.encode()}, shape
    )
    return parsed
