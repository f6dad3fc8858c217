"""The proxy of a game day: it passes everything on, but to the service that is away."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.exceptions import ConnectionError as NoConnection

from usher_local.outages import PATH, Outages, open_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


class Upstream(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"TableNames": [self.path]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *given: object) -> None:  # noqa: A002 - as inherited
        pass


@pytest.fixture
def upstream() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def client(service: str, upstream: str, proxy: str) -> Any:
    config = Config(proxies={"http": proxy}, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=upstream, config=config, **keys)


def begin(proxy: str, **told: object) -> None:
    connection = HTTPConnection(proxy.removeprefix("http://"), timeout=5)
    connection.request("POST", PATH, json.dumps(told))
    assert connection.getresponse().status == 200
    connection.close()


def test_a_service_is_away_for_so_long_and_no_other(upstream: str) -> None:
    now, said = [0.0], list[str]()
    with open_proxy(Outages(seconds=lambda: now[0], say=said.append)) as proxy:
        table, queue = (client(service, upstream, proxy) for service in ("dynamodb", "sqs"))
        assert table.list_tables()["TableNames"] == ["/"]
        begin(proxy, part="table", lasts_s=120)
        with pytest.raises(NoConnection):
            table.list_tables()
        queue.list_queues()
        now[0] = 120
        assert table.list_tables()["TableNames"] == ["/"]
    assert said == ["The table is unavailable to the functions for 120 s."]


def test_a_table_that_is_denied_says_no(upstream: str) -> None:
    with open_proxy(Outages(seconds=lambda: 0)) as proxy:
        begin(proxy, part="table", lasts_s=5, denied=True)
        table = client("dynamodb", upstream, proxy)
        with pytest.raises(ClientError, match="AccessDeniedException"):
            table.list_tables()
        begin(proxy, part="table", lasts_s=0)
        table.list_tables()
