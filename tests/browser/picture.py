"""The picture of the report in the README: `python -m tests.browser.picture` takes it anew.

It shows the timeline of the sample's web servers. Needs what `make test-report` needs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from click.testing import CliRunner
from playwright.sync_api import sync_playwright

from tests.browser.conftest import chromium
from usher_cli.main import main

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[2]
SAMPLE: Final = ROOT / "usher_cli" / "sample"
PICTURE: Final = ROOT / "docs" / "images" / "report.png"


def taken(page: Page) -> None:
    """Take the picture of an open report."""
    page.locator("select[name=group]").select_option("web-prod")
    page.get_by_role("button", name="Fit rows in view").click()
    timeline = page.get_by_role("region", name="Timeline").bounding_box()
    keys = page.get_by_text("Click a row, or press Enter").bounding_box()
    assert timeline is not None and keys is not None  # noqa: PT018 - both are on the page
    height = keys["y"] - timeline["y"]
    page.screenshot(path=PICTURE, full_page=True, clip={**timeline, "height": height})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        replay = ["replay", str(SAMPLE / "fleet-day.jsonl"), "--hooks", str(SAMPLE / "hooks.yaml")]
        CliRunner().invoke(main, [*replay, "--report", str(report)])
        browser = playwright.chromium.launch(executable_path=chromium())
        opened = browser.new_page(viewport={"width": 1000, "height": 900})
        opened.goto(report.as_uri())
        taken(opened)
        browser.close()
