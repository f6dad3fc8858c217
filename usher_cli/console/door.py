"""Who may ask the console, and what every answer forbids the browser."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What holds nothing of the account: the page itself, and the exchange of the code for the cookie.
FOR_ALL: Final = frozenset({"/", "/console.css", "/console.js", "/api/session"})
BODY_BYTES_MAX: Final = 16 * 1024
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_READS: Final = ("GET", "HEAD")
_OWN_SITES: Final = (None, "same-origin", "none")  # of Sec-Fetch-Site; not every client sends it


class Door:
    """Lets in whoever shows the cookie, which the one-time code was exchanged for."""

    def __init__(self, port: int, new_secret: Callable[[], str]) -> None:
        self.hosts: Final = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.cookie_name: Final = (
            f"usher_console_{port}"  # cookies belong to hosts: two consoles share theirs
        )
        self.code: Final = new_secret()
        self._cookie: Final = new_secret()
        self._is_used = False

    def exchange(self, code: str) -> str | None:
        """The cookie for the code, the first time that it is shown."""
        if self._is_used or not _same(code, self.code):
            return None
        self._is_used = True
        return self._cookie

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Why a request is not answered, with the status of HTTP; None: it is."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self.hosts:
            return 421, "The console answers on its own address alone."
        if origin not in (None, f"http://{host}"):
            return 403, "Another page asks: open the console itself."
        if request.url.path not in FOR_ALL and request.headers.get("sec-fetch-site") not in _OWN_SITES:
            return 403, "Another site asks: open the console itself."
        if request.method not in _READS and (refused := _unfit_change(request, origin)):
            return refused
        if request.url.path not in FOR_ALL and not _same(
            request.cookies.get(self.cookie_name, ""), self._cookie
        ):
            return 401, "This page has no session: start `usher console` again, and open what it prints."
        return None


def _unfit_change(request: Request, origin: str | None) -> tuple[int, str] | None:
    if origin is None:
        return 403, "A change must come from the page of the console."
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "A change must be JSON."
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "A change must tell its length."
    if int(length) > BODY_BYTES_MAX:
        return 413, f"A change has at most {BODY_BYTES_MAX} bytes."
    return None


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


class Guarded:
    """An application behind a door. Whatever is answered has the HEADERS, refusals and failures too."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            raise RuntimeError(f"the console speaks HTTP alone, not {scope['type']}")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        refused = self._door.refusal(Request(scope))
        app: Any = self._app if refused is None else problem(refused[1], refused[0])
        await app(scope, receive, send_with_headers)


def problem(text: str, status: int, **more: object) -> JSONResponse:
    """An answer that says why there is none."""
    return JSONResponse({"error": text, **more}, status)
