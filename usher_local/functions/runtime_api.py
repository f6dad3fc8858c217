"""The Lambda Runtime API on a loopback port, for one execution environment."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from queue import SimpleQueue
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, Final, TypeAlias

_PREFIX: Final = "/2018-06-01/runtime"


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """What the runtime is given when it asks for the next invocation."""

    request_id: str
    function_arn: str
    deadline_ms: int  # since 1970
    event: bytes  # JSON


@dataclass(frozen=True, slots=True)
class Ready:
    """The runtime asks for its next invocation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """The handler returned."""

    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The handler raised, or could not be imported."""

    kind: str
    message: str
    trace: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The process is gone."""

    status: int


Told: TypeAlias = Ready | Answered | Failed | Ended


class RuntimeApi:
    """Gives invocations to one runtime. What the runtime says comes out of `told`, in its order."""

    def __init__(self) -> None:
        self.told: SimpleQueue[Told] = SimpleQueue()
        self._invocations: SimpleQueue[Invocation | None] = SimpleQueue()
        self._server = _Server(self.told, self._invocations)
        self._listener = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._listener.start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API has them."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def hand_over(self, invocation: Invocation) -> None:
        """Let the runtime have this invocation when it asks for the next one."""
        self._invocations.put(invocation)

    def close(self) -> None:
        """End every thread; the runtime must have ended before."""
        self._invocations.put(None)
        self._server.shutdown()
        self._listener.join()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    """One thread per connection, all of which end before `server_close` returns."""

    allow_reuse_address = True

    def __init__(self, told: SimpleQueue[Told], invocations: SimpleQueue[Invocation | None]) -> None:
        self.told = told
        self.invocations = invocations
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a runtime may be ended at any time
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Header and body in one packet, at once: else each answer waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The next invocation: the answer waits until there is one."""
        if self.path != f"{_PREFIX}/invocation/next":
            self._answer(404)
            return
        self.server.told.put(Ready())
        invocation = self.server.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
        }
        self._answer(200, invocation.event, headers)

    def do_POST(self) -> None:
        """An answer or an error, of an invocation or of the start."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.path.removeprefix(f"{_PREFIX}/").split("/"):
            case ["invocation", _, "response"]:
                self.server.told.put(Answered(body=body))
            case ["invocation", _, "error"] | ["init", "error"]:
                self.server.told.put(_failed(body))
            case _:
                self._answer(404)
                return
        self._answer(202)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Quiet."""


def _failed(body: bytes) -> Failed:
    error = json.loads(body)
    return Failed(
        kind=error["errorType"],
        message=error["errorMessage"],
        trace=tuple(error.get("stackTrace") or ()),
    )
