"""Who may ask the console: every route of its own table, so that none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.routing import Route

from tests.console_site import Site, served
from tests.memory_account import Clients, MemoryStack
from usher_cli.console.changes import ACTS
from usher_cli.console.door import BODY_BYTES_MAX, HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.console_site import Answered


WITHOUT_COOKIE = {"/", "/console.css", "/console.js"}  # and the exchange of the code
BINDING = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class NothingRetained(Clients):
    """An Auto Scaling without retained instances."""

    def get_paginator(self, _: str) -> NothingRetained:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return [{"AutoScalingInstances": []}]


def stack() -> MemoryStack:
    return MemoryStack(services={"autoscaling": NothingRetained()})


def routes_of(site: Site) -> list[tuple[str, str]]:
    """Each method and path of the application's own table."""
    return [
        (method, route.path)
        for route in site.app.routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


@pytest.fixture(scope="module")
def deployed_once() -> MemoryStack:
    return stack()


@pytest.fixture(scope="module")
def entered(deployed_once: MemoryStack) -> Iterator[Site]:
    with served(deployed_once.account()) as site:
        site.enter()
        yield site


@pytest.fixture(autouse=True)
def nothing_changes(deployed_once: MemoryStack) -> Iterator[None]:
    yield
    assert deployed_once.clients.sent == []
    assert deployed_once.clients.events == []


def each(site: Site, **headers: str | None) -> dict[tuple[str, str], Answered]:
    """What every route answers to such headers."""
    return {(method, path): site.ask(method, path, **headers) for method, path in routes_of(site)}


def statuses(site: Site, **headers: str | None) -> set[int]:
    return {answer.status for answer in each(site, **headers).values()}


def test_the_table_has_the_routes_that_the_page_needs_and_no_others(entered: Site) -> None:
    reads = {"about", "open", "story", "history", "retained", "config"}
    expected = {("GET", f"/api/{name}") for name in reads} | {("POST", f"/api/{name}") for name in ACTS}
    expected |= {("GET", path) for path in ("/", "/console.css", "/console.js")} | {("POST", "/api/session")}
    assert {route for route in routes_of(entered) if route[0] != "HEAD"} == expected
    assert all(isinstance(route, Route) for route in entered.app.routes)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "[::1]:80", "", None]
)
def test_no_route_answers_on_a_foreign_host(entered: Site, host: str | None) -> None:
    assert statuses(entered, Host=host) <= {400, 421}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://127.0.0.1"])
def test_no_route_answers_a_foreign_origin(entered: Site, origin: str) -> None:
    assert statuses(entered, Origin=origin) == {403}


def test_the_origin_must_be_of_the_host_that_was_asked(entered: Site) -> None:
    other = f"http://localhost:{entered.port}"
    assert statuses(entered, Origin=other) == {403}
    assert entered.get("/api/about", Host=f"localhost:{entered.port}", Origin=other).status == 200


def test_no_route_of_the_account_answers_what_another_site_asks_for(entered: Site) -> None:
    for site_of_it in ("cross-site", "same-site"):
        for (_, path), answer in each(entered, Sec_Fetch_Site=site_of_it).items():
            assert answer.status == 403 or path in {*WITHOUT_COOKIE, "/api/session"}, path
    assert entered.get("/api/about", Sec_Fetch_Site="same-origin").status == 200


def test_every_change_needs_an_origin_and_json(entered: Site) -> None:
    for method, path in routes_of(entered):
        if method in ("GET", "HEAD"):
            continue
        assert entered.ask(method, path, Origin=None).status == 403, path
        for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
            assert entered.ask(method, path, Content_Type=content_type).status == 415, path


def test_a_change_has_a_bounded_length_that_it_tells(entered: Site) -> None:
    fits, too_long = "x" * (BODY_BYTES_MAX - 14), "x" * (BODY_BYTES_MAX - 13)
    assert entered.post("/api/hold", {"reason": fits}).status == 400  # of its contents
    assert entered.post("/api/hold", {"reason": too_long}).status == 413
    assert entered.post("/api/hold", {}, Transfer_Encoding="chunked", Content_Length=None).status == 411


@pytest.mark.parametrize(
    "cookie", [None, "{name}=", "{name}=secret-1", "usher_console_1=secret-2", "usher_console=secret-2", "é"]
)
def test_without_the_cookie_only_the_page_and_the_exchange_answer(entered: Site, cookie: str | None) -> None:
    given = cookie and cookie.format(name=entered.door.cookie_name)
    for (_, path), answer in each(entered, Cookie=given).items():
        assert (answer.status == 401) != (path in WITHOUT_COOKIE), path


def test_a_code_works_once_and_a_wrong_one_never() -> None:
    with served(stack().account()) as site:
        for wrong in ("", "secret-", "secret-2", 7, None, ["secret-1"]):
            assert site.post("/api/session", {"code": wrong}).status == 401
        site.enter()
        again = site.post("/api/session", {"code": site.door.code})
        assert (again.status, again.headers.get("set-cookie")) == (401, None)
        assert "used" in again.error
        assert site.get("/api/about").status == 200


def test_the_code_opens_no_route_itself() -> None:
    with served(stack().account()) as site:
        code = f"{site.door.cookie_name}={site.door.code}"
        assert site.get("/api/about", Cookie=code).status == 401
        assert site.get(f"/api/about?code={site.door.code}").status == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() -> None:
    with served(stack().account()) as site:
        cookie = site.post("/api/session", {"code": site.door.code}).headers["set-cookie"]
        attributes = {each.strip().lower() for each in cookie.split(";")[1:]}
        assert attributes == {"httponly", "samesite=strict", "path=/"}


def test_every_answer_has_the_headers_that_bind_the_browser(entered: Site) -> None:
    answers = [
        *each(entered).values(),
        *each(entered, Host="evil.example").values(),
        *each(entered, Cookie=None).values(),
        entered.get("/nowhere"),
        entered.ask("DELETE", "/api/open"),
    ]
    for answer in answers:
        assert BINDING.items() <= answer.headers.items()
        assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
        assert not {"server", "access-control-allow-origin"} & answer.headers.keys()


def test_the_policy_of_the_page_allows_its_own_files_alone() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy.pop("img-src") == "data:"
    own = {policy.pop(f"{kind}-src") for kind in ("script", "style", "connect")}
    assert own == {"'self'"}
    assert policy == {
        **dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_a_failure_inside_is_an_answer_without_a_trace() -> None:
    broken = stack()
    with served(broken.account()) as site:
        site.enter()
        broken.items = None  # type: ignore[assignment]
        answer = site.get("/api/story?of=%00")
        assert answer.status in (400, 500)
        assert b"Traceback" not in answer.body
