"""Answers the emulator's questions: JSON over HTTP, on a loopback port, one thread for each question."""

from __future__ import annotations

import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any, TypeAlias

from usher_local.loopback import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

Handler: TypeAlias = "Callable[[dict[str, Any]], dict[str, Any]]"


def serve_callbacks(handlers: Mapping[str, Handler]) -> AbstractContextManager[str]:
    """Each handler answers the questions that are posted under its name: the server's URL."""
    return serving(_Server(handlers), "callbacks")


class _Server(ThreadingTCPServer):
    """One thread per connection, all of which end before `server_close` returns."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the emulator may end at any time
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1  # header and body in one packet

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = self.server.handlers[self.path.strip("/")](question)
        except Exception as error:  # noqa: BLE001 - the outermost edge: the emulator must get an answer
            traceback.print_exc()
            answer = {"error": f"the local account failed: {type(error).__name__}: {error}"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Quiet."""
