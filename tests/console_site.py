"""A console that is served on a free loopback port, and what asks it by HTTP."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from itertools import count
from socket import create_connection
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from tests.factories import an_action, at
from usher.ports.records import Raw
from usher_cli.console.command import HOST, application, listening, server
from usher_cli.console.door import Door

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.applications import Starlette

    from tests.memory_account import MemoryStack
    from usher.core.action import Action
    from usher_cli.account import Account

UNITS: Final = 1800
_NO_BODY: Final = object()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass(kw_only=True)
class Site:
    """A served console, and a browser of the test's own with it."""

    port: int
    door: Door
    app: Starlette
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """What `usher console` prints."""
        return f"{self.origin}/#{self.door.code}"

    def ask(self, method: str, path: str, body: Any = _NO_BODY, **headers: str | None) -> Answered:
        """Ask as the page would; a header of None is left out, and of another value replaced."""
        usual = {"Host": f"{HOST}:{self.port}", **self.headers}
        if method != "GET":
            usual |= {"Origin": self.origin, "Content-Type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        all_headers = {name: value for name, value in {**usual, **given}.items() if value is not None}
        data = b"" if method == "GET" else json.dumps({} if body is _NO_BODY else body).encode()
        if data and "Content-Length" not in given:
            all_headers["Content-Length"] = str(len(data))
        head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + data
        with create_connection((HOST, self.port), timeout=30) as connection:
            # At once: a server that refuses the headers ends the connection, and a body that comes after
            # that takes its answer away.
            connection.sendall(request)
            answer = HTTPResponse(connection, method=method)
            answer.begin()
            got = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(status=answer.status, headers=got, body=answer.read())

    def get(self, path: str, **headers: str | None) -> Answered:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str | None) -> Answered:
        return self.ask("POST", path, body, **headers)

    def enter(self) -> None:
        """Exchange the code for the cookie, and keep that."""
        answer = self.post("/api/session", {"code": self.door.code})
        assert answer.status == 200, answer.body
        self.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]


def opened(stack: MemoryStack, number: int, **changes: Any) -> Action:
    """An open action of the stack."""
    own: dict[str, Any] = {
        "id": f"action-{number}",
        "token": f"token-{number}",
        "instance_id": f"i-{number:017x}",
        "started_at": at(number),
    }
    return stack.records.open(an_action(**{**own, **changes}), Raw(received_at=at(0), body="{}"))


@contextmanager
def served(account: Account, *, read_only: bool = False, units: int = UNITS) -> Iterator[Site]:
    """Serve a console for an account until the block ends."""
    numbers = count(1)
    with listening(0) as listener:
        port = listener.getsockname()[1]
        door = Door(port, lambda: f"secret-{next(numbers)}")
        console = application(account, door, units, read_only=read_only)
        running = server(console)
        thread = Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Site(port=port, door=door, app=console.app)
        finally:
            running.should_exit = True
            thread.join()
