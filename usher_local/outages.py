"""A game day: what the functions call passes here, and a service can be away to them for a while."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from usher_local.emulator import LOOPBACK
from usher_local.loopback import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from usher_local.monotonic import Seconds

PARTS: Final = {"table": "dynamodb", "queue": "sqs", "autoscaling": "autoscaling"}
PATH: Final = "/_usher/outage"
_SERVICE: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")  # of a signed request
_PATIENCE_S: Final = 120
_DENIED: Final = json.dumps(
    {
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "The local account denies it, as it was told.",
    }
).encode()


@dataclass(kw_only=True, slots=True)
class Outages:
    """Which service is away, and until when. One that is `denied` answers, and says no."""

    seconds: Seconds
    say: Callable[[str], None] = field(default=lambda _: None)
    until_s: dict[str, float] = field(default_factory=dict)  # by service
    denied: set[str] = field(default_factory=set)

    def begin(self, part: str, lasts_s: float, *, denied: bool = False) -> None:
        """Make a part unavailable from now on, for so many seconds; 0 ends it."""
        service = PARTS[part]
        self.until_s[service] = self.seconds() + lasts_s
        self.denied.discard(service)
        if denied:
            self.denied.add(service)
        how = "refuses the functions" if denied else "is unavailable to the functions"
        self.say(f"The {part} {how} for {lasts_s:g} s." if lasts_s else f"The {part} is available again.")

    def is_away(self, service: str) -> bool:
        """Whether a service is away just now."""
        return self.seconds() < self.until_s.get(service, 0.0)


def open_proxy(outages: Outages) -> AbstractContextManager[str]:
    """A proxy to whoever calls through it, while a block runs: its URL, which takes outages under PATH."""
    return serving(_Server(outages), "outages")


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True  # a function may be waiting for its answer when the account closes
    request_queue_size = 128

    def __init__(self, outages: Outages) -> None:
        self.outages = outages
        super().__init__((LOOPBACK, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        if not isinstance(sys.exc_info()[1], ConnectionError | HTTPException | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1  # header and body in one packet

    def do_GET(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == PATH:
            self.server.outages.begin(**json.loads(body))
            self._answer(200, {}, b"{}")
            return
        signed = _SERVICE.search(self.headers.get("Authorization", ""))
        service = signed[1] if signed else ""
        if not self.server.outages.is_away(service):
            self._pass_on(body)
        elif service in self.server.outages.denied:
            self._answer(400, {"Content-Type": "application/x-amz-json-1.0"}, _DENIED)
        else:
            self.close_connection = True  # without a word

    def _pass_on(self, body: bytes | None = None) -> None:
        if body is None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = urlsplit(self.path)
        connection = HTTPConnection(there.hostname or LOOPBACK, there.port, timeout=_PATIENCE_S)
        try:
            target = there._replace(scheme="", netloc="").geturl() or "/"
            headers = {name: value for name, value in self.headers.items() if name != "Proxy-Connection"}
            connection.request(self.command, target, body, headers | {"Connection": "close"})
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"connection", "content-length", "date", "server", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *given: object) -> None:  # noqa: A002 - as inherited
        """Nothing."""
