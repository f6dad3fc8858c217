"""The routes of the console."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import click
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from usher_cli.account import errors_as_trouble
from usher_cli.aws_errors import is_denied
from usher_cli.console.changes import ACTS
from usher_cli.console.door import Guarded, problem
from usher_cli.console.live import LiveActions
from usher_cli.console.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from usher_cli.account import Account
    from usher_cli.console.changes import Act
    from usher_cli.console.door import Door
    from usher_cli.console.units import ReadUnits

    Read = Callable[[Mapping[str, str]], dict[str, Any]]

# In this order: what a script uses when it is loaded stands in one before it. Shared with the report: page/.
_STYLES: Final = ("page/shared.css", "console/page/console.css")
_SCRIPTS: Final = (
    "page/elements.js",
    "page/story.js",
    *(f"console/page/{name}.js" for name in ("asking", "acts", "held", "closed", "main")),
)


class ConsoleApp:
    """The application for one account. `app` has its routes; `guarded` is what may be served."""

    def __init__(self, account: Account, door: Door, units: ReadUnits, *, read_only: bool) -> None:
        self._account = account
        self._door = door
        self._units = units
        self._read_only = read_only
        self._live = LiveActions(account, units)
        self._who = account.who()
        reads = Reads(account, self._live, units)
        self.app = Starlette(
            routes=[
                Route("/", _page, methods=["GET"]),
                Route("/console.css", _style, methods=["GET"]),
                Route("/console.js", _script, methods=["GET"]),
                Route("/api/session", self._session, methods=["POST"]),
                Route("/api/about", self._reading(self._about), methods=["GET"]),
                Route("/api/open", self._reading(reads.open), methods=["GET"]),
                Route("/api/story", self._reading(reads.story), methods=["GET"]),
                Route("/api/history", self._reading(reads.history), methods=["GET"]),
                Route("/api/retained", self._reading(reads.retained), methods=["GET"]),
                Route("/api/config", self._reading(reads.config), methods=["GET"]),
                *(Route(f"/api/{name}", self._changing(act), methods=["POST"]) for name, act in ACTS.items()),
            ]
        )
        self.guarded: ASGIApp = Guarded(self.app, door)

    async def _session(self, request: Request) -> Response:
        """Exchange the one-time code for the cookie."""
        body = await _body(request)
        cookie = self._door.exchange(str(body.get("code", "")))
        if cookie is None:
            return problem("This code is used or wrong: start `usher console` again.", 401)
        answer = JSONResponse({})
        answer.set_cookie(self._door.cookie_name, cookie, httponly=True, samesite="strict", path="/")
        return answer

    def _about(self, _: Mapping[str, str]) -> dict[str, Any]:
        place = self._account.place
        about = {"stack": place.stack, "region": place.region, "who": self._who, "acts": list(ACTS)}
        return about | {"read_only": self._read_only}

    def _reading(self, read: Read) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(self._answer, lambda: read(dict(request.query_params)))

        return endpoint

    def _changing(self, act: Act) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if self._read_only:
                return problem("This console is read-only: start it without --read-only to change.", 403)
            body = await _body(request)
            return await run_in_threadpool(self._answer, lambda: self._change(act, body))

        return endpoint

    def _change(self, act: Act, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            done = act(self._account, body)
        finally:  # what failed may have been stored
            self._live.forget()
        return {"done": done.sentence, "warnings": list(done.warnings)}

    def _answer(self, answer: Callable[[], dict[str, Any]]) -> Response:
        """What was asked for, or why not in a sentence; with the units used so far."""
        try:
            with errors_as_trouble(self._account.place):
                told = answer()
        except click.ClickException as error:
            denied = is_denied(error)
            return problem(error.format_message(), 403 if denied else 400, denied=denied)
        return JSONResponse(
            told | {"read_units": self._units.total, "units_a_minute": self._units.per_minute}
        )


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a change; an empty one where it is none."""
    with suppress(ValueError, RecursionError):
        body = json.loads(await request.body())
        if isinstance(body, dict):
            return body
    return {}


# The page


@cache
def _text(*names: str) -> str:
    package = resources.files("usher_cli")
    return "\n".join(package.joinpath(*name.split("/")).read_text(encoding="utf-8") for name in names)


async def _page(_: Request) -> Response:
    return HTMLResponse(_text("console/page/console.html"))


async def _style(_: Request) -> Response:
    return Response(_text(*_STYLES), media_type="text/css")


async def _script(_: Request) -> Response:
    return Response(_text(*_SCRIPTS), media_type="text/javascript")
