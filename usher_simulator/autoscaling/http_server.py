"""The HTTP door: Auto Scaling's query protocol on a loopback port, on the wall clock."""

from __future__ import annotations

import re
import socket
import sys
import traceback
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from random import Random
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from usher_simulator.autoscaling import query_protocol
from usher_simulator.autoscaling.client import respond_to
from usher_simulator.autoscaling.engine import Fleet
from usher_simulator.autoscaling.latencies import PROMPT
from usher_simulator.autoscaling.lifecycle_actions import EndedBy
from usher_simulator.autoscaling.query_protocol import ApiError
from usher_simulator.autoscaling.real_targets import AwsOutside
from usher_simulator.autoscaling.service import AutoScalingService
from usher_simulator.autoscaling.virtual_clock import VirtualClock
from usher_simulator.autoscaling.wall_clock import WallClock
from usher_simulator.spans import span_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from usher_simulator.autoscaling.latencies import Latencies

_LOOPBACK: Final = "127.0.0.1"
_LONGEST_BODY: Final = 1 << 20
_CLOCK: Final = "/clock"  # takes a form `advance=10m`, which is no part of AWS's API
_MOST_AHEAD: Final = timedelta(days=366)
_IDLE_S: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a door opens on. `environment` names the endpoints of everything outside (aws_outside)."""

    start: datetime
    monotonic: Callable[[], float]
    port: int = 0
    speed: float = 1.0
    latencies: Latencies = PROMPT
    describe_lag: timedelta = timedelta()
    random: Random = field(default_factory=Random)
    environment: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None


@contextmanager
def open_door(setup: Setup) -> Iterator[str]:
    """A new, empty account behind a door: its URL. All threads and sockets end with it.

    Raises OSError where the port cannot be had.
    """
    clock = VirtualClock(setup.start)

    def undeliverable(token: str) -> None:
        with wall_clock.caught_up():
            _end_undeliverable(fleet, token)

    def let_go() -> AbstractContextManager[None]:
        return wall_clock.let_go()

    def new_id() -> str:
        return str(uuid.UUID(int=setup.random.getrandbits(128), version=4))

    def respond(body: str) -> tuple[int, str, str]:
        with wall_clock.caught_up():
            request_id = new_id()
            return (*respond_to(body, service, request_id), request_id)

    def advance(span: timedelta) -> datetime:
        return wall_clock.advance(span)

    with Server(setup.port, respond, advance) as server:
        outside = AwsOutside(setup.environment, undeliverable, let_go, setup.say)
        fleet = Fleet(
            clock=clock,
            outside=outside,
            latencies=setup.latencies,
            new_id=new_id,
            new_instance_id=lambda: f"i-0{setup.random.getrandbits(64):016x}",
        )
        service = AutoScalingService(fleet, lag=lambda: setup.describe_lag)
        wall_clock = WallClock(clock, setup.monotonic, setup.speed)
        listener = Thread(target=server.serve_forever, name="listener", kwargs={"poll_interval": 0.05})
        listener.start()
        try:
            yield f"http://{_LOOPBACK}:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.hang_up()
            listener.join()
            wall_clock.close()
            outside.close()


def _end_undeliverable(fleet: Fleet, token: str) -> None:
    """A target that takes no message ends the action with its default result (aws-facts 2.6)."""
    wait = fleet.waits.of_token(token)
    if wait is not None and wait.is_open:
        fleet.waits.end(wait, wait.default_result, EndedBy.UNDELIVERABLE)


class AnswerLost(Exception):  # noqa: N818 - it reads as what happened
    """The call was answered, and nobody hears the answer: the connection ends."""


class Server(ThreadingTCPServer):
    """One thread per connection, all of which end before `server_close` returns."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        respond: Callable[[str], tuple[int, str, str]],
        advance: Callable[[timedelta], datetime] | None = None,
    ) -> None:
        self.respond = respond
        self.advance = advance
        self._connections: set[socket.socket] = set()
        super().__init__((_LOOPBACK, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        """As inherited; the connection is noted."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as inherited
        """As inherited; the connection is forgotten."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Read nothing more from anyone. What is being answered still is."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:  # the client was first
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        """As inherited, but for clients that left."""
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may leave at any time
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests and writes answers; each of both is one document."""

    server: Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # even to what says no version, a status is said
    timeout = _IDLE_S
    # Header and body in one packet, at once: else each answer waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer a form."""
        size = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]+", size):
            self._refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        elif len(size) > len(str(_LONGEST_BODY)) or int(size) > _LONGEST_BODY:
            self._refuse(413, "RequestEntityTooLarge", f"A request has at most {_LONGEST_BODY} bytes.")
        else:
            self._answer_form(int(size))

    def _answer_form(self, size: int) -> None:
        body = self.rfile.read(size)
        if len(body) != size:  # the client left in the middle: half a request is none
            self.close_connection = True
        elif self.path == _CLOCK and self.server.advance is not None:
            self._advance(body.decode(errors="replace"), self.server.advance)
        else:
            self._answer(body.decode(errors="replace"))

    def _advance(self, form: str, advance: Callable[[timedelta], datetime]) -> None:
        """Let time pass, and say which time it is."""
        try:
            span = span_of(dict(parse_qsl(form)).get("advance", ""))
        except (ValueError, OverflowError):
            span = timedelta()
        if not timedelta() < span <= _MOST_AHEAD:
            self._refuse(400, "ValidationError", "Send a form such as advance=10m, of at most 366 days.")
        else:
            self._write(200, f"{advance(span).isoformat()}\n", str(uuid.uuid4()), "text/plain")  # noqa: TID251 - as in _refuse

    def do_GET(self) -> None:
        """Answer a query string."""
        self._answer(self.path.partition("?")[2])

    def _answer(self, body: str) -> None:
        try:
            answer = self.server.respond(body)
        except AnswerLost:
            self.close_connection = True
        except Exception:  # noqa: BLE001 - the outermost edge: a fault of the simulator's own
            traceback.print_exc()
            self._refuse(500, "InternalFailure", "The simulator failed: see what it printed.")
        else:
            self._write(*answer)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """An error before there is a request to answer, and the end of the connection."""
        self.close_connection = True
        error = ApiError(code, message, status)
        request_id = str(uuid.uuid4())  # noqa: TID251 - of no request of the engine's, so of no seed
        self._write(status, query_protocol.write_error(error, request_id), request_id)

    def _write(self, status: int, text: str, request_id: str, kind: str = "text/xml") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("x-amzn-RequestId", request_id)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, as a document too."""
        self._refuse(code, "MalformedHttpRequestException", message or explain or "Not a request.")

    def handle_expect_100(self) -> bool:
        """Say at once that the body may come."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Quiet."""
