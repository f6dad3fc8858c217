"""The services that the functions call, on this machine: moto, and simulated Auto Scaling."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from usher.aws.table import definition
from usher_local.functions.function import ACCOUNT, REGION
from usher_simulator.autoscaling.http_server import Setup, open_door
from usher_simulator.own_clients import own_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_TABLE: Final = "usher-records"
_INBOX: Final = "usher-inbox"
_WAKE_UPS: Final = "usher-wake-ups"
_QUESTIONS: Final = "usher-questions"
_DEAD_LETTERS: Final = "usher-dead-letters"


@contextmanager
def local_endpoints(now: Callable[[], datetime]) -> Iterator[dict[str, str]]:
    """An empty account on free loopback ports, in the variables that AWS SDKs read."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - it takes a second, and --endpoint needs none

    # A line per request would bury the function's log.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        setup = Setup(start=now(), monotonic=time.monotonic, environment={"AWS_ENDPOINT_URL": url})
        with open_door(setup) as auto_scaling:
            yield {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_AUTO_SCALING": auto_scaling}
    finally:
        server.stop()


def settled_in(endpoint: str, prefix: str = "") -> dict[str, str]:
    """The settings of the functions, with the table and the queues that they name, which are made."""
    dynamodb, queues = client("dynamodb", endpoint), client("sqs", endpoint)
    table = f"{prefix}{_TABLE}"
    if table not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(**definition(table))
    urls = {
        name: queues.create_queue(QueueName=f"{prefix}{name}")["QueueUrl"]
        for name in (_INBOX, _WAKE_UPS, _QUESTIONS, _DEAD_LETTERS)
    }
    return {
        "USHER_TABLE": table,
        "USHER_WAKE_UPS_URL": urls[_WAKE_UPS],
        "USHER_QUESTIONS_URL": urls[_QUESTIONS],
        "USHER_DEAD_LETTERS_URL": urls[_DEAD_LETTERS],
        "USHER_CALLS_PER_SECOND": "10",
        "USHER_INBOX_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{prefix}{_INBOX}",
        "USHER_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:{prefix}usher-topic",
        "USHER_INTAKE_ARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{prefix}usher-intake",
        "USHER_HOOK_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/usher-hooks",
        "USHER_ENROLMENTS_PER_HOUR": "50",
    }


def client(service: str, endpoint: str) -> Any:  # noqa: ANN401 - the client of any service
    """A client with credentials that open no real account."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return own_client(service, endpoint, REGION, **keys)
