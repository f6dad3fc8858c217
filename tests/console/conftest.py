"""A real headless Chromium for the page of `usher console`: `make test-console`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.console_site import Site

__all__ = ["browser"]  # a fixture

_PATIENCE_MS = 30_000  # with a page that polls every five seconds, on a busy machine
expect.set_options(timeout=_PATIENCE_MS)
_NOT_ANSWERED = "Failed to load resource: "


class Visitor:
    """Opens consoles in the browser, and keeps what their pages complain of and ask for."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.origins: list[str] = []

    def __call__(self, site: Site, *, width: int = 1280, scheme: str = "light") -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        self.origins.append(site.origin)
        page.goto(site.address)
        return page

    def _hear(self, message: Any) -> None:
        if not message.text.startswith(_NOT_ANSWERED):  # the page tells of a refusal in words
            self.complaints.append(message.text)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser)
    yield visitor
    for context in browser.contexts:
        context.close()
    assert visitor.complaints == []
    outward = [url for url in visitor.requests if not url.startswith((*visitor.origins, "data:"))]
    assert outward == []
