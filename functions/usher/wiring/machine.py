"""What the functions share: clock, ids, threads, log, and how clients call."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics

from usher.aws.client_config import client_config
from usher.aws.telemetry import NAMESPACE, PowertoolsTelemetry

# Evaluations of a sweep: a call takes up to 0.6 s (aws-facts 9.4), and ten fit into a second.
_AT_ONCE: Final = 8
ONE_ATTEMPT: Final = client_config(connect_s=2, read_s=4, attempts=1)
FEW_ATTEMPTS: Final = client_config(connect_s=1, read_s=2, attempts=3)
# A slow_table.ATTEMPT: where the table is away, a 30-second hook is still held.
IN_TIME: Final = client_config(connect_s=1, read_s=1, attempts=1)


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def several_at_once() -> Any:  # noqa: ANN401 - Work
    """A `map` that makes several calls at once."""
    return ThreadPoolExecutor(max_workers=_AT_ONCE).map


def telemetry() -> tuple[PowertoolsTelemetry, Metrics]:
    """The log and the metrics."""
    metrics = Metrics(namespace=NAMESPACE)
    return PowertoolsTelemetry(Logger(service="usher"), metrics), metrics
