"""A real headless Chromium: for the page of `usher replay --report` here, and for that of `usher console`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "chrome", "google-chrome", "google-chrome-stable")
_PATIENCE_MS = 10_000  # with what the page does at once, on a busy machine
MISSING = (
    "no Chromium is found: put one on the PATH (Debian: apt-get install chromium), "
    "or name it, as in CHROMIUM=/where/it/is make test-console"
)


def chromium() -> str:
    """Where the browser is; ends the run with a word where there is none."""
    named = os.environ.get("CHROMIUM")
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        pytest.exit(MISSING, returncode=2)
    return found[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


class Opener:
    """Opens files in the browser, and keeps what they complain of and ask for."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def __call__(self, file: Path, *, width: int = 1280, scheme: str = "light") -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            offline=True,
        )
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(file.as_uri())
        return page


@pytest.fixture
def show(browser: Browser) -> Iterator[Opener]:
    opener = Opener(browser)
    yield opener
    for context in browser.contexts:
        context.close()
    assert opener.complaints == []
    assert all(url.startswith("file:") for url in opener.requests)
