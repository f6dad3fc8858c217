"""Doors to simulated Auto Scaling, and what stands outside them, for one test each."""

from __future__ import annotations

import http.client
import xml.etree.ElementTree as ET
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import boto3
from botocore.config import Config

from tests.e2e.polling import PATIENCE_S
from usher_simulator.autoscaling.http_server import Setup, open_door
from usher_simulator.autoscaling.launch_settings import ANY_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_autoscaling import AutoScalingClient

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
GROUP = "workers-1"
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass(kw_only=True)
class StoppedTime:
    """Seconds that pass only when a test lets them."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    request_id: str | None
    document: ET.Element

    def text(self, name: str) -> str | None:
        """The text of the first element of that name."""
        return self.document.findtext(f".//{{*}}{name}")


@dataclass(frozen=True, kw_only=True)
class Door:
    """An open door, its time and a client of it."""

    url: str
    client: AutoScalingClient
    said: list[str]

    def send(self, body: str | bytes | Mapping[str, object], method: str = "POST") -> Answer:
        """One request over a connection of its own."""
        form = body if isinstance(body, str | bytes) else urlencode(body)
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)) as line:
            if method == "POST":
                line.request(method, "/", form)
            else:
                line.request(method, f"/?{form!s}")
            return answer_of(line.getresponse())

    def states(self) -> list[str]:
        """The lifecycle states of all instances."""
        found = self.client.describe_auto_scaling_instances()["AutoScalingInstances"]
        return sorted(instance["LifecycleState"] for instance in found)

    def instance(self) -> str:
        """The id of the only instance."""
        (found,) = self.client.describe_auto_scaling_instances()["AutoScalingInstances"]
        return found["InstanceId"]

    def create(self, *hooks: Mapping[str, Any], **more: object) -> None:
        """A group of one instance, with hooks that hold it."""
        sizes = {"MinSize": 0, "MaxSize": 3, "DesiredCapacity": 1}
        asked: Any = sizes | ANY_SOURCE | {"LifecycleHookSpecificationList": hooks} | more
        self.client.create_auto_scaling_group(AutoScalingGroupName=GROUP, **asked)


def answer_of(response: http.client.HTTPResponse) -> Answer:
    """Reads an answer whole. That it is well-formed XML is part of every test."""
    document = ET.fromstring(response.read())  # noqa: S314 - written by the simulator
    return Answer(response.status, response.getheader("x-amzn-RequestId"), document)


@contextmanager
def a_door(**changes: Any) -> Iterator[Door]:
    """An open door; with stopped time and nothing outside, unless the test wants more."""
    said: list[str] = []
    setup: dict[str, Any] = {"start": START, "monotonic": StoppedTime(), "say": said.append}
    with open_door(Setup(**(setup | changes))) as url, closing(client_of(url)) as client:
        yield Door(url=url, client=client, said=said)


def client_of(url: str) -> AutoScalingClient:
    """A client that makes one attempt."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_S)
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client: AutoScalingClient = boto3.client(
        "autoscaling", region_name="us-east-1", endpoint_url=url, config=config, **keys
    )
    return client


@dataclass(kw_only=True)
class Endpoint:
    """Stands in for an AWS endpoint: `answer` gets path and body, and what was asked is kept."""

    url: str = ""
    asked: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)


@contextmanager
def an_endpoint(answer: Callable[[str, bytes], tuple[int, str]]) -> Iterator[Endpoint]:
    """An endpoint on a free loopback port."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.asked.append((self.path, body, dict(self.headers)))
            status, text = answer(self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
